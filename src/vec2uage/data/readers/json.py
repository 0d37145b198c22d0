"""Reads and writes the paper's JSON: one object whose keys name pictures and whose values are their vectors."""

import logging
import math
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
from vec2uage.data.naming import SCHEMES, Naming, naming, recognise
from vec2uage.data.readers.hostile import check_utf8
from vec2uage.data.vectorset import BadRows, VectorSet, make_vector_set, needed_ages

log = logging.getLogger(__name__)

_BOM = b"\xef\xbb\xbf"
PURPOSE = "the paper's JSON"  # that needs ages


def read(path: Path, encoder: str | None = None, bad_rows: BadRows = "refuse", pattern: str | None = None) -> VectorSet:
    """Read `{"<subject>_<age>_<rest>.jpg": [D numbers], ...}`; ages are years and may have decimals.

    `pattern` says how names tell ages (see `naming.naming`); without it, that is found out (`naming.recognise`). The
    file is streamed: memory is that of the vectors as float32, twice for a moment at the end. A row whose name is of
    another kind has no age and so is bad, unless no name is of a known one: then no ages are known. `null` stands for a
    missing number. Raises UserError for what is no such JSON (a list, NaN, other values than lists of numbers), for
    names that can be read in two ways, and for bad rows.
    """
    names: list[str] = []
    vectors: list[Float32[np.ndarray, " D"]] = []
    with path.open("rb") as file, Progress(path.stat().st_size, "B", f"reading {path.name}") as progress:
        start = file.peek(4)
        check_utf8(path, start)
        file.read(len(_BOM) if start.startswith(_BOM) else 0)
        for name, vector in _rows(_Counted(file, progress), path):
            names.append(name)
            vectors.append(vector)
    scheme = naming(pattern) if pattern else recognise(names, str(path))
    said = [None if scheme is None else scheme.read(name) for name in names]
    _tell(path, scheme, [(name, facts.age) for name, facts in zip(names, said, strict=True) if facts], names)
    return make_vector_set(
        vectors,
        [None if facts is None else facts.age for facts in said] if scheme else None,
        names=names,
        subjects=["" if facts is None else _unescaped(facts.subject, scheme) for facts in said],
        gender=["" if facts is None else facts.gender for facts in said],
        source=path.stem,
        encoder=encoder or "unknown",
        bad_rows=bad_rows,
        where=str(path),
    )


def _tell(path: Path, scheme: Naming | None, dated: list[tuple[str, str]], names: list[str]) -> None:
    """Say how ages were read of names, with an example, or that they were not."""
    if scheme is not None and dated:
        log.info("%s: ages are read as in %s: %s is of age %s", path, scheme.layout, _short(dated[0][0]), dated[0][1])
    elif names:
        log.warning(
            "%s: no name is like %s, so no age is known (the first is %r); if names tell ages, say how with the option "
            "pattern",
            path,
            f"those of {', '.join(SCHEMES)}" if scheme is None else scheme.layout,
            _short(names[0]),
        )


def write(vs: VectorSet, path: Path | str, after: VectorSet | None = None) -> None:
    """Write `vs` in the layout that `read` reads, row by row; the file appears whole or not at all.

    Names are made anew, `<subject>_<age>_<n>.jpg` with n counting the pictures of a subject at an age, from those
    `after` which these are written to a file of their own, so that no name is in both. In a subject, `_` becomes %5F
    and `%` %25, so that the age is the second part for everyone, as the authors' code takes it. Vectors, ages and
    subjects come back exactly (-0 as 0); the old names, gender, source and the encoder are not kept.
    """
    numbers: Counter[tuple[str, str]] = Counter() if after is None else Counter(_taken(after))
    # Nine digits tell every two float32 apart, and lie so near that reading them as double first does no harm.
    layout = ": [" + ", ".join(["%.9g"] * vs.dimension) + "]"
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for row, (subject, age) in enumerate(zip(vs.subjects, needed_ages(vs, PURPOSE), strict=True)):
            years = _years(age)
            name = f"{_escaped(subject)}_{years}_{numbers[subject, years]}.jpg"
            numbers[subject, years] += 1
            file.write(("{" if row == 0 else ",\n") + dumps(name) + layout % tuple(vs.vectors[row].tolist()))
        file.write("}\n" if len(vs) else "{}\n")


def _taken(vs: VectorSet) -> Iterator[tuple[str, str]]:
    return ((subject, _years(age)) for subject, age in zip(vs.subjects, needed_ages(vs, PURPOSE), strict=True))


def _escaped(subject: str) -> str:
    return subject.replace("%", "%25").replace("_", "%5F")


def _unescaped(subject: str, scheme: Naming | None) -> str:
    return subject.replace("%5F", "_").replace("%25", "%") if scheme is SCHEMES["paper"] else subject


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
