"""Tests of the regressors that come with vec2uage: what they say, and that repeated rows count as weights."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import norm
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern
from sklearn.kernel_ridge import KernelRidge as KernelRidgeOfSklearn

from vec2uage.base.errors import UserError
from vec2uage.predictions.metrics import METRICS, scores
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.piecewise import Discrete
from vec2uage.training.inputs import VectorInputs
from vec2uage.training.learners.registry import READERS
from vec2uage.training.regressors.age_weights import AgeWeights
from vec2uage.training.regressors.base import DistinctRows, relative
from vec2uage.training.regressors.gaussian_process import GaussianProcess, left_out_score
from vec2uage.training.regressors.kernel_distribution import KernelDistribution
from vec2uage.training.regressors.kernel_ridge import KernelRidge
from vec2uage.training.regressors.kernels import correlation
from vec2uage.training.regressors.nearest_neighbors import KNeighbors
from vec2uage.training.regressors.trees import ExtraTrees, HistGradientBoosting, RandomForest

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((60, 4)).astype(np.float32).astype(np.float64)
AGE = np.round(9 + 3 * X[:, 0] + GENERATOR.standard_normal(60))
COPIES = GENERATOR.integers(1, 4, 60)
WEIGHT = COPIES * (60 / COPIES.sum())
WEIGHTED = X, AGE, COPIES.astype(np.float64)
NEW = GENERATOR.standard_normal((20, 4))
KERNELS = {f"matern{2 * nu:.0f}2": Matern(1.7, nu=nu) for nu in (0.5, 1.5, 2.5)} | {"rbf": RBF(1.7)}
SMALL = {
    "kernel_ridge": ("model=kernel_ridge",),
    "kernel_distribution": ("model=kernel_distribution",),
    "gaussian_process": ("model=gaussian_process",),
    "sparse": ("model=gaussian_process", "model.exact_rows=10", "model.inducing=30"),
    "knn": ("model=knn",),
    "random_forest": ("model=random_forest", "model.n_estimators=5"),
    "extra_trees": ("model=extra_trees", "model.n_estimators=5"),
    "hist_gradient_boosting": ("model=hist_gradient_boosting", "model.max_iter=5"),
    "pls": ("model=pls", "model.n_components=3"),
    "label_sensitive": ("model=label_sensitive", "model.n_components=3", "model.n_neighbors=20"),
}
DRAWING = ("sparse", "random_forest", "extra_trees", "hist_gradient_boosting")
SPREAD = ("kernel_distribution", "gaussian_process", "sparse", "knn", "random_forest", "extra_trees")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_each_row_is_kept_once_and_weighs_as_much_as_its_copies(faces):
    x, age = (np.array(column, dtype=np.float64) for column in zip(*faces, strict=True))
    found = DistinctRows.of(x[:, None], age)
    rows = list(zip(x[found.rows], age[found.rows], strict=True))
    assert rows == list(dict.fromkeys(faces))
    assert [rows[place] for place in found.of_row] == faces
    assert found.total(None).tolist() == [faces.count(row) for row in rows]
    assert found.total(age).tolist() == [faces.count(row) * row[1] for row in rows]
    assert relative(found.total(None), len(rows)).mean() == pytest.approx(1)


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_are_those_of_scikit_learn(name):
    assert correlation(name, cdist(NEW, X) / 1.7) == pytest.approx(KERNELS[name](NEW, X))


def test_kernel_ridge_is_that_of_scikit_learn_with_weights_of_mean_1():
    mean = np.average(AGE, weights=WEIGHT)
    known = KernelRidgeOfSklearn(kernel="rbf", gamma=1 / (2 * 1.7**2), alpha=0.3)
    known.fit(X, AGE - mean, sample_weight=WEIGHT)
    found = KernelRidge("rbf", length_scale=1.7, alpha=0.3).fit(*WEIGHTED)
    assert found.predict(NEW) == pytest.approx(mean + known.predict(NEW))


def test_the_distribution_function_is_kernel_ridge_regression_at_every_age():
    ages = AGE + np.where(np.arange(60) % 3 == 0, 0.25, 0)
    found = KernelDistribution("matern32", length_scale=1.7, alpha=0.3).fit(X, ages, COPIES.astype(np.float64))
    said = found.predict_distribution(NEW)
    assert said.ages == pytest.approx(np.arange(np.floor(ages.min()), np.ceil(ages.max()) + 1))
    older = np.clip(ages[:, None] - said.ages[:-1], 0, 1)  # 7.25 years: older than 6, and than 7 by a quarter
    mean, kernel = np.average(older, axis=0, weights=WEIGHT), KERNELS["matern32"]
    known = KernelRidgeOfSklearn(kernel="precomputed", alpha=0.3).fit(kernel(X), older - mean, WEIGHT)
    expected = np.sort(np.clip(known.predict(kernel(NEW, X)) + mean, 0, 1), axis=1)[:, ::-1]
    probabilities = -np.diff(expected, prepend=1, append=0, axis=1)
    assert said.probabilities == pytest.approx((60 * probabilities + 1 / len(said.ages)) / 61)
    assert np.array_equal(found.predict(NEW), said.median)


def test_a_distribution_of_one_age_is_refused():
    with pytest.raises(UserError, match=r"9 years old.*two ages"):
        KernelDistribution().fit(X, np.full(60, 9.0))


def test_the_process_is_that_of_scikit_learn_with_a_noise_for_each_row():
    found = GaussianProcess("matern32", length_scale=1.7, noise=0.2, tuning_rows=None).fit(*WEIGHTED)
    kernel = ConstantKernel(found.variance_) * Matern(1.7, nu=1.5)
    known = GaussianProcessRegressor(kernel, alpha=found.variance_ * 0.2 / WEIGHT, optimizer=None)
    mean, deviation = known.fit(X, AGE - found.mean_).predict(NEW, return_std=True)
    said = found.predict_distribution(NEW)
    assert said.mean == pytest.approx(found.mean_ + mean)
    assert said.std == pytest.approx(np.sqrt(deviation**2 + 0.2 * found.variance_), rel=1e-5)
    variances = found.variance_ * np.array([0.9, 1.0, 1.1])
    likelihoods = []
    for variance in variances:
        known.alpha = variance * 0.2 / WEIGHT
        known.kernel = ConstantKernel(variance) * Matern(1.7, nu=1.5)
        likelihoods.append(known.fit(X, AGE - found.mean_).log_marginal_likelihood_value_)
    assert likelihoods[1] == max(likelihoods)


def test_the_score_of_left_out_rows_is_that_of_processes_fitted_without_them():
    target, share = AGE - AGE.mean(), 0.2
    error, deviation = np.zeros(60), np.zeros(60)
    for row in range(60):
        others = np.arange(60) != row
        known = GaussianProcessRegressor(Matern(1.7, nu=1.5), alpha=share / WEIGHT[others], optimizer=None)
        mean, std = known.fit(X[others], target[others]).predict(X[row : row + 1], return_std=True)
        error[row], deviation[row] = target[row] - mean[0], np.sqrt(std[0] ** 2 + share)
    variance = np.average((error / deviation) ** 2, weights=WEIGHT)
    densities = norm.logpdf(error, scale=np.sqrt(variance) * deviation)
    found = left_out_score(correlation("matern32", cdist(X, X) / 1.7), share, target, WEIGHT)
    assert found - np.log(2 * np.pi * np.e) / 2 == pytest.approx(np.average(densities, weights=WEIGHT))


def test_tuning_finds_the_noise_of_ages_that_a_process_has_drawn():
    generator = np.random.default_rng(0)
    x = generator.standard_normal((300, 2))
    kernel = Matern(0.5, nu=1.5)
    age = 9 + 3 * np.linalg.cholesky(kernel(x) + 0.25 * np.eye(300)) @ generator.standard_normal(300)
    found = GaussianProcess("matern32").fit(x, age)
    assert np.sqrt(found.variance_ * found.noise_) == pytest.approx(3 * 0.5, rel=0.1)
    assert found.length_scale_ == pytest.approx(0.5, rel=0.1)

    def score(length_scale, noise):
        return left_out_score(
            correlation("matern32", cdist(x, x) / length_scale), noise, age - age.mean(), np.ones(300)
        )

    best = score(found.length_scale_, found.noise_)
    assert best > score(1.0, 0.1)
    for factor in (0.8, 1.25):
        assert best >= score(found.length_scale_ * factor, found.noise_)
        assert best >= score(found.length_scale_, found.noise_ * factor)


def test_many_rows_are_what_the_formula_with_full_matrices_says():
    """FITC as Snelson and Ghahramani give it, by inverses of all rows' covariances."""
    found = GaussianProcess("rbf", 1.7, 0.2, tuning_rows=None, exact_rows=59, inducing=15, random_state=3).fit(
        *WEIGHTED
    )
    points = found.points_.astype(np.float64)
    assert len(points) == 15
    cross, new = (KERNELS["rbf"](rows, points) for rows in (X, NEW))
    inner = np.linalg.inv(KERNELS["rbf"](points) + 1e-6 * np.eye(15))
    low_rank = cross @ inner @ cross.T
    covariance = low_rank + np.diag(1 - np.diag(low_rank) + 0.2 / WEIGHT)
    between, target = new @ inner @ cross.T, AGE - found.mean_
    said = found.predict_distribution(NEW)
    assert said.mean == pytest.approx(found.mean_ + between @ np.linalg.solve(covariance, target), rel=1e-5)
    assert found.variance_ == pytest.approx(target @ np.linalg.solve(covariance, target) / 60)
    latent = 1 - np.einsum("nm,mn->n", between, np.linalg.solve(covariance, between.T))
    assert said.std**2 == pytest.approx(found.variance_ * (latent + 0.2), rel=1e-4)


