"""Selfie-FV: tables of every pandas are taken apart, and a pickle gets nothing else done."""

import logging
import pickle
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.errors import UserError
from vec2uage.data.readers import read, selfie_fv
from vec2uage.importers.pandas_pickle import ALLOWED

UUIDS = ["11-aa", "22-bb", "11-aa"]
AGES = [8.25, 17.5, 9.0]
NAMES = [f"{uuid}_{age}_{row}.jpg" for row, (uuid, age) in enumerate(zip(UUIDS, AGES, strict=True))]
VECTORS = np.random.default_rng(0).standard_normal((3, 4), dtype=np.float32)
COLUMNS = ["age", "imageno", "uuids", "filename", "testset", "embedding"]


@dataclass
class Call:
    """A call in a pickle, with the state set afterwards."""

    module: str
    name: str
    args: tuple[Any, ...]
    state: Any = None


@dataclass
class Name:
    """A class or function that a pickle names."""

    module: str
    name: str


def dump(value):
    """Return pickle opcodes that make `value`, in which calls are written by name: nobody need have the functions."""
    if isinstance(value, Name):
        return f"c{value.module}\n{value.name}\n".encode()
    if isinstance(value, Call):
        made = dump(Name(value.module, value.name)) + dump(value.args) + b"R"
        return made if value.state is None else made + dump(value.state) + b"b"
    if isinstance(value, tuple | list):
        return b"(" + b"".join(map(dump, value)) + (b"t" if isinstance(value, tuple) else b"l")
    if isinstance(value, dict):
        return b"(" + b"".join(dump(item) for pair in value.items() for item in pair) + b"d"
    return pickle.dumps(value, 3)[2:-1]


def array(values, core="numpy.core", fortran=False):
    """Return a NumPy array as NumPy pickles it."""
    values = np.asarray(values)
    code = {"f": "f", "i": "i", "b": "b", "O": "O"}[values.dtype.kind] + str(values.dtype.itemsize)
    dtype = Call("numpy", "dtype", (code, False, True), (3, "<", None, None, None, -1, -1, 0))
    order = "F" if fortran else "C"
    content = values.ravel(order).tolist() if code == "O8" else values.tobytes(order)
    made = (Name("numpy", "ndarray"), (0,), b"b")
    return Call(f"{core}.multiarray", "_reconstruct", made, (1, values.shape, dtype, fortran, content))


def objects(*columns):
    made = np.empty((len(columns), len(columns[0])), dtype=object)
    for row, column in enumerate(columns):
        for place, value in enumerate(column):
            made[row, place] = value
    return made


def blocks(embeddings, core="numpy.core", fortran=False, uuids=UUIDS, names=NAMES):
    """Return (values, positions) of a table's blocks."""
    yield array([AGES], core), slice(0, 1)
    yield array([[1, 2, 3]], core), slice(1, 2)
    yield array([[False, True, False]], core), slice(4, 5)
    yield array(objects(uuids, names, embeddings), core, fortran), array(np.array([2, 3, 5]), core)


def index(labels, core):
    data = {"data": array(np.array(labels, dtype=object), core), "name": None}
    return Call("pandas.core.indexes.base", "_new_Index", (Name("pandas.core.indexes.base", "Index"), data))


def rows():
    name = Name("pandas.core.indexes.range", "RangeIndex")
    span = {"name": None, "start": 0, "stop": 3, "step": 1}
    return Call("pandas.core.indexes.base", "_new_Index", (name, span))


def frame(manager, attribute="_mgr"):
    state = {attribute: manager, "_typ": "dataframe", "_metadata": [], "attrs": {}}
    return Call(
        "copy_reg", "_reconstructor", (Name("pandas.core.frame", "DataFrame"), Name("builtins", "object"), None), state
    )


def pandas10(embeddings, labels=COLUMNS):
    """Return a table as pandas 1.0 pickles it: the state of a BlockManager in the format "0.14.1"."""
    axes = [index(labels, "numpy.core"), rows()]
    made = [{"values": values, "mgr_locs": place} for values, place in blocks(embeddings, fortran=True)]
    state = (axes, [], [], {"0.14.1": {"axes": axes, "blocks": made}})
    return dump(frame(Call("pandas.core.internals.managers", "BlockManager", (), state), "_data")) + b"."


def pandas13(embeddings, labels=COLUMNS, core="numpy.core", **texts):
    """Return a table as pandas 1.3 to 2 pickle it: a BlockManager of blocks; `core` is NumPy 1's or 2's."""
    made = tuple(
        Call("pandas._libs.internals", "_unpickle_block", (values, place, 2))
        for values, place in blocks(embeddings, core, **texts)
    )
    manager = Call("pandas.core.internals.managers", "BlockManager", (made, [index(labels, core), rows()]))
    return dump(frame(manager)) + b"."


def pandas22(embeddings, labels=COLUMNS):
    return pandas13(embeddings, labels, "numpy._core")


