"""VectorSet, the one type that carries face vectors through the product, and its checked constructor."""

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, Integer, Shaped

from vec2uage.base.encoder import UNKNOWN, merged
from vec2uage.base.errors import UserError
from vec2uage.data import cells
from vec2uage.data.cells import OLDEST, as_gender, as_label, as_text, is_missing

log = logging.getLogger(__name__)

BadRows = Literal["refuse", "drop"]
TextColumn = Shaped[np.ndarray, " N"]  # of str, dtype object
SHORTEST, LONGEST = 1e-8, 1e8
"""Lengths that vectors can have: far from those of any encoder, and their fourth powers are still float32."""


@dataclass(frozen=True, eq=False)
class VectorSet:
    """Face vectors with what is known of each face; made by `make_vector_set`, never changed."""

    vectors: Float32[np.ndarray, "N D"]
    ages: Float32[np.ndarray, " N"] | None
    """Years; None where no age is known (see `needed_ages`)."""
    names: TextColumn
    """Unique."""
    subjects: TextColumn
    """The person on the picture; "" where unknown."""
    source: TextColumn
    """Where the row comes from, such as the file's name."""
    gender: TextColumn
    """"male", "female" or "" where unknown."""
    parents: TextColumn
    """The name of the row whose face was augmented to this one; "" for a face as it was photographed."""
    encoder: str
    """What made the vectors of photographs (see `base.encoder`), or "unknown"."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def dimension(self) -> int:
        """D, the length of a vector."""
        return self.vectors.shape[1]

    @property
    def has_subjects(self) -> bool:
        """Tell whether the person is known for any row."""
        return bool((self.subjects != "").any())

    def take(self, index: Integer[np.ndarray, " M"] | Bool[np.ndarray, " N"]) -> "VectorSet":
        """Return a copy of the rows at `index` (positions or a mask), in that order."""
        columns = {name: getattr(self, name) for name in COLUMNS}
        taken: dict[str, Any] = {name: None if of is None else of[index] for name, of in columns.items()}
        return VectorSet(**taken, encoder=self.encoder)

    def fingerprint(self) -> str:
        """Return 16 hex digits that change with any value of any row, the order of rows or the encoder."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256(repr((self.vectors.shape, self.encoder)).encode())
        digest.update(np.ascontiguousarray(self.vectors).data)
        digest.update(b"" if self.ages is None else np.ascontiguousarray(self.ages).data)
        for column in (self.names, self.subjects, self.source, self.gender, self.parents):
            digest.update(repr(column.tolist()).encode())
        return digest.hexdigest()[:16]


def needed_ages(vs: VectorSet, purpose: str) -> Float32[np.ndarray, " N"]:
    """Return the ages, for a purpose that needs them; UserError, which names it, where none is known."""
    if vs.ages is None:
        raise UserError(f"{purpose} needs ages, but the vectors come without: give their file a column of ages (years)")
    return vs.ages


COLUMNS = tuple(field.name for field in fields(VectorSet) if field.name != "encoder")


