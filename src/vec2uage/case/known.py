"""Files that need not be looked into, as their hashes are on a list: those of operating systems, or of other cases."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.case.hashes import DIGITS, algorithm_of, is_hash
from vec2uage.case.records import ALGORITHMS
from vec2uage.data.readers.csv_file import read_rows
from vec2uage.faces.records import Hashes

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Known:
    """Hashes of known files, in as many bytes as they have: 10 million MD5s take 0.16 GB."""

    digests: Mapping[str, np.ndarray]
    """By algorithm: fixed numbers of bytes, sorted."""

    def has(self, hashes: Hashes) -> bool:
        """Tell whether a file with these hashes is on the list, by any of them."""
        return any(_is_among(digests, bytes.fromhex(getattr(hashes, name))) for name, digests in self.digests.items())


def read_known(path: Path) -> Known:
    """Read a list of MD5s, SHA-1s and SHA-256s in hexadecimal, which may have millions of them.

    Each is the first word on a line of its own, as `md5sum` writes them, between comments that start with `#`; or they
    lie in a column of a table that is called so, such as `SHA-1` in NSRL's: where a table has several, the longest
    hashes are taken. Raises UserError for what is neither, and for a line without a hash.
    """
    found = {algorithm: bytearray() for algorithm in ALGORITHMS}
    algorithms = {digits: algorithm for algorithm, digits in DIGITS.items()}
    for where, text in _texts(path):
        algorithm = algorithms.get(len(text))
        if algorithm is None or not is_hash(text, algorithm):
            raise UserError(f"{path}: {where} has no MD5, SHA-1 or SHA-256 in hexadecimal, but {text[:70]!r}")
        found[algorithm] += bytes.fromhex(text)
    digests = {algorithm: _sorted(content, algorithm) for algorithm, content in found.items() if content}
    if not digests:
        raise UserError(f"{path}: lists no hashes")
    log.info("%s: %s", path, counted(sum(map(len, digests.values())), "known file"))
    return Known(digests)


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what should be hashes, and where each was found."""
    headers, rows = read_rows(path)
    columns = {algorithm_of(header): column for column, header in enumerate(headers)}
    longest = next((columns[algorithm] for algorithm in reversed(ALGORITHMS) if algorithm in columns), None)
    if longest is not None:
        yield from ((f"row {number:,}", row[longest].strip() if longest < len(row) else "") for number, row in rows)
        return
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, start=1):
            words = line.split(None, 1)
            if words and not words[0].startswith("#"):
                yield f"line {number:,}", words[0].removeprefix("\\")  # md5sum's, before names with odd characters


def _sorted(content: bytearray, algorithm: str) -> np.ndarray:
    digests = np.frombuffer(content, dtype=_bytes_of(algorithm))
    digests.sort()  # where it lies: there may be no memory for a second one
    return digests


def _is_among(digests: np.ndarray, digest: bytes) -> bool:
    sought = np.array([digest], dtype=digests.dtype)
    place = int(np.searchsorted(digests, sought)[0])
    return bool((digests[place : place + 1] == sought).any())


def _bytes_of(algorithm: str) -> str:
    """Return the type of a digest; NumPy compares its zero bytes at the end as what it fills shorter ones with."""
    return f"S{DIGITS[algorithm] // 2}"
