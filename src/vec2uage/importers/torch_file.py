"""Reads the tensors of a file that `torch.save` wrote, without running anything that it says.

Such a file is a pickle: a program that can call anything. Here it is read with constructors of our own for the few
names that tensors need, and an inert placeholder for every other name (a lightning checkpoint names optimisers,
callbacks and classes of its authors' code, which the weights do not need and which may not be installed). That is
safe because no name is ever looked up: whatever the file calls, only a `_Placeholder` is made, which does nothing.
The numbers lie outside the pickle and are read by position, after checks that every tensor lies within its storage
and every storage within the file.
"""

import io
import math
import os
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vec2uage.base.errors import UserError
from vec2uage.importers import unpickle

Tensors = dict[str, torch.Tensor]

# torch/serialization.py, `_legacy_save`
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def read(path: Path) -> Tensors:
    """Return the named weights of a file, its `state_dict` or what it is itself.

    Both of torch's forms are read: zip archives and the older stream of pickles. Raises UserError when the file is
    missing, damaged, of another kind, or holds no weights.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if start == b"PK\x03\x04":
            return _zipped(file, path)
        if start[:1] == b"\x80":
            return _legacy(file, path)
    raise UserError(f"{path} is neither a .safetensors file nor a checkpoint written by torch.save")


class _Storage(NamedTuple):
    """A run of numbers in the file, as the pickle announces it."""

    key: str
    dtype: torch.dtype
    length: int

    @property
    def nbytes(self) -> int:
        return self.length * self.dtype.itemsize


class _View:
    """A tensor as the pickle describes it; nothing of it is believed before `tensor` has checked it."""

    __slots__ = ("offset", "size", "storage", "stride")

    def __init__(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    def check(self) -> None:
        """Raise ValueError where the tensor is not one of whole, positive sizes within its storage."""
        if not isinstance(self.storage, _Storage) or type(self.size) is not tuple or type(self.stride) is not tuple:
            raise ValueError("it is described in an unknown way")
        if not all(type(number) is int and 0 <= number < 2**63 for number in (self.offset, *self.size, *self.stride)):
            raise ValueError("offset, sizes and strides must be whole numbers from 0 to 2**63 - 1")
        if len(self.size) != len(self.stride) or 0 in self.size:
            raise ValueError(f"sizes {self.size} with strides {self.stride}")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        if last >= self.storage.length or math.prod(self.size) > self.storage.length:
            raise ValueError(f"sizes {self.size} with strides {self.stride} do not fit {self.storage.length} numbers")

    @property
    def nbytes(self) -> int:
        return math.prod(self.size) * self.storage.dtype.itemsize

    def tensor(self, flat: Tensor) -> Tensor:
        """Return the numbers out of those of the storage, in memory of their own."""
        return flat.as_strided(self.size, self.stride, self.offset).clone(memory_format=torch.contiguous_format)


class _Placeholder(unpickle.Inert):
    """Stands for anything that weights do not need: can be called, filled and thrown away."""

    __slots__ = ()

    def __call__(self, *_: Any, **__: Any) -> "_Placeholder":
        return self

    def __setitem__(self, *_: Any) -> None:
        pass

    def append(self, *_: Any) -> None:
        pass

    extend = add = append


class _State(dict[Any, Any]):
    """Stands for `OrderedDict`, without the attributes that torch hangs on it."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Names(Mapping[tuple[str, str], Any]):
    """Constructors for the names that tensors need, `_Placeholder` for every other name."""

    _known: Mapping[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): _State,
        ("torch._utils", "_rebuild_tensor_v2"): _View,
        ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
        **{("torch", name): dtype for name, dtype in _DTYPES.items()},
    }

    def __getitem__(self, name: tuple[str, str]) -> Any:
        return self._known.get(name, _Placeholder)

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _unpickle(file: io.BufferedIOBase, path: Path) -> tuple[Any, dict[str, _Storage]]:
    """Return an object of the file, with `_View`s for its tensors, and the storages that it mentions."""
    storages: dict[str, _Storage] = {}

    def storage(pid: Any) -> Any:
        kind, *rest = pid
        if kind == "module":  # a class with its source, of the old form: the pickle has the class from `_Names`
            return rest[0]
        if kind != "storage":
            raise ValueError("it refers to something that is no storage")
        dtype, key, _device, length, *view = rest
        if not isinstance(dtype, torch.dtype):
            return _Placeholder()
        if type(key) is not str or type(length) is not int or length < 0 or any(view):
            raise ValueError("a storage of unknown form")
        if storages.setdefault(key, made := _Storage(key, dtype, length)) != made:
            raise ValueError(f"storage {key} is described in two ways")
        return made

    return unpickle.load(file, _Names(), str(path), storage), storages


