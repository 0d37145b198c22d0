"""The runs of one entry: what is trained on each split, and which trial validation chooses there."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vec2uage.base.arguments import quoted
from vec2uage.base.csv_file import read_csv
from vec2uage.base.errors import UserError
from vec2uage.config.hydra.entries import LIKE, MEMBERS, ParsedEntry, Repeats
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.leaderboard import BANDS, Chosen, Entry, band_names
from vec2uage.runs.result import RunResult
from vec2uage.sweep.leaderboard.trials import Options

Overrides = tuple[str, ...]
Place = tuple[str, int]
"""A split, and the number of a trial."""


@dataclass(frozen=True)
class Contest:
    """The jobs of one entry, by split and trial; one a seed."""

    entry: ParsedEntry
    trials: tuple[Options, ...]
    jobs: Mapping[Place, tuple[Overrides, ...]]
    missing: Mapping[str, str]
    """The splits of which an entry that this one needs has nothing, and why."""

    @property
    def overrides(self) -> list[Overrides]:
        """All jobs, those of a split together: these share data and, where they can, a stack."""
        return [job for of_place in self.jobs.values() for job in of_place]


def arrange(
    entry: ParsedEntry, trials: tuple[Options, ...], repeats: Repeats, done: Mapping[str, Entry], sweep: Path
) -> Contest:
    """Return the jobs of an entry, whose members and options come from those that are `done`."""
    jobs: dict[Place, tuple[Overrides, ...]] = {}
    missing: dict[str, str] = {}
    like = done[entry.like] if entry.like else None
    for override in repeats.splits:
        split = override.partition("=")[2]
        lacking = [f"{name}: {done[name].missing[split]}" for name in entry.needs if split in done[name].missing]
        if lacking:
            missing[split] = lacking[0]
            continue
        numbers = range(len(trials)) if like is None else [like.chosen[split].trial]
        for number in numbers:
            own = {**repeats.common, **_pairs(override)}
            own |= {**({} if like is None else _typed(like.fixed)), **entry.fixed, **_typed(trials[number])}
            if entry.members:
                own[MEMBERS] = f"{MEMBERS}=[{','.join(_members(entry, split, done, sweep))}]"
            each = [{**own, **_pairs(seed)} for seed in entry.seeds or repeats.seeds] or [own]
            jobs[split, number] = tuple(tuple(options.values()) for options in each)
    return Contest(entry, trials, jobs, missing)


def _pairs(override: str) -> dict[str, str]:
    return {override.partition("=")[0]: override}


def _typed(options: Options) -> dict[str, str]:
    return {key: f"{key}={value}" for key, value in options.items()}


def _members(entry: ParsedEntry, split: str, done: Mapping[str, Entry], sweep: Path) -> list[str]:
    return [quoted(str(sweep / run)) for name in entry.members for run in done[name].chosen[split].runs]


def choose(contest: Contest, results: Mapping[Overrides, RunResult], sweep: Path) -> Entry:
    """Return what validation has chosen in every split, and how that did on the test: no other test score is read.

    A trial of which a run has no errors, as it diverged or failed, is none to choose.
    """
    entry, chosen, missing = contest.entry, {}, dict(contest.missing)
    has_spread = True
    for split in dict.fromkeys(split for split, _ in contest.jobs):
        of_trials = {number: [results[job] for job in jobs] for (s, number), jobs in contest.jobs.items() if s == split}
        usable = {number: runs for number, runs in of_trials.items() if all(map(_is_scored, runs))}
        if not usable:
            failed = next(run for runs in of_trials.values() for run in runs if not _is_scored(run))
            missing[split] = failed.unusable if failed.status == "completed" else failed.ending
            continue
        number = min(usable, key=lambda key: _mean(usable[key], "validation/mae"))
        chosen[split] = _tested(number, usable[number], sweep)
        has_spread = has_spread and "test/coverage_90" in usable[number][0].scores
    trials = tuple(dict(options) for options in contest.trials)
    return Entry(entry.name, values_of(entry), dict(entry.searched), trials, has_spread, None, chosen, missing)


def values_of(entry: ParsedEntry) -> dict[str, str]:
    """Return what all trials of an entry have, by option; entries that it is made of by their names."""
    values = {key: override.partition("=")[2] for key, override in entry.fixed.items()}
    if entry.members:
        values[MEMBERS] = f"[{','.join(entry.members)}]"
    if entry.like:
        values[LIKE] = entry.like
    return values


def _is_scored(run: RunResult) -> bool:
    return run.status == "completed" and not run.unusable


def _mean(runs: Sequence[RunResult], score: str) -> float:
    return statistics.fmean(run.scores[score] for run in runs)


def _tested(number: int, runs: Sequence[RunResult], sweep: Path) -> Chosen:
    scores = {name: _mean(runs, name) for name in runs[0].scores if name.startswith("test/")}
    bands = [_bands(RunFolder(sweep / run.name)) for run in runs]
    return Chosen(
        trial=number,
        validation=_mean(runs, "validation/mae"),
        scores={name: score for name, score in scores.items() if math.isfinite(score)},
        bands={name: statistics.fmean(of_run[name] for of_run in bands) for name in bands[0]},
        seconds=statistics.fmean(run.seconds or 0.0 for run in runs),
        runs=tuple(run.name for run in runs),
    )


def _bands(folder: RunFolder) -> dict[str, float]:
    """Return the MAE (years) of the test faces of each band of whole ages that has some."""
    try:
        rows = read_csv(folder.predictions)
        ages, said = (np.array([float(row[column]) for row in rows]) for column in ("age", "prediction"))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder.predictions} cannot be read: {error}") from None
    errors, whole = np.abs(ages - said), np.floor(ages)
    within = [(whole >= first) & (whole <= last) for first, last in BANDS]
    return {name: float(errors[of].mean()) for name, of in zip(band_names(), within, strict=True) if of.any()}
