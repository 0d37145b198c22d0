"""Forests and boosted trees of scikit-learn on balanced ages, whose distinct faces come with weights."""

from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestRegressor

from vec2uage.predictions.piecewise import Discrete
from vec2uage.training.regressors.age_weights import AgeWeights
from vec2uage.training.regressors.base import relative


class _LeafAges:
    """Makes distributions of a forest: the ages in the leaf where a face falls, in the mean of all trees.

    All training faces count in every tree, each tree alike (Meinshausen 2006, "Quantile Regression Forests").
    """

    def fit(
        self,
        X: Float[np.ndarray, "n D"],
        y: Float[np.ndarray, " n"],
        sample_weight: Float[np.ndarray, " n"] | None = None,
    ) -> Any:
        """Grow the trees, and remember which ages each leaf has."""
        self.age_, self.weight_ = y, relative(sample_weight, len(X))
        super().fit(X, y, sample_weight=self.weight_)  # type: ignore[misc]
        self.leaf_ = self.apply(X).astype(np.int32)  # type: ignore[attr-defined]
        return self

    def predict_distribution(self, X: Float[np.ndarray, "N D"]) -> Discrete:
        """Return the weighted ages of the training faces with which each face shares leaves."""
        ages, faces = AgeWeights.of(self.age_, self.weight_), np.arange(len(self.age_))
        total = np.zeros((len(X), len(ages.grid)))
        for leaf, own in zip(self.apply(X).T, self.leaf_.T, strict=True):  # type: ignore[attr-defined]
            in_leaf = ages.sums(own.astype(np.int64), faces, np.ones(len(faces)))[leaf]
            total += in_leaf / in_leaf.sum(axis=1, keepdims=True)
        return ages.distribution(total)


class RandomForest(_LeafAges, RandomForestRegressor):
    """Trees on bootstrap samples (Breiman 2001, "Random Forests")."""


class ExtraTrees(_LeafAges, ExtraTreesRegressor):
    """Trees whose thresholds are drawn (Geurts, Ernst and Wehenkel 2006, "Extremely randomized trees")."""


class HistGradientBoosting(HistGradientBoostingRegressor):
    """Boosted trees on binned numbers (Friedman 2001; Ke et al. 2017, "LightGBM")."""

    def fit(
        self,
        X: Float[np.ndarray, "n D"],
        y: Float[np.ndarray, " n"],
        sample_weight: Float[np.ndarray, " n"] | None = None,
    ) -> Any:
        """Grow the trees one after the other."""
        return super().fit(X, y, sample_weight=relative(sample_weight, len(X)))
