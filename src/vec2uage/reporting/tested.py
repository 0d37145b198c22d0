"""Differences and effects that were tested among others, with p adjusted for their number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from vec2uage.statistics.bootstrap import Interval
from vec2uage.statistics.comparison import ALPHA, Comparison, holm, runs_needed


@dataclass(frozen=True)
class Tested:
    """A difference that was tested among others."""

    comparison: Comparison
    adjusted_p: float = field(default=math.nan, kw_only=True)
    """By Holm's method over all differences, or effects, of the sweep."""
    least_p: float = field(default=math.nan, kw_only=True)
    """The smallest that `adjusted_p` could have been with so many runs."""
    needed: int | None = field(default=None, kw_only=True)
    """With how many runs a side `adjusted_p` can be below 5%; None where that takes more resamples."""

    @property
    def p(self) -> float:
        """Of this difference alone."""
        return self.comparison.p

    @property
    def difference(self) -> Interval:
        """Years."""
        return self.comparison.difference

    @property
    def is_shown(self) -> bool:
        """Whether the difference is more than luck, at the 5% level."""
        return self.adjusted_p < ALPHA

    @property
    def could_be_shown(self) -> bool:
        """Whether a test of so many runs could have shown a difference at all."""
        return self.least_p < ALPHA


@dataclass(frozen=True)
class Difference(Tested):
    """How the test score of one variant differs from another's; years."""

    one: str
    other: str
    runs: str
    """Which runs were compared: `20 same seeds`, or `independent`."""
    aso: float
    """The bound of almost stochastic order: where it is low, `one` is better (`statistics.dominance`)."""


@dataclass(frozen=True)
class Effect(Tested):
    """What another value of an option changes in the test score (years), with equal seeds and all else equal."""

    option: str
    value: str
    baseline: str
    among: str
    """What it is the mean over: all runs, or those of one optimiser or, with `Sweep.by`, one variant."""


Found = TypeVar("Found", bound=Tested)


def adjusted(found: Sequence[Found], resamples: int) -> tuple[Found, ...]:
    """Return differences or effects with their p-values adjusted for their number, and what these could have been."""
    p = [each.p for each in found]
    best = [holm([*p[:k], each.comparison.least_p, *p[k + 1 :]])[k] for k, each in enumerate(found)]
    return tuple(
        replace(
            each,
            adjusted_p=adjusted,
            least_p=least,
            needed=runs_needed(each.comparison.paired, len(found), resamples),
        )
        for each, adjusted, least in zip(found, holm(p), best, strict=True)
    )
