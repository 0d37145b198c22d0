"""Which models are taken for a case, and why others are not."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from test_case_page import statement as made_statement

from vec2uage.base.errors import UserError
from vec2uage.base.provenance import file_sha256
from vec2uage.calibration.conformal import Conformal
from vec2uage.calibration.saved import SavedCalibration
from vec2uage.case.open_predictor import DEFAULT, open_predictor
from vec2uage.case.predict_settings import AskedModel
from vec2uage.config.component import Component
from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers
from vec2uage.config.validate import from_config, options_of
from vec2uage.evaluation import reference, statement
from vec2uage.predictions.normal import Normal
from vec2uage.training.calibrated import Calibrated
from vec2uage.training.heads.gaussian import Gaussian
from vec2uage.training.model_file import NetworkModel
from vec2uage.training.models import MLP
from vec2uage.training.normalization import Normalization

ENCODER = "net/crop.margin:0.0/crop.size:224/detector:none"
AGES = np.arange(1, 61, dtype=np.float32) % 30


@pytest.fixture(scope="module")
def as_configured() -> AskedModel:
    register_resolvers()
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        cfg = compose("predict")
    return from_config(OmegaConf.masked_copy(cfg, list(options_of(AskedModel))), AskedModel)


@pytest.fixture
def opened(as_configured: AskedModel, tmp_path: Path) -> Callable[..., Any]:
    """Open the model at `model.safetensors` as a case does: `opened(statement="required")`."""

    def call(encoder: str = ENCODER, dimension: int = 3, **options: Any) -> Any:
        path = str(tmp_path / "model.safetensors")
        asked = replace(as_configured, **{"checkpoint": path, "statement": "optional", **options})
        return open_predictor(asked, encoder, dimension)

    return call


def network(encoder: str = ENCODER) -> NetworkModel:
    torch.manual_seed(0)
    weights = {name: tensor[None] for name, tensor in MLP(3, (), 2).state_dict().items()}
    component = Component("vec2uage.training.models.MLP", (("hidden", ()),))
    return NetworkModel(component, weights, 3, Normalization("none"), encoder, head=Gaussian())


def calibrated(columns: tuple[str, ...] = (), **options: Any) -> Calibrated:
    model = network()
    genders = np.array(["male", "female"] * 30, dtype=object)
    prediction = Normal(AGES, np.ones(60, np.float32))
    fitted = Conformal(columns=columns, level=0.9).fit(prediction, AGES, {"gender": genders})
    about = {"tta": 0, "rows": "some", "faces": 60, "data_fingerprint": "0", "vectors": "0" * 16, "boundary": 17.5}
    kept = {"model": model.digest, "encoder": ENCODER, "fitted": fitted, "threshold": None, **about, **options}
    return Calibrated(model, SavedCalibration(**kept))


def test_a_model_comes_with_its_calibration_and_its_line_between_minors_and_adults(
    opened: Callable[..., Any], tmp_path: Path
) -> None:
    both = calibrated()
    both.save(tmp_path / "model.safetensors")
    predictor = opened()
    assert predictor.boundary == 17.5
    assert predictor.digest == both.digest
    assert "conformal" in predictor.calibrated_by
    assert (predictor.dimension, predictor.model_encoder) == (3, ENCODER)


def test_of_an_uncalibrated_model_without_a_statement_18_is_taken_as_it_is(
    opened: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network().save(tmp_path / "model.safetensors")
    assert 17.99 < opened().boundary < 18
    assert "whole years" in caplog.text


def test_other_lines_and_other_references_are_told_apart_as_numbers_depend_on_them(
    opened: Callable[..., Any], tmp_path: Path
) -> None:
    network().save(tmp_path / "model.safetensors")
    path = tmp_path / "model.statement.json"
    told = [opened().inputs]
    for seed in (None, 0, 1):
        about = {"model": opened().digest}
        if seed is not None:
            vectors = np.random.default_rng(seed).normal(size=(200, 3)).astype(np.float32)
            reference.write(reference.find(path), reference.fit(vectors, vectors))
            about["reference"] = file_sha256(reference.find(path))
        statement.write(path, made_statement(**about))
        told.append(opened().inputs)
    assert all(one != other for one, other in combinations(told, 2))
    assert len({each["model"] for each in told}) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dimension": 128}, "vectors of 3 numbers, but those of the case have 128"),
        ({"encoder": ENCODER.replace("detector:none", "detector:yunet")}, "encoder_mismatch=allow"),
        ({"statement": "required"}, "statement=optional"),
        ({"checkpoint": DEFAULT}, "vec2uage.train .*\\n.* vec2uage.evaluate .*save_as"),
    ],
    ids=["dimension", "encoder", "statement", "default"],
)
def test_a_model_that_is_none_for_the_case_is_refused(
    options: dict[str, Any], said: str, opened: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network().save(tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=said):
        opened(**options)


def test_the_model_that_is_missing_by_default_is_that_of_the_configuration(as_configured: AskedModel) -> None:
    assert as_configured.checkpoint == DEFAULT


@pytest.mark.parametrize(
    ("both", "said"),
    [
        (calibrated(tta=8), "tta=8"),
        (calibrated(columns=("gender",)), "gender"),
        (calibrated(encoder="other/detector:none"), "the model's calibration and the case"),
    ],
    ids=["tta", "columns", "encoder"],
)
def test_a_calibration_that_a_case_cannot_use_is_refused(
    both: Calibrated, said: str, opened: Callable[..., Any], tmp_path: Path
) -> None:
    both.save(tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=said):
        opened()


def test_a_model_of_another_program_has_to_be_evaluated_first(opened: Callable[..., Any], tmp_path: Path) -> None:
    torch.save({}, tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match=r"vec2uage\.evaluate .*statement=true save_as="):
        opened(checkpoint=str(tmp_path / "foreign.ckpt"))
