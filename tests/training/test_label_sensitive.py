"""Tests of label-sensitive learning: what it learns, by sums over all pairs of faces."""

import numpy as np
import pytest
from scipy.linalg import eigh, inv, sqrtm
from scipy.spatial.distance import cdist
from sklearn.svm import SVR

from vec2uage.base.errors import UserError
from vec2uage.training.regressors.label_sensitive import LabelSensitive

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((40, 5))
AGE = np.round(9 + 3 * X[:, 0] + GENERATOR.standard_normal(40))
WEIGHT = GENERATOR.integers(1, 4, 40).astype(np.float64)
NEW = GENERATOR.standard_normal((7, 5))


def test_it_is_what_sums_over_pairs_of_faces_say():
    weight, both = WEIGHT / WEIGHT.mean(), range(40)
    alike = np.exp(-((AGE[:, None] - AGE) ** 2) / (2 * 1.5**2)) * weight[:, None] * weight
    scatter = sum(alike[i, j] * np.outer(X[i] - X[j], X[i] - X[j]) for i in both for j in both) / (2 * alike.sum())
    whitened = X @ inv(sqrtm(0.7 * scatter + 0.3 * np.trace(scatter) / 5 * np.eye(5)))
    nearest = np.argsort(cdist(whitened, whitened), axis=1)[:, :9]
    between = sum(
        alike[i, j] * np.outer(whitened[i] - whitened[j], whitened[i] - whitened[j]) for i in both for j in nearest[i]
    )
    centred = whitened - np.average(whitened, axis=0, weights=weight)
    projection = eigh(between, (centred.T * weight) @ centred)[1][:, :2]
    points = whitened @ projection
    new = NEW @ inv(sqrtm(0.7 * scatter + 0.3 * np.trace(scatter) / 5 * np.eye(5))) @ projection
    expected = []
    for face, apart in zip(new, cdist(new, points), strict=True):
        faces = np.argsort(apart)[:12]
        gamma = 1 / np.trace(np.cov(points[faces].T, bias=True))
        local = SVR(C=2, epsilon=0.25, gamma=gamma).fit(points[faces], AGE[faces], sample_weight=weight[faces])
        expected.append(local.predict(face[None])[0])
    found = LabelSensitive(1.5, 0.3, graph_neighbors=9, n_components=2, n_neighbors=12, C=2.0, epsilon=0.25)
    assert found.fit(X, AGE, WEIGHT).predict(NEW) == pytest.approx(expected, abs=0.02)


def test_it_finds_the_one_direction_in_which_ages_lie():
    generator = np.random.default_rng(1)
    x, new = generator.standard_normal((400, 20)), generator.standard_normal((100, 20))
    direction = generator.standard_normal(20) / np.sqrt(20)
    age, of_new = (9 + 4 * rows @ direction for rows in (x, new))
    found = LabelSensitive(n_components=1, shrinkage=0.1).fit(x, age)
    learnt = found.directions_[:, 0]
    assert abs(learnt @ direction) / np.linalg.norm(learnt) / np.linalg.norm(direction) > 0.99
    assert np.abs(found.predict(new) - of_new).mean() < 0.1 * of_new.std()


def test_few_faces_and_directions_are_no_trouble_and_too_many_are_refused():
    assert np.isfinite(LabelSensitive(n_components=5).fit(X[:3], AGE[:3]).predict(NEW)).all()
    assert LabelSensitive(n_components=2).fit(X, np.full(40, 9.0)).predict(NEW) == pytest.approx(
        np.full(7, 9.0), abs=0.5
    )
    with pytest.raises(UserError, match=r"n_components = 6: the vectors have only 5 numbers"):
        LabelSensitive(n_components=6).fit(X, AGE)
