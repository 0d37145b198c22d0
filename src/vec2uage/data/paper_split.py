"""Divides vectors as the paper did: training rows and an age-balanced held-out pool, half validation and half test.

Rows for calibration, which the paper did not have, are drawn from what the pool leaves.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Integer
from pydantic import Field

from vec2uage.base.errors import UserError
from vec2uage.base.formatting import ranges, span
from vec2uage.base.seeds import numpy_generator
from vec2uage.config.settings import settings
from vec2uage.data.parts import ALL_PARTS, PARTS, UNDIVIDED, Parts, is_divided, within
from vec2uage.data.splits import GroupIds, SplitOfAges, with_followers
from vec2uage.data.vectorset import VectorSet, concatenate, drop_exact_duplicates, needed_ages

log = logging.getLogger(__name__)

Positions = Integer[np.ndarray, "_"]  # of some rows of a VectorSet
WholeAges = Integer[np.ndarray, " N"]
FREE, VALIDATION, TEST, CALIBRATION = 0, 1, 2, 3
LARGE_SHARE = 0.1  # of all rows: more than one of many persons has


@settings
class PaperSplit(SplitOfAges):
    """Which rows are used, and how they are divided into parts (paper section 3.3)."""

    heldout_per_age: Annotated[int, Field(ge=2, multiple_of=2)] = 500
    """Rows of each age in the held-out pool, half for validation and half for test (paper: 500)."""
    calibration_per_age: Annotated[int, Field(ge=0)] = 0
    """Rows of each age to calibrate with, drawn when the pool is, so that it is the same with any number of them; 0: no
    such part (paper: 0)."""
    missing_ages: Literal["refuse", "allow"] = "refuse"
    """Whether an age of `age_range` may have no rows at all."""
    seed: Annotated[int, Field(ge=0)] | Literal["run"] = 0
    """Fixed by default, so that runs are compared on the same held-out faces; `run` re-draws the pool with
    each run's seed, as the authors' released code did."""
    group: Literal["auto", "subject", "none"] = "auto"
    """`subject`: all pictures of a person lie on one side; `none`: rows are drawn one by one; `auto`:
    `subject` where any subject is known."""

    @property
    def gives(self) -> tuple[str, ...]:
        """The names of the parts."""
        return ALL_PARTS if self.calibration_per_age else PARTS

    @property
    def is_per_run(self) -> bool:
        """Whether every run divides the rows anew."""
        return self.seed == "run"

    def seed_for(self, run_seed: int) -> int:
        """Return `seed`, or the run's own where that is "run"."""
        return run_seed if self.seed == "run" else self.seed

    def used(self, vs: VectorSet) -> VectorSet:
        """Return the rows of `age_range` and `train_ages`."""
        return within(vs, self.label_range)

    def divide(self, parts: Parts, seed: int, group_ids: GroupIds | None = None) -> Parts:
        """Divide the rows of `age_range`, without exact duplicates.

        Validation and test hold `heldout_per_age / 2` rows each of every whole age, and calibration
        `calibration_per_age`, drawn with `seed`; the rest is training. Grouped by subject, nobody is in two parts, and
        the surplus pictures of held-out persons are left out. Rows of one number in `group_ids` are kept whole like the
        pictures of one person. Of the other `train_ages`, training has all rows but duplicates and those that are kept
        whole with a held-out one. Augmented faces are never held out: those whose parent is a training row follow it,
        the others are left out. Raises UserError when an age has too few rows, or grouping is asked for and no subject
        is known.
        """
        self.check(is_divided(parts))
        vs = parts[UNDIVIDED]
        photographed_ids = None if group_ids is None else group_ids[vs.parents == ""]
        return with_followers(vs, lambda photographed: _divide(photographed, self, seed, photographed_ids))


def _divide(vs: VectorSet, split: PaperSplit, seed: int, group_ids: GroupIds | None) -> Parts:
    """Divide photographed faces."""
    number = {name: row for row, name in enumerate(vs.names)}

    def group_ids_of(rows: VectorSet) -> GroupIds | None:
        return None if group_ids is None else group_ids[[number[name] for name in rows.names]]

    everything, vs = vs, drop_exact_duplicates(within(vs, split.age_range))
    ages = np.floor(needed_ages(vs, "split=paper")).astype(np.int64)
    _check_enough(ages, split)

    by_subject = _by_subject(vs, split)
    owners = _owners(vs, by_subject, group_ids_of(vs))
    if by_subject or group_ids is not None:
        drawn = _draw_owners(ages, owners, split, seed)
    else:
        drawn = _draw_rows(ages, split, seed)
    for one, other in combinations(drawn.values(), 2):
        assert set(one).isdisjoint(other), "a row is in two parts of the split"
        assert set(owners[one]).isdisjoint(owners[other]), "what must stay in one part is in two"
    parts = {name: vs.take(drawn[name]) for name in split.gives}
    if split.label_range == split.age_range:
        return parts
    both = drop_exact_duplicates(concatenate([vs, _others(everything, split)]))
    owners = _owners(both, by_subject, group_ids_of(both))
    held_out = np.setdiff1d(np.arange(len(vs)), drawn["train"])
    added = np.flatnonzero(~np.isin(owners, owners[held_out]))
    added = added[added >= len(vs)]
    log.info("%s rows of other ages are trained on", f"{len(added):,}")
    return {**parts, "train": concatenate([parts["train"], both.take(added)])}


