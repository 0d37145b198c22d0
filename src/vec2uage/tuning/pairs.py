"""Pairs of faces that are known to show one person, or taken to show two: what vectors should tell apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64

from vec2uage.base.csv_file import read_csv
from vec2uage.base.errors import UserError
from vec2uage.base.provenance import file_sha256
from vec2uage.data.leakage import IDENTICAL_FILE, TABLE, Leakage, audit
from vec2uage.data.parts import Parts
from vec2uage.data.prepared import AGAIN, DESCRIPTION, find_set
from vec2uage.data.thresholds import UNKNOWN, measured
from vec2uage.data.vectorset import TextColumn, VectorSet, concatenate
from vec2uage.tuning.crops import original

LEAKAGE = "leakage.csv"
SUBJECT, PICTURE, COSINE = "subject", "picture", "cosine"
"""How a pair is known: by the names of persons, by files or signatures of photographs, or by the vectors alone."""
_MOST = 1000  # held-out faces whose pairs are compared: half a million pairs take three seconds
_LEAKAGE = Leakage(
    action="report", near_duplicate="auto", signature_bits=None, same_person="auto", group_same_person=False
)

Pairs = Int64[np.ndarray, "_ 2"]


@dataclass(frozen=True, eq=False)
class FacePairs:
    """Pairs of the faces `names`, by their positions there."""

    names: TextColumn
    same: Mapping[str, Pairs]
    """Of one person, by how that is known (`SUBJECT`, `PICTURE`, `COSINE`)."""
    different: Pairs
    """Of two persons, as far as is known: all other pairs of held-out faces."""
    threshold: float | None
    """The cosine from which the audit takes two vectors for one picture; None where it searches by none."""


@dataclass(frozen=True, eq=False)
class _Listed:
    """What an audit lists: rows of a set."""

    pairs: Pairs
    by_picture: Bool[np.ndarray, " P"]
    """Whether files or signatures alone would have found a pair."""
    threshold: float | None


def find_pairs(parts: Parts, vectors: Path | None) -> FacePairs:
    """Return pairs of the faces of a split, which stand in the file or prepared folder `vectors`.

    Of one person are the pairs of the leakage audit, among all faces, unless their subjects are known to differ, and
    held-out faces of one subject. In a prepared folder the audit is that of its leakage.csv; else faces are compared by
    their vectors, where cosines are known for their encoder. Raises UserError where leakage.csv has changed.
    """
    every = concatenate(list(parts.values()))
    is_own = [original(name) == name for name in every.names]
    vs = every.take(np.flatnonzero((every.parents == "") & is_own))
    listed = _of_table(vs, vectors) or _of_vectors(vs)
    subjects = vs.subjects[listed.pairs]
    differ = (subjects != "").all(1) & (subjects[:, 0] != subjects[:, 1])

    rows = _held_out(vs, parts)
    pairs = rows[np.stack(np.triu_indices(len(rows), 1), axis=1)]
    pairs.sort(axis=1)
    of_subject = (vs.subjects[pairs[:, 0]] != "") & (vs.subjects[pairs[:, 0]] == vs.subjects[pairs[:, 1]])
    is_listed = np.isin(_keys(pairs, vs), _keys(listed.pairs, vs))

    same = {
        SUBJECT: pairs[of_subject & ~is_listed],
        PICTURE: listed.pairs[listed.by_picture & ~differ],
        COSINE: listed.pairs[~listed.by_picture & ~differ],
    }
    return _of_used(vs, {how: some for how, some in same.items() if len(some)}, pairs[~of_subject & ~is_listed], listed)


def _of_used(vs: VectorSet, same: Mapping[str, Pairs], different: Pairs, listed: _Listed) -> FacePairs:
    """Return pairs of rows as pairs of the faces that are in any."""
    used = np.unique(np.concatenate([different, *same.values()]))
    return FacePairs(
        names=vs.names[used],
        same={how: np.searchsorted(used, some) for how, some in same.items()},
        different=np.searchsorted(used, different),
        threshold=listed.threshold,
    )


def _held_out(vs: VectorSet, parts: Parts) -> Int64[np.ndarray, " N"]:
    """Return the rows of faces that are not trained on, by their names; of many, some from all over them."""
    rows = np.flatnonzero(~np.isin(vs.names, parts["train"].names))
    rows = rows[np.argsort(vs.names[rows])]
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST)).astype(np.int64)]


def _of_vectors(vs: VectorSet) -> _Listed:
    if measured(vs.encoder) == UNKNOWN:
        return _Listed(np.empty((0, 2), np.int64), np.empty(0, bool), None)
    found = audit(vs, _LEAKAGE)
    pairs = np.stack([found.first, found.second], axis=1)
    return _Listed(pairs, np.zeros(len(pairs), bool), found.thresholds.near_duplicate)


def _of_table(vs: VectorSet, vectors: Path | None) -> _Listed | None:
    """Return what the table of a prepared set lists of these faces; None where the vectors are of no such set."""
    if vectors is None:
        return None
    folder = vectors if vectors.is_dir() else vectors.parent
    made = find_set(folder)
    if made is None or LEAKAGE not in made.files or not (vectors.is_dir() or vectors.name in made.files):
        return None
    table, thresholds = folder / LEAKAGE, made.about["leakage"]["thresholds"]
    if not table.is_file() or file_sha256(table) != made.files[LEAKAGE]:
        raise UserError(f"{table}: missing or not the file that {DESCRIPTION} describes: {AGAIN}")
    row = {name: number for number, name in enumerate(vs.names)}
    most, pairs, by_picture = thresholds["signature_bits"], [], []
    for line in read_csv(table):
        kind, a, b, bits = (line[column] for column in (TABLE[0], "name_a", "name_b", "bits"))
        if a in row and b in row:
            pairs.append(sorted((row[a], row[b])))
            by_picture.append(kind == IDENTICAL_FILE or (most is not None and bits != "" and int(bits) <= most))
    return _Listed(np.array(pairs, np.int64).reshape(-1, 2), np.array(by_picture, bool), thresholds["near_duplicate"])


def _keys(pairs: Pairs, vs: VectorSet) -> Int64[np.ndarray, " P"]:
    return pairs[:, 0] * len(vs) + pairs[:, 1]
