"""Batch norm that is not folded: a tuning begins as without, its averages go on, and what is saved has them folded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from tunings import FACE_NET, Tunings, crop
from vec2uage.base.errors import UserError
from vec2uage.data.loading import load_parts
from vec2uage.faces.embedders.blocks import BLOCKS
from vec2uage.faces.embedders.facenet_weights import load_unfolded
from vec2uage.training import model_file, models
from vec2uage.training.data import load
from vec2uage.training.network import outputs
from vec2uage.tuning import batch_norm
from vec2uage.tuning.embedder import Tuned
from vec2uage.tuning.network import base_network
from vec2uage.tuning.tuning import Tuning

pytestmark = pytest.mark.slow  # a crop takes 30 ms of FaceNet
CPU = torch.device("cpu")
MODEL = ("best.safetensors", "encoder.safetensors", "predictions.csv")
UPDATED = ("model.trainable=block8", "model.batch_norm=updated", "averaging=none")


def test_before_the_first_step_it_gives_what_the_run_it_begins_from_does(tunings: Tunings) -> None:
    run = tunings.composed(*tunings.tuning(*UPDATED))[0]
    data = load(run, CPU)
    tuning = Tuning.of(run, data)
    faces = tuning.faces(CPU)
    network = models.build(tuning.measured(faces.train).model, data.dimension, 1, run.seed).eval()
    forward, params, buffers = models.stack([network], 1, "float32")
    members = {name: tensor.detach() for name, tensor in (params | buffers).items()}
    wanted = model_file.load(tunings.root / "frozen" / "best.safetensors")
    test = load_parts(run.dataset, run.split, run.augmentation, run.split_seed)["test"].vectors
    made = outputs(forward, members, faces.parts["test"].blocks(64))
    assert made.numpy()[0, :, 0] == pytest.approx(wanted.predict(test).median, abs=2e-4)
    # Averages of a layer whose file has none are those of its outputs; the last layer has those of the file.
    (x,) = faces.train.blocks(64)
    weight = base_network(tuning.face_net).state_dict()["block8.branch0.weight"]
    given = F.conv2d(x, weight).transpose(0, 1).flatten(1)
    mean, variance = (buffers[f"encoder.block8.branch0.bn.running_{name}"][0] for name in ("mean", "var"))
    torch.testing.assert_close(mean, given.mean(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(variance, given.var(1, correction=0), rtol=1e-4, atol=1e-5)
    held = load_unfolded("frozen_graph", None)["last_linear.bn.running_var"]
    assert torch.equal(buffers["encoder.last_linear.bn.running_var"][0], held)
    assert {"encoder.block8.branch0.bn.weight", "encoder.last_linear.bn.bias"} <= params.keys()
    assert "encoder.last_linear.bn.weight" in buffers  # FaceNet's own batch norms have no scale


def test_batch_norms_of_a_state_dict_are_learnt_as_they_stand_there(tmp_path: Path) -> None:
    network = FACE_NET.network()
    convolutions = {name: m for name, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    averages = {name: torch.full((2, m.out_channels), 0.5) for name, m in convolutions.items()}
    batch_norm.unfold(network, FACE_NET, averages, updated=False)
    names = {"last_linear.conv": "last_linear", "last_linear.bn": "last_bn"}
    parts = [(*name.rpartition(".")[::2], tensor) for name, tensor in network.state_dict().items()]
    save_file({f"{names.get(layer, layer)}.{part}": t for layer, part, t in parts}, tmp_path / "own.safetensors")
    of_file = replace(FACE_NET, weights="file", path=str(tmp_path / "own.safetensors"))
    last = of_file.network().without(BLOCKS[:-2])
    x = torch.rand(3, 1792, 3, 3, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        folded = last.through(x, BLOCKS[-2:])
        batch_norm.unfold(last, of_file, {}, updated=False)
        torch.testing.assert_close(last.through(x, BLOCKS[-2:]), folded, rtol=1e-4, atol=1e-4)
    wanted = network.state_dict()
    assert "block8.branch1.2.bn.running_var" in last.state_dict()
    for name, tensor in last.state_dict().items():
        torch.testing.assert_close(tensor, wanted[name])


@pytest.fixture(scope="module")
def updated(tunings: Tunings) -> Path:
    """The folder of a completed tuning whose averages moved."""
    assert tunings.train("updated", *tunings.tuning(*UPDATED)).status == "completed"
    return tunings.root / "updated"


def test_averages_go_on_where_a_tuning_was_stopped(tunings: Tunings, updated: Path) -> None:
    own = tunings.tuning(*UPDATED)
    assert tunings.train("updated_stopped", *own, until=1).status == "running"
    assert tunings.train("updated_stopped", *own).status == "completed"
    for name in MODEL:
        assert (tunings.root / "updated_stopped" / name).read_bytes() == (updated / name).read_bytes()


@pytest.fixture(scope="module")
def averaged(tunings: Tunings) -> Path:
    """The folder of a completed tuning with averaged weights, whose batch norms' averages stood still."""
    own = tunings.tuning("model.trainable=block8", "model.batch_norm=frozen", "averaging=ema", "trainer.max_epochs=1")
    assert tunings.train("averaged", *own).status == "completed"
    return tunings.root / "averaged"


@pytest.mark.parametrize("how", ["updated", "averaged"])
def test_what_is_saved_has_the_learnt_batch_norms_folded(
    tunings: Tunings, how: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(how)
    run = tunings.composed()[0]
    test = load_parts(run.dataset, run.split, run.augmentation, run.split_seed)["test"]
    embedder = Tuned(path=str(folder / "encoder.safetensors"), base=None, precision="float32")
    crops = [embedder.prepare(crop(int(Path(name).stem))) for name in test.names]
    rows = np.genfromtxt(folder / "predictions.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    said = model_file.load(folder / "best.safetensors").predict(embedder.open("cpu")(np.stack(crops))).median
    assert rows.dtype.names is not None
    assert said == pytest.approx(rows[rows.dtype.names[3]], abs=2e-3)


def test_averages_that_cannot_be_taken_are_told_before_any_work(tunings: Tunings) -> None:
    run = tunings.composed(*tunings.tuning("model.batch_norm=updated", "averaging=ema"))[0]
    with pytest.raises(UserError, match=r"averaging=none"):
        Tuning.of(run, load(run, CPU))
    run = tunings.composed(*tunings.tuning("model.batch_norm=updated", "averaging=none"))[0]
    for size in (1, 11):
        alone = replace(run, trainer=replace(run.trainer, batch_size=size))
        with pytest.raises(UserError, match=r"batch_size.*12 faces"):
            Tuning.of(alone, load(alone, CPU))
