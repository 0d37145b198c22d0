"""Photographs in one folder for each age, as VisAGE keeps them."""

import logging
from dataclasses import replace
from pathlib import Path

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.data.cells import as_gender
from vec2uage.faces.records import Photograph
from vec2uage.faces.sources.base import NonEmpty, Photographs, read_age
from vec2uage.faces.sources.table import read_columns
from vec2uage.faces.sources.walk import walk

log = logging.getLogger(__name__)


@settings
class AgeFolders(Photographs):
    """All files below folders named after the age: `1/`, `2/`, ... (also `01/` or `12.5/`)."""

    gender_table: NonEmpty | None
    """A CSV or Parquet file with the columns `gender` and `path` (below the folder) or `name` (of the file alone)."""

    def find(self) -> list[Photograph]:
        photographs = [p if p.problem else _with_age(p) for p in walk(Path(self.path), self.name)]
        _check_links(Path(self.path))
        return photographs if self.gender_table is None else _with_gender(photographs, Path(self.gender_table))


def _check_links(path: Path) -> None:
    """Raise UserError where links make one folder that of two ages: `walk` reads it once, as of the first."""
    ages: dict[Path, tuple[float, Path]] = {}
    for folder in sorted(path.iterdir()):
        age, _ = read_age(folder.name)
        if age is None or not folder.is_dir():
            continue
        first, other = ages.setdefault(folder.resolve(), (age, folder))
        if first != age:
            raise UserError(f"{folder}: the same folder as {other}, but another age: remove the link that is wrong")


def _with_age(photograph: Photograph) -> Photograph:
    folder, below, _ = photograph.name.partition("/")
    if not below:
        return replace(photograph, problem="not in a folder that is named after an age")
    age, problem = read_age(folder)
    return replace(photograph, age=age, problem=problem and f"folder {folder!r}: {problem}")


def _with_gender(photographs: list[Photograph], table: Path) -> list[Photograph]:
    rows = read_columns(table, ("gender",), ("path", "name"))
    key = next((column for column in ("path", "name") if column in rows), None)
    if key is None:
        raise UserError(f"{table}: needs a column path or name beside gender")
    genders: dict[str, str] = {}
    for row, (file, text) in enumerate(zip(rows[key], rows["gender"], strict=True), start=1):
        gender = as_gender(text, f"{table}: row {row}")
        if genders.setdefault(file, gender) != gender:
            raise UserError(f"{table}: gives {file!r} two genders; tell files of one name apart by a column path")
    keys = [p.name if key == "path" else p.name.rpartition("/")[2] for p in photographs]
    files = [file for p, file in zip(photographs, keys, strict=True) if not p.outside]
    missing = sum(file not in genders for file in files)
    if missing == len(files):
        raise UserError(f"{table}: lists none of the photographs, such as {files[0]!r}, in its column {key}")
    if missing:
        log.warning("%s: %s of %s photographs are not in it", table, f"{missing:,}", f"{len(files):,}")
    return [replace(p, gender=genders.get(file, "")) for p, file in zip(photographs, keys, strict=True)]
