"""Which models make an ensemble, and what it says."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from vec2uage.base.errors import UserError
from vec2uage.config.component import Component
from vec2uage.data.vectorset import make_vector_set
from vec2uage.evaluation import ensemble
from vec2uage.evaluation.evaluate_settings import Foreign
from vec2uage.predictions.point import Point
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult
from vec2uage.training.model_file import NetworkModel, load
from vec2uage.training.models import MLP
from vec2uage.training.normalization import Normalization

ASIS = Foreign(normalization="none", encoder=None)
X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


def run(folder: Path, seed: int, status: str = "completed", mae: float | None = None, encoder: str = "facenet") -> Path:
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    weights = {name: tensor[None] for name, tensor in MLP(3, (2,)).state_dict().items()}
    component = Component("vec2uage.training.models.MLP", (("hidden", (2,)),))
    files = RunFolder(folder)
    files.config.write_text(f"seed: {seed}\n")
    NetworkModel(component, weights, 3, Normalization("none"), encoder).save(files.model)
    named = {"name": folder.name, "optimizer": "sgd", "model": "vec2uage", "dataset": "d"}
    scores = {} if mae is None else {"validation/mae": mae}
    files.write_result(RunResult(status=status, seed=seed, scores=scores, **named))
    return files.model


def test_a_sweep_gives_its_completed_runs_and_tells_what_is_left_out(tmp_path, caplog):
    models = [run(tmp_path / f"{k}_hidden=[2],seed={k}", k) for k in range(3)]
    run(tmp_path / "3_diverged", 3, "diverged")
    RunFolder(run(tmp_path / "4_killed", 4).parent).result.unlink()
    assert ensemble.find(str(tmp_path)) == models
    assert "2 runs left out" in caplog.text
    assert ensemble.find(f"{tmp_path}/*[2],*") == models
    assert ensemble.find([str(models[1]), str(models[0].parent), str(models[1])]) == [models[1], models[0]]
    for nothing in (f"{tmp_path}/*none*", str(tmp_path / "nowhere"), f"{tmp_path}/4*"):
        with pytest.raises(UserError, match="checkpoint"):
            ensemble.find(nothing)
    RunFolder(models[0].parent).result.write_text("{")
    with pytest.raises(UserError, match=r"result\.json"):
        ensemble.find(str(tmp_path))


def test_the_top_ones_are_those_with_the_best_validation(tmp_path):
    models = [run(tmp_path / str(k), k, mae=mae) for k, mae in enumerate((2.0, 1.0, 3.0, 1.5))]
    assert ensemble.find(str(tmp_path), top=2) == [models[1], models[3]]
    with pytest.raises(UserError, match=r"top = 5.*only 4"):
        ensemble.find(str(tmp_path), top=5)
    run(tmp_path / "unscored", 9)
    with pytest.raises(UserError, match=r"unscored.*no validation/mae"):
        ensemble.find(str(tmp_path), top=2)


def test_an_ensemble_is_the_mixture_of_its_members_and_one_file(tmp_path):
    paths = [run(tmp_path / str(k), k) for k in range(4)]
    alone = np.stack([load(path).predict(X).mean for path in paths])
    together = ensemble.open_ensemble(paths, ASIS)
    np.testing.assert_allclose(together.predict(X).mean, alone.mean(axis=0), rtol=1e-6)
    assert together.predict(X).has_spread
    together.save(tmp_path / "all.safetensors")
    again = ensemble.open_ensemble([tmp_path / "all.safetensors", paths[0]], ASIS)  # members of members
    assert again.members == 5
    for member, path in enumerate(paths):
        assert torch.equal(again.weights["layers.0.weight"][member], load(path).weights["layers.0.weight"][0])


def test_models_that_do_not_fit_together_are_refused(tmp_path):
    paths = [run(tmp_path / "a", 0), run(tmp_path / "b", 1, encoder="dlib")]
    with pytest.raises(UserError, match=r"encoder differs \(facenet and dlib\)"):
        ensemble.open_ensemble(paths, ASIS)
    with pytest.raises(UserError, match=r"split\.seed=run.*2 seeds"):
        ensemble.run_seed(paths)


def test_rows_that_any_member_may_have_seen_are_told(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    paths = [run(tmp_path / str(k), k) for k in range(2)]
    vs = make_vector_set(np.ones((4, 3)), [1, 2, 3, 4], names="abcd", encoder="facenet")
    for path, names in zip(paths, ("abcd", "abc"), strict=True):
        ones = np.ones(len(names))
        RunFolder(path.parent).write_predictions(list(names), [""] * len(names), ones, Point(ones))
    ensemble.warn_of_rows_seen(vs, paths[:1], lambda _: True)
    assert not caplog.records
    ensemble.warn_of_rows_seen(vs, paths, lambda _: True)
    assert "1 of 4 rows" in caplog.text
