"""Files of torch: the tensors come out, and nothing that the file says is run."""

import collections
import functools
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vec2uage.base.errors import UserError
from vec2uage.importers import torch_file
from vec2uage.importers.torch_file import read

FORMS = ["zip", "legacy"]


@pytest.mark.parametrize("form", FORMS)
def test_parameters_and_views_into_one_storage_are_read(form: str, tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    state = {"0.weight": nn.Parameter(whole[1:3, ::2].T), "0.bias": whole[:3, 0], "2.weight": whole[:1, :3]}
    torch.save(state, tmp_path / "m", _use_new_zipfile_serialization=form == "zip")
    tensors = read(tmp_path / "m")
    assert all(torch.equal(tensors[k], v.detach()) for k, v in state.items())
    tensors["0.bias"][:] = 0  # each in memory of its own
    assert torch.equal(tensors["2.weight"], whole[:1, :3])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"0.weight": torch.ones(0, 4), "0.bias": torch.ones(0)}, "tensor 0.weight is damaged"),
        ({"epoch": 3}, r"holds something \(epoch\) that is no tensor"),
        ({"state_dict": {}}, "no state_dict"),
        ([1, 2], "no state_dict"),
        (nn.Sequential(nn.Linear(4, 1)), "no state_dict"),
    ],
)
def test_content_without_weights_is_refused_with_a_reason(content: Any, says: str, tmp_path: Path) -> None:
    for form in FORMS:
        torch.save(content, tmp_path / "m", _use_new_zipfile_serialization=form == "zip")
        with pytest.raises(UserError, match=says):
            read(tmp_path / "m")


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.ckpt"
    with pytest.raises(UserError, match="no such file"):
        read(path)
    for content, says in (
        (b"", "neither a .safetensors file"),
        (b"hello world", "neither a .safetensors file"),
        (pickle.dumps({"a": 1}), "m.ckpt"),
        (pickle.dumps(1) * 5, "not one that torch.save wrote"),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=says):
            read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UserError, match=r"without a data\.pkl"):
        read(path)


# hostile files


class Storage:
    """A storage as a hostile file announces it."""

    def __init__(self, key: Any = "0", length: Any = 4, kind: Any = torch.FloatStorage) -> None:
        self.id = ("storage", kind, key, "cpu", length)


class View:
    """A tensor as a hostile file describes it."""

    def __init__(self, storage: Any, offset: Any = 0, size: Any = (1, 4), stride: Any = (4, 1)) -> None:
        self.arguments = (storage, offset, size, stride, False, collections.OrderedDict())

    def __reduce__(self) -> Any:
        return torch._utils._rebuild_tensor_v2, self.arguments


