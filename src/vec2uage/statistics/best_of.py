"""What the best of n runs can be expected to be: the unbiased estimator of Tang et al. (2020).

"Showing Your Work Doesn't Always Work". It averages over all sets of n of the N runs, without replacement; the earlier
estimator (Dodge et al. 2019) draws with replacement and is biased.
"""

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln

from vec2uage.statistics.bootstrap import check_values


def expected_best(values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Return the expected lowest value of n = 1, ..., N draws.

    >>> expected_best(np.array([3.0, 1.0, 2.0])).round(3).tolist()
    [2.0, 1.333, 1.0]
    """
    return expected_of_best(values, values)


def expected_of_best(criterion: Float[np.ndarray, " N"], values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Return the expected value of the run with the lowest criterion of n = 1, ..., N draws.

    Such as the test MAE of the run that validation chooses. Runs of one criterion are equally likely to be chosen.
    """
    check_values(criterion)
    check_values(values)
    number = len(values)
    _, group, sizes = np.unique(criterion, return_inverse=True, return_counts=True)
    means = np.bincount(group, values) / sizes
    ordered = np.repeat(means, sizes)  # ties share the mean of their values
    rank, n = np.arange(number)[:, None], np.arange(1, number + 1)
    # the run of rank i is the best of n draws if the other n - 1 are among the N - 1 - i after it
    after = number - 1 - rank
    possible = n - 1 <= after
    chances = np.where(possible, np.exp(_log_choose(after, np.where(possible, n - 1, 0)) - _log_choose(number, n)), 0.0)
    expected: Float[np.ndarray, " N"] = ordered @ chances
    return expected


def _log_choose(n: np.ndarray | int, k: np.ndarray) -> np.ndarray:
    chosen: np.ndarray = gammaln(np.asarray(n) + 1.0) - gammaln(k + 1.0) - gammaln(np.asarray(n) - k + 1.0)
    return chosen
