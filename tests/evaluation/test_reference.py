"""How far faces are from those that a model was trained on, and what is kept of these."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from vec2uage.base.errors import UserError
from vec2uage.evaluation.reference import find, fit, open_reference, read, write

D = 24


def faces(count: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Vectors that differ more in some directions than in others; `shift` along one of those where they hardly do."""
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(count, D)) * np.linspace(1, 0.1, D) + 3
    vectors[:, -1] += shift
    return vectors.astype(np.float32)


def test_distances_are_those_of_mahalanobis_by_the_fitted_covariance() -> None:
    trained, judged = faces(100, 0), faces(30, 1)
    reference = fit(trained, judged)
    x, y = (v.astype(float) / np.linalg.norm(v.astype(float), axis=1)[:, None] for v in (trained, judged))
    covariance = np.cov(x, rowvar=False)
    values, axes = np.linalg.eigh(covariance)
    values[: D - 10] = values[: D - 10].mean()  # an axis for ten faces: the rest is alike in all directions
    inverse = np.linalg.inv(axes @ np.diag(values) @ axes.T)
    off = y - x.mean(axis=0)
    expected = np.sqrt(np.einsum("nd,de,ne->n", off, inverse, off) / D)
    np.testing.assert_allclose(reference.distance(judged), expected, rtol=1e-9)
    np.testing.assert_allclose(reference.expected, np.sort(expected), rtol=1e-9)


def test_other_faces_are_further_and_the_length_of_a_vector_says_nothing() -> None:
    reference = fit(faces(400, 0), faces(100, 1))
    assert np.median(reference.expected) == pytest.approx(1, abs=0.1)
    assert reference.distance(faces(50, 2, shift=2)).min() > reference.expected[-1]
    np.testing.assert_allclose(reference.distance(faces(50, 1) * 7), reference.distance(faces(50, 1)), rtol=1e-5)


def test_a_face_has_the_same_bits_in_any_batch() -> None:
    reference, vectors = fit(faces(400, 0), faces(100, 1)), faces(40, 3)
    together = reference.distance(vectors)
    alone = [reference.distance(vectors[row : row + 1])[0] for row in range(40)]
    assert together.tolist() == alone


def test_what_is_written_is_read_and_tells_damage(tmp_path: Path) -> None:
    reference = fit(faces(400, 0), faces(100, 1))
    path = find(tmp_path / "best.statement.json")
    assert path == tmp_path / "best.reference"
    write(path, reference)
    assert path.stat().st_mode & 0o077 == 0
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    again = open_reference(path, sha256)
    assert again.distance(faces(5, 4)).tolist() == reference.distance(faces(5, 4)).tolist()
    assert again.expected.tolist() == reference.expected.tolist()
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(UserError, match="statement=true"):
        open_reference(path, sha256)
    with pytest.raises(UserError, match=path.name):
        read(path)


def test_no_training_face_can_be_taken_from_it() -> None:
    trained = faces(120, 0)
    reference = fit(trained, faces(100, 1))
    kept = np.vstack([reference.axes, reference.mean])
    unit = trained / np.linalg.norm(trained, axis=1)[:, None]
    seen = np.linalg.lstsq(kept.T, unit.T, rcond=None)[0]
    off = np.linalg.norm(kept.T @ seen - unit.T, axis=0)
    assert off.min() > 0.01, "no vector lies in the space of what is kept"
    with pytest.raises(UserError, match="99"):
        fit(faces(99, 0), faces(100, 1))
