"""Tuning the last blocks of an encoder: it begins where a run on vectors ended, and what it gives can be used."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from tunings import ENCODER, Tunings, crop
from vec2uage.base.encoder import Encoder
from vec2uage.base.errors import UserError
from vec2uage.config.component import locate
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.data.loading import load_parts
from vec2uage.data.similarity import cosine
from vec2uage.data.vectorset import concatenate
from vec2uage.runs.folder import RunFolder
from vec2uage.training import model_file, models, tensor_file
from vec2uage.training.data import load
from vec2uage.training.learners.registry import learner_of
from vec2uage.training.network import outputs
from vec2uage.training.stacking.members import open_members
from vec2uage.tuning import activations, encoder_file
from vec2uage.tuning.embedder import Tuned
from vec2uage.tuning.pairs import find_pairs
from vec2uage.tuning.tuning import Tuning
from vec2uage.tuning.verification import separation

pytestmark = pytest.mark.slow  # a crop takes 30 ms of FaceNet
CPU = torch.device("cpu")
MODEL = ("best.safetensors", "encoder.safetensors", "encoder.md", "predictions.csv")


def parts_of(tunings: Tunings) -> Any:
    run = tunings.composed()[0]
    return load_parts(run.dataset, run.split, run.augmentation, run.split_seed)


def raw(tunings: Tunings, part: str, *own: str) -> np.ndarray:
    """What a tuning gives for a part of the split before its first step."""
    run = tunings.composed(*tunings.tuning(*own))[0]
    data = load(run, CPU)
    tuning = Tuning.of(run, data)
    network = models.build(tuning.run.model, data.dimension, 1, run.seed)
    forward, params, buffers = models.stack([network], 1, "float32")
    members = {name: tensor.detach() for name, tensor in (params | buffers).items()}
    return outputs(forward, members, tuning.faces(CPU).parts[part].blocks(4096)).numpy()[0, :, 0]


@pytest.mark.parametrize("block", ["last_linear", "block8", "all"])
def test_before_the_first_step_it_gives_what_the_run_it_begins_from_does(tunings: Tunings, block: str) -> None:
    frozen = model_file.load(tunings.root / "frozen" / "best.safetensors")
    for part in ("validation", "test"):
        wanted = frozen.predict(parts_of(tunings)[part].vectors).median
        assert raw(tunings, part, f"model.trainable={block}") == pytest.approx(wanted, abs=2e-4)


@pytest.fixture(scope="module")
def tuned(tunings: Tunings) -> Path:
    """The folder of a completed tuning."""
    assert tunings.train("tuned", *tunings.tuning("model.encoder_lr=1.0")).status == "completed"
    return tunings.root / "tuned"


def test_cached_and_computed_activations_train_the_same_network(tunings: Tunings, tuned: Path) -> None:
    again = tunings.train("uncached", *tunings.tuning("model.encoder_lr=1.0", "model.cache=null"))
    there = RunFolder(tuned).read_result()
    assert again.scores == there.scores
    assert {name: again.files[name] for name in MODEL} == {name: there.files[name] for name in MODEL}
    assert len(list((tunings.root / "cache").glob("before-last_linear-*.npy"))) == 1


def test_a_tuning_goes_on_where_it_was_stopped(tunings: Tunings, tuned: Path) -> None:
    own = tunings.tuning("model.encoder_lr=1.0")
    assert tunings.train("stopped", *own, until=1).status == "running"
    files = tunings.train("stopped", *own).files
    there = RunFolder(tuned).read_result().files
    assert {name: files[name] for name in MODEL} == {name: there[name] for name in MODEL}


def test_a_tuning_does_not_go_on_from_another_run_than_it_began_from(tunings: Tunings) -> None:
    start = shutil.copytree(tunings.root / "frozen", tunings.root / "start")
    own = tunings.tuning(f"model.start={start}")
    assert tunings.train("began", *own, until=1).status == "running"
    assert tunings.train("ended", *own, "trainer.max_epochs=1").status == "completed"
    shutil.rmtree(start)
    tunings.train("start", "model.hidden=[16]", "normalization=l2", "trainer.max_epochs=1")
    with pytest.raises(UserError, match=r"model\.start.*resume=false"):
        tunings.train("began", *own)
    with pytest.raises(UserError, match=r"of other models \(.*model\.start\)"):
        tunings.train("ended", *own, "trainer.max_epochs=1")


def test_units_are_left_out_in_training_alone(tunings: Tunings, tuned: Path) -> None:
    own = tunings.tuning("model.encoder_lr=1.0", "regularization.dropout=0.5")
    scores = [tunings.train(f"dropout_{number}", *own).scores for number in range(2)]
    assert scores[0] == scores[1] != RunFolder(tuned).read_result().scores
    frozen = model_file.load(tunings.root / "frozen" / "best.safetensors")
    wanted = frozen.predict(parts_of(tunings)["test"].vectors).median
    assert raw(tunings, "test", "regularization.dropout=0.5") == pytest.approx(wanted, abs=2e-4)


@pytest.mark.bf16
def test_rounded_convolutions_do_not_round_the_ages(tunings: Tunings) -> None:
    own = "head=laplace", f"model.start={tunings.root / 'laplace'}", "model.trainable=block8"
    tunings.train("laplace", "head=laplace", "model.hidden=[16]", "trainer.max_epochs=1")
    run = tunings.composed(*tunings.tuning(*own))[0]
    tuning = Tuning.of(run, load(run, CPU))
    forward, params, buffers = models.stack([models.build(tuning.run.model, 512, 2, run.seed)], 2, "bf16")
    members = {name: tensor.detach() for name, tensor in (params | buffers).items()}
    made = outputs(forward, members, tuning.faces(CPU).parts["test"].blocks(4096))[0]
    assert (made != made.bfloat16()).any(dim=0).all()
    wanted = model_file.load(tunings.root / "laplace" / "best.safetensors")
    test = parts_of(tunings)["test"].vectors
    assert wanted.head.prediction(made.numpy()).median == pytest.approx(wanted.predict(test).median, abs=2e-2)


@pytest.mark.bf16
def test_activations_have_the_same_bits_beside_runs_in_another_precision(tunings: Tunings) -> None:
    run = tunings.composed(*tunings.tuning())[0]
    frozen = Tuning.of(run, load(run, CPU)).frozen(CPU)
    alone = frozen.of(np.array([0]))
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    try:
        np.testing.assert_array_equal(frozen.of(np.array([0])), alone)
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = "none"


def test_crops_are_streamed_where_all_blocks_learn(tunings: Tunings) -> None:
    own = tunings.tuning("model.trainable=all", f"model.cache={tunings.root / 'unused'}", "trainer.max_epochs=1")
    assert tunings.train("all", *own).status == "completed"
    assert not (tunings.root / "unused").exists()
    weights = encoder_file.read(tunings.root / "all" / "encoder.safetensors").weights
    assert {"conv2d_1a.weight", "last_linear.bias"} <= weights.keys()


def test_the_tuned_encoder_makes_the_vectors_that_its_model_is_for(tunings: Tunings, tuned: Path) -> None:
    options = yaml.safe_load(Path(conf_dir(), "embedder", "tuned.yaml").read_text())
    options |= {"path": str(tuned / "encoder.safetensors"), "precision": "float32"}
    embedder = locate(options.pop("_target_"))(**options)
    model, test = model_file.load(tuned / "best.safetensors"), parts_of(tunings)["test"]
    crops = [crop(int(Path(name).stem)) for name in test.names]
    vectors = embedder.open("cpu")(np.stack([embedder.prepare(pixels) for pixels in crops]))
    assert np.abs(vectors - test.vectors).max() > 1e-4
    rows = np.genfromtxt(tuned / "predictions.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    column = rows.dtype.names[3]
    assert model.predict(vectors).median == pytest.approx(rows[column], abs=2e-3)
    network = embedder.fingerprint().removesuffix("/float32")
    assert network.startswith("facenet-tuned-")
    assert network.endswith("/resize/fixed/normalized")
    assert model.encoder.startswith(f"{network}/")
    assert Encoder.parse(model.encoder).options == Encoder.parse(ENCODER).options
    about = encoder_file.read(tuned / "encoder.safetensors").about
    assert about["blocks"] == ["last_linear"]
    assert about["rows"]["train"] == 12


def test_its_card_tells_what_it_was_tuned_on_and_how_it_tells_persons_apart(tunings: Tunings, tuned: Path) -> None:
    encoder, parts = encoder_file.read(tuned / "encoder.safetensors"), parts_of(tunings)
    result, start = (RunFolder(folder).read_result() for folder in (tuned, tunings.root / "frozen"))
    card = (tuned / "encoder.md").read_text()
    for fact in (encoder.network, encoder.base_sha256, result.data_fingerprint, start.files["best.safetensors"]):
        assert fact in card
    for score in (result.scores["test/mae"], start.scores["test/mae"], start.scores["validation/crps"]):
        assert f" {score:.4f} " in card
    for row in ("| optimizer.weight_decay | 0.0 |", "| model.encoder_weight_decay | null |", "| precision | float32 |"):
        assert row in card
    assert str(tunings.root) not in card
    found, pairs = encoder.about["verification"], find_pairs(parts, tunings.root / "faces.arrow")
    every = concatenate(list(parts.values()))
    before = np.stack([every.vectors[np.flatnonzero(every.names == name)[0]] for name in pairs.names])
    (file,) = (tunings.root / "cache").glob("before-last_linear-*.npy")
    crops = np.searchsorted(np.sort(every.names), pairs.names)
    after = np.load(file)[crops] @ encoder.weights["last_linear.weight"].numpy().T
    after += encoder.weights["last_linear.bias"].numpy()
    for vectors, told in ((before, found["before"]), (after, found["after"])):
        same, different = (cosine(*vectors[of.T]) for of in (pairs.same["cosine"], pairs.different))
        assert told["same"]["cosine"] == pytest.approx(asdict(separation(same, different, 0.95)), abs=1e-5)
        assert told["different"]["median"] == pytest.approx(np.median(different), abs=1e-5)
    assert found["before"] != found["after"]


@pytest.mark.parametrize("again", [("model=end_to_end", "model.start={}"), ("model=stack", "model.members=[{}]")])
def test_a_model_for_tuned_vectors_is_not_taken_for_one_of_these(
    tunings: Tunings, tuned: Path, again: tuple[str, ...]
) -> None:
    run = tunings.composed(*(option.format(tuned) for option in again))[0]
    data, parts = load(run, CPU), parts_of(tunings)
    with pytest.raises(UserError, match=r"another encoder.*facenet-tuned-"):
        Tuning.of(run, data) if again[0] == "model=end_to_end" else open_members(run, parts)


def test_activations_take_their_crops_as_the_embedder_does_and_are_found_again(tunings: Tunings) -> None:
    run = tunings.composed(*tunings.tuning())[0]
    tuning = Tuning.of(run, load(run, CPU))
    frozen = tuning.frozen(CPU)
    kept = activations.cached(frozen, tunings.root / "again")(np.array([3, 0]))
    np.testing.assert_array_equal(kept, frozen.of(np.array([3, 0])))
    (file,) = (tunings.root / "again").iterdir()
    assert (np.load(file).shape, file.stat().st_mode & 0o777) == ((20, 1792), 0o600)
    whole = file.read_bytes()
    for damaged in (b"", whole[:50], whole[:-100]):
        file.write_bytes(damaged)
        with pytest.raises(UserError, match="damaged"):
            activations.cached(frozen, tunings.root / "again")


def test_a_wrong_file_is_no_tuned_encoder(tuned: Path, tmp_path: Path) -> None:
    weights, description = tensor_file.read(tuned / "encoder.safetensors")
    takes, path = description["takes"], tmp_path / "encoder.safetensors"
    half = {name: tensor.half() for name, tensor in weights.items()}
    wrong = [(half, {}), ({"conv": torch.zeros(1)}, {}), (weights, {"takes": {}})]
    wrong += [(weights, {"takes": takes | more}) for more in ({"layer": "block8"}, {"path": "x"}, {"adapter": "x"})]
    for tensors, change in wrong:
        tensor_file.write(path, tensors, description | change)
        with pytest.raises(UserError, match=r"encoder\.safetensors"):
            Tuned(path=str(path), base=None, precision="float32").open("cpu")
    for base, given in (("file", None), ("vggface2", "own.pt"), ("frozen_graph", str(tmp_path / "none.pb"))):
        tensor_file.write(path, weights, description | {"base": base})
        with pytest.raises(UserError, match=r"embedder\.base"):
            Tuned(path=str(path), base=given, precision="float32").open("cpu")


def test_what_cannot_be_tuned_is_told_before_any_work(
    tunings: Tunings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(words: str, *own: str) -> None:
        run = tunings.composed(*tunings.tuning(*own))[0]
        with pytest.raises(UserError, match=words):
            Tuning.of(run, load(run, CPU)).faces(CPU)

    refused("keep_crops", f"model.crops={tmp_path}")
    refused("no such folder", f"model.crops={tmp_path / 'none'}")
    refused("head", "head=gaussian")
    refused("another split", "split.seed=1")
    refused("no such file", f"model.start={tmp_path / 'none'}")
    refused("several networks", "averaging=swag")
    others = shutil.copytree(tunings.root / "crops", tmp_path / "others")
    for number in range(20):
        shutil.copy(tunings.root / "crops" / f"{(number + 1) % 20}.png", others / f"{number}.png")
    refused("another vector", f"model.crops={others}")
    monkeypatch.setattr(activations.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, 100))
    refused("are free", f"model.cache={tmp_path}")
    run = tunings.composed(*tunings.tuning("trainer.overfit=true"))[0]
    with pytest.raises(UserError, match="overfit"):
        learner_of(run).check_stackable(run, load(run, CPU), CPU)
