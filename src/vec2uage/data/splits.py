"""Divides a VectorSet into training rows and an age-balanced held-out pool, half validation and half test."""

import hashlib
import logging
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from jaxtyping import Integer

from vec2uage.base.errors import UserError
from vec2uage.base.seeds import numpy_generator
from vec2uage.data.dataset import Dataset
from vec2uage.data.vectorset import VectorSet, drop_exact_duplicates

log = logging.getLogger(__name__)

Rows = Integer[np.ndarray, "_"]  # some of the VectorSet's rows, by position or owner
PerRow = Integer[np.ndarray, " N"]  # a number for each of its rows
FREE, VALIDATION, TEST = 0, 1, 2


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


def split(vs: VectorSet, dataset: Dataset, seed: int) -> DataSplit:
    """Divide the rows of `dataset.age_range`, without exact duplicates, by the options of `dataset`.

    Validation and test hold `heldout_per_age / 2` rows each of every whole age, drawn with `seed`; the rest
    is training. Grouped by subject, nobody is in two parts, and the surplus pictures of held-out persons are
    left out. Raises UserError when an age has too few rows, or grouping is asked for and no subject is known.
    """
    first, last = dataset.age_range
    floors = np.floor(vs.ages)
    inside = (floors >= first) & (floors <= last)
    if not inside.all():
        log.info("%s of %s rows are outside the ages %d-%d", f"{(~inside).sum():,}", f"{len(vs):,}", first, last)
    vs = drop_exact_duplicates(vs.take(inside))
    ages = np.floor(vs.ages).astype(np.int64)
    _check_enough(ages, dataset)

    grouped = _grouped(vs, dataset)
    half = dataset.heldout_per_age // 2
    if grouped:
        train, validation, test = _by_subject(ages, _persons(vs), half, seed)
    else:
        train, validation, test = _by_row(ages, half, seed)
    parts = DataSplit(train=vs.take(train), validation=vs.take(validation), test=vs.take(test))
    _assert_disjoint(parts, grouped)
    if dataset.label == "floor":
        parts = replace(parts, train=replace(parts.train, ages=np.floor(parts.train.ages)))
    return parts


def _check_enough(ages: PerRow, dataset: Dataset) -> None:
    first, last = dataset.age_range
    counts = {age: int((ages == age).sum()) for age in range(first, last + 1)}
    missing = [str(age) for age, count in counts.items() if count == 0]
    if len(missing) == len(counts):
        raise UserError(f"no rows of the ages {first}-{last}: set dataset.age_range to ages that the data has")
    if missing and dataset.missing_ages == "refuse":
        raise UserError(
            f"no rows of age {', '.join(missing)}: set dataset.missing_ages=allow to do without, "
            "or dataset.age_range to ages that the data has"
        )
    needed = dataset.heldout_per_age + 1
    if few := [f"{count} of age {age}" for age, count in counts.items() if 0 < count < needed]:
        raise UserError(
            f"too few rows: {', '.join(few)}, but {needed} of each age are needed ({dataset.heldout_per_age} "
            "held out and 1 or more to train on): lower dataset.heldout_per_age or narrow dataset.age_range"
        )


def _grouped(vs: VectorSet, dataset: Dataset) -> bool:
    group = dataset.split.group
    if group == "subject" and not vs.has_subjects:
        raise UserError("dataset.split.group=subject, but no subject is known: set dataset.split.group=auto")
    if group == "none" and vs.has_subjects:
        log.warning("dataset.split.group=none: a person may be in training and in test, which flatters the test error")
    return group != "none" and vs.has_subjects


def _by_row(ages: PerRow, half: int, seed: int) -> tuple[Rows, Rows, Rows]:
    """Draw the pool row by row and halve it as the paper did, with scikit-learn."""
    from sklearn.model_selection import StratifiedShuffleSplit

    generator = numpy_generator(seed, "split", "row")
    pool = np.concatenate([generator.permutation(np.flatnonzero(ages == age))[: 2 * half] for age in np.unique(ages)])
    halving = StratifiedShuffleSplit(n_splits=1, test_size=0.5, random_state=int(generator.integers(2**32)))
    validation, test = next(halving.split(pool, ages[pool]))
    return np.setdiff1d(np.arange(len(ages)), pool), np.sort(pool[validation]), np.sort(pool[test])


def _by_subject(ages: PerRow, persons: PerRow, half: int, seed: int) -> tuple[Rows, Rows, Rows]:
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
        "lower dataset.heldout_per_age, narrow dataset.age_range or set dataset.split.group=none"
    )


def _persons(vs: VectorSet) -> PerRow:
    """Number the persons; a row of an unknown subject is a person of its own."""
    known = vs.subjects != ""
    persons = np.arange(len(vs))
    _, numbers = np.unique(vs.subjects[known], return_inverse=True)
    persons[known] = len(vs) + numbers
    return np.unique(persons, return_inverse=True)[1]


def _assert_disjoint(parts: DataSplit, grouped: bool) -> None:
    for one, other in combinations((parts.train, parts.validation, parts.test), 2):
        assert set(one.names).isdisjoint(other.names), "a name is in two parts of the split"
        if grouped:
            assert (set(one.subjects) - {""}).isdisjoint(other.subjects), "a subject is in two parts of the split"
