"""MATLAB's files: structs as MATLAB and scipy write them, and no file whatever ends in more than a sentence."""

import math
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from scipy.io import savemat

from vec2uage.base.errors import UserError
from vec2uage.importers.matlab import read_struct

# Files that several versions of MATLAB wrote on machines of both byte orders, which scipy's package brings along.
WRITTEN_BY_MATLAB = sorted(Path(scipy.io.matlab.__file__).parent.glob("tests/data/*.mat"))


def test_structs_that_matlab_wrote() -> None:
    structs = [path for path in WRITTEN_BY_MATLAB if path.name.startswith("teststruct_")]
    assert len(structs) > 2
    for path in structs:
        found = read_struct(path, ("teststruct",), ("doublefield", "complexfield", "stringfield"))
        assert found is not None, path
        assert found.keys() == {"doublefield"}, path
        assert found["doublefield"].tolist() == pytest.approx([math.sqrt(2), math.e, math.pi], rel=1e-15), path


def test_no_file_of_matlabs_ends_in_a_traceback() -> None:
    assert len(WRITTEN_BY_MATLAB) > 100
    for path in WRITTEN_BY_MATLAB:
        with suppress(UserError):
            assert read_struct(path, ("imdb",), ("dob",)) is None, path


def test_a_variable_that_unpacks_to_a_thousand_times_its_size_is_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"imdb": {"dob": np.zeros(4_000_000)}}, do_compression=True)
    assert (tmp_path / "a.mat").stat().st_size < 50_000
    with pytest.raises(UserError, match=r"a\.mat: a damaged \.mat file .*unpack"):
        read_struct(tmp_path / "a.mat", ("imdb",), ("dob",))


def test_texts_are_those_that_scipy_reads(tmp_path: Path) -> None:
    texts = ["01/a.jpg", "ü", "", "\U0001f600.jpg", "日本"]
    cells = np.empty((1, len(texts)), dtype=object)
    cells[0, :] = texts
    savemat(tmp_path / "a.mat", {"imdb": {"names": cells, "count": np.arange(300).reshape(1, -1)}})
    found = read_struct(tmp_path / "a.mat", ("imdb",), ("names", "count"))
    assert found is not None
    assert found["names"].tolist() == texts
    assert found["count"].tolist() == list(range(300))
