"""Arguments that shells complete and Hydra cannot read."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.cli import gathered, with_paths

# a list or a quoted value is left to Hydra, and so is an interpolation
PATHS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1).filter(
    lambda path: path[0] not in "['\"$" and "${" not in path
)


@given(st.lists(PATHS, min_size=1, max_size=3))
def test_any_paths_are_read_as_they_are(paths):
    arguments = gathered("sweep", [*(f"sweep={path}" for path in paths), "seed=1"])
    assert arguments[0] == "seed=1"
    assert OverridesParser.create().parse_override(arguments[1]).value() == paths


@pytest.mark.parametrize("arguments", [["sweep=[a,b]"], ["sweep='a=b'", "seed=1"], ["seed=1"], ["sweep="], ["--help"]])
def test_what_hydra_can_read_is_left_to_it(arguments):
    assert gathered("sweep", arguments) == arguments


@pytest.mark.parametrize("name", ["a=b", "runs,1", "ü (2)", "it's", "back\\"])
def test_what_exists_is_read_as_it_is(name, tmp_path):
    (tmp_path / name).mkdir()
    (argument,) = with_paths([f"checkpoint={tmp_path / name}"])
    assert OverridesParser.create().parse_override(argument).value() == str(tmp_path / name)


@pytest.mark.parametrize(
    "argument",
    [
        "optimizer=sgd,adam",
        "seed=range(3)",
        "-m",
        "dataset.path=.",
        "~trainer",
        "--config-dir=my confs",
        "seed=1,2",
        "x=${y}",
    ],
)
def test_what_names_no_path_or_needs_no_quotes_is_left_alone(argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("1,2", "my confs"):
        (tmp_path / name).mkdir()
    assert with_paths([argument]) == [argument]