def _state_dict(found: Any, path: Path) -> dict[str, _View]:
    """Return the named tensors of a checkpoint, or of a bare state dict; UserError for one that cannot be."""
    state = found.get("state_dict", found) if isinstance(found, dict) else None
    if not isinstance(state, dict) or not state:
        raise UserError(f"{path} holds no state_dict, the named weights of a network")
    for key, view in state.items():
        if not isinstance(key, str) or not isinstance(view, _View):
            named = f" ({key[:80]})" if isinstance(key, str) else ""  # any other key may take forever to show
            raise UserError(f"{path}: its state_dict holds something{named} that is no tensor")
        try:
            view.check()
        except ValueError as error:
            raise UserError(f"{path}: tensor {key} is damaged ({error})") from None
    return state


def _zipped(file: io.BufferedReader, path: Path) -> Tensors:
    """Read torch's zip form (1.6 and later): `<name>/data.pkl` and the storages `<name>/data/<key>`."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(file) as archive:
            members = {member.filename: member for member in archive.infolist()}
            pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise ValueError("it is a zip archive without a data.pkl")
            folder = pickles[0].removesuffix("data.pkl")

            def content(name: str) -> bytes:
                member = members[name]
                # torch never compresses: no file can be larger than the one it came in
                if member.compress_type != zipfile.ZIP_STORED or member.file_size > size:
                    raise ValueError(f"{name} is compressed or said to be larger than the file")
                return archive.read(member)

            if f"{folder}byteorder" in members and content(f"{folder}byteorder") != b"little":
                raise ValueError("its numbers are big-endian")
            with io.BytesIO(content(pickles[0])) as stream:
                found, _ = _unpickle(stream, path)
            state = _state_dict(found, path)
            return _filled(state, lambda storage: content(f"{folder}data/{storage.key}"), size, path)
    except (zipfile.BadZipFile, KeyError, ValueError, RuntimeError, EOFError, OSError, struct.error) as error:
        raise UserError(f"{path} is no readable torch checkpoint: {error}") from None


def _legacy(file: io.BufferedReader, path: Path) -> Tensors:
    """Read torch's old form: pickles of magic number, version, machine, object and storage keys, then the numbers."""
    size = path.stat().st_size
    head = [_unpickle(file, path)[0] for _ in range(2)]
    if head != [_MAGIC, _PROTOCOL]:
        raise UserError(f"{path} is a pickle, but not one that torch.save wrote")
    machine, _ = _unpickle(file, path)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise UserError(f"{path}: its numbers are big-endian, which is not supported")
    found, storages = _unpickle(file, path)
    state = _state_dict(found, path)
    keys, _ = _unpickle(file, path)
    places: dict[str, int] = {}
    if not isinstance(keys, list):
        raise UserError(f"{path}: damaged, no list of storages after its contents")
    for key in keys:
        storage = storages.get(key) if isinstance(key, str) else None
        length = int.from_bytes(file.read(8), "little", signed=True)
        if storage is None or length != storage.length or file.tell() + storage.nbytes > size:
            raise UserError(f"{path}: damaged or cut short among its numbers")
        places[key] = file.tell()
        file.seek(storage.nbytes, os.SEEK_CUR)

    def content(storage: _Storage) -> bytes:
        file.seek(places[storage.key])
        return file.read(storage.nbytes)

    return _filled(state, content, size, path)


def _filled(state: dict[str, _View], content: Callable[[_Storage], bytes], size: int, path: Path) -> Tensors:
    """Read the numbers of each tensor; all together they cannot take more than the file's `size` in bytes."""
    needed: dict[str, Tensor] = {}
    stored = sum(storage.nbytes for storage in {view.storage for view in state.values()})
    if max(stored, sum(view.nbytes for view in state.values())) > size:
        raise UserError(f"{path}: its weights are said to be larger than the file")
    for key, view in state.items():
        storage = view.storage
        if storage.key not in needed:
            try:
                numbers = content(storage)
            except KeyError:
                raise UserError(f"{path}: the numbers of {key} are missing") from None
            if len(numbers) != storage.nbytes:
                raise UserError(f"{path}: {len(numbers)} bytes for {key}, but it needs {storage.nbytes}")
            needed[storage.key] = torch.frombuffer(bytearray(numbers), dtype=storage.dtype)
    return {key: view.tensor(needed[view.storage.key]) for key, view in state.items()}