def test_as_many_points_as_rows_come_to_the_exact_process():
    exact, sparse = (
        GaussianProcess("matern32", 1.7, 0.2, tuning_rows=None, exact_rows=rows, inducing=60).fit(*WEIGHTED)
        for rows in (60, 59)
    )
    for what in ("mean", "std"):
        one, other = (getattr(model.predict_distribution(NEW), what) for model in (exact, sparse))
        assert one == pytest.approx(other, rel=1e-3)


def test_what_a_process_cannot_be_fitted_to_is_refused():
    with pytest.raises(UserError, match=r"9 years old.*two ages"):
        GaussianProcess().fit(X, np.full(60, 9.0))
    alike = np.concatenate([X, X])
    with pytest.raises(UserError, match=r"raise model\.noise"):
        KernelRidge("rbf", 100.0, alpha=1e-300).fit(alike, np.arange(120.0))


@pytest.mark.parametrize("ages", [[3.0, 4.0, 9.0], [3.25, 4.5, 9.0], [7.0], [7.5]], ids=str)
def test_faces_on_the_grid_keep_their_mean_and_leave_no_age_impossible(ages):
    known = AgeWeights.of(np.array(ages), np.ones(len(ages)))
    faces = np.arange(len(ages))
    weights = known.sums(np.zeros(len(ages), dtype=np.int64), faces, np.ones(len(ages)))
    assert weights @ known.grid / weights.sum() == pytest.approx(np.mean(ages))
    said = known.distribution(weights)
    assert (said.probabilities > 0).all()
    assert said.probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_neighbours_are_distinct_faces_with_their_weights(weights):
    found = KNeighbors(5, weights).fit(*WEIGHTED).predict_distribution(NEW)
    for face, apart in enumerate(cdist(NEW, X)):
        nearest = np.argsort(apart)[:5]
        share = WEIGHT[nearest] / (apart[nearest] if weights == "distance" else 1)
        expected = np.array([share[AGE[nearest] == age].sum() for age in found.ages]) / share.sum()
        assert found.probabilities[face] == pytest.approx((60 * expected + 1 / len(found.ages)) / 61)
    few = KNeighbors(100, "uniform").fit(X[:3], AGE[:3]).predict(NEW)
    assert few == pytest.approx(np.full(20, AGE[:3].mean()), rel=0.5)


