"""Batch norm that is not folded: a tuning begins as without, its averages go on, and what is saved has them folded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from conftest import FACE_NET, Tunings, crop
from vec2uage.base.errors import UserError
from vec2uage.data.loading import load_parts
from vec2uage.faces.embedders.facenet_weights import load_unfolded
from vec2uage.training import model_file, models
from vec2uage.training.data import load
from vec2uage.training.network import outputs
from vec2uage.training.optimizers.base import Tensors
from vec2uage.tuning import batch_norm
from vec2uage.tuning.embedder import Tuned
from vec2uage.tuning.learner import _Tuning
from vec2uage.tuning.network import base_network

pytestmark = pytest.mark.slow  # a crop takes 30 ms of FaceNet
CPU = torch.device("cpu")
MODEL = ("best.safetensors", "encoder.safetensors", "predictions.csv")
UPDATED = ("model.trainable=block8", "model.batch_norm=updated", "averaging=none")


def begun(tunings: Tunings, *own: str) -> tuple[Tensors, Tensors, _Tuning]:
    """Parameters and buffers of a tuning before its first step, which gives what the run it begins from does."""
    run = tunings.composed(*tunings.tuning("model.trainable=block8", "averaging=none", *own))[0]
    data = load(run, CPU)
    tuning = _Tuning.of(run, data)
    faces = tuning.faces(CPU)
    network = models.build(tuning.measured(faces.train).model, data.dimension, 1, run.seed).eval()
    forward, params, buffers = models.stack([network], 1, "float32")
    params, buffers = ({name: tensor.detach() for name, tensor in of.items()} for of in (params, buffers))
    wanted = model_file.load(tunings.root / "frozen" / "best.safetensors")
    test = load_parts(run.dataset, run.split, run.augmentation, run.split_seed)["test"].vectors
    made = outputs(forward, params | buffers, faces.parts["test"].blocks(64))
    assert made.numpy()[0, :, 0] == pytest.approx(wanted.predict(test).median, abs=2e-4)
    return params, buffers, tuning


@pytest.mark.parametrize("kind", ["frozen", "updated"])
def test_averages_of_batch_norms_that_were_folded_are_those_of_the_faces(tunings: Tunings, kind: str) -> None:
    params, buffers, tuning = begun(tunings, f"model.batch_norm={kind}")
    (x,) = tuning.faces(CPU).train.blocks(64)
    weight = base_network(tuning.face_net).state_dict()["block8.branch0.weight"]
    given = F.conv2d(x, weight).transpose(0, 1).flatten(1)
    mean, variance = (buffers[f"encoder.block8.branch0.bn.running_{name}"][0] for name in ("mean", "var"))
    torch.testing.assert_close(mean, given.mean(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(variance, given.var(1, correction=0), rtol=1e-4, atol=1e-5)
    held = load_unfolded("frozen_graph", None)["last_linear.bn.running_var"]
    assert torch.equal(buffers["encoder.last_linear.bn.running_var"][0], held)
    assert {"encoder.block8.branch0.bn.weight", "encoder.last_linear.bn.bias"} <= params.keys()
    assert "encoder.last_linear.bn.weight" in buffers  # FaceNet's own batch norms have no scale


def test_batch_norms_of_a_state_dict_are_learnt_as_they_stand_there(tunings: Tunings, tmp_path: Path) -> None:
    network = FACE_NET.network()
    shapes = {name: (2, *m.bias.shape) for name, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    averages = {name: torch.full(shape, 0.5) for name, shape in shapes.items()}
    batch_norm.unfold(network, FACE_NET, averages, updated=False)
    names = {"last_linear.conv": "last_linear", "last_linear.bn": "last_bn"}
    parts = [(*name.rpartition(".")[::2], tensor) for name, tensor in network.state_dict().items()]
    state = {f"{names.get(layer, layer)}.{part}": tensor for layer, part, tensor in parts}
    save_file(state, tmp_path / "own.safetensors")
    weights = "model.weights=file", f"model.path={tmp_path / 'own.safetensors'}"
    params, buffers, _ = begun(tunings, *weights, "model.batch_norm=frozen")
    (tmp_path / "own.safetensors").unlink()
    for name in ("block8.branch1.2.bn.weight", "block8.branch1.2.bn.running_var", "last_linear.bn.bias"):
        torch.testing.assert_close((params | buffers)[f"encoder.{name}"][0], network.state_dict()[name])


@pytest.fixture(scope="module")
def updated(tunings: Tunings) -> Path:
    """The folder of a completed tuning whose averages moved."""
    assert tunings.train("updated", *tunings.tuning(*UPDATED)).status == "completed"
    return tunings.root / "updated"


def test_averages_go_on_where_a_tuning_was_stopped(tunings: Tunings, updated: Path) -> None:
    own = tunings.tuning(*UPDATED)
    assert tunings.train("updated_stopped", *own, until=1).status == "running"
    files = tunings.train("updated_stopped", *own).files
    for name in MODEL:
        assert (tunings.root / "updated_stopped" / name).read_bytes() == (updated / name).read_bytes()
    averaged = tunings.train("averaged", *tunings.tuning(*UPDATED[:1], "model.batch_norm=frozen", "averaging=ema"))
    assert averaged.status == "completed"
    assert averaged.files["encoder.safetensors"] != files["encoder.safetensors"]


def test_what_is_saved_has_the_learnt_batch_norms_folded(tunings: Tunings, updated: Path) -> None:
    run = tunings.composed()[0]
    test = load_parts(run.dataset, run.split, run.augmentation, run.split_seed)["test"]
    embedder = Tuned(path=str(updated / "encoder.safetensors"), base=None, precision="float32")
    crops = [embedder.prepare(crop(int(Path(name).stem))) for name in test.names]
    rows = np.genfromtxt(updated / "predictions.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    said = model_file.load(updated / "best.safetensors").predict(embedder.open("cpu")(np.stack(crops))).median
    assert rows.dtype.names is not None
    assert said == pytest.approx(rows[rows.dtype.names[3]], abs=2e-3)


def test_averages_that_cannot_be_taken_are_told_before_any_work(tunings: Tunings) -> None:
    run = tunings.composed(*tunings.tuning("model.batch_norm=updated", "averaging=ema"))[0]
    with pytest.raises(UserError, match=r"averaging=none"):
        _Tuning.of(run, load(run, CPU))
    run = tunings.composed(*tunings.tuning("model.batch_norm=updated", "averaging=none"))[0]
    for size in (1, 11):
        alone = replace(run, trainer=replace(run.trainer, batch_size=size))
        with pytest.raises(UserError, match=r"batch_size.*12 faces"):
            _Tuning.of(alone, load(alone, CPU))
