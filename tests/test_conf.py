"""Every file below conf/ composes, validates, builds, and is written for a reader."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from vec2uage.augmentation.augment_settings import AugmentSettings, PrepareAndAugmentSettings
from vec2uage.base import seeds
from vec2uage.case.predict_settings import PredictSettings
from vec2uage.config.hydra.arguments import gather_repeated
from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers
from vec2uage.config.validate import from_config
from vec2uage.evaluation.evaluate_settings import Evaluation
from vec2uage.reporting.report_settings import ReportSettings
from vec2uage.training import models
from vec2uage.training.run_settings import from_config as run_settings

CONF = Path(conf_dir())
FILES = sorted(CONF.rglob("*.yaml"))
GROUPS = [p for p in FILES if p.parent != CONF]
NO_PARTS = ("hydra", "experiment", "debug", "method", "budget", "pruner")  # of the settings of a run
PARTS = [p for p in GROUPS if p.relative_to(CONF).parts[0] not in NO_PARTS]
COMMAND = re.compile(r"python -m vec2uage\.(\w+)( .*)?$")
SETTINGS: dict[str, type] = {
    "prepare": PrepareAndAugmentSettings,
    "augment": AugmentSettings,
    "evaluate": Evaluation,
    "predict": PredictSettings,
    "report": ReportSettings,
}
COMPOSED = [p for p in FILES if p.parent.name != "search"]  # those of searches: tests/sweep/test_spaces.py


def settings(entry: str, overrides: Sequence[str]) -> Any:
    """Compose as the command line does and check the result."""
    return _settings(entry, tuple(overrides))


@cache
def _settings(entry: str, overrides: tuple[str, ...]) -> Any:
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(entry, list(overrides), return_hydra_config=True)
    own = OmegaConf.masked_copy(cfg, [str(k) for k in cfg if k != "hydra"])
    if entry in SETTINGS:
        HydraConfig.instance().set_config(cfg)  # conf/prepare.yaml asks it for the source
        try:
            return from_config(own, SETTINGS[entry])
        finally:
            HydraConfig.instance().cfg = None
    choices = {str(k): str(v) for k, v in cfg.hydra.runtime.choices.items()}
    return run_settings(own, choices, overrides)


def commands(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Return the commands that the file's first comments show: entry and overrides, of a sweep its first jobs'."""
    found = []
    for line in comments(path):
        if match := COMMAND.search(line):
            arguments = gather_repeated("sweep", [a for a in shlex.split(match[2] or "") if a != "-m"])
            parsed = OverridesParser.create().parse_overrides(arguments)
            jobs = BasicSweeper.split_arguments(parsed, None)[0]
            found += [(match[1], tuple(overrides)) for overrides in jobs[:3]]
    return found


def name(path: Path) -> str:
    return path.relative_to(CONF).with_suffix("").as_posix()


