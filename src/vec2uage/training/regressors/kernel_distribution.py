"""Kernel distribution regression: the distribution function of age, by kernel ridge regression at every whole age."""

import numpy as np
from jaxtyping import Float

from vec2uage.base.errors import UserError
from vec2uage.predictions.piecewise import Discrete
from vec2uage.training.regressors.age_weights import with_rest
from vec2uage.training.regressors.base import relative
from vec2uage.training.regressors.kernel_ridge import KernelRegressor


class KernelDistribution(KernelRegressor):
    """A probability for every whole age from the youngest to the oldest, learned by the CRPS.

    For each age `g` of this grid, ridge regression in the space of a kernel learns whether a face is older: 0, or 1, or
    the share by which its age lies between `g` and the next one. The sum of the squared errors over all `g` is the CRPS
    in steps of a year, so that what is learned is P(age > g), and all of it comes from one factorisation. (Regression
    of the distribution function at many points: Foresi and Peracchi 1995, "The Conditional Distribution of Excess
    Returns"; with kernels, an embedding of the conditional distribution: Song et al. 2009, "Hilbert Space Embeddings of
    Conditional Distributions".) These are estimates, so they are put in order (Chernozhukov, Fernandez-Val and Galichon
    2010: which never makes them worse) and between 0 and 1.
    """

    def fit(
        self,
        X: Float[np.ndarray, "n D"],
        y: Float[np.ndarray, " n"],
        sample_weight: Float[np.ndarray, " n"] | None = None,
    ) -> "KernelDistribution":
        """Fit to vectors and ages in years; UserError where all are of one age."""
        if y.min() == y.max():
            raise UserError(f"model: all training faces are {y[0]:g} years old: a distribution needs two ages")
        weight = relative(sample_weight, len(X))
        self.grid_, self.faces_ = np.arange(np.floor(y.min()), np.ceil(y.max()) + 1), len(X)
        older = np.clip(y[:, None] - self.grid_[:-1], 0, 1)
        self.mean_ = np.average(older, axis=0, weights=weight)
        self._solve(X, older - self.mean_, weight)
        return self

    def predict(self, X: Float[np.ndarray, "N D"]) -> Float[np.ndarray, " N"]:
        """Return the medians in years."""
        return self.predict_distribution(X).median

    def predict_distribution(self, X: Float[np.ndarray, "N D"]) -> Discrete:
        """Return the probabilities of whole ages, with a rest for those that seem impossible (`with_rest`)."""
        older = self.mean_ + self._learned(X)
        falling = -np.sort(-older.clip(0, 1), axis=1)
        return with_rest(self.grid_, -np.diff(falling, axis=1, prepend=1, append=0), self.faces_)
