"""VectorSet, the one type that carries face vectors through the product, and its checked constructor."""

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, Integer, Shaped

from vec2uage.base.errors import UserError

log = logging.getLogger(__name__)

BadRows = Literal["refuse", "drop"]
TextColumn = Shaped[np.ndarray, " N"]  # of str, dtype object
OLDEST = 120  # years; the record is 122, an age above this is a mistake
GENDERS = ("male", "female", "")
_GENDER_WORDS = {"male": "male", "m": "male", "female": "female", "f": "female", "": ""}  # as tables write them


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
    """Names the network that made the vectors, or "unknown": vectors of two encoders cannot be mixed."""

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
    names: Iterable[object] | None = None,
    subjects: Iterable[object] | None = None,
    source: str | Iterable[str] = "",
    gender: Iterable[object] | None = None,
    parents: Iterable[object] | None = None,
    encoder: str = "unknown",
    bad_rows: BadRows = "refuse",
    where: str = "the vectors",
) -> VectorSet:
    """Check rows and make a VectorSet of them, without copying vectors that are float32, in C order and all good.

    `vectors` are [N, D] or N rows, which may differ in length: D is then the commonest length. `ages` are
    years, None or NaN where missing, or None altogether where no age is known; labels are None where missing. `names`
    default to "<source>:<row>". A row is bad when its vector has another dimension, holds NaN or Inf or nothing but
    zeros, as no face's does, its age is missing among known ones, negative or above 120, or its name was seen before.
    Bad rows are refused (UserError with counts and the first names) or dropped (the same in the log); `where` is what
    messages call the input, such as a file's path.
    """
    matrix, misshapen = _matrix(vectors, where)
    count = len(matrix)
    sources = _text([source] * count if isinstance(source, str) else source)
    columns = {
        "source": sources,
        "names": _text((f"{one}:{row}" for row, one in enumerate(sources)) if names is None else names),
        "subjects": _text([""] * count if subjects is None else subjects),
        "gender": _text([""] * count if gender is None else gender),
        "parents": _text([""] * count if parents is None else parents),
    }
    years = None if ages is None else _numbers(ages, f"{where}: ages")
    for column, values in (columns if years is None else {"ages": years} | columns).items():
        if values.shape != (count,):
            raise UserError(f"{where}: {count} vectors but {column} of shape {values.shape}; give one for each vector")
    if strange := sorted(set(columns["gender"]) - set(GENDERS)):
        raise UserError(f"{where}: gender {strange[0]!r} is not one of male, female or empty (unknown)")
    made = VectorSet(vectors=matrix, ages=years, **columns, encoder=encoder)

    reasons = _reasons_against(made, misshapen)
    good = reasons == ""
    if good.all() and count:
        return made
    found = "; ".join(
        f"{reason}: {number} ({_first(columns['names'][reasons == reason])})"
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
    """Put sets of one known encoder one after the other.

    Rows with the name of an earlier one are refused or dropped. Raises UserError for them, and where encoders differ
    or are unknown, or dimensions differ.
    """
    encoders = sorted({vs.encoder for vs in sets})
    if len(encoders) != 1:
        hint = "; name the unknown one with the option encoder" if "unknown" in encoders else ""
        raise UserError(
            f"vectors of different encoders cannot be merged: {', '.join(encoders) or 'no sets given'}{hint}"
        )
    if encoders == ["unknown"]:
        raise UserError("vectors of an unknown encoder cannot be merged: name it with the option encoder")
    dimensions = sorted({vs.dimension for vs in sets})
    if len(dimensions) != 1:
        raise UserError(f"vectors of different dimensions cannot be merged: {dimensions}")
    if len({vs.ages is None for vs in sets}) > 1:
        raise UserError("vectors with ages and vectors without cannot be merged: add the ages, or leave out the others")
    joined = concatenate(sets)
    named_first = np.zeros(len(joined), dtype=bool)
    named_first[np.unique(joined.names, return_index=True)[1]] = True
    if named_first.all():
        return joined
    again = joined.names[~named_first]
    text = f"{len(again):,} of {len(joined):,} merged rows have the name of an earlier one ({_first(again)})"
    if bad_rows == "refuse":
        raise UserError(f"{text}; rename them, or their files: rows without names are named after those")
    log.warning("%s and are left out", text)
    return joined.take(named_first)


def concatenate(sets: Sequence[VectorSet]) -> VectorSet:
    """Put the parts of one set one after the other, unchecked."""
    columns = [name for name in COLUMNS if getattr(sets[0], name) is not None]
    joined: dict[str, Any] = {name: np.concatenate([getattr(vs, name) for vs in sets]) for name in columns}
    return VectorSet(**({"ages": None} | joined), encoder=sets[0].encoder)


def drop_exact_duplicates(vs: VectorSet) -> VectorSet:
    """Keep the first row of each distinct vector, in order (the authors' code did so too); log how many."""
    first: dict[bytes, int] = {}
    for row, vector in enumerate(vs.vectors):
        first.setdefault(hashlib.blake2b(vector.data, digest_size=16).digest(), row)
    kept = np.fromiter(first.values(), dtype=np.int64)
    if len(kept) == len(vs):
        return vs
    lost = np.ones(len(vs), dtype=bool)
    lost[kept] = False
    log.warning(
        "exact duplicates of an earlier vector are left out: kept %s of %s rows (dropped %s)",
        f"{len(kept):,}",
        f"{len(vs):,}",
        _first(vs.names[lost]),
    )
    return vs.take(kept)


def _matrix(
    vectors: np.ndarray | Sequence[Any], where: str
) -> tuple[Float32[np.ndarray, "N D"], Bool[np.ndarray, " N"]]:
    """Return rows as one matrix and which of them have another length than most (filled with zeros)."""
    if isinstance(vectors, np.ndarray) and vectors.dtype != object:
        matrix = np.ascontiguousarray(_numbers(vectors, f"{where}: vectors"))
        misshapen = np.zeros(matrix.shape[:1], dtype=bool)
    else:
        rows = [_numbers(row, f"{where}: vector {number}") for number, row in enumerate(vectors)]
        commonest = Counter(row.shape for row in rows).most_common(1)
        shape = commonest[0][0] if commonest else (1,)
        misshapen = np.array([row.shape != shape for row in rows], dtype=bool)
        usual = [np.zeros(shape, np.float32) if bad else row for bad, row in zip(misshapen, rows, strict=True)]
        matrix = np.array(usual, dtype=np.float32).reshape(len(rows), *shape)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise UserError(f"{where}: vectors of shape {matrix.shape}; they must be rows of numbers, [N, D]")
    return matrix, misshapen


def _reasons_against(vs: VectorSet, misshapen: Bool[np.ndarray, " N"]) -> TextColumn:
    """Say for each row why it is bad, "" when it is good; of rows of one name the first good one is good."""
    reasons = np.full(len(vs), "", dtype=object)
    if vs.ages is not None:
        reasons[(vs.ages < 0) | (vs.ages > OLDEST)] = f"age negative or above {OLDEST}"
        reasons[np.isnan(vs.ages)] = "age missing"
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = np.einsum("nd,nd->n", vs.vectors, vs.vectors)
    odd = np.flatnonzero(~((squares > 0) & np.isfinite(squares)))  # also where only the squares are too large or small
    reasons[odd[~vs.vectors[odd].any(axis=1)]] = "vector of zeros"
    reasons[odd[~np.isfinite(vs.vectors[odd]).all(axis=1)]] = "NaN or Inf in the vector"
    reasons[misshapen] = f"dimension other than {vs.dimension}"
    seen: set[str] = set()
    for row in np.flatnonzero(reasons == ""):
        if vs.names[row] in seen:
            reasons[row] = "duplicate name"
        seen.add(vs.names[row])
    return reasons


def _numbers(values: Any, what: str) -> np.ndarray:
    if np.iscomplexobj(values):
        raise UserError(f"{what} are complex numbers")
    try:
        with np.errstate(over="ignore"):  # too large for float32 becomes Inf, which is a bad row
            return np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        raise UserError(f"{what} are not numbers") from None


def as_text(value: object) -> str:
    """Return a label as text, "" where it is missing: None, or NaN, which tables hold instead.

    A column of whole numbers of which some are missing is one of floats: 12.0 is "12", as in other files.
    """
    if isinstance(value, float | np.floating):
        return "" if math.isnan(value) else f"{int(value) if float(value).is_integer() else value}"
    if value is None:
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def as_gender(text: str, where: str) -> str:
    """Return "male", "female" or "" (unknown) for what a table says; UserError naming `where` for other words."""
    try:
        return _GENDER_WORDS[text.strip().lower()]
    except KeyError:
        raise UserError(f"{where}: gender {text[:40]!r} is not one of male, female, m, f or empty (unknown)") from None


def _text(values: Iterable[object]) -> TextColumn:
    return np.array([as_text(value) for value in values], dtype=object)


def _first(names: TextColumn) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
