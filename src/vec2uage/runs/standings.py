"""What a leaderboard says: errors with their intervals, differences with their tests, and what validation chose."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import numpy as np

from vec2uage.runs.leaderboard import CRPS, MAE, Chosen, Entry, Leaderboard, band_names, best_of
from vec2uage.statistics.bootstrap import Interval
from vec2uage.statistics.comparison import holm
from vec2uage.statistics.resampled import resampled_mean


@dataclass(frozen=True)
class Difference:
    """How an entry differs from another in test MAE (years), over the splits that both have."""

    interval: Interval
    p: float
    """Two-sided, of no difference, after Holm's correction for the entries compared; NaN with fewer than two splits."""


@dataclass(frozen=True)
class Standing:
    """One entry over all splits; errors in years."""

    entry: Entry
    mae: Interval
    crps: Interval
    validation: float
    bands: Mapping[str, float]
    seconds: float
    """To train one run."""
    difference: Difference | None
    """From the reference; None for the reference itself, and where they share no split."""
    from_first: Difference | None
    """From the entry with the lowest validation error; None for that one itself."""


@dataclass(frozen=True)
class Headline:
    """The error of choosing by validation among all entries in each split: what somebody with these means gets."""

    mae: Interval
    difference: Difference | None
    """From the reference."""
    times: Mapping[str, int]
    """In how many splits each entry was chosen, the most frequent first."""


@dataclass(frozen=True)
class Standings:
    """All that is said of a leaderboard."""

    board: Leaderboard

    @cached_property
    def rows(self) -> list[Standing]:
        """The entries that were chosen in at least one split, by their test MAE."""
        tested = [entry for entry in self.board.entries if entry.chosen]
        reference = self._differences(tested, self.board.reference)
        first = self._differences(tested, self.first)
        rows = [self._standing(entry, reference.get(entry.name), first.get(entry.name)) for entry in tested]
        return sorted(rows, key=lambda row: row.mae.estimate)

    @cached_property
    def first(self) -> str:
        """The entry with the lowest mean validation error over the splits, among those that have all they can have.

        Its test error is flattered, that of the `headline` is not: what one split validates with, others test.
        """
        tested = [entry for entry in self.board.entries if entry.chosen]
        most = max(len(entry.chosen) for entry in tested)
        complete = [entry for entry in tested if len(entry.chosen) == most]
        return min(complete, key=_validation).name

    @cached_property
    def headline(self) -> Headline:
        """What choosing by validation gives."""
        chosen = {split: self._best(split) for split in self.board.splits if self._of(split)}
        times = Counter(name for name, _ in chosen.values())
        return Headline(
            self._mean([found.scores[MAE] for _, found in chosen.values()]),
            self._difference({split: found for split, (_, found) in chosen.items()}, self.board.reference),
            dict(times.most_common()),
        )

    def standing(self, name: str) -> Standing:
        """Return that of one entry."""
        return next(row for row in self.rows if row.entry.name == name)

    def _of(self, split: str) -> list[tuple[str, Chosen]]:
        return [(entry.name, entry.chosen[split]) for entry in self.board.entries if split in entry.chosen]

    def _best(self, split: str) -> tuple[str, Chosen]:
        return best_of(self._of(split))

    def _mean(self, values: Sequence[float]) -> Interval:
        return resampled_mean(np.array(values, dtype=float), self.board.test_share).interval

    def _difference(self, own: Mapping[str, Chosen], other: str) -> Difference | None:
        """Return how something differs from an entry, p not yet corrected."""
        its = next((entry.chosen for entry in self.board.entries if entry.name == other), {})
        values = [own[split].scores[MAE] - its[split].scores[MAE] for split in own if split in its]
        if not values:
            return None
        found = resampled_mean(np.array(values), self.board.test_share)
        return Difference(found.interval, found.p)

    def _differences(self, entries: Sequence[Entry], other: str) -> dict[str, Difference]:
        found = {entry.name: self._difference(entry.chosen, other) for entry in entries if entry.name != other}
        known = {name: difference for name, difference in found.items() if difference}
        corrected = holm([difference.p for difference in known.values()])
        return {name: Difference(d.interval, p) for (name, d), p in zip(known.items(), corrected, strict=True)}

    def _standing(self, entry: Entry, difference: Difference | None, from_first: Difference | None) -> Standing:
        chosen = list(entry.chosen.values())
        named = {band: [of.bands[band] for of in chosen if band in of.bands] for band in band_names()}
        return Standing(
            entry=entry,
            mae=self._mean([of.scores[MAE] for of in chosen]),
            crps=self._mean([of.scores[CRPS] for of in chosen]),
            validation=_validation(entry),
            bands={band: fmean(values) for band, values in named.items() if values},
            seconds=fmean(of.seconds for of in chosen),
            difference=difference,
            from_first=from_first,
        )


def choices(entry: Entry) -> list[tuple[int, int]]:
    """Return the numbers of the trials that were chosen, and in how many splits, the most frequent first."""
    return Counter(of.trial for of in entry.chosen.values()).most_common()


def _validation(entry: Entry) -> float:
    return fmean(of.validation for of in entry.chosen.values())
