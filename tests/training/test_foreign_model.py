"""Checkpoints of torch and lightning: the network comes out, and nothing that they say is run."""

import collections
import contextlib
import enum
import functools
import io
import itertools
import os
import pickle
import struct
import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from vec2uage.base.errors import UserError
from vec2uage.importers import torch_file
from vec2uage.training import foreign_model, model_file

FORMS = ["zip", "legacy"]


class AttributeDict(dict):
    """What lightning keeps hyperparameters in."""


class Mode(enum.Enum):
    MIN = "min"


class Callback:
    """An object of the authors' own code, with state."""

    def __init__(self) -> None:
        self.best, self.mode, self.history = np.float64(2.5), Mode.MIN, collections.deque([1, 2])


def network(*widths: int, dropout: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU(), *([nn.Dropout(0.2)] if dropout else [])]
    return nn.Sequential(*layers[: -2 if dropout else -1]).eval()


def write(path: Path, content: Any, form: str) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    return path


def lightning(net: nn.Module, optimizer: bool = True, hparams: Any = None) -> dict[str, Any]:
    """Return what pytorch-lightning saves, after a step of training."""
    adam = torch.optim.Adam(net.parameters(), lr=1e-4)
    net(torch.ones(3, next(net.parameters()).shape[1])).sum().backward()
    adam.step()
    saved = {
        "epoch": 3,
        "pytorch-lightning_version": "0.9.0",
        "callbacks": {Callback: Callback(), "step": functools.partial(Callback)},
        "state_dict": collections.OrderedDict((f"model.{k}", v) for k, v in net.state_dict().items()),
        "hyper_parameters": AttributeDict(lr=1e-4, activation=nn.ReLU) if hparams is None else hparams,
        "dtype": torch.float32,
        "device": torch.device("cpu"),
    }
    return {**saved, "optimizer_states": [adam.state_dict()]} if optimizer else saved


def load(path: Path) -> foreign_model.Imported:
    return foreign_model.load(path, "none", "facenet")


def vectors(dimension: int, rows: int = 20) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, dimension)).astype(np.float32)


