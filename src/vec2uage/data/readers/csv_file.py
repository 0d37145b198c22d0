"""Reads CSV as people and programs write it: parted by commas, semicolons or tabs, with line ends inside quotes."""

import csv
import io
import mmap
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from vec2uage.base.errors import UserError
from vec2uage.data.readers.hostile import check_regular, check_utf8

DELIMITERS = ",;\t|"
_BOM = b"\xef\xbb\xbf"
_QUOTED = re.compile(rb'"(?:[^"]|"")*"')
_HEAD = 1 << 20  # bytes that the header lies in


def read_csv(
    path: Path, choose: Callable[[Sequence[str]], Mapping[str, str]], is_number: Callable[[str], bool] = lambda _: False
) -> dict[str, Any]:
    """Return columns as Arrow arrays: those that are numbers as float32, all others as texts.

    `choose` gets all headers and returns names for those that are read; `is_number` tells by the name which are
    numbers. Where a cell of these is none, they are texts, too. Raises UserError for another encoding than UTF-8 and
    quotes that are not closed, ArrowException for what else is no table, and what `choose` raises.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    with path.open("rb") as file:
        head = file.read(_HEAD)
    check_utf8(path, head)
    headers, delimiter = _headers(head)
    names = choose(headers)
    parsing = arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=_has_quotes(path, delimiter))

    def read(number: pa.DataType) -> dict[str, Any]:
        types = {header: number if is_number(name) else pa.string() for header, name in names.items()}
        options = arrow_csv.ConvertOptions(column_types=types, include_columns=list(names))
        table = arrow_csv.read_csv(path, parse_options=parsing, convert_options=options)
        return {names[header]: table[header].combine_chunks() for header in table.column_names}

    try:
        return read(pa.float32())
    except pa.ArrowInvalid as error:
        if "conversion error" not in str(error):
            raise
        return read(pa.string())


def read_rows(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return the headers and, one after the other, the number and the cells of each row that is not empty.

    Nothing is kept, so that a file may be of any size; bytes that are no UTF-8 are surrogates. Raises UserError where
    the file cannot be read and, at the row, for what is no table.
    """
    try:
        check_regular(path)
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    check_utf8(path, head)
    headers, delimiter = _headers(head)
    return headers, _rows(path, delimiter)


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            yield from islice(enumerate(filter(None, rows)), 1, None)
        except csv.Error as error:
            raise UserError(f"{path}: no table from line {rows.line_num:,} on ({error})") from None


def _headers(head: bytes) -> tuple[list[str], str]:
    """Return the headers and what parts them: the delimiter that makes most of them, the comma first of all."""
    text = head.decode("utf-8-sig", "replace")
    found = {}
    for delimiter in DELIMITERS:
        try:
            rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            found[delimiter] = next((row for row in rows if row), [])
        except csv.Error:
            found[delimiter] = []
    delimiter = max(DELIMITERS, key=lambda delimiter: len(found[delimiter]))
    return found[delimiter], delimiter


def _has_quotes(path: Path, delimiter: str) -> bool:
    """Tell whether cells are quoted; UserError where a quote is not closed, since Arrow takes the rest for one cell."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            last = content.rfind(b'"')
            edges = delimiter.encode() + b"\r\n"
            start, end = (3 if content[:3] == _BOM else 0), 0
            for cell in _QUOTED.finditer(content):
                before, end = content[cell.start() - 1 : cell.start()], cell.end()
                opens = cell.start() == start or before in edges
                closes = end == len(content) or content[end : end + 1] in edges
                if not (opens and closes):
                    line = content[: cell.start()].count(b"\n") + 1
                    raise UserError(f"{path}: line {line}: a quote inside a cell or one that is not closed: double it")
            if last >= end:
                raise UserError(f"{path}: the last quote is not closed")
            return last >= 0
