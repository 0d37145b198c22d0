"""The saved network: what comes out is what was trained, and nothing foreign gets in."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from vec2uage.base.cores import threads
from vec2uage.base.errors import UserError
from vec2uage.config.component import Component
from vec2uage.training import model_file, tensor_file
from vec2uage.training.normalization import fit

THIRDS = ("head._target_=test_heads.Thirds", "~head.loss")


def raw_vectors(rows=37):
    return np.random.default_rng(0).normal(2, 3, (rows, 24)).astype(np.float32)


@pytest.fixture
def save(tmp_path, make_run, make_data, train):
    """Train a run and write its model; return the file and what became of the run."""

    def go(*overrides, data=None):
        outcome = train([make_run(*overrides)], data or make_data()).outcomes[0]
        outcome.model.save(tmp_path / "best.safetensors")
        return tmp_path / "best.safetensors", outcome

    return go


@pytest.mark.parametrize("kind", ["l2", "none", "standardize"])
def test_a_loaded_model_predicts_bit_for_bit_what_the_run_predicted(kind, save, make_data):
    """The normalisation is part of the file: the loaded model takes vectors as they come."""
    raw = torch.from_numpy(raw_vectors())
    normalization = fit(kind, torch.from_numpy(raw_vectors(80)))
    data = make_data()
    parts = {**data.parts, "test": replace(data.parts["test"], x=normalization(raw))}
    path, outcome = save(data=replace(data, parts=parts, normalization=normalization, encoder="facenet"))
    model = model_file.load(path)
    assert np.array_equal(model.predict(raw.numpy()).median, outcome.prediction.median)
    assert (model.encoder, model.normalization.kind, model.dimension) == ("facenet", kind, 24)


@pytest.mark.parametrize("precision", ["float32", pytest.param("bf16", marks=pytest.mark.bf16)])
def test_predictions_depend_on_the_precision_of_training_and_not_on_the_number_of_threads(save, precision):
    """A matrix library cuts products of these widths differently for more threads."""
    vectors = np.random.default_rng(0).normal(size=(180, 24)).astype(np.float32)
    path, outcome = save("model.hidden=[1000,100]", f"trainer.precision={precision}")
    model = model_file.load(path)
    assert model.precision == precision
    predicted = [outcome.model.predict(vectors)]
    for count in (1, 2, 3):
        with threads(count):
            predicted.append(model.predict(vectors))
            assert torch.get_num_threads() == count
    assert all(np.array_equal(predicted[0].median, other.median) for other in predicted)


def test_a_model_is_its_owners_alone_and_predicting_does_not_touch_the_vectors(save):
    path, _ = save()
    assert path.stat().st_mode & 0o777 == 0o600
    vectors = raw_vectors()
    vectors.setflags(write=False)
    model_file.load(path).predict(vectors)
    assert np.array_equal(vectors, raw_vectors())


def test_a_network_or_head_of_the_user_is_not_built_from_a_name_in_a_file(save, make_run, make_data):
    vectors = make_data().parts["test"].x.numpy()
    own = ("model._target_=test_models.Foreign", "~model.hidden")
    path, outcome = save(*own)
    with pytest.raises(UserError, match=r"test_models\.Foreign: pass that model's configuration"):
        model_file.load(path)
    model = model_file.load(path, make_run(*own).model)
    assert np.array_equal(model.predict(vectors).median, outcome.model.predict(vectors).median)

    own = (*THIRDS, "+head.weight=2")
    path, outcome = save(*own)
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["vec2uage"])["head"] == {"_target_": "test_heads.Thirds", "weight": 2}
    with pytest.raises(UserError, match=r"head that is none of vec2uage's own: test_heads\.Thirds"):
        model_file.load(path)
    model = model_file.load(path, head=make_run(*own).head)
    assert np.array_equal(model.predict(vectors).median, outcome.model.predict(vectors).median)


def test_a_damaged_file_or_one_of_another_program_is_refused(save, tmp_path):
    path, _ = save()
    whole = path.read_bytes()
    for length in (0, 5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="no readable safetensors file"):
            model_file.load(path)
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(UserError, match="no model written by this version of vec2uage"):
        model_file.load(path)
    with pytest.raises(UserError, match="no such file"):
        model_file.load(tmp_path / "missing.safetensors")


def test_a_configuration_of_another_network_or_head_is_refused(save, make_run):
    path, _ = save()
    with pytest.raises(UserError, match=r"holds a .*MLP, but .* another model: test_models\.Foreign"):
        model_file.load(path, Component("test_models.Foreign"))
    with pytest.raises(UserError, match=r"holds a .*Scalar, but .* another head: test_heads\.Thirds"):
        model_file.load(path, head=make_run(*THIRDS).head)
    with pytest.raises(UserError, match=r"best\.safetensors: its weights do not fit"):
        model_file.load(path, Component("vec2uage.training.models.MLP", (("hidden", (8,)),)))


MLP = "vec2uage.training.models.MLP"
SCALAR = "vec2uage.training.heads.scalar.Scalar"
ONE = torch.ones(1)
HONEST = {
    "format": "vec2uage-model-2",
    "target": MLP,
    "options": {"hidden": []},
    "in_features": 3,
    "normalization": "none",
    "encoder": "facenet",
    "precision": "float32",
    "head": {"_target_": SCALAR},
}


def forged(path, numbers=ONE, **said):
    """Write a file whose header says what `save` never wrote; None leaves a key out."""
    header = {key: value for key, value in {**HONEST, **said}.items() if value is not None}
    tensors = {"network.layers.0.weight": torch.ones(1, 3), "network.layers.0.bias": numbers}
    save_file(tensors, path, metadata={"vec2uage": json.dumps(header)})
    return path


def test_a_forged_file_without_malice_is_read(tmp_path):
    model = model_file.load(forged(tmp_path / "m"))
    assert model.predict(np.ones((1, 3), dtype=np.float32)).median.tolist() == [4.0]
    assert model.dimension == 3
    assert model_file.untrusted_classes(tmp_path / "m") == {}


@pytest.mark.parametrize(
    "target", ["vec2uage.base.provenance.subprocess.run", "vec2uage.base.atomic.write_text", "os.system"]
)
def test_nothing_is_called_because_a_file_names_it(target, tmp_path):
    """The modules of vec2uage import others, so that a dotted name through them reaches anything."""
    mark = tmp_path / "was-here"
    for options in ({"args": ["touch", str(mark)]}, {"path": str(mark), "text": "x"}, {"command": f"touch {mark}"}):
        with pytest.raises(UserError, match="pass that model's configuration"):
            model_file.load(forged(tmp_path / "m", target=target, options=options))
        with pytest.raises(UserError, match="head that is none of vec2uage's own"):
            model_file.load(forged(tmp_path / "m", head={"_target_": target, **options}))
    assert not mark.exists()


HEADS = "vec2uage.training.heads"


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"format": "vec2uage-model-1"}, "no model written by this version of vec2uage"),
        ({"precision": None}, "header is damaged or of another version .precision: "),
        ({"options": [1]}, "header is damaged or of another version .options: "),
        ({"in_features": -1}, "header is damaged or of another version .in_features: "),
        ({"normalization": "l3"}, "header is damaged or of another version .normalization: "),
        ({"head": "scalar"}, "header is damaged or of another version .head: "),
        ({"normalization": "standardize"}, "mean and deviation do not fit"),
        ({"options": {}}, r"options\.hidden is missing"),
        ({"options": {"hidden": [0]}}, r"options\.hidden = 0: should be greater"),
        ({"options": {"hidden": [], "path": "x"}}, r"options\.path = 'x': no such option"),
        ({"options": {"hidden": [10**9]}}, "do not fit"),
        ({"options": {"hidden": [10**30]}}, "do not fit"),
        ({"options": {"hidden": [1] * 20_000}}, "it has 20,001 layers"),
        ({"options": {"hidden": [-3]}}, r"options\.hidden = -3: should be greater"),
        ({"in_features": 4}, "do not fit"),
        ({"in_features": 10**30}, "in_features: "),
        ({"in_features": 3.0}, "in_features: "),
        ({"in_features": True}, "in_features: "),
        ({"head": {}}, "none of vec2uage's own"),
        ({"head": {"_target_": f"{HEADS}.gone.Gone"}}, "none of vec2uage's own"),
        ({"head": {"_target_": f"{HEADS}.scalar.MSE"}}, "none of vec2uage's own"),
        ({"head": {"_target_": f"{HEADS}.scalar.Head"}}, "none of vec2uage's own"),
        ({"head": {"_target_": f"{HEADS}.base.Head"}}, "none of vec2uage's own"),
        ({"head": {"_target_": SCALAR, "bins": 3}}, r"head\.bins = 3: no such option"),
    ],
)
def test_a_header_that_says_something_else_than_the_weights_is_refused(said, says, tmp_path):
    with pytest.raises(UserError, match=says):
        model_file.load(forged(tmp_path / "m", **said))


@pytest.mark.parametrize("numbers", [torch.ones(1).double(), torch.ones(1).int(), torch.ones(1) * 1j, torch.ones(2)])
def test_weights_of_another_type_or_shape_are_refused(numbers, tmp_path):
    with pytest.raises(UserError, match="do not fit"):
        model_file.load(forged(tmp_path / "m", numbers=numbers))


def test_vectors_are_not_scaled_by_zeros(tmp_path):
    scaled = {"normalization.mean": torch.zeros(3), "normalization.std": torch.tensor([1.0, 0, 1])}
    weights = {"network.layers.0.weight": torch.ones(1, 3), "network.layers.0.bias": torch.ones(1)}
    tensor_file.write(tmp_path / "m", weights | scaled, HONEST | {"normalization": "standardize"})
    with pytest.raises(UserError, match="mean and deviation do not fit"):
        model_file.load(tmp_path / "m")
