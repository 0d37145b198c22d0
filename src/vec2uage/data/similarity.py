"""Cosine similarity (the paper's Equation 1): of rows, and of all pairs of a large set above a threshold."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from vec2uage.base.errors import UserError
from vec2uage.base.progress import Progress

TILE = 2048  # rows and columns of one product: 16 MiB of cosines, a thousandth of the work at 100,000 rows
ROUNDING = 1e-5  # more than a float32 product of unit vectors is off (about 1e-6 for 512 terms)


@dataclass(frozen=True)
class RowPairs:
    """Pairs of rows, each once, sorted by first and then second row."""

    first: Int64[np.ndarray, " P"]
    second: Int64[np.ndarray, " P"]
    """Above `first`."""
    cosine: Float64[np.ndarray, " P"]

    def __len__(self) -> int:
        return len(self.first)


def cosine(a: Float[np.ndarray, "*N D"], b: Float[np.ndarray, "*N D"]) -> Float64[np.ndarray, "*N"]:
    """Return the cosine of each vector of `a` with the one of `b` at its place: 1 same direction, -1 opposite.

    The paper's remark that 0 to 90 degrees is its range holds for vectors without negative elements only. Raises
    UserError for a vector of zeros.
    """
    return np.asarray(np.clip((_unit(a) * _unit(b)).sum(axis=-1), -1.0, 1.0))  # an array for two single vectors, too


def normalized(vectors: Float[np.ndarray, "N D"]) -> Float32[np.ndarray, "N D"]:
    """Return the vectors at length 1; UserError for a vector of zeros."""
    result = np.empty(vectors.shape, dtype=np.float32)
    for start in range(0, len(vectors), TILE):  # in parts, as the exact lengths take float64
        result[start : start + TILE] = _unit(vectors[start : start + TILE])
    return result


def pairs_above(
    vectors: Float32[np.ndarray, "N D"],
    threshold: float,
    other: Float32[np.ndarray, "N D"] | None = None,
    limit: int = 1_000_000,
    advice: str = "raise the threshold",
) -> RowPairs:
    """Return every pair of rows i < j with `cosine(vectors[i], vectors[j]) >= threshold`.

    With `other`, row j is taken from there. The work is one matrix product in tiles: 100,000 vectors of 512 take
    about a minute on two cores, and little memory beside a normalised copy. The product only proposes
    pairs; `cosine` decides, in float64, so the result depends on neither tiles nor threads. Raises UserError,
    ending in `advice`, when more than `limit` pairs are found.
    """
    left = normalized(vectors)
    right = left if other is None else normalized(other)
    count, starts = len(vectors), range(0, len(vectors), TILE)
    tiles = [(row, column) for row in starts for column in starts if column >= row]
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    total = 0
    with Progress(len(tiles), "tile", f"comparing {count:,} vectors") as progress:
        for done, (row, column) in enumerate(tiles, start=1):
            near = left[row : row + TILE] @ right[column : column + TILE].T >= threshold - ROUNDING
            if row == column:
                near = np.triu(near, 1)
            proposed = int(np.count_nonzero(near))
            if total + proposed > limit:
                raise UserError(
                    f"{total + proposed:,} pairs among {count:,} vectors have a cosine of {threshold:g} or more after "
                    f"{done / len(tiles):.0%} of the comparisons, and at most {limit:,} are listed: {advice}"
                )
            if proposed:
                first, second = np.nonzero(near)
                first, second = first + row, second + column
                similarity = cosine_of_pairs(vectors, vectors if other is None else other, first, second)
                reached = similarity >= threshold
                found.append((first[reached], second[reached], similarity[reached]))
                total += int(np.count_nonzero(reached))
            progress.advance()
    if not found:
        return RowPairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    first, second, similarity = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((second, first))
    return RowPairs(first[order], second[order], similarity[order])


def cosine_of_pairs(
    left: Float32[np.ndarray, "N D"],
    right: Float32[np.ndarray, "M D"],
    first: Int64[np.ndarray, " P"],
    second: Int64[np.ndarray, " P"],
) -> Float64[np.ndarray, " P"]:
    """Return `cosine(left[first], right[second])` without a copy of all those rows."""
    parts = [slice(start, start + TILE) for start in range(0, len(first), TILE)]
    return np.concatenate([np.empty(0), *(cosine(left[first[part]], right[second[part]]) for part in parts)])


def _unit(vectors: Float[np.ndarray, "*N D"]) -> Float64[np.ndarray, "*N D"]:
    wide = vectors.astype(np.float64)
    length = np.linalg.norm(wide, axis=-1, keepdims=True)
    if not length.all():
        raise UserError(
            f"{(length == 0).sum():,} of {length.size:,} vectors are all zeros, as no face's is: remove them"
        )
    return wide / length
