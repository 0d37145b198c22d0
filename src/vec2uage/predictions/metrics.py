"""Measures of how far predicted ages lie from true ones, in years and in double precision."""

import numpy as np
from jaxtyping import Float64, Real

Years = Real[np.ndarray, " N"]


def mae(ages: Years, predictions: Years) -> float:
    """Return the mean absolute error in years.

    >>> mae(np.array([4.0, 10.0]), np.array([5.0, 7.0]))
    2.0
    """
    return float(np.abs(_errors(ages, predictions)).mean())


def rmse(ages: Years, predictions: Years) -> float:
    """Return the root of the mean squared error in years.

    >>> rmse(np.array([4.0, 10.0]), np.array([5.0, 17.0]))
    5.0
    """
    return float(np.sqrt(np.square(_errors(ages, predictions)).mean()))


def bias(ages: Years, predictions: Years) -> float:
    """Return the mean of prediction minus age in years: positive where people are judged too old.

    >>> bias(np.array([4.0, 10.0]), np.array([5.0, 7.0]))
    -1.0
    """
    return float(_errors(ages, predictions).mean())


def cumulative_score(ages: Years, predictions: Years, k: float) -> float:
    """Return the share (0 to 1) of predictions at most `k` years off, known as CS(k).

    >>> cumulative_score(np.array([4.0, 10.0]), np.array([5.0, 7.0]), 1.0)
    0.5
    """
    return float((np.abs(_errors(ages, predictions)) <= k).mean())


def per_age(ages: Years, predictions: Years) -> dict[int, float]:
    """Return the mean absolute error in years for each whole age (floor), youngest first.

    >>> per_age(np.array([10.0, 4.0, 4.9]), np.array([7.0, 5.0, 4.9]))
    {4: 0.5, 10: 3.0}
    """
    errors = np.abs(_errors(ages, predictions))
    floors = np.floor(ages).astype(int)
    return {int(age): float(errors[floors == age].mean()) for age in np.unique(floors)}


def _errors(ages: Years, predictions: Years) -> Float64[np.ndarray, " N"]:
    # [N] against [N, 1] would broadcast to N * N differences and a plausible, wrong number
    if ages.shape != predictions.shape or ages.ndim != 1 or len(ages) == 0:
        raise ValueError(f"expected as many predictions as ages, at least one: {predictions.shape}, {ages.shape}")
    return predictions.astype(np.float64) - ages.astype(np.float64)
