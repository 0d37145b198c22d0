"""Makes face-like vectors by formula, so that vec2uage trains without any data; its numbers say nothing about faces."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float, Float32, Int, Shaped
from pydantic import Field

from vec2uage.base.cache import cache_folder
from vec2uage.base.errors import UserError
from vec2uage.base.seeds import numpy_generator
from vec2uage.config.settings import settings
from vec2uage.data import storage
from vec2uage.data.dataset import Dataset
from vec2uage.data.vectorset import VectorSet, make_vector_set

log = logging.getLogger(__name__)

ENCODER = "synthetic-v1"
"""Names the generator and its files in the cache: to be raised with every change of what it makes."""
DIMENSION = 512  # FaceNet's; a power of two, which `_rotate` needs

# Faces of VisAGE by age from 1 to 18, published with the paper's code (21,796 in all).
VISAGE_FEMALE = (2648, 1926, 1359, 1380, 734, 587, 534, 363, 195, 177, 211, 100, 182, 73, 246, 403, 78, 464)
VISAGE_MALE = (2475, 1840, 1303, 1168, 544, 480, 402, 266, 255, 199, 148, 96, 162, 136, 90, 179, 200, 193)
AGES = np.arange(1, 19)
ADULT_AGES = np.arange(19, 41)  # beyond the paper: as many faces of each as the ages that VisAGE lacks are filled up to

# VisAGE has too few faces of the older ages: the paper added Selfie-FV's from age 8 on. "selfie-like" faces
# are drawn from the same distribution: a vector must not betray its source, and with it the age.
SELFIE_FROM_AGE = 8
# Most VisAGE faces taken of one age and gender, and the number that selfie-like faces fill an age up to:
# 500 held out, some lost with the held-out persons, and 300 or more to train on remain of every age.
SIZES = {"paper": (max(VISAGE_FEMALE), 1300), "small": (40, 90)}

# A person: pictures lie within a few years of each other (ages are jittered before being cut into persons).
JITTER_YEARS = 1.0
EXTRA_PICTURES = 0.8  # mean of the Poisson number of pictures after a person's first

# The vector is a sum; identity, of length 1, is the measure of the rest. The values below were chosen by
# training: the paper's network errs by about 2.5 years, as on the paper's faces, ridge regression by 3.1.
IDENTITY_DECAY = 24.0  # spread of direction j goes with 1 / (1 + j/24): people differ in some 70 directions
COMMON = 0.5  # what all faces share: two persons' cosine is about 0.1 and not 0, as FaceNet's
TRAITS = 3  # two-valued properties of a person; the first is gender
TRAIT = 0.35  # strength of each: easy to read off a vector
PICTURE_NOISE = 0.7  # two pictures of one person have a cosine of about 0.77
AGE_SHARED = 0.19  # ageing in a direction that all people share: what a linear model can use
AGE_BY_TRAIT = 0.20  # ageing in one more direction a trait, forwards or backwards by the trait's value
AGE_CURVE = 0.12  # the path of ageing bends
SATURATION_YEARS = 8.0  # ageing slows down as 1 - exp(-age/8), so the years before 18 look alike
PACE = 0.21  # people age at paces that differ by a factor exp(N(0, 0.21)): the error grows with age
LABEL_NOISE_YEARS = 1.0  # and the stated ages of web pictures are wrong by about a year


@settings
class Synthetic(Dataset):
    """Made-up vectors in the shape of the paper's data, for trying things out and for tests.

    Nothing here was measured on a face: errors on this dataset say nothing about how well the age of a person
    can be estimated. `read` returns unit vectors [N, 512] float32 with gender and subjects, several pictures
    of many; `paper` has VisAGE's counts filled up at the ages it lacks (N about 32,000), `small` about 90
    faces of each age. Adults are other people than the minors, further along the same path.
    """

    size: Literal["paper", "small"] = "paper"
    seed: Annotated[int, Field(ge=0)] = 0
    """Draws the people and their vectors; how they are divided has a seed of its own, `split.seed`."""
    adults: bool = False
    """Whether there are faces of the ages 19-40, too; those of 1-18 are the same with them and without."""

    def read(self) -> VectorSet:
        """Return the vectors, made at first and later mapped from the cache.

        The cache is the folder VEC2UAGE_CACHE, by default ~/.cache/vec2uage; it may be deleted at any time.
        """
        folder = cache_folder()
        path = folder / f"{ENCODER}-{self.size}{'-adults' if self.adults else ''}-seed{self.seed}.arrow"
        if path.is_file():
            try:
                return storage.load(path)
            except UserError as error:
                log.warning("%s; made anew", error)
        made = generate(self.size, self.seed, self.adults)
        try:
            storage.save(made, path)
        except OSError as error:
            log.warning("the synthetic vectors are made anew each time, %s cannot be written (%s)", path, error)
            return made
        return storage.load(path)


@dataclass(frozen=True, eq=False)
class _People:
    """Who is to be seen on each picture, and at what age."""

    ages: Float[np.ndarray, " N"]
    persons: Int[np.ndarray, " N"]
    sources: Shaped[np.ndarray, " N"]
    genders: Shaped[np.ndarray, " N"]

    def and_others(self, others: "_People") -> "_People":
        def both(column: str) -> np.ndarray:
            return np.concatenate([getattr(self, column), getattr(others, column)])

        persons = np.concatenate([self.persons, self.persons.max() + 1 + others.persons])
        return _People(both("ages"), persons, both("sources"), both("genders"))


def generate(size: Literal["paper", "small"], seed: int, adults: bool = False) -> VectorSet:
    """Draw people, their ages and the vectors [N, 512] float32 of their pictures; takes a few seconds at most."""
    rng = numpy_generator(seed, ENCODER, size)
    most, filled = SIZES[size]
    people = _people(rng, AGES, _counts(most, filled))
    directions = _directions(rng)
    vectors = _faces(rng, people, directions, _growing)
    signs = rng.choice([-1, 1], DIMENSION).astype(np.float32)
    if adults:  # have a generator of their own, so that the minors are the same without them
        rng = numpy_generator(seed, ENCODER, size, "adults")
        of_each_age = np.full(len(ADULT_AGES), filled)
        grown = _people(rng, ADULT_AGES, {"selfie-like": np.stack([of_each_age - of_each_age // 2, of_each_age // 2])})
        vectors = np.concatenate([vectors, _faces(rng, grown, directions, _grown)])
        people = people.and_others(grown)
    vectors = _rotate(vectors * signs)
    vectors /= np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    return make_vector_set(
        vectors,
        people.ages,
        names=[f"{source}-{row:05d}" for row, source in enumerate(people.sources)],
        subjects=[f"person-{person:05d}" for person in people.persons],
        source=people.sources,
        gender=people.genders,
        encoder=ENCODER,
    )


def _counts(most: int, filled: int) -> dict[str, Int[np.ndarray, "2 18"]]:
    """Return how many faces each source has by gender (female, male) and age."""
    visage = np.minimum([VISAGE_FEMALE, VISAGE_MALE], most)
    lacking = np.where(AGES >= SELFIE_FROM_AGE, np.maximum(filled - visage.sum(axis=0), 0), 0)
    return {"visage-like": visage, "selfie-like": np.stack([lacking - lacking // 2, lacking // 2])}


def _people(
    rng: np.random.Generator, ages: Int[np.ndarray, " A"], counts: Mapping[str, Int[np.ndarray, "2 A"]]
) -> _People:
    """Draw who has which age; `counts` are the faces of each source by gender (female, male) and whole age."""
    columns: list[tuple[np.ndarray, ...]] = []
    count = 0
    for source, of_source in counts.items():
        for gender, of_each_age in zip(("female", "male"), of_source, strict=True):
            floors, persons = _neighbours(rng, np.repeat(ages, of_each_age))
            columns.append((floors, count + persons, np.full(floors.shape, source), np.full(floors.shape, gender)))
            count += persons.max(initial=-1) + 1
    floors, persons, sources, genders = (np.concatenate(column) for column in zip(*columns, strict=True))
    # Whole days: floor(age) is the class.
    return _People(floors + rng.integers(365, size=len(floors)) / 365, persons, sources, genders)


def _neighbours(
    rng: np.random.Generator, floors: Int[np.ndarray, " N"]
) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, " N"]]:
    """Return the age in whole years and the person's number of each face: neighbours in age share a person."""
    order = np.argsort(floors + rng.normal(0, JITTER_YEARS, len(floors)), kind="stable")
    pictures = 1 + rng.poisson(EXTRA_PICTURES, len(floors))
    return floors[order], np.repeat(np.arange(len(floors)), pictures)[: len(floors)]


