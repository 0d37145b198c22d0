"""Every file below conf/ composes, validates, builds, and is written for a reader."""

import re
import shlex
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from vec2uage.base import seeds
from vec2uage.config.register import conf_dir, register_resolvers
from vec2uage.training import models
from vec2uage.training.spec import RunSettings, from_config

CONF = Path(conf_dir())
FILES = sorted(CONF.rglob("*.yaml"))
PARTS = [p for p in FILES if p.parent != CONF and p.relative_to(CONF).parts[0] not in ("hydra", "experiment", "debug")]
COMMAND = "python -m vec2uage.train"
EXTRA = {"dataset/vectors": ["dataset.path=faces.npz"], "experiment/utkface": ["dataset.path=faces.npz"]}
EXTRA["experiment/visage"] = EXTRA["experiment/utkface"]


def settings(overrides: Sequence[str]) -> RunSettings:
    """Compose as the command line does and check the result."""
    return _settings(tuple(overrides))


@cache
def _settings(overrides: tuple[str, ...]) -> RunSettings:
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", list(overrides), return_hydra_config=True)
    choices = {str(k): str(v) for k, v in cfg.hydra.runtime.choices.items()}
    return from_config(OmegaConf.masked_copy(cfg, [str(k) for k in cfg if k != "hydra"]), choices, overrides)


def name(path: Path) -> str:
    return path.relative_to(CONF).with_suffix("").as_posix()


def comments(path: Path) -> list[str]:
    """The comment lines at the top of a file."""
    lines = path.read_text().splitlines()
    end = next((k for k, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return [line.lstrip("# ") for line in lines[:end]]


@pytest.mark.parametrize("path", [p for p in FILES if p.parent != CONF], ids=name)
def test_every_choice_of_every_group_validates(path: Path) -> None:
    group, _, choice = name(path).rpartition("/")
    checked = settings([f"{group}={choice}", *EXTRA.get(name(path), [])])
    if group in dict(checked.choices) and hasattr(checked, group):
        assert checked.choice(group) == choice


@pytest.mark.parametrize("path", PARTS, ids=name)
def test_every_part_is_what_its_file_says(path: Path) -> None:
    group, _, choice = name(path).rpartition("/")
    part = getattr(settings([f"{group}={choice}", *EXTRA.get(name(path), [])]), group)
    wanted = yaml.safe_load(path.read_text())
    target = part.target if group == "model" else f"{type(part).__module__}.{type(part).__qualname__}"
    assert target == wanted.get("_target_", "vec2uage.training.spec.Trainer")
    for option in wanted.keys() - {"_target_", "path", "split"}:
        value = dict(part.options)[option] if group == "model" else getattr(part, option)
        expected = wanted[option]  # PyYAML reads 1e-4 as a text, OmegaConf as a number
        assert value == (tuple(expected) if isinstance(expected, list) else type(value)(expected) if value else value)


def test_the_default_is_the_papers_network() -> None:
    network = models.build(settings([]).model, 512, seed=seeds.derive(1))
    assert sum(p.numel() for p in network.parameters()) == 427_009


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_file_opens_with_the_command_that_runs_it(path: Path) -> None:
    assert any(COMMAND in line for line in comments(path))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_the_commands_in_the_comments_compose(path: Path) -> None:
    for line in comments(path):
        if COMMAND not in line:
            continue
        arguments = [a for a in shlex.split(line.partition(COMMAND)[2]) if a != "-m"]
        parsed = OverridesParser.create().parse_overrides(arguments)
        for overrides in BasicSweeper.split_arguments(parsed, None)[0][:3]:
            settings(overrides)


@pytest.mark.parametrize("path", PARTS, ids=name)
def test_every_option_is_explained_beside_or_above_it(path: Path) -> None:
    lines = path.read_text().splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        option = re.match(r"\s*([\w.]+):\s*[^\s#]", line)
        if option and option[1] != "_target_":
            explained = re.search(r"\S\s+# \S", line) or above.lstrip().startswith("# ")
            assert explained, f"{path.name}: {option[1]} has no comment"
