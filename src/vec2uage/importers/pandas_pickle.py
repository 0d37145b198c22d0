"""Takes a pickled pandas table apart without pandas and without running the pickle.

A pickle is a program. Its calls of pandas, NumPy and Arrow constructors are only recorded (`Inert`), and columns are
read from the records: nothing that such a constructor could be misused for can happen, and the version of pandas
that wrote the file need not be there. Known are the layouts of pandas 0.25 to 3.
"""

import math
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from vec2uage.base.errors import UserError
from vec2uage.importers.unpickle import Inert, load

NUMBERS = re.compile(r"[biuf][1248]")  # bool, int, unsigned and float; no records, dates or extended precision
Column = np.ndarray | list[Any]


# What is recorded of each constructor: its arguments and the state that is set afterwards.
class _Frame(Inert): ...  # state {"_mgr": the manager, ...}


class _Manager(Inert): ...  # (blocks, axes); before pandas 1.3 a state instead


class _Index(Inert): ...  # (class, {"data": labels, ...})


class _Block(Inert): ...  # (values [columns, rows], positions among the table's columns, dimensions)


class _Array(Inert): ...  # state (version, shape, dtype, is Fortran, bytes or list of objects)


class _Buffer(Inert): ...  # protocol 5: (bytes, dtype, shape, order, ...)


class _Boxed(Inert): ...  # pandas' wrapper of an array: state (dtype, array, ...)


class _ArrowText(Inert): ...  # pandas' wrapper of an Arrow array: state {"_pa_array": array, ...}


class _ArrowArray(Inert): ...  # ((type, length, nulls, offset, buffers, ...),)


class _Dtype(Inert): ...  # (code, ...); the byte order is the second item of the state


def columns(path: Path, names: Iterable[str]) -> dict[str, Column]:
    """Return the columns `names` of the pandas DataFrame that the pickle `path` holds, all of one length.

    Numbers come as arrays, everything else as lists whose items are texts, numbers, None, lists or 1-D arrays.
    Raises UserError when the file holds anything else or a column is missing.
    """
    with path.open("rb") as file:
        frame = load(file, ALLOWED, str(path))
    if not isinstance(frame, _Frame):
        raise UserError(f"{path}: holds no pandas DataFrame")
    try:
        found = _columns(frame)
        if missing := [name for name in names if name not in found]:
            held = ", ".join(name[:40] for name in list(found)[:20])
            raise UserError(f"{path}: no column {', '.join(missing)}; the table has {held}")
        values = {name: _column(*found[name]) for name in names}
        if len({len(column) for column in values.values()}) > 1:
            raise ValueError("columns differ in length")
    except ValueError as error:
        raise UserError(f"{path}: not the layout of a pandas DataFrame ({str(error)[:200]})") from None
    except (TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError):
        # what these say could hold a value of the pickle, whose text may be larger than memory
        raise UserError(f"{path}: not the layout of a pandas DataFrame") from None
    return values


def _columns(frame: _Frame) -> dict[str, tuple[Inert, int]]:
    """Return the block's values and the row in them for each column of the table."""
    manager = frame.state["_mgr" if "_mgr" in frame.state else "_data"]  # _data: before pandas 1.1
    if manager.args:
        blocks, axes = manager.args
        placed = [block.args[:2] for block in blocks]
    else:
        record = manager.state[3]["0.14.1"]  # the format's name until pandas 1.2
        axes = record["axes"]
        placed = [(block["values"], block["mgr_locs"]) for block in record["blocks"]]
    labels = _items(axes[0].args[1]["data"])
    if not all(isinstance(label, str) for label in labels):
        raise ValueError("columns whose names are no texts")
    found: dict[str, tuple[Inert, int]] = {}
    left = len(labels)
    for values, place in placed:
        positions = _positions(place, len(labels))
        left -= len(positions)
        if left < 0:
            raise ValueError("more columns than names")
        found.update({labels[position]: (values, row) for row, position in enumerate(positions)})
    return found


def _positions(place: Any, count: int) -> list[int]:
    if isinstance(place, slice):
        return list(range(count))[place]
    return [int(position) for position in _items(place)]


def _column(values: Inert, row: int) -> Column:
    """Return row `row` of a block; a block of an extension type has only one, and no axis for it."""
    if isinstance(values, _Array | _Buffer):
        flat, shape, order = _flat(values)
        where = np.arange(math.prod(shape)).reshape(shape, order=order)[row]
        return flat[where] if isinstance(flat, np.ndarray) else [_item(flat[position]) for position in where]
    return _items(values)


def _items(values: Any) -> list[Any]:
    """Return the items of a one-dimensional array of any kind."""
    if isinstance(values, _Boxed):
        return _items(values.state[1])
    if isinstance(values, _ArrowText):
        return _texts(values.state["_pa_array"])
    flat, shape, _ = _flat(values)
    if len(shape) != 1:
        raise ValueError("an array of several dimensions where a single row is expected")
    return flat.tolist() if isinstance(flat, np.ndarray) else flat


def _item(value: Any) -> Any:
    """Return one object of a column, an array or list of numbers being a vector."""
    if isinstance(value, _Array | _Buffer):
        flat, shape, order = _flat(value)
        return flat.reshape(shape, order=order) if isinstance(flat, np.ndarray) else flat
    if isinstance(value, Inert):
        raise ValueError(f"{type(value).__name__.strip('_')} inside a column")
    return value


