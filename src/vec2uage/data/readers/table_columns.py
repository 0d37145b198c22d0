"""Which columns of a table of vectors are read, however their names are written, and what they are where missing."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from vec2uage.base.errors import UserError
from vec2uage.data.cells import as_label

log = logging.getLogger(__name__)

LISTS = ("vector", "embedding")
TEXTS = {"name": "names", "subject": "subjects", "gender": "gender", "source": "source", "parent": "parents"}
_PLURALS = {"vectors": "vector", "embeddings": "embedding", "ages": "age"} | {many: one for one, many in TEXTS.items()}


def is_element(name: str) -> bool:
    """Tell whether a column holds one element of the vectors."""
    return re.fullmatch(r"v\d+", name) is not None


def column_name(header: str) -> str:
    """Return the name of a column for what a header says: in any case, with blanks around it, or in the plural."""
    name = header.strip().casefold()
    return _PLURALS.get(name, name)


def wanted(headers: Sequence[str], path: Path) -> dict[str, str]:
    """Return which columns are read, by header, those of the vector in order; the log names the others.

    Raises UserError where there are no vectors, or a column is given twice.
    """
    counts = Counter(map(column_name, headers))
    lists = [name for name in LISTS if name in counts]
    elements = [f"v{position}" for position in range(sum(counts[name] for name in counts if is_element(name)))]
    vector = lists or elements
    known = [name for name in ("age", *TEXTS) if name in counts]
    if len(vector) == 0 or len(lists) > 1 or any(counts[name] != 1 for name in (*vector, *known)):
        held = ", ".join(header[:40] for header in headers[:20]) + (", ..." if len(headers) > 20 else "")
        raise UserError(
            f"{path}: needed are columns age, if it is known, and either vector (or embedding), a list, or v0, v1, ... "
            f"without gaps, each once; it has {held or 'none'}"
        )
    header_of = {column_name(header): header for header in headers}
    if ignored := sorted(set(headers) - {""} - {header_of[name] for name in (*vector, *known)}):
        log.warning("%s: columns that are not read: %s", path, ", ".join(ignored[:20]))
    return {header_of[name]: name for name in (*vector, *known)}


def sources(cells: Iterable[object] | None, path: Path) -> str | list[str]:
    """Return the source of each row, which is the file's name where a cell or the whole column is missing."""
    return path.stem if cells is None else [as_label(cell, f"{path}: source") or path.stem for cell in cells]
