"""Rows of vectors as a case: an age for each row, whatever was done before."""

import threading
from pathlib import Path

import numpy as np
import pytest
import toy_cases

from vec2uage.base.interrupt import Interrupted
from vec2uage.case.journal import open_journal
from vec2uage.case.predictor import Estimates
from vec2uage.case.records import CaseFile, FileResult
from vec2uage.case.vectors import estimate_all
from vec2uage.case.work import Predict
from vec2uage.data.vectorset import make_vector_set

ROWS = 1100
VECTORS = np.random.default_rng(0).uniform(0, 100, (ROWS, 3)).astype(np.float32)


def results(
    folder: Path, predict: Predict = toy_cases.predict, stop: threading.Event | None = None
) -> list[FileResult]:
    names = [f"{row:04d}" for row in range(ROWS)]
    vs = make_vector_set(VECTORS, None, names=names, encoder="toy")
    with open_journal(folder, {}) as journal:
        files = (CaseFile(name, Path(name)) for name in names)
        estimate_all(vs, files, journal, predict, keep_vectors=False, stop=stop or threading.Event())
        return list(journal.results())


def test_each_row_has_its_own_age_also_after_the_work_was_stopped(tmp_path: Path):
    stop = threading.Event()

    def predict(vectors: np.ndarray) -> Estimates:
        stop.set()
        return toy_cases.predict(vectors)

    with pytest.raises(Interrupted):
        results(tmp_path, predict, stop)
    found = results(tmp_path)
    assert [result.faces[0].age for result in found] == pytest.approx(VECTORS[:, 0] / 4)
    assert {(result.status, len(result.faces)) for result in found} == {("ok", 1)}
