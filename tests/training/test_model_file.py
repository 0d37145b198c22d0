"""The saved model: what comes out is what was trained, and nothing foreign gets in."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vec2uage.base.cores import threads
from vec2uage.base.errors import UserError
from vec2uage.config.component import Component
from vec2uage.training import model_file
from vec2uage.training.normalization import Normalization, fit


def saved(path, run, outcome, normalization):
    model_file.save(path, outcome.weights, run.model, 24, normalization, "facenet")
    return path


@pytest.fixture
def outcome(make_run, make_data, train):
    return train([make_run("optimizer=adam")], make_data()).outcomes[0]


def raw_vectors(rows=37):
    return np.random.default_rng(0).normal(2, 3, (rows, 24)).astype(np.float32)


@pytest.mark.parametrize("kind", ["l2", "none", "standardize"])
def test_a_loaded_model_predicts_bit_for_bit_what_the_run_predicted(kind, tmp_path, make_run, make_data, train):
    """The normalisation is part of the file: the loaded model takes vectors as they come."""
    raw = torch.from_numpy(raw_vectors())
    normalization = fit(kind, torch.from_numpy(raw_vectors(80)))
    data = make_data()
    data = replace(data, test=replace(data.test, x=normalization(raw)), normalization=normalization)
    run = make_run("optimizer=adam")
    outcome = train([run], data).outcomes[0]
    model = model_file.load(saved(tmp_path / "best.safetensors", run, outcome, normalization))
    assert np.array_equal(model.predict(raw.numpy()), outcome.predictions)
    assert model.encoder == "facenet"
    assert model.normalization.kind == kind


def test_a_model_predicts_in_the_precision_it_was_trained_in(tmp_path, make_run, make_data, train):
    run = make_run("optimizer=adam", "trainer.precision=bf16")
    outcome = train([run], make_data()).outcomes[0]
    path = tmp_path / "best.safetensors"
    model_file.save(path, outcome.weights, run.model, 24, Normalization("none"), "facenet", "bf16")
    assert np.array_equal(model_file.load(path).predict(make_data().test.x.numpy()), outcome.predictions)


def test_predictions_do_not_depend_on_the_number_of_threads(tmp_path, make_run, make_data, train):
    """A matrix library cuts products of these widths differently for more threads."""
    run = make_run("optimizer=adam", "model.hidden=[1000,100]")
    outcome = train([run], make_data()).outcomes[0]
    model = model_file.load(saved(tmp_path / "best.safetensors", run, outcome, Normalization("none")))
    vectors = np.random.default_rng(0).normal(size=(180, 24)).astype(np.float32)
    predicted = []
    for count in (1, 2, 3):
        with threads(count):
            predicted.append(model.predict(vectors))
            assert torch.get_num_threads() == count
    assert all(np.array_equal(predicted[0], other) for other in predicted)


def test_a_saved_model_may_be_read_by_whom_other_files_may(tmp_path, make_run, outcome):
    saved(tmp_path / "best.safetensors", make_run("optimizer=adam"), outcome, Normalization("none"))
    (tmp_path / "other").touch()
    assert (tmp_path / "best.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_predicting_does_not_touch_the_vectors(tmp_path, make_run, outcome):
    model = model_file.load(saved(tmp_path / "m", make_run("optimizer=adam"), outcome, Normalization("l2")))
    vectors = raw_vectors()
    vectors.setflags(write=False)
    model.predict(vectors)
    assert np.array_equal(vectors, raw_vectors())


def test_a_network_of_the_user_is_not_built_from_a_name_in_a_file(tmp_path, make_run, make_data, train):
    run = make_run("optimizer=adam", "model._target_=test_models.Foreign", "~model.hidden")
    outcome = train([run], make_data()).outcomes[0]
    path = saved(tmp_path / "best.safetensors", run, outcome, Normalization("none"))
    with pytest.raises(UserError, match=r"test_models\.Foreign: pass that model's configuration"):
        model_file.load(path)
    predicted = model_file.load(path, run.model).predict(make_data().test.x.numpy())
    assert np.array_equal(predicted, outcome.predictions)


def test_a_damaged_file_is_refused(tmp_path, make_run, outcome):
    path = saved(tmp_path / "best.safetensors", make_run("optimizer=adam"), outcome, Normalization("l2"))
    whole = path.read_bytes()
    for length in (0, 5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="no readable safetensors file"):
            model_file.load(path)


def test_a_file_of_another_program_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(UserError, match="no model written by vec2uage"):
        model_file.load(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        model_file.load(tmp_path / "best.safetensors")


def test_a_configuration_of_another_network_is_refused(tmp_path, make_run, outcome):
    path = saved(tmp_path / "best.safetensors", make_run("optimizer=adam"), outcome, Normalization("l2"))
    with pytest.raises(UserError, match="does not fit"):
        model_file.load(path, Component("vec2uage.training.models.MLP", (("hidden", (8,)),)))


HONEST = {
    "format": "vec2uage-model-1",
    "target": "vec2uage.training.models.MLP",
    "options": {"hidden": []},
    "in_features": 3,
    "normalization": "none",
    "encoder": "facenet",
    "precision": "float32",
}


def forged(path, **said):
    """Write a file whose header says what `save` never wrote; None leaves a key out."""
    header = {key: value for key, value in {**HONEST, **said}.items() if value is not None}
    tensors = {"network.layers.0.weight": torch.ones(1, 3), "network.layers.0.bias": torch.ones(1)}
    save_file(tensors, path, metadata={"vec2uage": json.dumps(header)})
    return path


def test_a_forged_file_without_malice_is_read(tmp_path):
    model = model_file.load(forged(tmp_path / "m"))
    assert model.predict(np.ones((1, 3), dtype=np.float32)).tolist() == [4.0]
    assert (model.dimension, model_file.target(tmp_path / "m")) == (3, "vec2uage.training.models.MLP")


@pytest.mark.parametrize(
    "target",
    ["vec2uage.base.provenance.subprocess.run", "vec2uage.base.atomic.write_text", "os.system"],
)
def test_nothing_is_called_because_a_file_names_it(target, tmp_path):
    """The modules of vec2uage import others, so that a dotted name through them reaches anything."""
    mark = tmp_path / "was-here"
    for options in ({"args": ["touch", str(mark)]}, {"path": str(mark), "text": "x"}, {"command": f"touch {mark}"}):
        with pytest.raises(UserError, match="pass that model's configuration"):
            model_file.load(forged(tmp_path / "m", target=target, options=options))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"precision": None}, "header is damaged or of another version .precision: "),
        ({"options": [1]}, "header is damaged or of another version .options: "),
        ({"in_features": -1}, "header is damaged or of another version .in_features: "),
        ({"normalization": "l3"}, "header is damaged or of another version .normalization: "),
        ({"normalization": "standardize"}, "mean and deviation do not fit"),
        ({"options": {}}, r"options\.hidden is missing"),
        ({"options": {"hidden": [0]}}, r"options\.hidden = 0: should be greater"),
        ({"options": {"hidden": [], "path": "x"}}, r"options\.path = 'x': no such option"),
        ({"options": {"hidden": [10**9]}}, "does not fit"),
        ({"in_features": 10**18}, "does not fit"),
        ({"in_features": 4}, "does not fit"),
    ],
)
def test_a_header_that_says_something_else_than_the_weights_is_refused(said, says, tmp_path):
    with pytest.raises(UserError, match=says):
        model_file.load(forged(tmp_path / "m", **said))
