"""Finds copies of one picture, and likely pictures of one person, that a split would put on different sides."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped, UInt8
from pydantic import Field, model_validator

from vec2uage.base.csv_file import write_csv
from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.config.settings import settings
from vec2uage.data.parts import Parts, is_divided
from vec2uage.data.similarity import RowPairs, cosine_of_pairs, pairs_above
from vec2uage.data.splits import GroupIds
from vec2uage.data.thresholds import UNKNOWN, Thresholds, measured
from vec2uage.data.vectorset import TextColumn, VectorSet, needed_ages

log = logging.getLogger(__name__)

IDENTICAL_FILE, NEAR_DUPLICATE, SAME_PERSON = PAIR_KINDS = ("identical_file", "near_duplicate", "same_person")
COPIES = (IDENTICAL_FILE, NEAR_DUPLICATE)
TABLE = ("kind", "across", "name_a", "name_b", "side_a", "side_b", "age_a", "age_b", "same_subject", "cosine", "bits")
BITS = 256  # of a signature; mirroring the picture inverts the second half of them (see `faces.signature`)
EQUAL = 0.9999  # cosine of the vectors of one face in two equal files; other faces of the same photograph stay below
LISTED = 5_000_000  # pairs; they fit in a gigabyte, and nobody reads more

PositiveCosine = Annotated[float, Field(gt=0, le=1)]
Signatures = UInt8[np.ndarray, "N 32"]


@settings
class Leakage:
    """What is searched for, and what is done about it.

    Every encoder spreads its cosines differently: `auto` is what was measured with the encoder of the vectors (see
    `thresholds.MEASURED`). The threshold on signatures does not depend on the encoder.
    """

    action: Literal["report", "drop", "group"]
    """`drop` keeps the first row of each cluster of copies, `group` keeps clusters on one side of the split."""
    near_duplicate: PositiveCosine | Literal["auto"]
    """Cosine from which two vectors are taken for the same picture."""
    signature_bits: Annotated[int, Field(ge=0, lt=BITS // 2)] | None
    """Bits in which two signatures may differ to be taken for the same picture; None: signatures are not used."""
    same_person: PositiveCosine | Literal["auto"] | None
    """Cosine from which two vectors are taken for pictures of one person; None: not searched."""
    group_same_person: bool
    """Whether `group` keeps likely pictures of one person on one side, too."""

    @model_validator(mode="after")
    def _consistent(self) -> "Leakage":
        person, copy = self.same_person, self.near_duplicate
        if isinstance(person, float) and isinstance(copy, float) and person > copy:
            raise ValueError("same_person must not be above near_duplicate: a copy shows the same person")
        if self.group_same_person and self.same_person is None:
            raise ValueError("group_same_person needs a threshold same_person")
        return self

    @property
    def groups_persons(self) -> bool:
        """Whether likely pictures of one person are kept on one side."""
        return self.action == "group" and self.group_same_person

    def thresholds(self, encoder: str) -> Thresholds:
        """Return the cosines for the vectors of an encoder; UserError where they contradict each other."""
        auto = measured(encoder)
        found = Thresholds(
            near_duplicate=auto.near_duplicate if self.near_duplicate == "auto" else self.near_duplicate,
            same_person=auto.same_person if self.same_person == "auto" else self.same_person,
        )
        if auto == UNKNOWN and self.near_duplicate == "auto":
            log.warning(
                "no thresholds were measured for the encoder %r: copies are searched by the photographs' signatures "
                "only, which ready vectors lack; name the encoder (the source's option encoder), or set "
                "leakage.near_duplicate and leakage.same_person to cosines, to compare the vectors, too",
                encoder,
            )
        copy, person = found.near_duplicate, found.same_person
        if copy is not None and person is not None and person > copy:
            raise UserError(
                f"leakage.same_person is {person:g} and leakage.near_duplicate {copy:g} for the encoder {encoder!r}, "
                "but a copy shows the same person: set same_person no higher than near_duplicate"
            )
        if self.groups_persons and person is None:
            raise UserError(
                f"leakage.group_same_person needs a threshold for the encoder {encoder!r}: set leakage.same_person "
                "to a cosine"
            )
        return found


@dataclass(frozen=True, eq=False)
class Findings:
    """Pairs of rows of a set that must not lie on two sides of a split, most alike first within each kind."""

    first: Int64[np.ndarray, " P"]
    second: Int64[np.ndarray, " P"]
    """Above `first`."""
    kind: Shaped[np.ndarray, " P"]
    """One of `PAIR_KINDS`."""
    cosine: Float64[np.ndarray, " P"]
    bits: Int64[np.ndarray, " P"]
    """Bits in which the signatures differ, of 256, mirrored or not; -1 where one is unknown."""
    clusters: Int64[np.ndarray, " N"]
    """For each row the first row of its cluster; a row without a copy is a cluster of its own."""
    thresholds: Thresholds
    """What was searched by cosine."""

    @property
    def is_first(self) -> Bool[np.ndarray, " N"]:
        """Which rows are the first of their cluster."""
        return self.clusters == np.arange(len(self.clusters))


def audit(
    vs: VectorSet,
    leakage: Leakage,
    hashes: Mapping[str, str] | None = None,
    signatures: Mapping[str, str] | None = None,
) -> Findings:
    """Search all pairs of rows; `hashes` and `signatures` give by name what is known of the rows' photographs.

    A photograph that gives several rows must have no signature: its faces are no copies of one another.
    A pair is an `identical_file` when the hashes of the files and the vectors agree, a `near_duplicate` when the
    cosine or the signatures (of `faces.signature`) are near enough, else a likely `same_person`, which is not
    listed where both subjects are known to be the same. Too many pairs to list are a UserError, unless they are
    likely persons that nothing depends on: then these are left out, with a warning.
    """
    thresholds = leakage.thresholds(vs.encoder)
    packed, known = _signature_bytes(vs.names, signatures or {})
    thresholds, near = _near(vs, thresholds, leakage)
    pairs = _search(vs, leakage, near, packed, known)
    first, second, cosine = pairs.first, pairs.second, pairs.cosine
    bits = np.where(known[first] & known[second], _differing(packed[first], packed[second]), -1)

    copies = np.zeros(len(cosine), dtype=bool)
    if thresholds.near_duplicate is not None:
        copies |= cosine >= thresholds.near_duplicate
    if leakage.signature_bits is not None:
        copies |= (bits >= 0) & (bits <= leakage.signature_bits)
    files = np.array([(hashes or {}).get(name, "") for name in vs.names], dtype=object)
    identical = copies & (files[first] != "") & (files[first] == files[second]) & (cosine >= EQUAL)
    kind = np.where(identical, IDENTICAL_FILE, np.where(copies, NEAR_DUPLICATE, SAME_PERSON)).astype(object)

    listed = copies | (vs.subjects[first] == "") | (vs.subjects[first] != vs.subjects[second])
    rank = np.array([PAIR_KINDS.index(one) for one in kind], dtype=np.int64)
    order = np.lexsort((second, first, -cosine, rank))
    order = order[listed[order]]
    first, second, kind = first[order], second[order], kind[order]
    united = np.isin(kind, PAIR_KINDS if leakage.groups_persons else COPIES)
    clusters = _clusters(len(vs), first[united], second[united])
    return Findings(first, second, kind, cosine[order], bits[order], clusters, thresholds)


def apply_policy(vs: VectorSet, findings: Findings, leakage: Leakage) -> tuple[VectorSet, GroupIds | None]:
    """Return the rows to divide, and for `group` the numbers of the clusters that the split must not part."""
    if leakage.action == "drop":
        kept = findings.is_first
        if lost := int((~kept).sum()):
            log.info("leakage=drop: %s of %s rows are copies of earlier ones and left out", f"{lost:,}", f"{len(vs):,}")
        return vs.take(kept), None
    return vs, findings.clusters if leakage.action == "group" else None


def summary(vs: VectorSet, findings: Findings, leakage: Leakage, parts: Parts) -> dict[str, Any]:
    """Return what was found in the rows `vs`, and what of it still lies on two sides of a split into `parts`."""
    side = _sides(vs, parts)
    across = _across(findings, side)
    floors = np.floor(needed_ages(vs, "the leakage audit"))
    differ = floors[findings.first] != floors[findings.second]
    sizes = np.bincount(findings.clusters, minlength=1)
    found = {
        "action": leakage.action,
        "thresholds": asdict(findings.thresholds) | {"signature_bits": leakage.signature_bits},
        "pairs": {kind: int((findings.kind == kind).sum()) for kind in PAIR_KINDS},
        "pairs_across_sides": {kind: int(across[findings.kind == kind].sum()) for kind in PAIR_KINDS},
        "copies_of_another_age": int((differ & np.isin(findings.kind, COPIES)).sum()),
        "clusters": int((sizes > 1).sum()),
        "rows_in_clusters": int(sizes[sizes > 1].sum()),
        "largest_cluster": int(sizes.max()),
        "dropped": int((~findings.is_first).sum()) if leakage.action == "drop" else 0,
    }
    _tell(found, divided=is_divided(parts))
    return found


def write_pairs(path: Path, vs: VectorSet, findings: Findings, parts: Parts) -> None:
    """Write the pairs, those on two sides first, with both names, ages (years) and sides ("": in no part)."""
    side = _sides(vs, parts)
    across = _across(findings, side)
    ages = needed_ages(vs, "the leakage audit")

    def row(pair: int) -> list[object]:
        a, b = findings.first[pair], findings.second[pair]
        same = "" if "" in (vs.subjects[a], vs.subjects[b]) else "yes" if vs.subjects[a] == vs.subjects[b] else "no"
        found = {
            "kind": findings.kind[pair],
            "across": "yes" if across[pair] else "no",
            "cosine": f"{findings.cosine[pair]:.4f}",
            "bits": "" if findings.bits[pair] < 0 else findings.bits[pair],
            "same_subject": same,
        }
        for which, one in (("a", a), ("b", b)):
            found |= {f"name_{which}": vs.names[one], f"age_{which}": f"{ages[one]:g}", f"side_{which}": side[one]}
        return [found[column] for column in TABLE]

    write_csv(path, TABLE, map(row, np.argsort(~across, kind="stable").tolist()))


def _near(vs: VectorSet, thresholds: Thresholds, leakage: Leakage) -> tuple[Thresholds, RowPairs]:
    """Return the pairs that are near by vector, and the thresholds less `same_person` if it gives too many."""
    if thresholds.least is None:
        return thresholds, RowPairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    searches_persons = thresholds.same_person is not None
    advice = "raise leakage.same_person, or set it to null" if searches_persons else "raise leakage.near_duplicate"
    try:
        return thresholds, pairs_above(vs.vectors, thresholds.least, limit=LISTED, advice=advice)
    except UserError as error:
        if leakage.groups_persons or not searches_persons:
            raise
        found = _near(vs, replace(thresholds, same_person=None), leakage)
        log.warning("likely pictures of one person are not listed: %s", error)
        return found


def _search(
    vs: VectorSet, leakage: Leakage, near: RowPairs, signatures: Signatures, known: Bool[np.ndarray, " N"]
) -> RowPairs:
    """Return the pairs that are `near` by vector or that are, mirrored or not, by signature."""
    found = [near]
    rows = np.flatnonzero(known)
    if leakage.signature_bits is not None and len(rows):
        signs = np.unpackbits(signatures[rows], axis=1).astype(np.float32) * 2 - 1
        mirrored = signs * np.repeat([1, -1], BITS // 2).astype(np.float32)
        least = 1 - 2 * leakage.signature_bits / BITS  # two rows of signs have this cosine, exact in floating point
        for other in (signs, mirrored):
            alike = pairs_above(signs, least, other, limit=LISTED, advice="lower leakage.signature_bits")
            found.append(RowPairs(rows[alike.first], rows[alike.second], alike.cosine))
    by_vector = found[0].first * len(vs) + found[0].second
    every = np.concatenate([pairs.first * len(vs) + pairs.second for pairs in found])
    extra = np.setdiff1d(every, by_vector)
    first, second = np.divmod(np.concatenate([by_vector, extra]), len(vs))
    added = cosine_of_pairs(vs.vectors, vs.vectors, first[len(by_vector) :], second[len(by_vector) :])
    return RowPairs(first, second, np.concatenate([found[0].cosine, added]))


def _signature_bytes(names: TextColumn, signatures: Mapping[str, str]) -> tuple[Signatures, Bool[np.ndarray, " N"]]:
    """Return the signatures as bytes, and which rows have one."""
    texts = [signatures.get(name, "") for name in names]
    known = np.array([text != "" for text in texts], dtype=bool)
    digits = "".join(text or "00" * (BITS // 8) for text in texts)
    return np.frombuffer(bytes.fromhex(digits), dtype=np.uint8).reshape(len(names), BITS // 8), known


def _differing(a: Signatures, b: Signatures) -> Int64[np.ndarray, " N"]:
    """Return in how many bits signatures differ, or one and the mirror image of the other if those are fewer."""
    halves = np.bitwise_count(a ^ b).astype(np.int64).reshape(len(a), 2, BITS // 16).sum(axis=2)
    return halves[:, 0] + np.minimum(halves[:, 1], BITS // 2 - halves[:, 1])


def _clusters(count: int, first: Int64[np.ndarray, " P"], second: Int64[np.ndarray, " P"]) -> Int64[np.ndarray, " N"]:
    """Return for each of `count` rows the lowest row that it is connected to by pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(count, count))
    _, lowest, cluster = np.unique(
        connected_components(graph, directed=False)[1], return_index=True, return_inverse=True
    )
    return lowest[cluster]


def _sides(vs: VectorSet, parts: Parts) -> TextColumn:
    """Return the part that each row is in, "" where it is in none or all are in one."""
    where = {name: side for side, part in parts.items() if is_divided(parts) for name in part.names}
    return np.array([where.get(name, "") for name in vs.names], dtype=object)


def _across(findings: Findings, side: TextColumn) -> Bool[np.ndarray, " P"]:
    a, b = side[findings.first], side[findings.second]
    return (a != "") & (b != "") & (a != b)


def _tell(found: dict[str, Any], divided: bool) -> None:
    """Log the findings in a line, as a warning where copies lie on two sides."""
    counts = found["pairs"]
    text = (
        f"leakage audit: {counted(counts[IDENTICAL_FILE], 'pair')} of identical files, "
        f"{counts[NEAR_DUPLICATE]:,} of near-duplicates, {counts[SAME_PERSON]:,} likely of one person"
    )
    copies = sum(found["pairs_across_sides"][kind] for kind in COPIES)
    if copies:
        log.warning(
            "%s; pairs of copies on two sides of the split: %s (leakage=group prevents it)", text, f"{copies:,}"
        )
    else:
        log.info("%s%s", text, "; no copy lies on another side of the split" if divided else "")