class Attack:
    """Unpickled, it calls anything."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


class Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return obj.id if isinstance(obj, Storage) else None


def pickled(obj: Any) -> bytes:
    stream = io.BytesIO()
    Pickler(stream, 2).dump(obj)
    return stream.getvalue()


NUMBERS = np.arange(4, dtype=np.float32).tobytes()


def forge(path: Path, form: str, obj: Any, storages: dict[str, bytes] | None = None, says: int | None = None) -> Path:
    """Write a checkpoint by hand; `says` is the length that the legacy form states for each storage."""
    storages = {"0": NUMBERS} if storages is None else storages
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("m/data.pkl", obj if isinstance(obj, bytes) else pickled(obj))
            for key, content in storages.items():
                archive.writestr(f"m/data/{key}", content)
        return path
    head = [torch_file._MAGIC, torch_file._PROTOCOL, {"little_endian": True}]
    with path.open("wb") as file:
        for part in head:
            file.write(pickle.dumps(part, 2))
        file.write(obj if isinstance(obj, bytes) else pickled(obj))
        file.write(pickle.dumps(list(storages), 2))
        for content in storages.values():
            file.write(struct.pack("<q", len(content) // 4 if says is None else says) + content)
    return path


def assert_read(form: str, tmp_path: Path) -> None:
    """The step along an axis of one row does not matter."""
    views = {
        "0.weight": View(Storage(), size=(1, 4), stride=(2**63 - 1, 1)),
        "0.bias": View(Storage("1", 1), size=(1,), stride=(1,)),
    }
    tensors = read(forge(tmp_path / "m", form, views, {"0": NUMBERS, "1": NUMBERS[4:8]}))
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
        "0.weight": [[0.0, 1.0, 2.0, 3.0]],
        "0.bias": [1.0],
    }


@pytest.mark.parametrize("form", FORMS)
def test_a_forged_file_without_malice_is_read(form: str, tmp_path: Path) -> None:
    """The forger forges well: what the next tests refuse is the malice."""
    assert_read(form, tmp_path)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_that_a_checkpoint_calls_is_run(form: str, tmp_path: Path) -> None:
    mark = tmp_path / "was-here"
    attacks = [
        Attack(os.system, f"touch {mark}"),
        Attack(open, str(mark), "w"),
        Attack(exec, f"open({str(mark)!r}, 'w')"),
        Attack(functools.partial, os.system, f"touch {mark}"),
    ]
    weights = {"0.weight": View(Storage())}
    for attack in attacks:
        contents: list[Any] = [
            attack,
            {"state_dict": {"0.weight": attack}},
            {"state_dict": {attack: View(Storage())}},
            {"0.weight": View(Storage(), size=(attack, 4))},
            {"0.weight": View(attack)},
        ]
        for content in contents:
            with pytest.raises(UserError):
                read(forge(tmp_path / "m", form, content))
        beside = {"state_dict": weights, "hyper_parameters": attack}  # what is no weight is left unread
        assert list(read(forge(tmp_path / "m", form, beside))) == ["0.weight"]
        assert not mark.exists()


@pytest.mark.parametrize(
    "view",
    [
        View(Storage(), offset=1),
        View(Storage(), offset=-1),
        View(Storage(), offset="0"),
        View(Storage(), offset=True),
        View(Storage(), size=(2, 4)),
        View(Storage(), size=(-1, 4)),
        View(Storage(), size=(1, 4), stride=(4, -1)),
        View(Storage(), size=(1, 4), stride=(4, 2)),
        View(Storage(), size=(1, 4), stride=(1,)),
        View(Storage(), size=(10**9, 10**9), stride=(0, 0)),
        View(Storage(), size=(1, 10**5000)),
        View(Storage(), size=(1, 4), stride=(2**63, 1)),
        View(Storage(), size=(1, 4), stride=(2**70, 1)),
        View(Storage(), size=4),
        View(Storage(), size={4: 1}, stride=(1,)),
        View(None),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(view: View, tmp_path: Path) -> None:
    for form in FORMS:
        with pytest.raises(UserError, match=r"tensor 0\.weight is damaged"):
            read(forge(tmp_path / "m", form, {"0.weight": view}))


@pytest.mark.parametrize(
    "storage",
    [
        Storage(length=10**12),
        Storage(length=-4),
        Storage(length=4.0),
        Storage(length=5),
        Storage(key="../../etc/passwd"),
        Storage(key=("0",)),
        Storage(kind=os.system),
        Storage(kind=torch.DoubleStorage),
    ],
)
def test_a_storage_that_is_not_in_the_file_as_stated_is_refused(storage: Storage, tmp_path: Path) -> None:
    for form in FORMS:
        with pytest.raises(UserError):
            read(forge(tmp_path / "m", form, {"0.weight": View(storage)}))


def test_the_legacy_form_states_lengths_twice_and_both_must_agree(tmp_path: Path) -> None:
    for says in (-1, 3, 5, 2**62):
        with pytest.raises(UserError, match="damaged or cut short"):
            read(forge(tmp_path / "m", "legacy", {"0.weight": View(Storage())}, says=says))


@pytest.mark.parametrize("form", FORMS)
def test_a_small_file_cannot_become_large_in_memory(form: str, tmp_path: Path) -> None:
    """Many tensors of one storage, and (in a zip archive) compressed numbers."""
    path = tmp_path / "m"
    numbers = np.zeros(100_000, np.float32)
    large = {f"{n}.weight": View(Storage(length=len(numbers)), size=(1, len(numbers))) for n in range(0, 20, 2)}
    with pytest.raises(UserError, match="larger than the file"):
        read(forge(path, form, large, {"0": numbers.tobytes()}))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", pickled({"0.weight": View(Storage())}))
    with pytest.raises(UserError, match="compressed"):
        read(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_reference_to_anything_but_a_storage_is_refused(form: str, tmp_path: Path) -> None:
    reference = b"\x80\x02(X\x05\x00\x00\x00otherX\x01\x00\x00\x000tQ."
    with pytest.raises(UserError, match="refers to something that is no storage"):
        read(forge(tmp_path / "m", form, reference))


def test_big_endian_numbers_are_refused(tmp_path: Path) -> None:
    path = forge(tmp_path / "m", "zip", {"0.weight": View(Storage())})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("m/byteorder", "big")
    with pytest.raises(UserError, match="big-endian"):
        read(path)
    old = path.with_name("old")
    old.write_bytes(
        b"".join(pickle.dumps(p, 2) for p in (torch_file._MAGIC, torch_file._PROTOCOL, {"little_endian": False}))
    )
    with pytest.raises(UserError, match="big-endian"):
        read(old)


@pytest.mark.parametrize("form", FORMS)
def test_a_checkpoint_cannot_change_the_reader(form: str, tmp_path: Path) -> None:
    """BUILD sets attributes of what it is given: of the classes that stand for torch's names it cannot."""
    for module, name in (
        ("collections", "OrderedDict"),
        ("torch", "FloatStorage"),
        ("torch._utils", "_rebuild_tensor_v2"),
    ):
        hostile = f"\x80\x02c{module}\n{name}\n}}".encode("latin1") + b"X\x04\x00\x00\x00evilK\x01s\x86b."
        for opcodes in (hostile, hostile.replace(b"\x86b", b"b")):
            with pytest.raises(UserError):
                read(forge(tmp_path / "m", form, opcodes))
    assert_read(form, tmp_path)
