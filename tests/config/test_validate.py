"""What the user reads when a configuration is wrong: key, value, what is allowed, all mistakes at once."""

import json
import pickle
import re
import sys
import types
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import OmegaConf
from pydantic import Field

from vec2uage.base.errors import UserError
from vec2uage.config.component import Component
from vec2uage.config.hydra.errors import error_sentence
from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers
from vec2uage.config.renamed import RENAMED
from vec2uage.config.validate import check_call
from vec2uage.training import models
from vec2uage.training.run_settings import RunSettings, from_config


class Net(torch.nn.Module):
    """A user's network that wants to know the dimension of the vectors."""

    def __init__(self, in_features: int, width: Annotated[int, Field(ge=1)], depth: int = 1) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(in_features, width)


class Act(Enum):
    RELU = "relu"


def typed(hidden: Iterable[int], weights: Path, act: Act, chosen: set[int], rate: float, on: bool = False) -> object:
    """Takes options that YAML does not have."""
    return list(hidden), weights, act, chosen, rate, on


def test_options_stay_what_can_be_compared_written_and_built_again() -> None:
    given = {"hidden": [8, 4], "weights": "a/b.pt", "act": "relu", "chosen": [1, 2], "rate": 1, "on": "off"}
    problems: list[str] = []
    made, again = (check_call(f"{__name__}.typed", given, "model", set(), problems) for _ in range(2))
    assert problems == []
    assert made == again
    assert hash(made) == hash(again)
    assert pickle.loads(pickle.dumps(made)) == made
    json.dumps(made.options)
    assert made.build() == made.build() == ([8, 4], "a/b.pt", "relu", (1, 2), 1.0, False)


class FixedNet(torch.nn.Module):
    """A user's network for vectors of one dimension."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(512, width)


def some_function(x: int) -> int:
    return x


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module `own` as a user would have it on PYTHONPATH."""
    module = types.ModuleType("own")
    for part in (Net, FixedNet, some_function):
        setattr(module, part.__name__, part)
    monkeypatch.setitem(sys.modules, "own", module)


def read(overrides: Sequence[str]) -> RunSettings:
    register_resolvers()
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        cfg = compose("train", list(overrides))
    return from_config(cfg, {}, overrides)


def refusal(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        read(overrides)
    return str(caught.value)


def own_model(target: str, *options: str) -> list[str]:
    return [f"model._target_={target}", "~model.hidden", *(f"+model.{o}" for o in options)]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["+split.sed=3"],
            "split.sed = 3: no such option; did you mean seed? allowed are: age_range, calibration_per_age, group, "
            "heldout_per_age, missing_ages, seed, train_ages",
        ),
        (["split=none"], "split: gives only vectors, but needed are train, validation, test: take split=paper"),
        (["split=prepared"], "split = prepared: only dataset=prepared is divided already: take split=paper"),
        (
            ["dataset=prepared", "dataset.path=x", "split=paper"],
            "split: dataset=prepared is divided already: leave this option out, or take split=prepared",
        ),
        (["+model.hiden=3"], "model.hiden = 3: no such option; did you mean hidden? allowed are: hidden"),
        (["optimizer.lr=-1"], "optimizer.lr = -1: should be greater than 0"),
        (["split.heldout_per_age=3"], "split.heldout_per_age = 3: should be a multiple of 2"),
        (["seed=1.5"], "seed = 1.5: should be a whole number"),
        (["normalization=l3"], "normalization = 'l3': should be 'l2', 'none' or 'standardize'"),
        (["dataset=vectors"], "dataset.path is missing: set dataset.path=..."),
        (["split.age_range=[18,1]"], "split.age_range = [18,1]: the first age must not be above the last"),
        (["split.age_range=[1]"], "split.age_range = [1]: has too few items"),
        (["split.age_range=[1,9,18]"], "split.age_range = [1,9,18]: has 3 items, not 2"),
        (["trainer.device=tpu"], "trainer.device = 'tpu': should be auto, cpu, cuda, or one of several as in cuda:1"),
        (["trainer.overfit=perhaps"], "trainer.overfit = 'perhaps': should be true or false"),
        (["trainer.device=0"], "trainer.device = 0: should be auto, cpu, cuda, or one of several as in cuda:1"),
        (["model.hidden=abc"], "model.hidden = 'abc': should be a list in brackets, as in [1,2]"),
        (["split.age_range=[old]"], "split.age_range = 'old': should be a whole number"),
        (["dataset=vectors", "dataset.path={a:1}"], "dataset.path: should be text"),
        (
            ["lr_finder=range_test", "lr_finder.max_lr=1e-9"],
            "lr_finder: max_lr must be above min_lr (1e-08)",
        ),
        (
            ["split.seed=walk"],
            "split.seed = 'walk': should be a whole number or 'run'",
        ),
        (["seed=${nowhere}"], "seed: Interpolation key 'nowhere' not found"),
    ],
)
def test_a_wrong_option_is_named_with_its_value_and_what_is_allowed(overrides: list[str], message: str) -> None:
    assert refusal(*overrides) == message


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("sed=3", "seed"),
        ("lr=3", "optimizer.lr"),
        ("epochs=3", "trainer.max_epochs"),
        ("optimizr.lr=3", "optimizer.lr"),
        ("optimizer.lrr=3", "lr"),
    ],
)
def test_an_unknown_option_is_answered_with_the_one_that_may_be_meant(typed: str, meant: str) -> None:
    with pytest.raises(ConfigCompositionException) as caught:
        read([typed])
    assert f"{typed.replace('=', ' = ')}: no such option; did you mean {meant}?" in error_sentence(caught.value)