@pytest.mark.parametrize("forest", [RandomForest, ExtraTrees])
def test_a_forest_says_the_ages_of_those_that_share_its_leaves(forest):
    found = forest(n_estimators=3, min_samples_leaf=4, random_state=0).fit(*WEIGHTED)
    said = found.predict_distribution(NEW)
    together = (found.apply(NEW)[:, None] == found.apply(X)[None]) * WEIGHT[None, :, None]  # [faces, rows, trees]
    share = (together / together.sum(axis=1, keepdims=True)).mean(axis=2)
    expected = np.stack([share[:, age == AGE].sum(axis=1) for age in said.ages], axis=1)
    assert said.probabilities == pytest.approx((60 * expected + 1 / len(said.ages)) / 61)


def test_trees_see_distinct_faces_with_their_weights():
    options = {"n_estimators": 3, "min_samples_leaf": 4, "random_state": 0}
    known = RandomForestRegressor(**options).fit(X, AGE, sample_weight=WEIGHT)
    assert np.array_equal(RandomForest(**options).fit(*WEIGHTED).predict(NEW), known.predict(NEW))
    boosted = HistGradientBoosting(max_iter=3, min_samples_leaf=30).fit(*WEIGHTED)
    assert all(predictor.get_n_leaf_nodes() <= 2 for (predictor,) in boosted._predictors)


