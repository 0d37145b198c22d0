"""From the files of a case to a journal that knows what became of each: in parallel, resumable, in bounded memory."""

from collections.abc import Callable, Iterable
from threading import Event

import numpy as np
from jaxtyping import Float32

from vec2uage.case.journal import Journal
from vec2uage.case.predictor import Estimates
from vec2uage.case.records import CaseFile
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.records import Hashes

Predict = Callable[[Float32[np.ndarray, "B D"]], Estimates]
"""Says of each vector what the model does, the same bits whatever the others."""


def examine_all(
    files: Iterable[CaseFile],
    journal: Journal,
    extraction: Extraction,
    predict: Predict,
    *,
    is_known: Callable[[Hashes], bool],
    workers: int,
    device: str,
    keep_vectors: bool,
    stop: Event,
) -> None:
    """Put into the journal what became of every file, and of every face of it; what it knows is not done again.

    Files that `is_known` tells of are not looked into. Raises Interrupted when `stop` is set before all is done, and
    what `files` raises.
    """
    raise NotImplementedError