def test_an_option_of_other_choices_is_answered_with_these() -> None:
    with pytest.raises(ConfigCompositionException) as caught:
        read(["dataset.path=faces.npz"])
    assert error_sentence(caught.value).endswith("dataset=prepared, dataset=vectors")


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_option_that_was_renamed_is_refused_with_its_new_name(old: str, new: str) -> None:
    if not old.startswith("foreign."):  # a group that training does not have
        assert re.fullmatch(rf"{old} = 1: is now {new}|dataset\.split = .*: is now split", refusal(f"+{old}=1"))
    with pytest.raises(ConfigCompositionException) as caught:
        read([f"{old}=1"])
    assert error_sentence(caught.value) == f"{old} = 1: is now {new}"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model._target_=own_typo.Net"], "no module named 'own_typo' can be imported (is its folder on PYTHONPATH?)"),
        (["model._target_=own.some_function"], "must be a subclass of torch.nn.Module"),
        (["optimizer._target_=own.Net"], "must be a subclass of StackedOptimizer"),
        (["optimizer._target_=torch.optim.LBFGS"], "closure"),
        (["loss._target_=torch.nn.MSELoss"], "must be a subclass of Loss"),
        (["augmentation._target_=own.some_function"], "must be a subclass of Augmentation"),
    ],
)
def test_a_wrong_target_is_refused_with_the_reason(overrides: list[str], message: str) -> None:
    key, value = overrides[0].split("=")
    text = refusal(*overrides)
    assert text.startswith(f"{key} = {value}: ")
    assert message in text


def test_a_group_without_a_target_is_refused() -> None:
    assert refusal("~model._target_") == (
        "model = {'hidden': [512, 256, 128]}: needs a _target_, the dotted name of a class or function"
    )


def test_a_users_class_is_bound_to_its_own_signature() -> None:
    assert refusal(*own_model("own.Net")) == "model.width is missing: own.Net needs it"
    assert refusal(*own_model("own.Net", "width=4", "wdith=5")) == (
        "model.wdith = 5: no such option; did you mean width? allowed are: depth, width"
    )
    assert refusal(*own_model("own.Net", "width=wide")).startswith("model.width = 'wide': should be a whole number")
    assert refusal(*own_model("own.Net", "width=0")) == "model.width = 0: should be greater than or equal to 1"


def test_what_is_left_of_another_class_is_told_with_how_to_leave_it_out() -> None:
    [leave_out] = re.findall("~[\\w.]+", refusal("model._target_=sklearn.svm.SVR"))
    assert read(["model._target_=sklearn.svm.SVR", leave_out]).model == Component("sklearn.svm.SVR")


def test_what_vec2uage_passes_itself_cannot_be_set() -> None:
    assert refusal(*own_model("own.Net", "width=4", "in_features=7")).startswith(
        "model.in_features = 7: no such option"
    )


def test_a_model_gets_the_dimension_only_if_it_asks_for_it() -> None:
    asks = models.build(read(own_model("own.Net", "width=4")).model, 17, 1, seed=0)
    does_not = models.build(read(own_model("own.FixedNet", "width=4")).model, 17, 1, seed=0)
    assert asks.get_parameter("layer.weight").shape == (4, 17)
    assert does_not.get_parameter("layer.weight").shape == (4, 512)


def test_any_optimizer_of_torch_is_checked_against_its_signature() -> None:
    fresh = ["~optimizer.beta1", "~optimizer.beta2", "optimizer._target_=torch.optim.RMSprop"]
    checked = read([*fresh, "+optimizer.alpha=0.9", "optimizer.lr=0.01"]).optimizer
    assert checked.lr == 0.01
    assert checked.component == Component(  # type: ignore[attr-defined]
        "torch.optim.RMSprop", (("alpha", 0.9), ("eps", 1e-8), ("weight_decay", 0.0))
    )
    assert "did you mean alpha?" in refusal(*fresh, "+optimizer.alpa=0.9")


def test_settings_are_plain_and_comparable() -> None:
    one, other = read(["seed=3"]), read(["seed=3"])
    assert one == other
    assert hash(one) == hash(other)
    assert one != read(["seed=4"])
    assert not any(OmegaConf.is_config(value) for value in vars(one).values())


def test_the_hash_tells_configurations_apart_but_not_how_they_are_written() -> None:
    assert read(["optimizer.lr=0.001"]).config_hash == read(["optimizer.lr=1e-3"]).config_hash
    assert read(["optimizer.lr=0.001"]).config_hash != read(["optimizer.lr=0.002"]).config_hash
    for how in ("resume=false", "plan=true", "trainer.threads=2", "trainer.stack_size=3", "trainer.checkpoint_every=0"):
        assert read([how]).config_hash == read([]).config_hash
    tuning = ["model=end_to_end", "model.start=runs/frozen"]
    assert read([*tuning, "model.cache=elsewhere"]).config_hash == read(tuning).config_hash
    assert read([*tuning, "model.l2_sp=1"]).config_hash != read(tuning).config_hash


@pytest.mark.parametrize(
    ("typed", "words"),
    [("hydra.mode=X", "MULTIRUN"), ("optimizer=null", "name of one of its choices"), ("ключ=1", "key=value")],
)
def test_what_hydra_refuses_is_told_by_its_cause(typed: str, words: str) -> None:
    with pytest.raises((HydraException, ValueError)) as caught:
        read([typed])
    assert words in error_sentence(caught.value)
