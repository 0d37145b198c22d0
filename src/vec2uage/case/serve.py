"""Questions of another program, a line of JSON each, answered in the same order: `vec2uage.predict serve=stdio`.

docs/serve.md says what a question and an answer are.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Annotated

import numpy as np
from annotated_types import MinLen
from pydantic import ConfigDict, InstanceOf, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from scipy.optimize import linear_sum_assignment

from vec2uage import __version__
from vec2uage.case.journal import open_journal
from vec2uage.case.open_predictor import open_predictor
from vec2uage.case.predict_settings import AskedModel
from vec2uage.case.records import CaseFile, FaceResult, FileResult
from vec2uage.case.reliability import with_doubts
from vec2uage.case.tables import face_cells, file_cells
from vec2uage.case.work import examine_all
from vec2uage.faces.pool import processes

SAME_FACE = 0.3
"""The least intersection over union of two boxes of one face: those of two detectors share about half."""

Location = tuple[int, int, int, int]
"""Top, right, bottom and left, the order of the package face_recognition, in pixels of the upright image."""

_Text = InstanceOf[str]  # str alone refuses names whose bytes are no UTF-8


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Question:
    """Which file to look into, and where another program has found faces in it, if it has."""

    path: Annotated[_Text, MinLen(1)]
    id: _Text | int | None = None
    """Whatever the answer is to be known by."""
    face_locations: tuple[Location, ...] = ()


_QUESTIONS = TypeAdapter(list[Question])

Look = Callable[[Sequence[Path]], Sequence[FileResult]]
"""Looks into files and returns what became of each."""


def serve_stdio(asked: AskedModel) -> int:
    """Answer the lines of standard input until it ends; what else is printed goes to standard error.

    Raises UserError where the model is none for such faces.
    """
    predictor = open_predictor(asked, asked.extraction.encoder, asked.embedder.dimension)
    about = {"version": __version__, "model": predictor.digest, "encoder": asked.extraction.encoder}
    embed = asked.embedder.open(asked.device)
    with TemporaryDirectory(prefix="vec2uage-") as folder, open_journal(Path(folder), about) as journal:

        def look(paths: Sequence[Path]) -> Sequence[FileResult]:
            examine_all(
                (CaseFile(f"{number:09}", path) for number, path in enumerate(paths)),
                journal,
                asked.extraction,
                embed,
                predictor,
                is_known=lambda hashes: False,
                workers=processes(asked.workers),
                keep_vectors=False,
                stop=Event(),
            )
            return list(with_doubts(journal.results, asked.reliability)())  # by name, and so in the order of the paths

        with own_output() as write_line:
            write_line({"ready": about})
            for line in sys.stdin.buffer:  # as text, bytes that are none would end all
                write_line(answer(line, look))
    return 0


def answer(line: bytes | str, look: Look) -> object:
    """Return the answer to a question, or a list of them where the line is a list of questions."""
    try:
        asked = json.loads(line)
        questions = _QUESTIONS.validate_python(asked if isinstance(asked, list) else [asked])
    except (ValueError, RecursionError) as error:
        return {"status": "not_understood", "reason": _why(error)}
    results = look([Path(question.path) for question in questions])
    answers = [_about(question, result) for question, result in zip(questions, results, strict=True)]
    return answers if isinstance(asked, list) else answers[0]


def _why(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"no JSON: {error}"
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'][1:])) or 'question'}: {first['msg']}"


def _about(question: Question, result: FileResult) -> Mapping[str, object]:
    """Return the cells of a file and of its faces.

    Faces at the question's locations come first, in their order, None where there is none; then all others.
    """
    at = match(question.face_locations, result.faces)
    others = [number for number in range(len(result.faces)) if number not in at]
    faces = [None if number is None else face_cells(result.faces[number]) for number in (*at, *others)]
    return {"id": question.id, "path": question.path, **file_cells(result), "faces": faces}


def match(locations: Sequence[Location], faces: Sequence[FaceResult]) -> list[int | None]:
    """Return for each location which face lies there, None where none does.

    A face lies at one location at most, and together they overlap as much as they can.
    """
    at: list[int | None] = [None] * len(locations)
    shares = np.array([[_overlap(location, face) for face in faces] for location in locations])
    if shares.size:
        for row, column in zip(*linear_sum_assignment(-shares), strict=True):
            if shares[row, column] >= SAME_FACE:
                at[row] = int(column)
    return at


def _overlap(location: Location, found: FaceResult) -> float:
    """Return the intersection over union of a location and a face's box."""
    (top, right, bottom, left), face = location, found.face
    both = _area(max(left, face.left), max(top, face.top), min(right, face.right), min(bottom, face.bottom))
    return both / (_area(left, top, right, bottom) + _area(face.left, face.top, face.right, face.bottom) - both)


def _area(left: int, top: int, right: int, bottom: int) -> int:
    return max(right - left, 0) * max(bottom - top, 0)


@contextmanager
def own_output() -> Iterator[Callable[[object], None]]:
    """Yield what writes a line of JSON to standard output, to which nothing else is written meanwhile."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(own, "w", encoding="ascii", closefd=False) as stream:

            def write_line(what: object) -> None:
                stream.write(json.dumps(what, allow_nan=False) + "\n")
                stream.flush()

            yield write_line
    finally:
        sys.stdout.flush()
        os.dup2(own, 1)
        os.close(own)
