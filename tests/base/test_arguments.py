"""Arguments that shells complete and Hydra cannot read, and those that belong to the jobs of a multirun."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.arguments import deferred, gathered, with_paths
from vec2uage.config.register import conf_dir

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


@pytest.mark.parametrize("value", ["0.9", "[32,16]", "'a=b, c'", "${seed}", "{a:1}"])
@pytest.mark.parametrize(
    ("multirun", "swept"),
    [
        ("-m", "optimizer=sgd,swa"),
        ("--multirun", "experiment=d1,e1"),
        ("experiment=d1", "optimizer=choice(sgd,swa)"),
    ],
)
def test_options_of_groups_are_left_to_the_jobs_where_a_group_is_swept(multirun, swept, value):
    given = [multirun, swept, f"optimizer.momentum={value}", "optimizer.lr=0.1,0.2", "seed=1", "hydra.sweep.dir=here"]
    [option, *others] = [argument for argument in deferred(given, Path(conf_dir())) if argument not in given]
    assert not others
    parser = OverridesParser.create()
    override, typed = parser.parse_override(option), parser.parse_override(f"optimizer.momentum={value}")
    [of_job] = override.sweep_string_iterator()
    assert parser.parse_override(f"optimizer.momentum={of_job}").value() == typed.value()


@pytest.mark.parametrize(
    "arguments",
    [
        ["optimizer=sgd,swa", "optimizer.momentum=0.9"],
        ["experiment=visage", "optimizer=sgd,swa", "optimizer.momentum=0.9"],
        ["-m", "optimizer=sgd", "seed=1,2", "optimizer.momentum=0.9"],
        [
            "-m",
            "optimizer=sgd,swa",
            "optimizer.momentum=",
            "optimizer.lr=null",
            "+optimizer.x=1",
            "~optimizer.lr",
            "trainer=default",
            "a=(",
        ],
    ],
)
def test_no_other_option_is_left_to_the_jobs(arguments):
    assert deferred(arguments, Path(conf_dir())) == arguments