@pytest.mark.parametrize("name", SMALL)
def test_a_run_is_scored_and_loads_with_the_same_bits(name, tmp_path, make_run, make_data, train):
    data = make_data()
    repeated = VectorInputs(data.train.x.repeat(2, 1), data.train.age.repeat(2))
    data = dataclasses.replace(data, parts={**data.parts, "train": repeated})
    run = make_run(*SMALL[name])
    seen = train([run, run, make_run(*SMALL[name], seed=2)], data)
    outcome = seen.outcomes[0]
    assert seen.everything(0) == seen.everything(1)
    assert (seen.everything(0) != seen.everything(2)) == (name in DRAWING)
    assert outcome.status == "completed"
    assert outcome.prediction.has_spread == (name in SPREAD)
    assert {"test/log_score", "test/coverage_90"} <= outcome.scores.keys() or name not in SPREAD
    assert np.isfinite(outcome.scores.get("test/log_score", 0))
    test = data.parts["test"]
    assert outcome.scores["test/mae"] < float((test.age - data.train.age.median()).abs().mean())
    outcome.model.save(path := tmp_path / "best.skops")
    reader = READERS[path.suffix]
    of_trees = bool(reader.untrusted_classes(path))
    assert of_trees == (name in ("random_forest", "extra_trees", "hist_gradient_boosting"))
    model = reader.load(path, run.model if of_trees else None)
    found = model.predict_normalized(test.x)
    for column, values in outcome.prediction.columns().items():
        assert np.array_equal(found.columns()[column], values)


def test_equal_regressors_joined_are_one_distribution(make_run, make_data, train):
    seen = train([make_run(*SMALL["random_forest"], seed=seed) for seed in (1, 2)], make_data())
    one, other = (seen.outcomes[run].model for run in (0, 1))
    assert isinstance(one.joined([other]).predict(NEW_OF_24), Discrete)
    assert isinstance(train([make_run(*SMALL["sparse"])], make_data()).outcomes[0].prediction, Normal)


NEW_OF_24 = torch.nn.functional.normalize(torch.randn(5, 24, generator=torch.Generator().manual_seed(1))).numpy()


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("model=gaussian_process", "model.kernel=matern", "model.noise=0"), r"2 options are wrong"),
        (("model=random_forest", "model.max_features=-1"), r"max_features.*RandomForest"),
    ],
)
def test_options_that_do_not_fit_are_refused(overrides, says, make_run):
    with pytest.raises(UserError, match=says):
        make_run(*overrides)


def test_scores_of_a_distribution_are_all_registered(make_run, make_data, train):
    outcome = train([make_run("model=knn")], make_data()).outcomes[0]
    assert outcome.scores.keys() == {f"{part}/{name}" for part in make_data().parts for name in METRICS}
    known = scores(make_data().parts["test"].age.numpy(), outcome.prediction)
    assert outcome.scores["test/crps"] == known["crps"]
