"""Checkpoints of torch and lightning: the network comes out, and nothing that they say is run."""

import collections
import contextlib
import enum
import functools
import itertools
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
from vec2uage.training import foreign_model, model_file
from vec2uage.training.model_file import NetworkModel

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


def load(path: Path) -> NetworkModel:
    return foreign_model.load(path, "none", "facenet")


def vectors(dimension: int, rows: int = 20) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, dimension)).astype(np.float32)


# what is read


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("optimizer", "hparams"), [(True, None), (False, Namespace(lr=0.1, net=Callback())), (True, {"a": [1, (2,)]})]
)
def test_a_lightning_checkpoint_predicts_what_its_network_predicts(
    form: str, optimizer: bool, hparams: Any, tmp_path: Path
) -> None:
    net = network(12, 8, 4, 1)
    imported = load(write(tmp_path / "model.ckpt", lightning(net, optimizer, hparams), form))
    assert dict(imported.model.options) == {"hidden": (8, 4)}
    assert (imported.dimension, imported.encoder) == (12, "facenet")
    with torch.no_grad():
        expected = net(torch.from_numpy(vectors(12)))[:, 0].numpy()
    np.testing.assert_allclose(imported.predict(vectors(12)).median, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("widths", "dropout"), [((5, 1), False), ((5, 3, 1), True), ((5, 4, 4, 4, 4, 4, 1), False)])
def test_a_bare_state_dict_of_any_depth_is_read(
    form: str, widths: tuple[int, ...], dropout: bool, tmp_path: Path
) -> None:
    """More than ten modules: layer 10 comes after layer 8, not after layer 1."""
    net = network(*widths, dropout=dropout)
    imported = load(write(tmp_path / "weights.pt", net.state_dict(), form))
    with torch.no_grad():
        expected = net(torch.from_numpy(vectors(5)))[:, 0].numpy()
    np.testing.assert_allclose(imported.predict(vectors(5)).median, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_weights_of_another_precision_become_float32(form: str, tmp_path: Path) -> None:
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        state = {k: v.to(dtype) for k, v in network(5, 3, 1).state_dict().items()}
        weights = load(write(tmp_path / "weights.pt", state, form)).weights
        assert all(torch.equal(w[0], v.float()) for w, v in zip(weights.values(), state.values(), strict=True))


def test_what_is_saved_is_a_model_of_vec2uage(tmp_path: Path) -> None:
    imported = foreign_model.load(write(tmp_path / "m.ckpt", lightning(network(12, 8, 1)), "zip"), "l2", "facenet")
    imported.save(tmp_path / "m.safetensors")
    model = model_file.load(tmp_path / "m.safetensors")
    assert np.array_equal(model.predict(vectors(12)).median, imported.predict(vectors(12)).median)
    assert (model.encoder, model.normalization.kind, model.dimension) == ("facenet", "l2", 12)


def test_the_authors_released_model_has_its_known_error(shared: Path) -> None:
    imported = foreign_model.load(shared / "data/original/SAN-396.ckpt", "l2", "unknown")
    assert dict(imported.model.options) == {"hidden": (512, 256, 128)}
    data = np.load(shared / "data/visage_val.npz")
    inside = data["arr_1"] <= 18
    predicted = imported.predict(data["arr_0"][inside]).median
    assert np.abs(predicted - data["arr_1"][inside]).mean() == pytest.approx(2.916, abs=5e-4)


# networks of another kind


def linear(inputs: int, outputs: int) -> dict[str, torch.Tensor]:
    return {"weight": torch.ones(outputs, inputs), "bias": torch.ones(outputs)}


def state(**layers: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{name.removeprefix('_')}.{part}": t for name, parts in layers.items() for part, t in parts.items()}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).state_dict(), r"1\.weight \(4,\) is no part"),
        (nn.LSTM(3, 2).state_dict(), r"weight_ih_l0 \(8, 3\) is no part of a Sequential"),
        (state(fc1=linear(4, 3), fc2=linear(3, 1)), r"fc1\.weight \(3, 4\) is no part"),
        (state(_0=linear(4, 3), _1=linear(3, 1)), "follow each other directly"),
        (state(_0=linear(4, 3), _2=linear(2, 1)), "layer 2 of shapes .* does not follow one of width 3"),
        (state(_0=linear(4, 2)), "the last layer gives 2 numbers"),
        ({"a.0.weight": torch.ones(1, 4), "b.0.bias": torch.ones(1)}, "2 networks"),
        ({"0.weight": torch.ones(1, 4)}, "layer 0 has no bias"),
        ({"0.weight": torch.ones(1, 4), "0.bias": torch.ones(1, dtype=torch.int64)}, "numbers of type torch.int64"),
    ],
)
def test_another_kind_of_network_is_refused_with_a_reason(content: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        load(write(tmp_path / "m.ckpt", content, "zip"))


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
        load(damaged).predict(vectors(3))
