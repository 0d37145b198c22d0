"""Bytes of skops: the same for equal objects, and bounded in what they unfold to before anything of them is read.

Such a file is a zip archive of numpy arrays and of a schema.json that refers to them. Each of its members has a
checksum (CRC-32), so that damage is told when it is read.
"""

import io
import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np

_SCHEMA = "schema.json"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip archive knows


def to_bytes(content: Any) -> bytes:
    """Return an object as `skops.loads` reads it.

    Skops names objects by their addresses in memory, and members also by random numbers and the time: all of these are
    counted anew. Between the columns of the nodes of a tree stands what was in memory: there, zeros are written.
    """
    from skops import io as skops

    with ZipFile(io.BytesIO(skops.dumps(content))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members.pop(_SCHEMA))
    numbers: dict[int, int] = {}
    names: dict[str, str] = {}
    for state in _states(schema):
        if isinstance(state.get("__id__"), int):
            state["__id__"] = numbers.setdefault(state["__id__"], len(numbers))
        if isinstance(file := state.get("file"), str) and file in members:
            state["file"] = names.setdefault(file, f"{len(names)}{PurePosixPath(file).suffix}")
    written = io.BytesIO()
    with ZipFile(written, "w", ZIP_STORED) as archive:
        for file, name in names.items():
            archive.writestr(ZipInfo(name, _LONG_AGO), _without_gaps(members[file], name))
        archive.writestr(ZipInfo(_SCHEMA, _LONG_AGO), json.dumps(schema))
    return written.getvalue()


def _without_gaps(content: bytes, name: str) -> bytes:
    """Return the member of an archive; where it is an array of rows, zeros stand in the gaps between their columns."""
    if not name.endswith(".npy"):
        return content
    array = np.load(io.BytesIO(content))
    if array.dtype.names is None:
        return content
    clean = np.zeros(array.shape, array.dtype)  # those of `zeros_like` may have anything in their gaps
    for column in array.dtype.names:
        clean[column] = array[column]
    header = content[: len(content) - array.nbytes]
    return header + clean.tobytes("F" if array.flags.fnc else "C")  # `np.save` may write anything there, too


def check_size(data: bytes) -> None:
    """Raise ValueError where a file would unfold to more than it holds.

    As `to_bytes` makes them, files are not compressed, their members do not overlap, and each array stands for one
    object: whatever else is in one, it cannot take more memory than a few times its size.
    """
    with ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if any(member.compress_type != ZIP_STORED for member in members):
            raise ValueError("it is compressed")
        if sum(member.file_size for member in members) > len(data):
            raise ValueError("it is said to hold more than it does")
        schema = json.loads(archive.read(_SCHEMA))
    objects: dict[str, Any] = {}
    for state in _states(schema):
        file, number = state.get("file"), state.get("__id__")
        if isinstance(file, str) and objects.setdefault(file, number) != number:
            raise ValueError(f"{file[:80]} is said to be several objects")


def _states(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the mappings within a schema, in its order."""
    if isinstance(node, dict):
        yield node
    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _states(item)
