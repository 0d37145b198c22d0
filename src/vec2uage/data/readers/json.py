"""Reads and writes the paper's JSON: one object whose keys name pictures and whose values are their vectors."""

import logging
import math
import re
from array import array
from collections import Counter
from collections.abc import Iterator
from io import BufferedIOBase
from json import dumps
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from vec2uage.base.atomic import replacing
from vec2uage.base.errors import UserError
from vec2uage.base.progress import Progress
from vec2uage.data.vectorset import BadRows, VectorSet, make_vector_set, needed_ages

log = logging.getLogger(__name__)

NAME = re.compile(r"(?P<subject>.*)_(?P<age>\d+(\.\d+)?)_(?P<number>\d+)\.(jpe?g|png)", re.DOTALL | re.IGNORECASE)
"""`<subject>_<age>_<n>.jpg`, read from its end: the subject may hold underscores or be empty (unknown)."""
PURPOSE = "the paper's JSON"  # that needs ages


def read(path: Path, encoder: str | None = None, bad_rows: BadRows = "refuse") -> VectorSet:
    """Read `{"<subject>_<age>_<n>.jpg": [D numbers], ...}`; ages are years and may have decimals.

    The file is streamed: memory is that of the vectors as float32, twice for a moment at the end. A row whose name
    does not match `NAME` has no age and so is bad, unless none does: then no ages are known. `null` stands for a
    missing number, and a repeated name is a bad row. Raises UserError for what is no such JSON (a list, NaN, other
    values than lists of numbers) and for bad rows.
    """
    names: list[str] = []
    vectors: list[Float32[np.ndarray, " D"]] = []
    with path.open("rb") as file, Progress(path.stat().st_size, "B", f"reading {path.name}") as progress:
        for name, vector in _rows(_Counted(file, progress), path):
            names.append(name)
            vectors.append(vector)
    matches = [NAME.fullmatch(name) for name in names]
    is_dated = any(matches)
    if names and not is_dated:
        example = f"(the first is {_short(names[0])!r})"
        log.warning("%s: no picture is named like <subject>_<age>_<n>.jpg, so no age is known %s", path, example)
    return make_vector_set(
        vectors,
        [None if match is None else float(match["age"]) for match in matches] if is_dated else None,
        names=names,
        subjects=["" if match is None else match["subject"] for match in matches],
        source=path.stem,
        encoder=encoder or "unknown",
        bad_rows=bad_rows,
        where=str(path),
    )


def write(vs: VectorSet, path: Path | str, after: VectorSet | None = None) -> None:
    """Write `vs` in the layout that `read` reads, row by row; the file appears whole or not at all.

    Names are made anew, `<subject>_<age>_<n>.jpg` with n counting the pictures of a subject at an age, from those
    `after` which these are written to a file of their own, so that no name is in both. Vectors and ages come back
    exactly (-0 as 0); the old names, gender, source and the encoder are not kept.
    """
    numbers: Counter[tuple[str, str]] = Counter() if after is None else Counter(_taken(after))
    # Nine digits tell every two float32 apart, and lie so near that reading them as double first does no harm.
    layout = ": [" + ", ".join(["%.9g"] * vs.dimension) + "]"
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for row, (subject, age) in enumerate(zip(vs.subjects, needed_ages(vs, PURPOSE), strict=True)):
            years = _years(age)
            name = f"{subject}_{years}_{numbers[subject, years]}.jpg"
            numbers[subject, years] += 1
            file.write(("{" if row == 0 else ",\n") + dumps(name) + layout % tuple(vs.vectors[row].tolist()))
        file.write("}\n" if len(vs) else "{}\n")


def _taken(vs: VectorSet) -> Iterator[tuple[str, str]]:
    return ((subject, _years(age)) for subject, age in zip(vs.subjects, needed_ages(vs, PURPOSE), strict=True))


def _years(age: np.float32) -> str:
    return np.format_float_positional(age, trim="-")


class _Counted:
    """The bytes of a file, counted as they are read."""

    def __init__(self, file: BufferedIOBase, progress: Progress) -> None:
        self._file = file
        self._progress = progress

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._progress.advance(len(content))
        return content


def _rows(file: _Counted, path: Path) -> Iterator[tuple[str, Float32[np.ndarray, " D"]]]:
    """Yield (name, vector) one by one. Nothing is built of a value but its numbers, so no nesting can fill memory."""
    import ijson

    try:
        events = ijson.basic_parse(file, use_float=True)
        if next(events)[0] != "start_map":
            raise UserError(f"{path}: no JSON object of the form {{name: [numbers], ...}}")
        for event, name in events:
            if event == "map_key":
                row = array("d")
                if next(events)[0] != "start_array":
                    raise UserError(f"{path}: the value of {_short(name)!r} is no list of numbers")
                for kind, value in events:
                    if kind == "number":
                        row.append(value)
                    elif kind == "null":
                        row.append(math.nan)
                    elif kind == "end_array":
                        break
                    else:
                        raise UserError(f"{path}: the value of {_short(name)!r} is no list of numbers")
                with np.errstate(over="ignore"):  # too large for float32 becomes Inf, which is a bad row
                    yield name, np.array(row, dtype=np.float32)
    except ijson.JSONError as error:
        reason = _short(str(error)).split(" (right here)")[0]
        raise UserError(f"{path}: not valid JSON, where NaN and Infinity do not exist either ({reason})") from None


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:200] + "..."
