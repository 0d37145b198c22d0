"""Small vector sets for the tests of the data package."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from vec2uage.data.vectorset import VectorSet, make_vector_set


@pytest.fixture(scope="session")
def faces() -> Callable[..., VectorSet]:
    """Make a set with the given ages and distinct 4-dimensional vectors."""

    def make(ages: Sequence[float], subjects: Sequence[str] | None = None, encoder: str = "facenet") -> VectorSet:
        vectors = np.random.default_rng(0).standard_normal((len(ages), 4), dtype=np.float32)
        return make_vector_set(vectors, ages, subjects=subjects, source="faces", encoder=encoder)

    return make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real vectors, which are not part of the repository."""
    default = Path(__file__).parents[3] / "shared"
    folder = Path(os.environ.get("VEC2UAGE_SHARED", default)) / "data"
    if not folder.is_dir():
        pytest.skip(f"no real vectors in {folder} (set VEC2UAGE_SHARED)")
    return folder
