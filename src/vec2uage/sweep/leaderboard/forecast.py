"""What `plan=true` says of a leaderboard: its entries, and how long they take, as runs that have ended tell."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from vec2uage.base.formatting import counted, duration
from vec2uage.config.hydra.composer import Composer
from vec2uage.config.hydra.entries import ParsedEntry
from vec2uage.runs.index import collect
from vec2uage.sweep.compose import compose_jobs
from vec2uage.sweep.leaderboard.contest import Contest
from vec2uage.sweep.options import Resume
from vec2uage.sweep.resume import ENDED


def forecast(contests: Sequence[Contest], later: Sequence[ParsedEntry], composer: Composer, resume: Resume) -> str:
    """Return a line an entry: its runs, how many have ended, and the time for those to come if these tell.

    With `resume` false those that have ended tell the time, but are trained once more. Seconds are those of the runs,
    which several at a time share. `later` are entries that are made of others.
    """
    seconds = _known(composer.folder)
    width = max(len(entry.name) for entry in [*(contest.entry for contest in contests), *later])
    lines = [f"{'entry':{width}}  {'runs':>6}  {'ended':>6}  {'to come':>9}"]
    total, unknown, first = 0.0, 0, 0
    for contest in contests:
        # only what is composed can be known again, and composing takes a while
        jobs = compose_jobs(composer, contest.overrides, first) if seconds else []
        runs = len(contest.overrides)
        first += runs
        ended = [seconds[job.job.settings.config_hash] for job in jobs if job.job.settings.config_hash in seconds]
        kept = 0 if resume is False else len(ended)
        left = runs - kept
        time = fmean(ended) * left if ended else 0.0
        total, unknown = total + time, unknown + (0 if ended else left)
        told = duration(time) if ended else "?"
        lines.append(f"{contest.entry.name:{width}}  {runs:6}  {kept:6}  {told:>9}")
    lines += [f"{entry.name:{width}}  after {', '.join(dict.fromkeys(entry.needs))}" for entry in later]
    known = [f"about {duration(total)} of one core"] if total or not unknown else []
    unclear = (
        [f"{counted(unknown, 'run')} of which none alike has ended: train one split first to know"] if unknown else []
    )
    lines.append("time:   " + ", and ".join(known + unclear))
    return "\n".join(lines)


def _known(sweep: Path) -> dict[str, float]:
    """Return the seconds of the runs that have ended, by the hash of their configuration."""
    found = collect(sweep)[0].values() if sweep.is_dir() else []
    return {run.config_hash: run.seconds for run in found if run.status in ENDED and run.seconds is not None}