def _others(vs: VectorSet, split: PaperSplit) -> VectorSet:
    """Return the rows of `train_ages` that are not of `age_range`; UserError where there are none."""
    floors = np.floor(needed_ages(vs, "split=paper"))
    (first, last), (youngest, oldest) = split.label_range, split.age_range
    chosen = (floors >= first) & (floors <= last) & ((floors < youngest) | (floors > oldest))
    if not chosen.any():
        raise UserError(
            f"split.train_ages = [{first},{last}]: no rows of ages beyond split.age_range=[{youngest},{oldest}]: leave "
            "it out, or take data that has them"
        )
    return vs.take(chosen)


def _check_enough(ages: WholeAges, split: PaperSplit) -> None:
    first, last = split.age_range
    counts = {age: int((ages == age).sum()) for age in range(first, last + 1)}
    missing = [age for age, count in counts.items() if count == 0]
    if missing and split.missing_ages == "refuse":
        raise UserError(
            f"no rows of age {ranges(missing)}: set split.missing_ages=allow to do without, "
            "or split.age_range to ages that the data has"
        )
    needed = split.heldout_per_age + split.calibration_per_age + 1
    shares = [f"{split.heldout_per_age} held out", *_calibrating(split)]
    if few := {age: count for age, count in counts.items() if 0 < count < needed}:
        raise UserError(
            f"too few rows: {span(few.values())} of age {ranges(list(few))} each, but {needed} of each age are needed "
            f"({', '.join(shares)} and 1 or more to train on): lower {_numbers(split)} or narrow split.age_range"
        )


def _by_subject(vs: VectorSet, split: PaperSplit) -> bool:
    if split.group == "subject" and not vs.has_subjects:
        raise UserError("split.group = subject: no subject is known: set it to auto")
    if split.group == "none" and vs.has_subjects:
        log.warning("split.group is none: a person may be in training and in test, which flatters the test error")
    if split.group == "none" or not vs.has_subjects:
        return False
    _warn_of_odd_subjects(vs)
    return True


def _warn_of_odd_subjects(vs: VectorSet) -> None:
    """Say in the log which subjects may be no person, or one person several times."""
    rows = Counter(subject for subject in vs.subjects if subject)
    (commonest, count), *_ = rows.most_common(1)
    if count > LARGE_SHARE * len(vs) and len(rows) > 1 / LARGE_SHARE:
        log.warning(
            "subject %r has %s of %s rows: leave the cells of persons who are not known empty",
            commonest,
            f"{count:,}",
            f"{len(vs):,}",
        )
    alike = Counter(subject.casefold() for subject in rows)
    if twice := [subject for subject in rows if alike[subject.casefold()] > 1]:
        log.warning("subjects that differ in capitals alone count as several persons: %s", ", ".join(twice[:4]))


def _draw_rows(ages: WholeAges, split: PaperSplit, seed: int) -> dict[str, Positions]:
    """Draw the pool row by row and halve it as the paper did, with scikit-learn; then the rows for calibration."""
    from sklearn.model_selection import StratifiedShuffleSplit

    generator = numpy_generator(seed, "split", "row")
    every = np.arange(len(ages))
    pool = _of_each_age(ages, every, split.heldout_per_age, generator)
    halving = StratifiedShuffleSplit(n_splits=1, test_size=0.5, random_state=int(generator.integers(2**32)))
    validation, test = next(halving.split(pool, ages[pool]))
    free = np.setdiff1d(every, pool)
    generator = numpy_generator(seed, "split", "row", "calibration")
    calibration = _of_each_age(ages, free, split.calibration_per_age, generator)
    return {
        "train": np.setdiff1d(free, calibration),
        "validation": np.sort(pool[validation]),
        "calibration": np.sort(calibration),
        "test": np.sort(pool[test]),
    }