def make_vector_set(
    vectors: np.ndarray | Sequence[Any],
    ages: np.ndarray | Sequence[Any] | None,
    names: np.ndarray | Sequence[object] | None = None,
    subjects: np.ndarray | Sequence[object] | None = None,
    source: str | np.ndarray | Sequence[str] = "",
    gender: np.ndarray | Sequence[object] | None = None,
    parents: np.ndarray | Sequence[object] | None = None,
    encoder: str = UNKNOWN,
    bad_rows: BadRows = "refuse",
    where: str = "the vectors",
) -> VectorSet:
    """Check rows and make a VectorSet of them, without copying vectors that are float32, in C order and all good.

    `vectors` are [N, D] or N rows, which may differ in length: D is then the commonest length above 0. `ages` are
    years, as numbers or texts (`cells.ages`), or None altogether where no age is known. `names` are kept as they are
    and default to "<source>:<row>"; `subjects`, a `source` for each row and `gender` are labels (`cells.as_label`,
    `as_gender`).

    A row is bad when its vector has another dimension, holds NaN or Inf or nothing but zeros, or is of a length beyond
    `SHORTEST` and `LONGEST`; when its age is missing among known ones, not a number, negative or above 120; when it is
    given twice; and when its name is that of a row that says something else, since nobody can tell which is right.
    Bad rows are refused (UserError with counts and the first names) or dropped (the same in the log); `where` is what
    messages call the input, such as a file's path. Raises UserError also for values of another type.
    """
    matrix, misshapen = _matrix(vectors, where)
    count = len(matrix)
    given = {"ages": ages, "names": names, "subjects": subjects, "gender": gender, "parents": parents}
    for column, values in (given if isinstance(source, str) else given | {"source": source}).items():
        shape = () if values is None else values.shape if isinstance(values, np.ndarray) else (len(values),)
        if values is not None and shape[:1] != (count,):
            raise UserError(f"{where}: {count} vectors but {column} of shape {shape}; give one for each vector")
    years, unread = (None, np.zeros(count, bool)) if ages is None else cells.ages(ages, f"{where}: ages")
    columns = {
        "source": [source] * count if isinstance(source, str) else [as_label(s, f"{where}: source") for s in source],
        "subjects": [as_label(s, f"{where}: subjects") for s in ([""] * count if subjects is None else subjects)],
        "gender": [as_gender(g, where) for g in ([""] * count if gender is None else gender)],
        "parents": [as_text(p, f"{where}: parents") for p in ([""] * count if parents is None else parents)],
    }
    columns["names"] = [
        (None if names is None else as_text(names[row], f"{where}: names")) or f"{s}:{row}"
        for row, s in enumerate(columns["source"])
    ]
    known = set(columns["names"])
    columns["parents"] = ["" if is_missing(p) and p not in known else p for p in columns["parents"]]
    texts = {name: np.array(values, dtype=object) for name, values in columns.items()}
    made = VectorSet(vectors=matrix, ages=years, **texts, encoder=encoder)

    reasons = _reasons_against(made, misshapen, unread)
    good = reasons == ""
    if good.all() and count:
        return made
    found = "; ".join(
        f"{reason}: {number} ({_first(made.names[reasons == reason])})"
        for reason, number in Counter(reasons[~good].tolist()).items()
    )
    if not good.any():
        raise UserError(f"{where}: no usable row" + (f" ({found})" if found else ""))
    text = f"{where}: {(~good).sum():,} of {count:,} rows are bad ({found})"
    if bad_rows == "refuse":
        raise UserError(f"{text}; repair them, or set bad_rows=drop to leave them out")
    log.warning("%s and are left out", text)
    return made.take(good)


def merge(sets: Sequence[VectorSet], bad_rows: BadRows = "refuse") -> VectorSet:
    """Put sets of one known network one after the other; the log says where their faces were cut out differently.

    Rows with the name of another one are refused or dropped: all of them where they say different things. Raises
    UserError for them, where networks differ or are unknown (see `encoder.merged`), and where dimensions differ.
    """
    if not sets:
        raise UserError("no sets of vectors to merge")
    encoder = merged([vs.encoder for vs in sets])
    dimensions = sorted({vs.dimension for vs in sets})
    if len(dimensions) != 1:
        raise UserError(f"vectors of different dimensions cannot be merged: {dimensions}")
    if len({vs.ages is None for vs in sets}) > 1:
        raise UserError("vectors with ages and vectors without cannot be merged: add the ages, or leave out the others")
    joined = replace(concatenate(sets), encoder=encoder)
    again, unlike = _repeated(joined, np.arange(len(joined)))
    bad = again | unlike
    if not bad.any():
        return joined
    text = f"{bad.sum():,} of {len(joined):,} merged rows have the name of another one ({_first(joined.names[bad])})"
    if bad_rows == "refuse":
        raise UserError(f"{text}; rename them, or their files: rows without names are named after those")
    log.warning("%s and are left out", text)
    return joined.take(~bad)


def concatenate(sets: Sequence[VectorSet]) -> VectorSet:
    """Put the parts of one set one after the other, unchecked."""
    columns = [name for name in COLUMNS if getattr(sets[0], name) is not None]
    joined: dict[str, Any] = {name: np.concatenate([getattr(vs, name) for vs in sets]) for name in columns}
    return VectorSet(**({"ages": None} | joined), encoder=sets[0].encoder)