LAYOUTS = {"pandas 1.0": pandas10, "pandas 1.3": pandas13, "pandas 2.2": pandas22}
EMBEDDINGS = {
    "lists": VECTORS.tolist(),
    "arrays": [array(vector) for vector in VECTORS],
    "double arrays": [array(vector.astype(np.float64)) for vector in VECTORS],
    "tuples": [tuple(vector) for vector in VECTORS.tolist()],
}


@pytest.fixture
def file(tmp_path):
    def make(content, name="train.pkl"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return make


@pytest.mark.parametrize(
    ("layout", "embeddings"),
    [*zip(LAYOUTS, EMBEDDINGS, strict=False), ("pandas 1.0", "tuples"), ("pandas 2.2", "arrays")],
)
def test_tables_of_older_pandas_are_read(file, layout, embeddings):
    vs = read(file(LAYOUTS[layout](EMBEDDINGS[embeddings])), encoder="facenet")
    assert vs.vectors.tolist() == VECTORS.tolist()
    assert vs.ages.tolist() == AGES
    assert vs.names.tolist() == NAMES
    assert vs.subjects.tolist() == UUIDS
    assert vs.source.tolist() == ["train"] * 3
    assert vs.encoder == "facenet"


def table(**changes):
    pandas = pytest.importorskip("pandas")
    columns = {"age": AGES, "imageno": [1, 2, 3], "uuids": UUIDS, "filename": NAMES, "testset": [False, True, False]}
    return pandas.DataFrame(columns | {"embedding": list(VECTORS.copy())} | changes)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_tables_of_the_pandas_at_hand_are_read(tmp_path, protocol):
    pandas = pytest.importorskip("pandas")
    embeddings_of = VECTORS.tolist(), list(VECTORS.copy()), list(map(list, VECTORS))
    for storage, embeddings in product(("python", "pyarrow"), embeddings_of):
        path = tmp_path / "table.pickle"
        with pandas.option_context("mode.string_storage", storage):
            table(embedding=embeddings).iloc[[2, 0]].to_pickle(path, protocol=protocol)
        vs = read(path)
        assert vs.vectors.tolist() == VECTORS[[2, 0]].tolist()
        assert vs.ages.tolist() == [9.0, 8.25]
        assert vs.names.tolist() == [NAMES[2], NAMES[0]]
        assert vs.subjects.tolist() == [UUIDS[2], UUIDS[0]]


def test_a_folder_is_read_as_one_set(file, tmp_path, caplog):
    file(pandas13(EMBEDDINGS["lists"]))
    more = [f"more-{name}" for name in NAMES]
    table(filename=more).to_pickle(tmp_path / "test.p")
    (tmp_path / "README.txt").write_text("not read")
    with caplog.at_level(logging.INFO):
        vs = selfie_fv.read(tmp_path)
    assert vs.names.tolist() == more + NAMES  # by the files' names
    assert vs.source.tolist() == [tmp_path.stem] * 6
    assert "train.pkl: 3 rows, of them marked as test set: 1" in caplog.text


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a folder without pickled tables of Selfie-FV \(\.pkl, \.pickle, \.p\)"):
        selfie_fv.read(tmp_path)


def test_missing_values_are_bad_rows(tmp_path):
    path = tmp_path / "train.pkl"
    changes = {"age": [None, 17.5, 9.0], "uuids": ["p", None, "q"]}
    for last in ([5, float("nan")], None, float("nan")):
        table(**changes, embedding=[[1.0, 2], [3, 4], last]).to_pickle(path)
        with pytest.raises(UserError, match="2 of 3 rows are bad"):
            read(path)
        vs = read(path, bad_rows="drop")
        assert vs.ages.tolist() == [17.5]
        assert vs.subjects.tolist() == [""]


def test_texts_where_numbers_are_expected_are_bad_rows_or_vectors(tmp_path):
    path = tmp_path / "train.pkl"
    table(age=["8 years", "17.5", "-"], embedding=["[1.0, 2.0]", "[3.0, 4.0]", "[5.0, 6.0]"]).to_pickle(path)
    with pytest.raises(UserError, match=r"age not a number: 1 \(.*\); age missing: 1"):
        read(path)
    vs = read(path, bad_rows="drop")
    assert (vs.ages.tolist(), vs.vectors.tolist()) == ([17.5], [[3, 4]])
    for changes in ({"age": [True, False, True]}, {"embedding": [[True, False]] * 3}, {"uuids": [True, False, True]}):
        table(**changes).to_pickle(path)
        with pytest.raises(UserError, match=r"age|embedding|subjects"):
            read(path)


def test_a_missing_column_is_named(file):
    with pytest.raises(UserError, match=r"no column embedding; the table has age, .*, vectors"):
        read(file(pandas13(EMBEDDINGS["lists"], [*COLUMNS[:-1], "vectors"])))


HOSTILE = {
    "call in a column": [Call("posix", "system", ("touch evil",))] * 3,
    "call as a dtype": [Call("numpy", "dtype", (Call("posix", "system", ("touch evil",)),))] * 3,
    "pandas.read_pickle": [Call("pandas", "read_pickle", ("evil",))] * 3,
    "numpy.load": [Call("numpy", "load", ("evil", None, True))] * 3,
    "codecs.decode": [Call("_codecs", "decode", (b"x", "hex"))] * 3,
    "getattr": [Call("builtins", "getattr", ("x", "join"))] * 3,
    "methods": [Call("pandas.core.frame", "DataFrame.to_csv", ("evil",))] * 3,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_anything_else_is_refused_by_name(file, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    for made in LAYOUTS.values():
        path = file(made(HOSTILE[case]))
        with pytest.raises(UserError, match=r"train\.pkl: refused, this pickle asks for '"):
            read(path)
        assert list(tmp_path.iterdir()) == [path]


def pickled(value):
    return dump(value) + b"."


def vector(code, shape, content):
    state = (1, shape, Call("numpy", "dtype", (code, False, True)), False, content)
    return Call("numpy.core.multiarray", "_reconstruct", (), state)


MISUSED = {
    "object pointers as bytes": vector("O8", (1,), b"A" * 8),
    "texts as numbers": vector("U1", (1,), b"A" * 4),
    "records": vector("V8", (1,), b"A" * 8),
    "a list of records": vector("f8,f8", (1,), b"A" * 16),
    "more than its bytes": vector("f8", (9**9,), b"A" * 8),
    "a negative shape": vector("f8", (-1, -1), b"A" * 8),
    "a shape beyond all numbers": vector("f8", (10**4000,) * 9, b"A" * 8),
    "no state": Call("numpy.core.multiarray", "_reconstruct", ()),
    "a size as bytes": Call("builtins", "bytearray", (10**15,)),
    "a table in a table": Call("pandas.core.frame", "DataFrame", ()),
    "a text": "abcd",
    "a number": 5.0,
    "a list of lists": [[1.0]],
}


@pytest.mark.parametrize("case", MISUSED)
def test_allowed_constructors_cannot_be_misused(file, case):
    path = file(pandas13([MISUSED[case]] * 3))
    with pytest.raises(UserError) as refusal:
        read(path)
    assert str(refusal.value).startswith(f"{path}")
    assert "\n" not in str(refusal.value)


def test_endless_values_are_not_followed(file):
    # ((((), ()), ((), ())), ...: 2**60 items for who follows them, in a few bytes
    laughs = b")q\x64" + b"".join(b"0" + 2 * bytes([104, n]) + b"\x86q" + bytes([n + 1]) for n in range(100, 160))
    endless = ["endless"] * 3
    lists = EMBEDDINGS["lists"]
    for content in (pandas13(endless), pandas13(lists, uuids=endless), pandas13(lists, names=endless)):
        marked = pickle.dumps("endless", 3)[2:-1]
        assert marked in content
        with pytest.raises(UserError, match="is not of"):
            read(file(b"\x80\x04" + content.replace(marked, laughs)))


@pytest.mark.parametrize(
    "content",
    [
        pickled([1, 2]),
        pickled({"age": [1]}),
        pickled(Call("pandas.core.frame", "DataFrame", ())),
        pickled(Call("pandas.core.frame", "DataFrame", (), {"_mgr": 5})),
        pickled(Call("pandas.core.frame", "DataFrame", (), "_mgr")),
        pickled(array(VECTORS)),
        b"",
        b"age,uuids\n1,2\n",
        pandas13(EMBEDDINGS["lists"])[:-20],
    ],
)
def test_other_files_end_in_one_sentence(file, content):
    path = file(content)
    with pytest.raises(UserError, match=r"holds no pandas DataFrame|not the layout|not a readable pickle") as refusal:
        read(path)
    assert str(refusal.value).startswith(f"{path}: ")


WHOLE = [pandas10(EMBEDDINGS["arrays"]), pandas22(EMBEDDINGS["lists"])]


@given(st.sampled_from(WHOLE), st.data())
def test_a_changed_byte_gives_a_set_or_one_sentence(tmp_path_factory, whole, data):
    content = bytearray(whole)
    # r and j ask for a memo of any size, \x8d and so on for any length; Python answers by taking the memory
    content[data.draw(st.integers(0, len(whole) - 1))] = data.draw(
        st.integers(0, 255).filter(lambda byte: byte not in b"rj\x8d\x8e\x95\x96")
    )
    path = tmp_path_factory.getbasetemp() / "changed.pkl"
    path.write_bytes(content)
    with suppress(UserError):  # any other error fails
        assert read(path, bad_rows="drop").dimension > 0


def test_the_list_holds_no_function_of_others():
    """Everything called is of vec2uage, but for slices, which do nothing."""
    for (module, name), value in ALLOWED.items():
        assert value in (None, slice) or value.__module__.startswith("vec2uage."), (module, name)


def test_pandas_is_not_imported(file):
    code = f"""
import sys
from pathlib import Path
from vec2uage.data.readers import read
read(Path({str(file(pandas13(EMBEDDINGS["lists"])))!r}))
sys.exit("pandas" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
