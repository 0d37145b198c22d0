"""Divides a VectorSet into training rows and an age-balanced held-out pool, half validation and half test."""

import hashlib
import logging
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Annotated, Literal, get_args

import numpy as np
from jaxtyping import Integer
from pydantic import AfterValidator, Field

from vec2uage.base.errors import UserError
from vec2uage.base.seeds import numpy_generator
from vec2uage.config.settings import settings
from vec2uage.data.vectorset import VectorSet, concatenate, drop_exact_duplicates

log = logging.getLogger(__name__)

Rows = Integer[np.ndarray, "_"]  # some of the VectorSet's rows, by position or owner
PerRow = Integer[np.ndarray, " N"]  # a number for each of its rows
FREE, VALIDATION, TEST = 0, 1, 2
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)


def _ordered(ages: tuple[int, int]) -> tuple[int, int]:
    if ages[0] > ages[1]:
        raise ValueError("the first age must not be above the last")
    return ages


AgeRange = Annotated[tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(le=120)]], AfterValidator(_ordered)]
"""First and last age in whole years, both included: a row belongs when floor(age) lies in it."""


Label = Literal["exact", "floor", "whole"]
"""`floor`: training ages become whole years, as in the authors' code; `whole`: held-out ones too, as the paper says."""


@settings
class Split:
    """How rows are drawn for the held-out pool."""

    seed: Annotated[int, Field(ge=0)] | Literal["run"] = 0
    """Fixed by default, so that runs are compared on the same held-out faces; `run` re-draws the pool with
    each run's seed, as the authors' released code did."""
    group: Literal["auto", "subject", "none"] = "auto"
    """`subject`: all pictures of a person lie on one side; `none`: rows are drawn one by one; `auto`:
    `subject` where any subject is known."""


@settings
class Division:
    """Which rows are used, and how they are divided into training, validation and test."""

    age_range: AgeRange = (1, 18)
    label: Label = "exact"
    heldout_per_age: Annotated[int, Field(ge=2, multiple_of=2)] = 500
    """Rows of each age in the held-out pool, half for validation and half for test (paper: 500)."""
    missing_ages: Literal["refuse", "allow"] = "refuse"
    """Whether an age of `age_range` may have no rows at all."""
    split: Split = Split()


@dataclass(frozen=True)
class DataSplit:
    """Training, validation and test rows of one dataset; no name is in two of them."""

    train: VectorSet
    validation: VectorSet
    test: VectorSet

    def fingerprint(self) -> str:
        """Return 16 hex digits that change with any value of any part and with the division itself."""
        parts = " ".join(part.fingerprint() for part in (self.train, self.validation, self.test))
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


def within(vs: VectorSet, age_range: AgeRange) -> VectorSet:
    """Return the rows whose whole age lies in `age_range`, both ends included; say in the log how many do not."""
    first, last = age_range
    floors = np.floor(vs.ages)
    inside = (floors >= first) & (floors <= last)
    if inside.all():
        return vs
    log.info("%s of %s rows are outside the ages %d-%d", f"{(~inside).sum():,}", f"{len(vs):,}", first, last)
    return vs.take(inside)


def relabelled(parts: DataSplit, label: Label) -> DataSplit:
    """Return the parts with ages cut to whole years where `label` says so."""
    names = {"exact": (), "floor": ("train",), "whole": PARTS}[label]
    cut = {name: getattr(parts, name) for name in names}
    return replace(parts, **{name: replace(vs, ages=np.floor(vs.ages)) for name, vs in cut.items()})


def split(vs: VectorSet, how: Division, seed: int, together: PerRow | None = None) -> DataSplit:
    """Divide the rows of `how.age_range`, without exact duplicates.

    Validation and test hold `heldout_per_age / 2` rows each of every whole age, drawn with `seed`; the rest
    is training. Grouped by subject, nobody is in two parts, and the surplus pictures of held-out persons are
    left out. `together` numbers rows that must not be parted: rows of one number are kept whole like the pictures
    of one person. Augmented faces are never held out: those whose parent is a training row follow it, the others are
    left out. Raises UserError when an age has too few rows, or grouping is asked for and no subject is known.
    """
    children = vs.parents != ""
    if not children.any():
        return relabelled(_split(vs, how, seed, together), how.label)
    parts = _split(vs.take(~children), how, seed, None if together is None else together[~children])
    followers = vs.take(children & np.isin(vs.parents, parts.train.names))
    log.info("%s of %s augmented faces follow their parents", f"{len(followers):,}", f"{children.sum():,}")
    return relabelled(replace(parts, train=concatenate([parts.train, followers])), how.label)


def _split(vs: VectorSet, how: Division, seed: int, together: PerRow | None) -> DataSplit:
    number = {name: row for row, name in enumerate(vs.names)}
    vs = drop_exact_duplicates(within(vs, how.age_range))
    if together is not None:
        together = together[[number[name] for name in vs.names]]
    ages = np.floor(vs.ages).astype(np.int64)
    _check_enough(ages, how)

    by_subject = _by_subject(vs, how)
    half = how.heldout_per_age // 2
    if by_subject or together is not None:
        owners = _persons(vs) if by_subject else np.arange(len(vs))
        owners = owners if together is None else _united(owners, together)
        train, validation, test = _draw_owners(ages, owners, half, seed)
    else:
        owners = np.arange(len(vs))
        train, validation, test = _draw_rows(ages, half, seed)
    for one, other in combinations((train, validation, test), 2):
        assert set(one).isdisjoint(other), "a row is in two parts of the split"
        assert set(owners[one]).isdisjoint(owners[other]), "what belongs together is in two parts of the split"
    return DataSplit(train=vs.take(train), validation=vs.take(validation), test=vs.take(test))


