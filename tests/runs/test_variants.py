"""What sets runs apart: values as they were used, however they were typed, and names that are no two the same."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult
from vec2uage.runs.variants import (
    differing,
    factors,
    read_configs,
    short_names,
    stated_options,
    swept,
    used_options,
    variant_names,
)

SGD = {"optimizer": "sgd", "model": "m", "dataset": "d", "loss": "mse"}


def _result(name: str, *overrides: str, **known: Any) -> RunResult:
    made = {"status": "completed", "optimizer": "sgd", "model": "m", "dataset": "d", "seed": 0, "choices": SGD} | known
    return RunResult(name=name, overrides=list(overrides), **made)


def _used(root: Path, runs: Sequence[tuple[RunResult, Mapping[str, Any] | None]]) -> list[Mapping[str, str]]:
    """Return the options of runs with these configurations (None: a run without one)."""
    results = {}
    for number, (result, config) in enumerate(runs):
        folder = RunFolder(root / str(number))
        folder.path.mkdir()
        if config is not None:
            folder.config.write_text(yaml.dump(config))
        results[folder.path] = result
    return list(used_options(results, read_configs(results)).values())


def test_an_option_that_was_not_set_has_the_value_that_was_used(tmp_path: Path) -> None:
    runs = [_result("0"), _result("1", "optimizer.lr=1e-3"), _result("2", "optimizer.lr=0.5"), _result("3", "loss=l1")]
    runs[3] = replace(runs[3], choices=SGD | {"loss": "l1"})
    rates = (0.001, 0.001, 0.5, 0.001)
    options = _used(tmp_path, [(run, {"optimizer": {"lr": lr}}) for run, lr in zip(runs, rates, strict=True)])
    assert variant_names(runs, options) == [
        "sgd optimizer.lr=0.001 loss=mse",
        "sgd optimizer.lr=0.001 loss=mse",
        "sgd optimizer.lr=0.5 loss=mse",
        "sgd optimizer.lr=0.001 loss=l1",
    ]


def test_equal_numbers_are_one_value_and_those_that_nearly_are_two(tmp_path: Path) -> None:
    typed = ("1e-5", "1.0e-05", "0.00001", "0.000010000001")
    runs = [_result(text, f"optimizer.lr={text}") for text in typed]
    for configured in (True, False):
        folder = tmp_path / str(configured)
        folder.mkdir()
        configs = [{"optimizer": {"lr": float(text)}} if configured else None for text in typed]
        values = [options["optimizer.lr"] for options in _used(folder, list(zip(runs, configs, strict=True)))]
        assert values == ["1e-05"] * 3 + ["1.0000001e-05"]


def test_names_of_folders_that_look_like_numbers_stay_what_they_are(tmp_path: Path) -> None:
    runs = [(_result(path, f"dataset.path={path}"), {"dataset": {"path": path}}) for path in ("007", "7", "1.0", "1")]
    assert [options["dataset.path"] for options in _used(tmp_path, runs)] == ["007", "7", "1.0", "1"]


def test_a_preset_is_what_it_sets(tmp_path: Path) -> None:
    whole, exact = ({"dataset": {"label": label}, "seed": 1} for label in ("whole", "exact"))
    stated = [_result(m, f"method={m}", choices=SGD | {"method": m}) for m in ("paper", "corrected")]
    runs = [*stated, _result("2"), _result("3")]
    configs = [whole, exact, exact | {"seed": 2}, {"dataset": {"label": "floor"}, "seed": 1}]
    options = _used(tmp_path, list(zip(runs, configs, strict=True)))
    assert [of_run.get("method") for of_run in options] == ["paper", "corrected", "corrected", None]


def test_what_a_model_has_no_use_for_is_no_part_of_its_name(tmp_path: Path) -> None:
    config = {"loss": {"_target_": "L1", "delta": 1.0}, "model": {"alpha": 1.0}}
    ridge = _result("0", "model=ridge", optimizer=None, model="ridge", choices={"model": "ridge", "dataset": "d"})
    network = _result("1", "loss.delta=2", "model=m")
    options = _used(tmp_path, [(ridge, config), (network, {"loss": {"_target_": "L1", "delta": 2.0}})])
    assert options[0].keys() == {"model"}
    assert variant_names([ridge, network], options) == ["ridge", "sgd"]


def test_a_loss_is_no_option_of_a_head_that_takes_none(tmp_path: Path) -> None:
    runs, configs = [], []
    for head, loss in (("scalar", "mse"), ("scalar", "l1"), ("gaussian", "mse")):
        runs.append(_result(f"{head} {loss}", f"loss={loss}", choices=SGD | {"head": head, "loss": loss}))
        own = {"_target_": head} | ({"loss": {"_target_": loss}} if head == "scalar" else {})
        configs.append({"loss": {"_target_": loss}, "head": own})
    assert [used.get("loss") for used in _used(tmp_path, list(zip(runs, configs, strict=True)))] == ["mse", "l1", None]


def test_variants_are_named_by_the_options_that_are_asked_for(tmp_path: Path) -> None:
    runs = [_result(head, choices=SGD | {"head": head, "averaging": "ema"}) for head in ("scalar", "gaussian")]
    runs.append(_result("2", optimizer=None, model="ridge", choices={"model": "ridge"}))
    for number in range(3):
        (tmp_path / f"{number}").mkdir()
    results = {tmp_path / f"{number}": run for number, run in enumerate(runs)}
    options = list(used_options(results, read_configs(results), ("head", "averaging")).values())
    assert variant_names(runs, options, ("head",)) == ["scalar", "gaussian", "no head"]
    assert variant_names(runs, options, ("head", "averaging"))[0] == "scalar averaging=ema"
    assert list(short_names(runs, options, ("head",)).values()) == ["scalar", "gaussian", "no head"]
    rates = [{"optimizer.lr": "0.1"}, {"optimizer.lr": "1"}, {}]
    assert variant_names(runs, rates, ("optimizer.lr",)) == ["optimizer.lr=0.1", "optimizer.lr=1", "no optimizer.lr"]


def test_a_variant_is_named_by_its_optimizer_or_its_model_and_the_other_factors() -> None:
    sgd = _result("0", "optimizer=sgd", "model=m", "optimizer.lr=0.1")
    ridge = _result("1", "model=ridge", "optimizer.lr=0.1", optimizer=None, model="ridge")
    strict = replace(ridge, overrides=["model=ridge", "model.alpha=9"])
    options = [stated_options(run) for run in (sgd, ridge, strict)]
    assert factors(options) == ["optimizer", "model", "optimizer.lr", "model.alpha"]
    assert variant_names([sgd, ridge, strict], options) == ["sgd", "ridge", "ridge model.alpha=9"]


@given(
    st.lists(st.dictionaries(st.sampled_from(["a.lr", "b.lr", "c.path"]), st.text("ab/.01", max_size=40)), min_size=1)
)
def test_no_two_variants_have_one_short_name(made: list[dict[str, str]]) -> None:
    runs = [_result(str(number)) for number in range(len(made))]
    short = short_names(runs, made)
    assert len(set(short.values())) == len(short)
    assert short.keys() == set(variant_names(runs, made))


def test_what_no_option_tells_of_is_found_in_the_configurations() -> None:
    one = {"optimizer.lr": "0.1", "seed": "1", "trainer.threads": "1", "augmentation.noise": "0"}
    other = {"optimizer.lr": "0.2", "seed": "2", "trainer.threads": "2", "augmentation.noise": "0", "new": "1"}
    assert swept([one, other]) == ["optimizer.lr", "seed", "trainer.threads", "new"]
    assert differing([one, other, {}], ["seed"]) == ["optimizer.lr"]
