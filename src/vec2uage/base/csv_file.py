"""Tables as CSV files, in which no spreadsheet takes a text for a formula: all of them are written and read here."""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from vec2uage.base.atomic import replacing
from vec2uage.base.foreign_text import csv_cell, from_csv_cell


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Replace the file `path` by a table; `read_csv` returns its texts as they were, and None as an empty one."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        _write(stream, header, rows)


def csv_text(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    r"""Return a table as the text of a CSV file.

    >>> csv_text(["name", "age"], [["=1+1.jpg", -1.5]])
    "name,age\r\n'=1+1.jpg,-1.5\r\n"
    """
    stream = io.StringIO()
    _write(stream, header, rows)
    return stream.getvalue()


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a table that was written here, each row by the heads of its columns; what a damaged row lacks is left out.

    Raises OSError or ValueError where it cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            header, *rows = csv.reader(stream)
    except csv.Error as error:
        raise ValueError(str(error)) from None
    heads = list(map(from_csv_cell, header))
    return [dict(zip(heads, map(from_csv_cell, row), strict=False)) for row in rows if row]


def _write(stream: io.TextIOBase, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    writer = csv.writer(stream)  # its line ends, \r\n, let it quote either of these within a cell
    for row in chain([header], rows):
        writer.writerow([csv_cell(cell) if isinstance(cell, str) else cell for cell in row])
