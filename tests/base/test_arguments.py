"""Arguments that shells complete and Hydra cannot read, and those that belong to the jobs of a multirun."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.arguments import gathered, left_to_jobs, with_paths

# a list or a quoted value is left to Hydra, and so is an interpolation
PATHS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1).filter(
    lambda path: path[0] not in "['\"$" and "${" not in path
)


@given(st.lists(PATHS, min_size=1, max_size=3))
def test_any_paths_are_read_as_they_are(paths):
    arguments = gathered("sweep", [*(f"sweep={path}" for path in paths), "seed=1"])
    assert arguments[0] == "seed=1"
    assert OverridesParser.create().parse_override(arguments[1]).value() == paths


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quoted_paths_are_gathered_with_the_others(quote):
    arguments = gathered("sweep", [f"sweep={quote}a=1,b{quote}", "sweep=c=2"])
    assert OverridesParser.create().parse_override(arguments[0]).value() == ["a=1,b", "c=2"]


@pytest.mark.parametrize("arguments", [["sweep=[a,b]"], ["sweep=${x}", "seed=1"], ["seed=1"], ["sweep="], ["--help"]])
def test_what_hydra_can_read_is_left_to_it(arguments):
    assert gathered("sweep", arguments) == arguments


@pytest.mark.parametrize("name", ["a=b", "runs,1", "ü (2)", "it's", "back\\"])
def test_what_exists_is_read_as_it_is(name, tmp_path):
    (tmp_path / name).mkdir()
    (argument,) = with_paths([f"checkpoint={tmp_path / name}"])
    assert OverridesParser.create().parse_override(argument).value() == str(tmp_path / name)


def test_a_sweep_over_what_exists_has_each_of_them(tmp_path):
    runs = [str(tmp_path / name) for name in ("0_optimizer=sgd,seed=1", "1_optimizer=adam,seed=1")]
    for run in runs:
        Path(run).mkdir()
    (argument,) = with_paths([f"checkpoint={','.join(runs)}"])
    assert [run.text for run in OverridesParser.create().parse_override(argument).sweep_iterator()] == runs
    gone = f"checkpoint={runs[0]},{runs[1]}0"
    assert with_paths([gone]) == [gone]


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
@pytest.mark.parametrize("key", ["optimizer.momentum", "optimizer"])
def test_an_option_is_left_to_the_jobs_as_a_sweep_of_its_value(key, value):
    given = ["-m", "optimizer=sgd,swa", f"optimizer.momentum={value}", "model.hidden=[8]", "hydra.sweep.dir=here"]
    [option, *others] = [argument for argument in left_to_jobs(given, key) if argument not in given]
    assert not others
    parser = OverridesParser.create()
    override, typed = parser.parse_override(option), parser.parse_override(f"optimizer.momentum={value}")
    [of_job] = override.sweep_string_iterator()
    assert parser.parse_override(f"optimizer.momentum={of_job}").value() == typed.value()


@pytest.mark.parametrize(
    "argument", ["x=", "x=null", "x='5'", "x=1,2", "x=choice(1)", "+x=1", "~x", "y=1", "xx=1", "x@y=1", "x=(", "-x"]
)
def test_what_cannot_be_a_sweep_of_its_value_stays_as_it_is(argument):
    assert left_to_jobs([argument], "x") == [argument]
