"""Tuning an encoder that ends at an inner block: `embedder.layer` of the vectors, and of what tunes them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tunings import ENCODER, FACE_NET, Tunings, crop
from vec2uage.base.errors import UserError
from vec2uage.data import storage
from vec2uage.data.loading import load_parts
from vec2uage.data.vectorset import make_vector_set
from vec2uage.faces.embedders.facenet import FaceNet
from vec2uage.runs.folder import RunFolder
from vec2uage.training import model_file, models, tensor_file
from vec2uage.training.data import load
from vec2uage.training.network import outputs
from vec2uage.tuning import activations
from vec2uage.tuning.embedder import Tuned
from vec2uage.tuning.tuning import Tuning

pytestmark = pytest.mark.slow  # a crop takes 30 ms of FaceNet
CPU = torch.device("cpu")
LEARNS = "model.encoder_lr=1.0", "regularization.dropout=0.1"
NAMES = [f"{number}.png" for number in range(20)]


@pytest.fixture(scope="module")
def of_block8(tunings: Tunings) -> Tunings:
    """The same crops, whose vectors are what block8 makes of them, and a run that was trained on these."""
    made = Tunings(tunings.root / "block8", tunings.composer)
    made.root.mkdir()
    (made.root / "crops").symlink_to(tunings.root / "crops")
    embedder = replace(FACE_NET, layer="block8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FaceNet, "batch_size", 20)
        vectors = embedder.open("cpu")(np.stack([embedder.prepare(crop(number)) for number in range(20)]))
    ages = [1.0 + number % 2 for number in range(20)]
    encoder = ENCODER.replace("/normalized/", "/normalized/block8/")
    storage.save(make_vector_set(vectors, ages, names=NAMES, encoder=encoder), made.root / "faces.arrow")
    made.train("frozen", "model.hidden=[16]", "optimizer.lr=1e-2", "trainer.max_epochs=4")
    return made


@pytest.fixture(scope="module")
def tuned(of_block8: Tunings) -> Path:
    """The folder of a completed tuning of block8."""
    assert of_block8.train("tuned", *of_block8.tuning(*LEARNS)).status == "completed"
    return of_block8.root / "tuned"


def test_before_the_first_step_it_gives_what_the_run_it_begins_from_does(of_block8: Tunings) -> None:
    run = of_block8.composed(*of_block8.tuning("model.trainable=repeat_3", "model.cache=null"))[0]
    data = load(run, CPU)
    tuning = Tuning.of(run, data)
    forward, params, buffers = models.stack([models.build(tuning.run.model, data.dimension, 1, 0)], 1, "float32")
    members = {name: tensor.detach() for name, tensor in (params | buffers).items()}
    frozen = model_file.load(of_block8.root / "frozen" / "best.safetensors")
    test = load_parts(run.dataset, run.split, run.augmentation, run.split_seed)["test"]
    first = outputs(forward, members, tuning.faces(CPU).parts["test"].blocks(4096)).numpy()[0, :, 0]
    assert first == pytest.approx(frozen.predict(test.vectors).median, abs=2e-4)


def test_the_tuned_encoder_ends_at_the_block_of_its_vectors(tuned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FaceNet, "batch_size", 4)
    weights, description = tensor_file.read(tuned / "encoder.safetensors")
    assert {name.partition(".")[0] for name in weights} == {"block8"}
    assert (description["takes"]["layer"], description["about"]["blocks"]) == ("block8", ["block8"])
    embedder = Tuned(path=str(tuned / "encoder.safetensors"), base=None, precision="float32")
    model = model_file.load(tuned / "best.safetensors")
    assert embedder.dimension == model.dimension == 1792
    assert embedder.fingerprint().endswith("/resize/fixed/normalized/block8/float32")
    assert model.encoder.startswith(embedder.fingerprint().removesuffix("/float32"))
    rows = np.genfromtxt(tuned / "predictions.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    crops = [crop(int(Path(name).stem)) for name in rows["name"]]
    vectors = embedder.open("cpu")(np.stack([embedder.prepare(pixels) for pixels in crops]))
    assert model.predict(vectors).median == pytest.approx(rows[rows.dtype.names[3]], abs=2e-3)


def test_a_tuning_of_an_inner_block_goes_on_where_it_was_stopped(of_block8: Tunings, tuned: Path) -> None:
    own = of_block8.tuning(*LEARNS)
    assert of_block8.train("stopped", *own, until=1).status == "running"
    files, there = of_block8.train("stopped", *own).files, RunFolder(tuned).read_result().files
    same = "best.safetensors", "encoder.safetensors", "predictions.csv"
    assert [files[name] for name in same] == [there[name] for name in same]


def test_files_of_earlier_versions_make_vectors_of_the_last_layer(
    tunings: Tunings, tuned: Path, tmp_path: Path
) -> None:
    weights, description = tensor_file.read(tuned / "encoder.safetensors")
    del description["takes"]["layer"]
    tensor_file.write(tmp_path / "encoder.safetensors", weights, description)
    embedder = Tuned(path=str(tmp_path / "encoder.safetensors"), base=None, precision="float32")
    assert embedder.fingerprint().endswith("/resize/fixed/normalized/float32")
    assert embedder.dimension == 512


def test_what_comes_before_a_block_is_kept_once_whatever_makes_the_vectors(
    tunings: Tunings, of_block8: Tunings, tuned: Path
) -> None:
    run = tunings.composed(*tunings.tuning("model.trainable=block8"))[0]
    activations.cached(Tuning.of(run, load(run, CPU)).frozen(CPU), of_block8.root / "cache")
    assert len(list((of_block8.root / "cache").glob("before-block8-*.npy"))) == 1


def test_what_does_not_fit_an_inner_block_is_told(of_block8: Tunings) -> None:
    def refused(words: str, *own: str) -> None:
        run = of_block8.composed(*of_block8.tuning(*own))[0]
        with pytest.raises(UserError, match=words):
            Tuning.of(run, load(run, CPU))

    refused(r"model\.trainable = last_linear", "model.trainable=last_linear")
    whole = ENCODER.replace("/normalized/", "/normalized/repeat_2/")
    vectors = storage.load(of_block8.root / "faces.arrow")
    storage.save(replace(vectors, encoder=whole), of_block8.root / "named.arrow")
    refused("896 numbers", f"dataset.path={of_block8.root / 'named.arrow'}")