def comments(path: Path) -> list[str]:
    """The comment lines at the top of a file."""
    lines = path.read_text().splitlines()
    end = next((k for k, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return [line.lstrip("# ") for line in lines[:end]]


@pytest.mark.parametrize("path", [path for path in GROUPS if path in COMPOSED], ids=name)
def test_every_choice_of_every_group_validates_and_is_what_its_file_says(path: Path) -> None:
    group, _, choice = name(path).rpartition("/")
    shown = commands(path)
    entry, overrides = next((each for each in shown if f"{group}={choice}" in each[1]), shown[0])
    checked = settings(entry, overrides)
    if group in dict(getattr(checked, "choices", ())) and hasattr(checked, group):
        assert checked.choice(group) == choice
    if path not in PARTS:  # a recipe of several groups
        return
    part = checked.head.loss if group == "loss" else getattr(checked, group)
    wanted = yaml.safe_load(path.read_text())
    target = part.target if group == "model" else f"{type(part).__module__}.{type(part).__qualname__}"
    assert target == wanted.get("_target_", {"trainer": "vec2uage.training.run_settings.Trainer"}.get(group, target))
    own = {key for key, value in wanted.items() if not str(value).startswith("${")}
    said = {key.removeprefix(f"{group}.") for key, _, _ in (override.partition("=") for override in overrides)}
    for option in own - said - {"_target_", "defaults", "parts", "ages"}:
        value = dict(part.options)[option] if group == "model" else getattr(part, option)
        assert_agrees(value, wanted[option])


def assert_agrees(value: Any, expected: Any) -> None:
    """Compare a setting, or one within it, with what a file says of it."""
    if is_dataclass(value) and isinstance(expected, dict):
        for name in expected.keys() - {"_target_"}:
            assert_agrees(getattr(value, name), expected[name])
    elif isinstance(value, tuple) and isinstance(expected, dict) and any(is_dataclass(item) for _, item in value):
        assert [name for name, _ in value] == list(expected)
        for name, item in value:
            assert_agrees(item, expected[name])
    else:  # PyYAML reads 1e-4 as a text, OmegaConf as a number
        assert plain(value) == (type(value)(expected) if isinstance(value, float) else expected)


def plain(value: Any) -> Any:
    """Return a setting as YAML would hold it."""
    if isinstance(value, tuple) and value and all(isinstance(v, tuple) and len(v) == 2 for v in value):
        return {key: plain(item) for key, item in value}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def test_the_default_is_the_papers_network() -> None:
    network = models.build(settings("train", []).model, 512, 1, seed=seeds.derive(1))
    assert sum(p.numel() for p in network.parameters()) == 427_009


VECTORS = ["dataset=vectors", "dataset.path=faces.npz"]


@pytest.mark.parametrize(
    ("overrides", "heldout", "train"),
    [
        (["debug=fast"], 20, 100),
        (["debug=fast", *VECTORS], 2, 100),
        (["debug=overfit", *VECTORS], 2, 100),
        (["debug=profile", *VECTORS], 2, 100),
        (["debug=fast", *VECTORS, "split.heldout_per_age=8", "augmentation.train_per_age=9"], 8, 9),
        (["debug=fast", "dataset=prepared", "dataset.path=faces"], None, 100),
        (["debug=fast", "augmentation=none"], 20, None),
    ],
)
def test_a_debug_run_takes_few_rows_of_any_data(overrides: list[str], heldout: int | None, train: int | None) -> None:
    run = settings("train", overrides)
    assert getattr(run.split, "heldout_per_age", None) == heldout
    assert getattr(run.augmentation, "train_per_age", None) == train
    assert getattr(run.dataset, "size", "small") == "small"


def test_a_size_brings_the_division_that_fits_it() -> None:
    for overrides, heldout in (([], 500), (["dataset.size=small"], 20), (["dataset.size=small", "few_rows=true"], 20)):
        assert settings("train", overrides).split.heldout_per_age == heldout
    mine = ["dataset.size=small", "split.heldout_per_age=40"]
    assert settings("train", mine).split.heldout_per_age == 40
    assert settings("evaluate", ["checkpoint=m", "dataset=synthetic", "dataset.size=small"]).split.heldout_per_age == 20
    assert settings("prepare", ["source=utkface", "source.path=photos"]).split.heldout_per_age == 500


def test_the_generated_set_has_adults_where_ages_beyond_18_are_asked_for() -> None:
    evaluated = ["checkpoint=m", "dataset=synthetic", "split=none"]
    assert not settings("train", []).dataset.adults
    assert not settings("evaluate", evaluated).dataset.adults
    assert settings("train", ["split.age_range=[1,40]"]).dataset.adults
    older = settings("train", ["split.train_ages=[1,40]", "head=classes"])
    assert older.dataset.adults
    assert older.head.ages == (1, 41)  # labels with decimals: somebody of 40.7 years
    assert settings("evaluate", [*evaluated, "dataset.adults=true"]).dataset.adults
    assert not settings("train", ["split.age_range=[1,40]", "dataset.adults=false"]).dataset.adults


def test_grids_sweep_over_choices_that_are_there_and_over_every_head() -> None:
    swept: dict[str, dict[str, set[str]]] = {}
    for path in sorted(Path(CONF, "experiment").glob("*.yaml")):
        params = yaml.safe_load(path.read_text()).get("hydra", {}).get("sweeper", {}).get("params", {})
        groups = {group: values for group, values in params.items() if Path(CONF, group).is_dir()}
        swept[path.stem] = {group: set(values.split(",")) for group, values in groups.items()}
    for choices in swept.values():
        for group, values in choices.items():
            assert values <= {found.stem for found in Path(CONF, group).glob("*.yaml")}
    heads = {found.stem for found in Path(CONF, "head").glob("*.yaml")}
    assert swept["heads"]["head"] == heads
    assert swept["averaging"]["averaging"] >= {"none", "swa"}


@pytest.mark.parametrize("path", COMPOSED, ids=name)
def test_every_file_opens_with_commands_that_compose(path: Path) -> None:
    assert commands(path)
    for entry, overrides in commands(path):
        settings(entry, overrides)


@pytest.mark.parametrize("path", PARTS, ids=name)
def test_every_option_is_explained_beside_or_above_it(path: Path) -> None:
    lines = path.read_text().splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        option = re.match(r"\s*([\w.]+):\s*[^\s#]", line)
        if option and option[1] not in ("_target_", "parts", "visage", "selfie_fv"):
            explained = re.search(r"\S\s+# \S", line) or above.lstrip().startswith("# ")
            assert explained, f"{path.name}: {option[1]} has no comment"
