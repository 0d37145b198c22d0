"""Photographs listed in a CSV or Parquet file, and the reading of such files."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.data.cells import as_gender, as_label, as_text
from vec2uage.data.readers.csv_file import read_csv
from vec2uage.data.readers.table import column_values
from vec2uage.faces.records import Photograph
from vec2uage.faces.sources.base import NonEmpty, Photographs, read_age

OPTIONAL = ("subject", "gender", "source")


@settings
class Table(Photographs):
    """The rows of a table with the columns `path` and `age`, and optionally `subject`, `gender` and `source`."""

    root: NonEmpty | None
    """The folder that the column `path` starts from; None: the table's own. Absolute paths stand for themselves."""

    def find(self) -> list[Photograph]:
        table = Path(self.path)
        rows = read_columns(table, ("path", "age"), OPTIONAL)
        root = table.parent if self.root is None else Path(self.root)
        photographs = []
        for row, (path, years) in enumerate(zip(rows["path"], rows["age"], strict=True), start=1):
            if not path.strip() or "\0" in path:
                raise UserError(f"{table}: row {row} has no usable path ({path!r})")
            age, problem = read_age(years)
            given = {name: rows[name][row - 1] if name in rows else "" for name in OPTIONAL}
            photographs.append(
                Photograph(
                    root / path,
                    Path(path).as_posix(),
                    age,
                    subject=given["subject"],
                    gender=as_gender(given["gender"], f"{table}: row {row}"),
                    source=as_label(given["source"], f"{table}: row {row}") or self.name,
                    problem=problem,
                )
            )
        return listed(photographs, table, root)


def listed(photographs: Sequence[Photograph], table: Path, root: Path) -> list[Photograph]:
    """Sort the photographs that a file lists; one that is named again gets a name of its own.

    Raises UserError when none of the files is there, since then `root` is wrong.
    """
    if not photographs:
        raise UserError(f"{table}: lists no photographs")
    if not any(_is_file(photograph.path) for photograph in photographs if not photograph.outside):
        raise UserError(f"{root}: none of the {len(photographs):,} files that {table} lists is there; set source.root")
    names = {photograph.name for photograph in photographs}
    seen: set[str] = set()
    distinct = []
    for photograph in photographs:
        name, number = photograph.name, 1
        if name in seen:
            while name in names:
                number += 1
                name = f"{photograph.name}#{number}"
            names.add(name)
            photograph = replace(photograph, name=name)
        seen.add(name)
        distinct.append(photograph)
    return sorted(distinct, key=lambda photograph: photograph.name)


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - that of Path raises where a name is too long


def read_columns(path: Path, needed: Sequence[str], optional: Sequence[str]) -> dict[str, list[str]]:
    """Read columns of a CSV file (see `read_csv`) or a Parquet file, as texts; "" where there is no value.

    Raises UserError when the file is missing, damaged, of another kind or lacks a column.
    """
    import pyarrow
    from pyarrow import parquet

    def choose(headers: Sequence[str]) -> dict[str, str]:
        found = [header.strip().casefold() for header in headers]
        for name in (*needed, *optional):
            if found.count(name) > 1 or (name in needed and name not in found):
                raise UserError(f"{path}: needs one column {name}, but has {', '.join(headers) or 'none'}")
        return {header: name for header, name in zip(headers, found, strict=True) if name in (*needed, *optional)}

    if not path.is_file():
        raise UserError(f"{path}: a folder, not a file" if path.is_dir() else f"{path}: no such file")
    try:
        if path.suffix.lower() == ".csv":
            columns = read_csv(path, choose)
        elif path.suffix.lower() in (".parquet", ".pq"):
            names = choose(parquet.read_schema(path).names)
            table = parquet.read_table(path, columns=list(names))
            columns = {name: table[header].combine_chunks() for header, name in names.items()}
        else:
            raise UserError(f"{path}: must be a .csv or .parquet file")
        cells = {name: column_values(column) for name, column in columns.items()}
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable {path.suffix} file ({str(error).splitlines()[0]})") from None
    return {name: [as_text(cell, f"{path}: column {name}") for cell in column] for name, column in cells.items()}