def _check_enough(ages: PerRow, how: Division) -> None:
    first, last = how.age_range
    counts = {age: int((ages == age).sum()) for age in range(first, last + 1)}
    missing = [str(age) for age, count in counts.items() if count == 0]
    if len(missing) == len(counts):
        raise UserError(f"no rows of the ages {first}-{last}: set age_range to ages that the data has")
    if missing and how.missing_ages == "refuse":
        raise UserError(
            f"no rows of age {', '.join(missing)}: set missing_ages=allow to do without, "
            "or age_range to ages that the data has"
        )
    needed = how.heldout_per_age + 1
    if few := [f"{count} of age {age}" for age, count in counts.items() if 0 < count < needed]:
        raise UserError(
            f"too few rows: {', '.join(few)}, but {needed} of each age are needed ({how.heldout_per_age} "
            "held out and 1 or more to train on): lower heldout_per_age or narrow age_range"
        )


def _by_subject(vs: VectorSet, how: Division) -> bool:
    group = how.split.group
    if group == "subject" and not vs.has_subjects:
        raise UserError("the split's group is subject, but no subject is known: set it to auto")
    if group == "none" and vs.has_subjects:
        log.warning("the split's group is none: a person may be in training and in test, which flatters the test error")
    return group != "none" and vs.has_subjects


def _draw_rows(ages: PerRow, half: int, seed: int) -> tuple[Rows, Rows, Rows]:
    """Draw the pool row by row and halve it as the paper did, with scikit-learn."""
    from sklearn.model_selection import StratifiedShuffleSplit

    generator = numpy_generator(seed, "split", "row")
    pool = np.concatenate([generator.permutation(np.flatnonzero(ages == age))[: 2 * half] for age in np.unique(ages)])
    halving = StratifiedShuffleSplit(n_splits=1, test_size=0.5, random_state=int(generator.integers(2**32)))
    validation, test = next(halving.split(pool, ages[pool]))
    return np.setdiff1d(np.arange(len(ages)), pool), np.sort(pool[validation]), np.sort(pool[test])


def _draw_owners(ages: PerRow, persons: PerRow, half: int, seed: int) -> tuple[Rows, Rows, Rows]:
    """Draw persons for validation and test, from the rarest age to the commonest, until both are full."""
    generator = numpy_generator(seed, "split", "subject")
    side = np.full(persons.max() + 1, FREE)
    held: dict[int, list[int]] = {VALIDATION: [], TEST: []}
    present, counts = np.unique(ages, return_counts=True)
    for age in present[np.argsort(counts, kind="stable")].tolist():
        rows = generator.permutation(np.flatnonzero(ages == age))
        owners = persons[rows]
        found = {which: rows[side[owners] == which].tolist() for which in held}
        for person in generator.permutation(np.unique(owners[side[owners] == FREE])):
            which = VALIDATION if len(found[VALIDATION]) <= len(found[TEST]) else TEST
            if len(found[which]) >= half:
                break
            side[person] = which
            found[which] += rows[owners == person].tolist()
        if min(map(len, found.values())) < half:
            raise _too_few_persons(age, owners, half)
        for which in held:
            held[which] += found[which][:half]

    train = np.flatnonzero(side[persons] == FREE)
    if untrained := sorted(set(present.tolist()) - set(ages[train].tolist())):
        raise _too_few_persons(untrained[0], persons[ages == untrained[0]], half)
    validation, test = (np.sort(np.array(rows)) for rows in held.values())
    if surplus := len(ages) - len(train) - len(validation) - len(test):
        log.info("%s rows of held-out persons are left out: the pool has enough of their ages", f"{surplus:,}")
    return train, validation, test


def _too_few_persons(age: int, owners: Rows, half: int) -> UserError:
    return UserError(
        f"too few persons of age {age}: {len(owners)} rows of {len(np.unique(owners))} persons do not give "
        f"{half} rows each for validation and test and leave anybody to train on, as persons are kept whole: "
        "lower heldout_per_age, narrow age_range or set the split's group to none"
    )


def _persons(vs: VectorSet) -> PerRow:
    """Number the persons; a row of an unknown subject is a person of its own."""
    known = vs.subjects != ""
    persons = np.arange(len(vs))
    _, numbers = np.unique(vs.subjects[known], return_inverse=True)
    persons[known] = len(vs) + numbers
    return np.unique(persons, return_inverse=True)[1]


def _united(owners: PerRow, together: PerRow) -> PerRow:
    """Number what stays whole when rows of one owner stay together, rows of one number, and chains of both."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers = np.unique(together, return_inverse=True)[1]
    links = np.ones(len(owners), dtype=np.int8), (owners, len(owners) + numbers)
    graph = coo_array(links, shape=(2 * len(owners), 2 * len(owners)))
    return np.unique(connected_components(graph, directed=False)[1][owners], return_inverse=True)[1]
