"""Drawn faces of several ages, embedded as their mean colour, so that every cosine can be foreseen."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from drawn_face import draw_face, save
from hydra import compose, initialize_config_dir
from toys import Halves, MeanColour

from vec2uage.augmentation.augment_settings import AugmentSettings
from vec2uage.augmentation.augmenter import FaceAugmenter, open_augmenter
from vec2uage.augmentation.execution import Execution
from vec2uage.augmentation.image_augmentation import ImageAugmentation
from vec2uage.augmentation.source_faces import SourceFace
from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers
from vec2uage.config.validate import from_config
from vec2uage.data.vectorset import VectorSet, make_vector_set
from vec2uage.faces.crop import Crop
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.quality import NoQuality
from vec2uage.faces.records import Face

SIDE = 40
EXTRACTION = Extraction(
    detector=Halves(),
    faces="largest",
    crop=Crop(size=SIDE, margin=0.0),
    quality=NoQuality(),
    embedder=MeanColour(),
    max_pixels=10_000,
    keep_crops=None,
)


@pytest.fixture(scope="session")
def face() -> np.ndarray:
    """A drawn face, read-only, as those of a worker may be."""
    drawn = draw_face(100)
    drawn.flags.writeable = False
    return drawn


@pytest.fixture(scope="session")
def composed() -> Callable[..., ImageAugmentation]:
    """Compose the config group `augmentation` as the command line does, and check it."""

    def make(choice: str, *overrides: str) -> ImageAugmentation:
        register_resolvers()
        with initialize_config_dir(conf_dir(), version_base="1.3"):
            cfg = compose("augment", ["path=faces", f"augmentation={choice}", *overrides])
        return from_config(cfg, AugmentSettings).augmentation

    return make


@pytest.fixture(scope="session")
def family() -> Callable[..., dict[str, SourceFace]]:
    """Save a drawn face for each age in a folder and return them by name, as if they had been prepared."""

    def make(folder: Path, ages: Sequence[float]) -> dict[str, SourceFace]:
        sources = {}
        for seed, age in enumerate(ages):
            # of warm light, so that grey is another direction than their mean colour
            pixels = (draw_face(SIDE, seed) * np.array([1, 0.6, 0.1 + 0.03 * (seed % 10)])).astype(np.uint8)
            path = save(folder / f"{seed}.png", pixels)
            sources[path.name] = SourceFace(
                name=path.name,
                age=age,
                path=path,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                face=Face(0, 0, SIDE, SIDE, 1.0, "hog"),
                vector=2 * pixels.reshape(-1, 3).mean(0, dtype=np.float32),
            )
        return sources

    return make


@pytest.fixture(scope="session")
def rows_of() -> Callable[..., VectorSet]:
    """Return photographed faces as the training rows that they are."""

    def make(sources: Sequence[SourceFace]) -> VectorSet:
        return make_vector_set(
            np.stack([source.vector for source in sources]),
            [source.age for source in sources],
            names=[source.name for source in sources],
            subjects=[f"person {source.name}" for source in sources],
            source="drawn",
            gender=["female"] * len(sources),
            encoder=EXTRACTION.embedder.fingerprint(),
        )

    return make


@pytest.fixture(scope="session")
def augmenter_in() -> Callable[..., Any]:
    """Open an augmenter whose store lies in a folder."""

    @contextmanager
    def make(folder: Path, workers: int = 1, stop: Event | None = None) -> Iterator[FaceAugmenter]:
        with open_augmenter(EXTRACTION, Execution(folder / "store.sqlite", workers, "cpu", stop or Event())) as made:
            yield made

    return make
