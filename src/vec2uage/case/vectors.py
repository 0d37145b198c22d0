"""Estimates of faces that are vectors already: each row of their files counts as a file with one face."""

import math
from collections.abc import Iterable

from vec2uage.case.journal import Input, Journal, Outcome
from vec2uage.case.predictor import Predictor
from vec2uage.case.records import CaseFile
from vec2uage.data.vectorset import VectorSet
from vec2uage.faces.records import Face

NO_PICTURE = Face(0, 0, 0, 0, math.nan, "none")
"""An empty box: of a vector nobody knows where its face was."""


def estimate_all(
    vs: VectorSet, files: Iterable[CaseFile], journal: Journal, predictor: Predictor, keep_vectors: bool
) -> None:
    """Put into the journal what the model says of all vectors; `files` names them, in their order."""
    journal.put_inputs(Input(file, None, content=f"row {row}") for row, file in enumerate(files))
    estimates = predictor(vs.vectors)
    for row, vector in enumerate(vs.vectors):
        face = estimates.of_face(row, 1, NO_PICTURE, {}, vector if keep_vectors else None)
        journal.put(f"row {row}", Outcome("ok"), [face])