def drop_exact_duplicates(vs: VectorSet) -> VectorSet:
    """Keep the first row of each distinct vector, in order (the authors' code did so too); log how many.

    The log also says how many of the others have another age than the one that is kept: one of the two is wrong.
    """
    first: dict[bytes, int] = {}
    original = np.array(
        [
            first.setdefault(hashlib.blake2b(vector.data, digest_size=16).digest(), row)
            for row, vector in enumerate(vs.vectors)
        ],
        dtype=np.int64,
    )
    lost = original != np.arange(len(vs))
    if not lost.any():
        return vs
    other_age = 0 if vs.ages is None else int((vs.ages != vs.ages[original]).sum())
    log.warning(
        "exact duplicates of an earlier vector are left out: kept %s of %s rows (dropped %s)%s",
        f"{(~lost).sum():,}",
        f"{len(vs):,}",
        _first(vs.names[lost]),
        f"; {other_age:,} of the dropped have another age than the one that is kept" if other_age else "",
    )
    return vs.take(~lost)


def _matrix(
    vectors: np.ndarray | Sequence[Any], where: str
) -> tuple[Float32[np.ndarray, "N D"], Bool[np.ndarray, " N"]]:
    """Return rows as one matrix and which of them have another length than most (filled with zeros)."""
    if isinstance(vectors, np.ndarray) and vectors.dtype != object:
        matrix = np.ascontiguousarray(cells.numbers(vectors, f"{where}: vectors"))
        misshapen = np.zeros(matrix.shape[:1], dtype=bool)
    else:
        rows = [cells.numbers(row, f"{where}: vector {number}") for number, row in enumerate(vectors)]
        commonest = Counter(row.shape for row in rows if row.size).most_common(1)  # an empty one is missing
        shape = commonest[0][0] if commonest else (1,)
        misshapen = np.array([row.shape != shape for row in rows], dtype=bool)
        usual = [np.zeros(shape, np.float32) if bad else row for bad, row in zip(misshapen, rows, strict=True)]
        matrix = np.array(usual, dtype=np.float32).reshape(len(rows), *shape)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise UserError(f"{where}: vectors of shape {matrix.shape}; they must be rows of numbers, [N, D]")
    return matrix, misshapen


def _reasons_against(vs: VectorSet, misshapen: Bool[np.ndarray, " N"], unread: Bool[np.ndarray, " N"]) -> TextColumn:
    """Say for each row why it is bad, "" when it is good."""
    reasons = np.full(len(vs), "", dtype=object)
    if vs.ages is not None:
        reasons[(vs.ages < 0) | (vs.ages > OLDEST)] = f"age negative or above {OLDEST}"
        reasons[np.isnan(vs.ages)] = "age missing"
        reasons[unread] = "age not a number"
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = np.einsum("nd,nd->n", vs.vectors, vs.vectors)
    odd = np.flatnonzero(~((squares >= SHORTEST**2) & (squares <= LONGEST**2)))
    reasons[odd] = f"vector of a length beyond {SHORTEST:g} to {LONGEST:g}"
    reasons[odd[~vs.vectors[odd].any(axis=1)]] = "vector of zeros"
    reasons[odd[~np.isfinite(vs.vectors[odd]).all(axis=1)]] = "NaN or Inf in the vector"
    reasons[misshapen] = f"dimension other than {vs.dimension}"
    again, unlike = _repeated(vs, np.flatnonzero(reasons == ""))
    reasons[again] = "duplicate row"
    reasons[unlike] = "duplicate name of different rows"
    return reasons


def _repeated(vs: VectorSet, rows: Integer[np.ndarray, " M"]) -> tuple[Bool[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """Tell which of `rows` say again what an earlier one of their name says, and which have the name of unlike ones."""
    of_name: dict[str, list[int]] = {}
    for row in rows.tolist():
        of_name.setdefault(vs.names[row], []).append(row)
    again, unlike = np.zeros(len(vs), dtype=bool), np.zeros(len(vs), dtype=bool)
    for first, *others in of_name.values():
        if others and all(_facts(vs, row) == _facts(vs, first) for row in others):
            again[others] = True
        elif others:
            unlike[[first, *others]] = True
    return again, unlike


def _facts(vs: VectorSet, row: int) -> tuple[object, ...]:
    age = None if vs.ages is None else float(vs.ages[row])
    return vs.vectors[row].tobytes(), age, vs.subjects[row], vs.gender[row], vs.parents[row]


def _first(names: TextColumn) -> str:
    """Return the first names, each once."""
    distinct = list(dict.fromkeys(names))
    return ", ".join(distinct[:3]) + (f" and {len(distinct) - 3:,} more" if len(distinct) > 3 else "")
