"""Which model an evaluation uses, and what it refuses to judge with it."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from vec2uage.base.errors import UserError
from vec2uage.config.component import Component
from vec2uage.config.settings import settings
from vec2uage.data.vectorset import VectorSet, make_vector_set
from vec2uage.evaluation import model as models
from vec2uage.evaluation.ensemble import warn_of_rows_seen
from vec2uage.evaluation.evaluate_settings import Foreign
from vec2uage.predictions.point import Point
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.models import model_file
from vec2uage.runs.result import RunResult
from vec2uage.training.heads.base import Head
from vec2uage.training.model_file import NetworkModel
from vec2uage.training.models import MLP
from vec2uage.training.normalization import Normalization

ASIS = Foreign(normalization="none", encoder=None)


class Doubler(nn.Module):
    """A network of the user's own."""

    def __init__(self, in_features: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.out = nn.Linear(in_features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(x) * self.factor


@settings
class Last(Head):
    """A head of the user's own: three numbers, of which the last one is the age."""

    shift: float

    @property
    def outputs(self) -> int:
        return 3

    def prediction(self, raw: np.ndarray) -> Point:
        return Point(raw[:, 2] + self.shift)

    def to_predict(self) -> dict[str, float]:
        return {"shift": self.shift}


OWN = {"_target_": "test_evaluation_model.Doubler", "factor": 2.0}


def one(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights of a model with one network."""
    return {name: tensor[None] for name, tensor in network.state_dict().items()}


def save(folder: Path, network: nn.Module, component: Component, encoder: str = "facenet") -> Path:
    path = folder / "best.safetensors"
    NetworkModel(component, one(network), 3, Normalization("none"), encoder).save(path)
    return path


def mlp(folder: Path, encoder: str = "facenet") -> Path:
    return save(folder, MLP(3, (2,)), Component("vec2uage.training.models.MLP", (("hidden", (2,)),)), encoder)


def faces(encoder: str = "facenet", dimension: int = 3) -> VectorSet:
    return make_vector_set(np.ones((4, dimension)), [1, 2, 3, 4], names="abcd", encoder=encoder)


def test_a_model_is_found_by_its_file_and_by_its_run_folder(tmp_path: Path) -> None:
    path = mlp(tmp_path)
    assert model_file(str(path), "checkpoint") == model_file(str(tmp_path), "checkpoint") == path
    with pytest.raises(UserError, match="no such file or folder"):
        model_file(str(tmp_path / "nowhere"), "checkpoint")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no best\.safetensors in this folder"):
        model_file(str(tmp_path / "empty"), "checkpoint")


def test_a_network_of_the_users_own_is_built_from_the_configuration_of_its_run(tmp_path: Path) -> None:
    network = Doubler(3, 2.0)
    path = save(tmp_path, network, Component("test_evaluation_model.Doubler", (("factor", 2.0),)))
    with pytest.raises(UserError, match=r"test_evaluation_model\.Doubler: it can be built in its run folder only"):
        models.open_model(path, ASIS)
    config = RunFolder(tmp_path).config
    config.write_text(yaml.dump({"model": OWN}))
    x = np.ones((2, 3), dtype=np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(x))[:, 0].numpy()
    np.testing.assert_allclose(models.open_model(path, ASIS, True).predict(x).median, expected, rtol=1e-6, atol=1e-6)
    for wrong, says in (
        ({"model": {**OWN, "facter": 1}}, r"config\.yaml: model\.facter = 1: no such option; did you mean factor\?"),
        ({"model": {"_target_": "vec2uage.training.models.MLP", "hidden": [2]}}, "describes another model"),
        ({"model": {"_target_": "os.system"}}, r"must be a subclass of torch\.nn\.Module"),
        ({}, "needs a _target_"),
        ([], "not the configuration of a run"),
    ):
        config.write_text(yaml.dump(wrong))
        with pytest.raises(UserError, match=says):
            models.open_model(path, ASIS, trust_code=True)


def test_a_head_of_the_users_own_is_built_from_the_configuration_of_its_run(tmp_path: Path) -> None:
    path, network = tmp_path / "best.safetensors", MLP(3, (2,), 3)
    component = Component("vec2uage.training.models.MLP", (("hidden", (2,)),))
    own = NetworkModel(component, one(network), 3, Normalization("none"), "facenet", head=Last(shift=2.0))
    own.save(path)
    with pytest.raises(UserError, match=r"test_evaluation_model\.Last: it can be built in its run folder only"):
        models.open_model(path, ASIS)
    config = RunFolder(tmp_path).config
    head = {"_target_": "test_evaluation_model.Last", "shift": 2.0}
    config.write_text(yaml.dump({"head": head}))
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert models.open_model(path, ASIS, True).predict(x).median.tolist() == own.predict(x).median.tolist()
    mse = {"_target_": "vec2uage.training.losses.MSE"}
    for wrong, says in (
        ({**head, "shitf": 1}, r"config\.yaml: head\.shitf = 1: no such option; did you mean shift\?"),
        ({"_target_": "vec2uage.training.heads.scalar.Scalar", "loss": mse}, "describes another head"),
    ):
        config.write_text(yaml.dump({"head": wrong}))
        with pytest.raises(UserError, match=says):
            models.open_model(path, ASIS, trust_code=True)


def test_no_module_is_imported_because_a_file_in_the_folder_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the configuration of a stranger's run calls its own, and wherever in it."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "lurking.py").write_text("raise AssertionError('this was run')")
    network = MLP(3, (2,))
    component = Component("lurking.Net", (("hidden", (2,)),))
    path = save(tmp_path, network, component)
    mse, evil = {"_target_": "vec2uage.training.losses.MSE"}, {"_target_": "lurking.Net"}
    for model in ({"_target_": "torch.nn.Sequential", "args": [{"a": [evil]}]}, {"_target_": "lurking"}, evil):
        RunFolder(tmp_path).config.write_text(yaml.dump({"model": model, "head": {**evil, "loss": mse}}))
        with pytest.raises(UserError, match=r"config\.yaml names the class lurking.*trust_code=true"):
            models.open_model(path, ASIS)
    with pytest.raises(AssertionError, match="this was run"):
        models.open_model(path, ASIS, trust_code=True)


@pytest.mark.parametrize(
    "text", ["a: &a [1]\nmodel: *a\n", "[" * 5000, "a: 2024-99-99", "\ud800", "a: " + "x" * (1 << 18), "\x00", "- 1"]
)
def test_a_configuration_that_no_run_wrote_is_refused(text: str, tmp_path: Path) -> None:
    path = save(tmp_path, Doubler(3, 2.0), Component("test_evaluation_model.Doubler", (("factor", 2.0),)))
    RunFolder(tmp_path).config.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError, match=r"config\.yaml: not the configuration of a run"):
        models.open_model(path, ASIS, trust_code=True)


def test_a_model_that_its_run_did_not_write_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its own digest does not tell: it is whole, but of another run."""
    path, files = mlp(tmp_path), RunFolder(tmp_path)
    files.write_result(RunResult(status="completed", name="r", seed=0, optimizer="sgd", model="vec2uage", dataset="d"))
    models.open_model(path, ASIS)
    mlp(tmp_path)  # with other weights
    with pytest.raises(UserError, match=r"best\.safetensors is not the file that result\.json beside it speaks of"):
        models.open_model(path, ASIS)
    files.result.write_text(files.result.read_text().replace('"seed": 0', '"seed": 1'))
    models.open_model(path, ASIS)
    assert "not known whether" in caplog.text


def test_a_foreign_checkpoint_takes_what_the_options_say(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    foreign = Foreign(normalization="l2", encoder="facenet")
    model = models.open_model(tmp_path / "weights.pt", foreign)
    assert (model.encoder, model.normalization.kind, model.dimension) == ("facenet", "l2", 3)
    model.save(tmp_path / "m.safetensors")
    again = models.open_model(tmp_path / "m.safetensors", ASIS)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(again.predict(x).median, model.predict(x).median)
    assert models.open_model(tmp_path / "weights.pt", ASIS).encoder == "unknown"


def test_what_lies_beside_a_foreign_checkpoint_is_of_another_program(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = RunFolder(tmp_path)
    files.result.write_text("{}")
    files.predictions.write_bytes(b"name\na\n\xff\n")
    assert models.run_seed(tmp_path / "model.ckpt") is None
    warn_of_rows_seen(faces(), [tmp_path / "model.ckpt"], lambda _: False)
    assert not caplog.records
    with pytest.raises(UserError, match=r"result\.json: no valid result"):
        models.run_seed(mlp(tmp_path))


def test_the_seed_of_a_run_is_the_one_it_drew_from(tmp_path: Path) -> None:
    path, files = mlp(tmp_path), RunFolder(tmp_path)
    assert models.run_seed(path) is None
    files.config.write_text("seed: 9\nseeds: unpaired\n")
    names = {"name": "run", "optimizer": "adam", "model": "m", "dataset": "d"}
    files.write_result(RunResult(status="completed", seed=762635667, **names))
    assert models.run_seed(path) == 762635667


def test_options_of_foreign_checkpoints_are_refused_for_a_model_of_vec2uage(tmp_path: Path) -> None:
    path = mlp(tmp_path)
    with pytest.raises(UserError, match=r"leave out foreign\.encoder$"):
        models.open_model(path, replace(ASIS, encoder="facenet"))


def test_vectors_of_another_encoder_are_refused_unless_allowed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = mlp(tmp_path, "facenet")
    model = models.open_model(path, ASIS)
    with pytest.raises(UserError, match=r"the model: facenet, the dataset: dlib.*encoder_mismatch=allow"):
        models.check_fit(model, faces("dlib"), path, "refuse")
    assert not caplog.records
    models.check_fit(model, faces("dlib"), path, "allow")
    assert "the model: facenet, the dataset: dlib" in caplog.text
    caplog.clear()
    models.check_fit(model, faces("facenet"), path, "refuse")
    assert not caplog.records


def test_a_model_takes_vectors_of_another_precision_but_not_those_of_other_crops(tmp_path: Path, caplog) -> None:
    made = "facenet-1/resize/fixed/normalized"
    path = mlp(tmp_path, f"{made}/crop.margin:0.0/detector:none")
    model = models.open_model(path, ASIS)
    with pytest.raises(UserError, match=r"crop\.margin \(the model: 0\.0, the dataset: 0\.4\).*encoder_mismatch=allow"):
        models.check_fit(model, faces(f"{made}/crop.margin:0.4/detector:none"), path, "refuse")
    models.check_fit(model, faces(f"{made}/float32/crop.margin:0.0/detector:none"), path, "refuse")
    assert not caplog.records
    models.check_fit(model, faces(f"{made}/bf16"), path, "refuse")  # of an earlier version
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "detector (the model: none, the dataset: not known)" in caplog.text


def test_an_unknown_encoder_gives_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for encoders in (("unknown", "facenet"), ("facenet", "unknown")):
        caplog.clear()
        path = mlp(tmp_path, encoders[0])
        models.check_fit(models.open_model(path, ASIS), faces(encoders[1]), path, "refuse")
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert "not known" in caplog.text


def test_vectors_of_another_dimension_are_refused(tmp_path: Path) -> None:
    path = mlp(tmp_path)
    with pytest.raises(UserError, match="takes vectors of 3 numbers, but those of the dataset have 5"):
        models.check_fit(models.open_model(path, ASIS), faces(dimension=5), path, "allow")


def test_with_augmented_selves_a_prediction_is_the_mean_of_all(tmp_path: Path) -> None:
    model, generator = models.open_model(mlp(tmp_path), ASIS), np.random.default_rng(0)
    vectors = generator.normal(size=(4, 3)).astype(np.float32)
    selves = generator.normal(size=(4, 2, 3)).astype(np.float32)
    found = models.predict(model, vectors, selves).median
    each = np.stack([model.predict(x).median for x in (vectors, selves[:, 0], selves[:, 1])])
    np.testing.assert_allclose(found, each.mean(axis=0), rtol=1e-6)
    assert models.predict(model, vectors, None).median.tolist() == each[0].tolist()


def test_rows_that_the_run_may_have_seen_give_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, vs = mlp(tmp_path), faces()

    def own_test_rows(names: str) -> None:
        ones = np.ones(len(names))
        RunFolder(tmp_path).write_predictions(list(names), [""] * len(names), ones, Point(ones))

    warn_of_rows_seen(vs, [path], lambda _: False)  # no run
    for names in ("abcd", "wxyz"):  # its test rows; rows of other data
        own_test_rows(names)
        warn_of_rows_seen(vs, [path], lambda _: False)
    assert not caplog.records
    of_formulas = replace(vs, names=np.array(["=1", "'=1", "-", "1"], dtype=object))
    own_test_rows(of_formulas.names)
    warn_of_rows_seen(of_formulas, [path], lambda _: False)
    assert not caplog.records
    own_test_rows(names)
    warn_of_rows_seen(vs, [path], lambda _: True)  # as the training part
    assert "4 of 4 rows are no test rows" in caplog.text
    caplog.clear()
    own_test_rows("ab")
    warn_of_rows_seen(vs, [path], lambda _: False)
    assert f"2 of 4 rows are no test rows of the run in {tmp_path}" in caplog.text


def test_test_rows_that_cannot_be_read_give_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = mlp(tmp_path)
    for content in (b"name\n\xff\xfe", b'name\n"' + b"a" * 200_000):  # no text; no end of a field
        caplog.clear()
        RunFolder(tmp_path).predictions.write_bytes(content)
        warn_of_rows_seen(faces(), [path], lambda _: False)
        assert "cannot be read, so it is not known which rows the run was tested on" in caplog.text