def _flat(values: Any) -> tuple[np.ndarray | list[Any], tuple[int, ...], Any]:
    """Return items as they lie in memory, shape and order ("C" or "F"); sizes are checked against each other."""
    if isinstance(values, _Buffer):
        content, dtype, shape, order = values.args[:4]
        if order not in ("C", "F"):
            raise ValueError("an array that is neither in C nor in Fortran order")
    elif isinstance(values, _Array):
        _, shape, dtype, fortran, content = values.state
        order = "F" if fortran else "C"
    else:
        raise ValueError("something else where an array is expected")
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError("an array without a valid shape")
    if isinstance(content, list) and dtype.args[0] in ("O8", "O4"):
        items: np.ndarray | list[Any] = content
    else:
        items = np.frombuffer(_bytes(content), dtype=_dtype(dtype))
    if len(items) != math.prod(shape):
        raise ValueError("an array whose items do not fill its shape")
    return items, tuple(shape), order


def _dtype(recorded: _Dtype) -> np.dtype:
    code = recorded.args[0]
    if not isinstance(code, str) or not NUMBERS.fullmatch(code):
        raise ValueError("values that are neither numbers nor texts")
    order: Any = recorded.state[1] if recorded.state else "="
    return np.dtype(code).newbyteorder(order)


def _texts(array: _ArrowArray) -> list[str]:
    """Return the texts of an Arrow string array, "" for a missing one."""
    kind, length, _, offset, (valid, ends, content) = array.args[0][:5]
    if kind not in ("string", "large_string"):
        raise ValueError("an Arrow array of something else than texts")
    bounds = np.frombuffer(_bytes(ends), dtype="<i4" if kind == "string" else "<i8")
    bounds = bounds[offset : offset + length + 1].tolist()
    if len(bounds) != length + 1 or bounds != sorted(bounds) or bounds[0] < 0 or bounds[-1] > len(_bytes(content)):
        raise ValueError("texts that do not lie in their buffer")
    texts = [_bytes(content)[start:end].decode() for start, end in pairwise(bounds)]
    if valid is None:
        return texts
    bits = np.unpackbits(np.frombuffer(_bytes(valid), np.uint8), bitorder="little")[offset : offset + length]
    return [text if bit else "" for text, bit in zip(texts, bits, strict=True)]


def _bytes(content: Any) -> bytes | bytearray:
    if not isinstance(content, bytes | bytearray):  # bytes(10**12) would fill the memory
        raise ValueError("something else where bytes are expected")
    return content


def _encoded(text: str, encoding: str) -> bytes:
    """Return bytes as protocols 0 to 2 write them."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes in another encoding than latin1")
    return text.encode("latin1")


def _bytearray(content: Any = b"", encoding: str = "latin1") -> bytes:
    return _encoded(content, encoding) if isinstance(content, str) else bytes(_bytes(content))


def _scalar(dtype: _Dtype, content: bytes) -> float | int | bool:
    (value,) = np.frombuffer(_bytes(content), dtype=_dtype(dtype)).tolist()
    return value


def _reconstructed(cls: type, *rest: object) -> Any:
    """Make an object as protocols 0 and 1 do; `cls` is one of the constructors below, nothing else is a type here."""
    return cls()


def _same(value: Any, *rest: object) -> Any:
    return value


def _each(modules: Sequence[str], name: str, value: Any) -> dict[tuple[str, str], Any]:
    return {(module, name): value for module in modules}


_FRAMES = ("pandas", "pandas.core.frame")
_INDEXES = ("pandas", "pandas.core.indexes.base", "pandas.core.indexes.range", "pandas.core.indexes.numeric")
_STRINGS = ("pandas", "pandas.arrays", "pandas.core.arrays.string_", "pandas.core.arrays.string_arrow")
_NUMPY = tuple(f"numpy.{core}.{module}" for core in ("core", "_core") for module in ("multiarray", "numeric"))

ALLOWED: dict[tuple[str, str], Any] = {
    **_each(_FRAMES, "DataFrame", _Frame),
    ("pandas.core.internals.managers", "BlockManager"): _Manager,
    ("pandas._libs.internals", "_unpickle_block"): _Block,
    ("pandas.core.indexes.base", "_new_Index"): _Index,
    **{
        key: Inert
        for name in ("Index", "RangeIndex", "Int64Index", "UInt64Index", "Float64Index")
        for key in _each(_INDEXES, name, None)
    },
    **_each(_STRINGS, "StringDtype", Inert),
    **_each(_STRINGS, "StringArray", _Boxed),
    **_each(_STRINGS, "ArrowStringArray", _ArrowText),
    ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"): _Boxed,
    **_each(("pandas", "pandas._libs.missing"), "NA", None),
    ("pyarrow.lib", "_restore_array"): _ArrowArray,
    ("pyarrow.lib", "type_for_alias"): _same,
    ("pyarrow.lib", "py_buffer"): _same,
    **_each(_NUMPY, "_reconstruct", _Array),
    **_each(_NUMPY, "_frombuffer", _Buffer),
    **_each(_NUMPY, "scalar", _scalar),
    ("numpy", "ndarray"): Inert,
    ("numpy", "dtype"): _Dtype,
    ("builtins", "slice"): slice,
    ("builtins", "bytearray"): _bytearray,
    ("builtins", "object"): Inert,
    ("_codecs", "encode"): _encoded,
    ("copyreg", "_reconstructor"): _reconstructed,
}
"""What a pickled table of numbers, texts and vectors asks for, and what is done instead."""
