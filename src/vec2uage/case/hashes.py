"""Hashes as lists of files give them: in any case, under heads written in any way."""

import re
from collections.abc import Mapping
from dataclasses import replace

from vec2uage.case.records import ALGORITHMS, CaseFile

DIGITS = dict(zip(ALGORITHMS, (32, 40, 64), strict=True))
"""How many hexadecimal digits a hash has, by its algorithm."""


def algorithm_of(head: str) -> str | None:
    """Return the algorithm whose hashes a column of this head holds, if any.

    >>> algorithm_of("SHA-1"), algorithm_of(" md5"), algorithm_of("FileName")
    ('sha1', 'md5', None)
    """
    name = re.sub(r"[\s_-]", "", head.casefold())
    return name if name in DIGITS else None


def is_hash(text: str, algorithm: str) -> bool:
    """Tell whether a text, in any case, is a hash of this algorithm."""
    return len(text) == DIGITS[algorithm] and re.fullmatch(r"[0-9A-Fa-f]+", text) is not None


def with_hashes(file: CaseFile, given: Mapping[str, str]) -> CaseFile:
    """Return the file with the hashes given for it, by algorithm; "" where none is.

    What is no hash cannot be that of the file: such a file is a mismatch.
    """
    texts = {algorithm: text.strip() for algorithm, text in given.items() if text.strip()}
    for algorithm, text in texts.items():
        if not is_hash(text, algorithm):
            return replace(file, problem=f"listed with {text[:70]!r}, which is no {algorithm}", status="hash_mismatch")
    return replace(file, hashes={algorithm: text.lower() for algorithm, text in texts.items()})