def _spread() -> Float32[np.ndarray, " 512"]:
    """Return how much people differ in each direction."""
    spread = 1 / (1 + np.arange(DIMENSION) / IDENTITY_DECAY)
    return (spread / np.sqrt((spread**2).sum())).astype(np.float32)


def _directions(rng: np.random.Generator) -> Float32[np.ndarray, "9 512"]:
    """Draw the unit vectors that faces are summed of: where people differ most, so that none of them stands out."""
    directions = rng.standard_normal((2 * TRAITS + 3, DIMENSION), dtype=np.float32) * _spread()
    directions /= np.sqrt((directions**2).sum(axis=1, keepdims=True))
    return directions


def _growing(ages: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Return how far minors are on the path of ageing: -1.2 at birth, 0 at 7, 0.6 at 18."""
    return 2 * (1 - np.exp(-ages / SATURATION_YEARS)) - 1.2


def _grown(ages: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Return how far adults are, who go on at the pace of 18: 1.2 at 40."""
    adulthood = AGES[-1:].astype(float)
    return _growing(adulthood) + 2 / SATURATION_YEARS * np.exp(-adulthood / SATURATION_YEARS) * (ages - adulthood)


def _faces(
    rng: np.random.Generator,
    people: _People,
    directions: Float32[np.ndarray, "9 512"],
    progress_at: Callable[[Float[np.ndarray, " N"]], Float[np.ndarray, " N"]],
) -> Float32[np.ndarray, "N 512"]:
    """Return what is on the pictures: identity + traits + age, bent by traits + noise of the picture."""
    ages, person = people.ages, people.persons
    persons = person.max() + 1
    traits = rng.choice([-1.0, 1.0], (persons, TRAITS))[person]
    traits[:, 0] = np.where(people.genders == "male", 1, -1)
    pace = np.exp(rng.normal(0, PACE, persons))[person]
    apparent_ages = np.maximum(ages + rng.normal(0, LABEL_NOISE_YEARS, len(ages)), 0) * pace
    progress = progress_at(apparent_ages)
    weights = np.column_stack(
        [
            np.full(len(ages), COMMON),
            TRAIT * traits,
            AGE_SHARED * progress,
            AGE_CURVE * progress**2,
            AGE_BY_TRAIT * traits * progress[:, None],
        ]
    ).astype(np.float32)

    vectors = (rng.standard_normal((persons, DIMENSION), dtype=np.float32) * _spread())[person]
    noise = rng.standard_normal(vectors.shape, dtype=np.float32)
    vectors += noise * np.float32(PICTURE_NOISE / np.sqrt(DIMENSION))
    for weight, direction in zip(weights.T, directions, strict=True):
        vectors += weight[:, None] * direction
    return vectors


def _rotate(vectors: Float32[np.ndarray, "N 512"]) -> Float32[np.ndarray, "N 512"]:
    """Spread what lies in the first coordinates over all 512, as in a face vector: fast Walsh-Hadamard transform.

    It only adds and subtracts in a fixed order, so that unlike a matrix product it gives the same bits whatever
    the BLAS library and its number of threads. Lengths grow by sqrt(512).
    """
    half = 1
    while half < DIMENSION:
        left, right = np.moveaxis(vectors.reshape(len(vectors), -1, 2, half), 2, 0)
        vectors = np.stack([left + right, left - right], axis=2).reshape(len(vectors), DIMENSION)
        half *= 2
    return vectors