def _of_each_age(ages: WholeAges, rows: Positions, count: int, generator: np.random.Generator) -> Positions:
    """Draw `count` of some rows of each age."""
    return np.concatenate([generator.permutation(rows[ages[rows] == age])[:count] for age in np.unique(ages)])


def _draw_owners(ages: WholeAges, persons: GroupIds, split: PaperSplit, seed: int) -> dict[str, Positions]:
    """Draw persons for validation and test, then for calibration; training has all who are left."""
    side = np.full(persons.max() + 1, FREE)
    pool, calibrating = (numpy_generator(seed, "split", "subject", *what) for what in ((), ("calibration",)))
    held = _fill_sides(ages, persons, side, (VALIDATION, TEST), split.heldout_per_age // 2, split, pool)
    held |= _fill_sides(ages, persons, side, (CALIBRATION,), split.calibration_per_age, split, calibrating)
    train = np.flatnonzero(side[persons] == FREE)
    if untrained := sorted(set(ages.tolist()) - set(ages[train].tolist())):
        raise _too_few_persons(untrained[0], persons[ages == untrained[0]], split)
    if surplus := len(ages) - len(train) - sum(map(len, held.values())):
        log.info("%s rows of held-out persons are left out: the pool has enough of their ages", f"{surplus:,}")
    return {"train": train, "validation": held[VALIDATION], "calibration": held[CALIBRATION], "test": held[TEST]}


def _fill_sides(
    ages: WholeAges,
    persons: GroupIds,
    side: Integer[np.ndarray, " P"],
    sides: Sequence[int],
    count: int,
    split: PaperSplit,
    generator: np.random.Generator,
) -> dict[int, Positions]:
    """Draw free persons, from the rarest age to the commonest, until all `sides` have `count` rows of every age.

    `side [P]` says where each person is, and is written to.
    """
    held: dict[int, list[int]] = {which: [] for which in sides}
    present, counts = np.unique(ages, return_counts=True)
    for age in present[np.argsort(counts, kind="stable")].tolist():
        rows = generator.permutation(np.flatnonzero(ages == age))
        owners = persons[rows]
        found = {which: rows[side[owners] == which].tolist() for which in held}
        for person in generator.permutation(np.unique(owners[side[owners] == FREE])):
            which = min(found, key=lambda one: len(found[one]))
            if len(found[which]) >= count:
                break
            side[person] = which
            found[which] += rows[owners == person].tolist()
        if min(map(len, found.values())) < count:
            raise _too_few_persons(age, owners, split)
        for which in held:
            held[which] += found[which][:count]
    return {which: np.sort(np.array(rows, dtype=np.int64)) for which, rows in held.items()}


def _too_few_persons(age: int, owners: Positions, split: PaperSplit) -> UserError:
    shares = [f"{split.heldout_per_age // 2} rows each for validation and test", *_calibrating(split)]
    return UserError(
        f"too few persons of age {age}: {len(owners)} rows of {len(np.unique(owners))} persons do not give "
        f"{', '.join(shares)} and leave anybody to train on, as persons are kept whole: "
        f"lower {_numbers(split)}, narrow split.age_range or set split.group to none"
    )


def _calibrating(split: PaperSplit) -> list[str]:
    return [f"{split.calibration_per_age} for calibration"] if split.calibration_per_age else []


def _numbers(split: PaperSplit) -> str:
    """Name the options that ask for rows of each age."""
    return "split.heldout_per_age" + (" or split.calibration_per_age" if split.calibration_per_age else "")


def _owners(vs: VectorSet, by_subject: bool, group_ids: GroupIds | None) -> GroupIds:
    """Number what stays whole: rows, persons or whatever goes together with them."""
    owners = _persons(vs) if by_subject else np.arange(len(vs))
    return owners if group_ids is None else _united(owners, group_ids)


def _persons(vs: VectorSet) -> GroupIds:
    """Number the persons; a row of an unknown subject is a person of its own."""
    known = vs.subjects != ""
    persons = np.arange(len(vs))
    _, numbers = np.unique(vs.subjects[known], return_inverse=True)
    persons[known] = len(vs) + numbers
    return np.unique(persons, return_inverse=True)[1]


def _united(owners: GroupIds, group_ids: GroupIds) -> GroupIds:
    """Number what stays whole when rows of one owner stay together, rows of one number, and chains of both."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers = np.unique(group_ids, return_inverse=True)[1]
    links = np.ones(len(owners), dtype=np.int8), (owners, len(owners) + numbers)
    graph = coo_array(links, shape=(2 * len(owners), 2 * len(owners)))
    return np.unique(connected_components(graph, directed=False)[1][owners], return_inverse=True)[1]
