"""What a leaderboard is refused for, and which of the drawn trials are runs of their own."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vec2uage.base.csv_file import read_csv
from vec2uage.base.errors import UserError
from vec2uage.config.hydra.composer import Composer
from vec2uage.config.hydra.entries import ParsedEntry, Repeats
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.leaderboard import Chosen, Entry
from vec2uage.sweep.compose import compose_jobs
from vec2uage.sweep.leaderboard.contest import Overrides, arrange, values_of
from vec2uage.sweep.leaderboard.options import LeaderboardOptions
from vec2uage.sweep.leaderboard.trials import Options, draw


def checked_trials(
    composer: Composer, entries: Sequence[ParsedEntry], options: LeaderboardOptions, repeats: Repeats
) -> dict[str, tuple[Options, ...]]:
    """Return what each entry tries: one that takes the options of another, what that one does.

    All are composed for one split, as they would be for any other. Raises UserError for what is wrong with an entry.
    """
    one = replace(repeats, splits=repeats.splits[:1])
    as_if_done = _as_if_done(entries, one.splits[0].partition("=")[2])
    trials: dict[str, tuple[Options, ...]] = {}
    for entry in entries:
        drawn = trials[entry.like] if entry.like else draw(entry, options.trials + 1, options.seed)
        contest = arrange(entry, drawn, one, as_if_done, composer.folder)
        try:
            kept = distinct(composer, [jobs[0] for jobs in contest.jobs.values()])
        except UserError as error:
            raise UserError(f"hydra.sweeper.entries.{entry.name}: {error.args[0]}", error.problems) from None
        # one that was drawn may be what the model has anyway
        trials[entry.name] = drawn if entry.like else tuple(drawn[place] for place in kept)[: options.trials]
    return trials


def _as_if_done(entries: Sequence[ParsedEntry], split: str) -> Mapping[str, Entry]:
    """Return entries as if a run of each had been chosen, for what is made of them."""
    first = {split: Chosen(0, 0.0, {}, {}, 0.0, ("run",))}
    return {entry.name: Entry(entry.name, values_of(entry), {}, (), False, None, first) for entry in entries}


def distinct(composer: Composer, jobs: Sequence[Overrides]) -> list[int]:
    """Return the places of jobs that are no earlier one over again; UserError for what is wrong with one."""
    places: dict[Hashable, int] = {}
    for place, overrides in enumerate(jobs):
        [composed] = compose_jobs(composer, [overrides], place)
        places.setdefault(composed.job.settings.identity(), place)
    return list(places.values())


def check_same_faces(entry: Entry, done: Mapping[str, Entry], sweep: Path) -> None:
    """Raise UserError where an entry, which may have vectors of its own, was tested on other faces than those done."""
    for split, chosen in entry.chosen.items():
        other = next((earlier for earlier in done.values() if split in earlier.chosen), None)
        if other and _tested_faces(sweep, chosen) != _tested_faces(sweep, other.chosen[split]):
            raise UserError(
                f"hydra.sweeper.entries.{entry.name}: its test faces of split.seed={split} are not those of "
                f"{other.name}: give both vectors of the same faces, in the same order (dataset.path)"
            )


def _tested_faces(sweep: Path, chosen: Chosen) -> list[tuple[str, str]]:
    return [(row["name"], row["age"]) for row in read_csv(RunFolder(sweep / chosen.runs[0]).predictions)]
