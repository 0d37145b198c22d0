"""How well a probability tells two groups apart, as functions of arrays for metrics, tables and figures."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class ROC:
    """The receiver operating characteristic: what is flagged at each threshold, from none to all faces.

    A face is flagged where its probability is at least the threshold; the first threshold is infinite.
    """

    thresholds: Float[np.ndarray, " T"]
    false_positives: Float[np.ndarray, " T"]
    """Share of the negatives that is flagged."""
    true_positives: Float[np.ndarray, " T"]
    """Share of the positives that is flagged."""

    @property
    def area(self) -> float:
        """The area under it: how likely a positive has a higher probability than a negative; ties count half."""
        return float(np.trapezoid(self.true_positives, self.false_positives))

    def at_false_positives(self, rate: float) -> tuple[float, float]:
        """Return the least threshold that flags at most this share of the negatives, and the share of positives."""
        at = int(np.searchsorted(self.false_positives, rate, side="right")) - 1
        return float(self.thresholds[at]), float(self.true_positives[at])

    def at_true_positives(self, rate: float) -> tuple[float, float]:
        """Return the greatest threshold that flags at least this share of the positives, and the share of negatives."""
        at = int(np.searchsorted(self.true_positives, rate))
        return float(self.thresholds[at]), float(self.false_positives[at])


def roc(probability: Float[np.ndarray, " N"], positive: Bool[np.ndarray, " N"]) -> ROC:
    """Return the curve of a probability of being positive; its rates are NaN where there are no such faces.

    >>> curve = roc(np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False]))
    >>> curve.area, curve.at_false_positives(0.0), curve.at_true_positives(1.0)
    (0.75, (0.9, 0.5), (0.7, 0.5))
    """
    order = np.argsort(-probability, kind="stable")
    descending = probability[order]
    last_of_ties = np.append(np.flatnonzero(np.diff(descending)), len(order) - 1)
    true, false = (np.cumsum(group[order])[last_of_ties] for group in (positive, ~positive))
    with np.errstate(invalid="ignore"):
        true_rate, false_rate = (np.concatenate([[0], counts]) / counts[-1] for counts in (true, false))
    return ROC(np.concatenate([[np.inf], descending[last_of_ties]]), false_rate, true_rate)