# what is read


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("optimizer", [True, False])
@pytest.mark.parametrize("hparams", [None, Namespace(lr=0.1, net=Callback()), {"a": [1, (2,)]}])
def test_a_lightning_checkpoint_predicts_what_its_network_predicts(
    form: str, optimizer: bool, hparams: Any, tmp_path: Path
) -> None:
    net = network(12, 8, 4, 1)
    imported = load(write(tmp_path / "model.ckpt", lightning(net, optimizer, hparams), form))
    assert dict(imported.component.options) == {"hidden": (8, 4)}
    assert (imported.dimension, imported.encoder) == (12, "facenet")
    with torch.no_grad():
        expected = net(torch.from_numpy(vectors(12)))[:, 0].numpy()
    np.testing.assert_allclose(imported.model().predict(vectors(12)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("widths", [(5, 1), (5, 3, 1), (5, 4, 4, 4, 4, 4, 1)])
@pytest.mark.parametrize("dropout", [True, False])
def test_a_bare_state_dict_of_any_depth_is_read(
    form: str, widths: tuple[int, ...], dropout: bool, tmp_path: Path
) -> None:
    """More than ten modules: layer 10 comes after layer 8, not after layer 1."""
    net = network(*widths, dropout=dropout)
    imported = load(write(tmp_path / "weights.pt", net.state_dict(), form))
    with torch.no_grad():
        expected = net(torch.from_numpy(vectors(5)))[:, 0].numpy()
    np.testing.assert_allclose(imported.model().predict(vectors(5)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_of_another_precision_become_float32(form: str, dtype: torch.dtype, tmp_path: Path) -> None:
    state = {k: v.to(dtype) for k, v in network(5, 3, 1).state_dict().items()}
    weights = load(write(tmp_path / "weights.pt", state, form)).weights
    assert all(torch.equal(w, v.float()) for w, v in zip(weights.values(), state.values(), strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_parameters_and_views_into_one_storage_are_read(form: str, tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    state = {"0.weight": nn.Parameter(whole[1:3, ::2].T), "0.bias": whole[:3, 0], "2.weight": whole[:1, :3]}
    tensors = torch_file.read(write(tmp_path / "weights.pt", state, form))
    assert all(torch.equal(tensors[k], v.detach()) for k, v in state.items())
    tensors["0.bias"][:] = 0  # each in memory of its own
    assert torch.equal(tensors["2.weight"], whole[:1, :3])


def test_what_is_saved_is_a_model_of_vec2uage(tmp_path: Path) -> None:
    imported = foreign_model.load(write(tmp_path / "m.ckpt", lightning(network(12, 8, 1)), "zip"), "l2", "facenet")
    imported.save(tmp_path / "m.safetensors")
    model = model_file.load(tmp_path / "m.safetensors")
    assert np.array_equal(model.predict(vectors(12)), imported.model().predict(vectors(12)))
    assert (model.encoder, model.normalization.kind, model.dimension) == ("facenet", "l2", 12)


def test_the_authors_released_model_has_its_known_error(shared: Path) -> None:
    imported = foreign_model.load(shared / "data/original/SAN-396.ckpt", "l2", "unknown")
    assert dict(imported.component.options) == {"hidden": (512, 256, 128)}
    data = np.load(shared / "data/visage_val.npz")
    inside = data["arr_1"] <= 18
    predicted = imported.model().predict(data["arr_0"][inside])
    assert np.abs(predicted - data["arr_1"][inside]).mean() == pytest.approx(2.916, abs=5e-4)


# networks of another kind


def linear(inputs: int, outputs: int) -> dict[str, torch.Tensor]:
    return {"weight": torch.ones(outputs, inputs), "bias": torch.ones(outputs)}


def state(**layers: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{name.removeprefix('_')}.{part}": t for name, parts in layers.items() for part, t in parts.items()}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).state_dict(),
            r"1\.weight \(4,\) is no part",
        ),
        (nn.LSTM(3, 2).state_dict(), r"weight_ih_l0 \(8, 3\) is no part of a Sequential"),
        (state(fc1=linear(4, 3), fc2=linear(3, 1)), r"fc1\.weight \(3, 4\) is no part"),
        (state(_0=linear(4, 3), _1=linear(3, 1)), "follow each other directly"),
        (
            state(_0=linear(4, 3), _2=linear(2, 1)),
            "layer 2 of shapes .* does not follow one of width 3",
        ),
        (state(_0=linear(4, 2)), "the last layer gives 2 numbers"),
        ({"a.0.weight": torch.ones(1, 4), "b.0.bias": torch.ones(1)}, "2 networks"),
        ({"0.weight": torch.ones(1, 4)}, "layer 0 has no bias"),
        ({"0.weight": torch.ones(1, 4), "0.bias": torch.ones(1, dtype=torch.int64)}, "numbers of type torch.int64"),
        ({"0.weight": torch.ones(0, 4), "0.bias": torch.ones(0)}, "tensor 0.weight is damaged"),
        ({"epoch": 3}, r"holds something \(epoch\) that is no tensor"),
        ({"state_dict": {}}, "no state_dict"),
        ([1, 2], "no state_dict"),
        (network(4, 1), "no state_dict"),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_another_kind_of_content_is_refused_with_a_reason(form: str, content: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        load(write(tmp_path / "m.ckpt", content, form))


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.ckpt"
    with pytest.raises(UserError, match="no such file"):
        load(path)
    for content, says in (
        (b"", "neither a vec2uage model"),
        (b"hello world", "neither a vec2uage model"),
        (pickle.dumps({"a": 1}), "m.ckpt"),
        (pickle.dumps(1) * 5, "not one that torch.save wrote"),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=says):
            load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UserError, match=r"without a data\.pkl"):
        load(path)


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


@pytest.mark.parametrize("form", FORMS)
def test_a_forged_file_without_malice_is_read(form: str, tmp_path: Path) -> None:
    """The forger forges well: what the next tests refuse is the malice."""
    bias = View(Storage("1", 1), size=(1,), stride=(1,))
    path = forge(tmp_path / "m", form, {"0.weight": View(Storage()), "0.bias": bias}, {"0": NUMBERS, "1": NUMBERS[:4]})
    assert load(path).model().predict(np.ones((1, 4), np.float32)).tolist() == [6.0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", ["state_dict", "hyper_parameters", "top", "key", "size", "storage"])
def test_nothing_that_a_checkpoint_calls_is_run(form: str, place: str, tmp_path: Path) -> None:
    mark = tmp_path / "was-here"
    attacks = [
        Attack(os.system, f"touch {mark}"),
        Attack(open, str(mark), "w"),
        Attack(exec, f"open({str(mark)!r}, 'w')"),
        Attack(functools.partial, os.system, f"touch {mark}"),
    ]
    honest = {"0.weight": View(Storage())}
    for attack in attacks:
        content: Any = {
            "state_dict": {"state_dict": {"0.weight": attack}},
            "hyper_parameters": {"state_dict": honest, "hyper_parameters": attack},
            "top": attack,
            "key": {"state_dict": {attack: View(Storage())}},
            "size": {"0.weight": View(Storage(), size=(attack, 4))},
            "storage": {"0.weight": View(attack)},
        }[place]
        with pytest.raises(UserError):
            load(forge(tmp_path / "m", form, content))
        assert not mark.exists()


@pytest.mark.parametrize("form", FORMS)
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
def test_a_tensor_beyond_its_storage_is_refused(form: str, view: View, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tensor 0\.weight is damaged"):
        load(forge(tmp_path / "m", form, {"0.weight": view}))


@pytest.mark.parametrize("form", FORMS)
def test_the_step_along_an_axis_of_one_row_does_not_matter(form: str, tmp_path: Path) -> None:
    views = {"0.weight": View(Storage(), size=(1, 4), stride=(2**63 - 1, 1))}
    assert torch_file.read(forge(tmp_path / "m", form, views))["0.weight"].tolist() == [[0.0, 1.0, 2.0, 3.0]]


@pytest.mark.parametrize("form", FORMS)
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
def test_a_storage_that_is_not_in_the_file_as_stated_is_refused(form: str, storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        load(forge(tmp_path / "m", form, {"0.weight": View(storage)}))


def test_the_legacy_form_states_lengths_twice_and_both_must_agree(tmp_path: Path) -> None:
    for says in (-1, 3, 5, 2**62):
        with pytest.raises(UserError, match="damaged or cut short"):
            load(forge(tmp_path / "m", "legacy", {"0.weight": View(Storage())}, says=says))


@pytest.mark.parametrize("form", FORMS)
def test_a_small_file_cannot_become_large_in_memory(form: str, tmp_path: Path) -> None:
    """Many tensors of one storage, and (in a zip archive) compressed numbers."""
    path = tmp_path / "m"
    numbers = np.zeros(100_000, np.float32)
    large = {f"{n}.weight": View(Storage(length=len(numbers)), size=(1, len(numbers))) for n in range(0, 20, 2)}
    with pytest.raises(UserError, match="larger than the file"):
        load(forge(path, form, large, {"0": numbers.tobytes()}))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", pickled({"0.weight": View(Storage())}))
    with pytest.raises(UserError, match="compressed"):
        load(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_reference_to_anything_but_a_storage_is_refused(form: str, tmp_path: Path) -> None:
    reference = b"\x80\x02(X\x05\x00\x00\x00otherX\x01\x00\x00\x000tQ."
    with pytest.raises(UserError, match="refers to something that is no storage"):
        load(forge(tmp_path / "m", form, reference))


def test_big_endian_numbers_are_refused(tmp_path: Path) -> None:
    path = forge(tmp_path / "m", "zip", {"0.weight": View(Storage())})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("m/byteorder", "big")
    with pytest.raises(UserError, match="big-endian"):
        load(path)
    old = path.with_name("old")
    old.write_bytes(
        b"".join(pickle.dumps(p, 2) for p in (torch_file._MAGIC, torch_file._PROTOCOL, {"little_endian": False}))
    )
    with pytest.raises(UserError, match="big-endian"):
        load(old)


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
                load(forge(tmp_path / "m", form, opcodes))
    bias = View(Storage("1", 1), size=(1,), stride=(1,))
    path = forge(tmp_path / "m", form, {"0.weight": View(Storage()), "0.bias": bias}, {"0": NUMBERS, "1": NUMBERS[:4]})
    assert load(path).model().predict(np.ones((1, 4), np.float32)).tolist() == [6.0]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_anywhere_gives_a_sentence_or_numbers(form: str, data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "m.ckpt"
    if not path.exists():
        write(path, lightning(network(3, 2, 1)), form)
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = path.with_name("damaged")
    damaged.write_bytes(whole[: data.draw(st.integers(0, len(whole)) | st.just(len(whole)))])
    with contextlib.suppress(UserError):
        load(damaged).model().predict(vectors(3))
