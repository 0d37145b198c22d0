"""Honest choice among runs: by validation, with the test set looked at once, and what luck alone would give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from scipy import stats


@runtime_checkable
class Scored(Protocol):
    """A run with what it is chosen by and judged by."""

    @property
    def name(self) -> str: ...

    @property
    def val_mae(self) -> float:
        """Years."""

    @property
    def test_mae(self) -> float:
        """Years."""


@dataclass(frozen=True)
class Selection:
    """What choosing one of `n` runs gives; MAE in years."""

    n: int
    chosen: Scored
    """The run with the lowest validation MAE: its test MAE is the one to report."""
    luckiest: Scored
    """The run with the lowest test MAE, which cannot be known without the test set."""
    expected_luck: float
    """The lowest test MAE to expect of n equally good runs (`expected_minimum`)."""
    correlation: float
    """Spearman's, of validation and test MAE: how far validation can tell good runs from bad; NaN for constant ones."""


def select(runs: Sequence[Scored]) -> Selection:
    """Choose among runs of one kind; the first of equals wins."""
    val, test = np.array([run.val_mae for run in runs]), np.array([run.test_mae for run in runs])
    spread = float(test.std(ddof=1)) if len(runs) > 1 else 0.0
    varied = len(runs) > 2 and np.ptp(val) > 0 and np.ptp(test) > 0
    return Selection(
        n=len(runs),
        chosen=runs[int(val.argmin())],
        luckiest=runs[int(test.argmin())],
        expected_luck=expected_minimum(float(test.mean()), spread, len(runs)),
        correlation=float(stats.spearmanr(val, test).statistic) if varied else float("nan"),
    )


def expected_minimum(mean: float, std: float, n: int) -> float:
    """Return the expected lowest of n independent normal draws: what the best of n equal runs owes to luck.

    >>> round(expected_minimum(2.5, 0.04, 20), 3)
    2.425
    """
    # P(min <= x) = 1 - (1 - F(x))^n, so the minimum is F's quantile at 1 - v^(1/n) for v uniform in (0, 1)
    v = (np.arange(20_000) + 0.5) / 20_000
    return float(mean + std * stats.norm.ppf(-np.expm1(np.log(v) / n)).mean())
