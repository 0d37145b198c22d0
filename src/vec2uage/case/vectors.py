"""Estimates of faces that are vectors already: each row of their files counts as a file with one face."""

import math
from collections.abc import Iterable
from threading import Event

from vec2uage.base.interrupt import Interrupted
from vec2uage.case.journal import Input, Journal, Outcome
from vec2uage.case.records import CaseFile
from vec2uage.case.work import Predict
from vec2uage.data.vectorset import VectorSet
from vec2uage.faces.records import Face

NO_PICTURE = Face(0, 0, 0, 0, math.nan, "none")
"""An empty box: of a vector nobody knows where its face was."""
_AT_ONCE = 1024  # vectors between two looks at whether to stop


def estimate_all(
    vs: VectorSet, files: Iterable[CaseFile], journal: Journal, predict: Predict, keep_vectors: bool, stop: Event
) -> None:
    """Put into the journal what the model says of all vectors; `files` names them, in their order.

    Raises Interrupted when `stop` is set before all is done.
    """
    journal.put_inputs(Input(file, None, content=f"row {row}") for row, file in enumerate(files))
    for start in range(0, len(vs.vectors), _AT_ONCE):
        if stop.is_set():
            raise Interrupted
        some = vs.vectors[start : start + _AT_ONCE]
        estimates = predict(some)
        for row, vector in enumerate(some):
            face = estimates.of_face(row, 1, NO_PICTURE, {}, vector if keep_vectors else None)
            journal.put(f"row {start + row}", Outcome("ok"), [face])
