"""Support-vector regression (Drucker et al. 1997), on balanced ages."""

from typing import Any

import numpy as np
import sklearn.svm
from jaxtyping import Float

from vec2uage.training.regressors.base import relative


class SVR(sklearn.svm.SVR):
    """That of scikit-learn, but `gamma=scale` takes the variance of faces by their weights, as of repeated rows."""

    gamma: Any
    cache_size: Any

    def fit(
        self,
        X: Float[np.ndarray, "n D"],
        y: Float[np.ndarray, " n"],
        sample_weight: Float[np.ndarray, " n"] | None = None,
    ) -> Any:
        """Fit to vectors and ages in years; an error of a face costs `C` times its weight."""
        gamma = self.gamma
        try:
            if gamma == "scale":
                self.gamma = _scale(X, relative(sample_weight, len(X)))
            return super().fit(X, y, sample_weight=sample_weight)
        finally:
            self.gamma = gamma

    def fit_bytes(self, rows: int) -> int:
        """Return the bytes that fitting takes: the part of the kernel that is kept, in single precision."""
        return min(int(self.cache_size * 2**20), 4 * rows**2)


def _scale(x: Float[np.ndarray, "n D"], weight: Float[np.ndarray, " n"]) -> float:
    """Return 1 / (dimension * variance of all numbers), as scikit-learn defines it."""
    mean = np.average(x.mean(axis=1), weights=weight)
    variance = np.average(np.square(x - mean).mean(axis=1), weights=weight)
    return float(1 / (x.shape[1] * variance)) if variance > 0 else 1.0
