"""Arguments that shells complete and Hydra cannot read, and those that belong to the jobs of a multirun."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.config.hydra.arguments import gather_repeated, leave_to_jobs, quote_paths

# a list or a quoted value is left to Hydra, and so is an interpolation
PATHS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1).filter(
    lambda path: path[0] not in "['\"$" and "${" not in path
)


@given(st.lists(PATHS, min_size=1, max_size=3))
def test_any_paths_are_read_as_they_are(paths):
    arguments = gather_repeated("sweep", [*(f"sweep={path}" for path in paths), "seed=1"])
    assert arguments[0] == "seed=1"
    assert OverridesParser.create().parse_override(arguments[1]).value() == paths


def test_quoted_paths_are_gathered_with_the_others():
    arguments = gather_repeated("sweep", ["sweep='a=1,b'", "sweep=c=2", 'sweep="d, e"'])
    assert OverridesParser.create().parse_override(arguments[0]).value() == ["a=1,b", "c=2", "d, e"]


@pytest.mark.parametrize("arguments", [["sweep=[a,b]"], ["sweep=${x}", "seed=1"], ["sweep=", "--help"]])
def test_what_hydra_can_read_is_left_to_it(arguments):
    assert gather_repeated("sweep", arguments) == arguments


@pytest.mark.parametrize("name", ["runs,a=1 (2)", "it's", "back\\"])
def test_what_exists_is_read_as_it_is(name, tmp_path):
    (tmp_path / name).mkdir()
    (argument,) = quote_paths([f"checkpoint={tmp_path / name}"])
    assert OverridesParser.create().parse_override(argument).value() == str(tmp_path / name)


def test_a_sweep_over_what_exists_has_each_of_them(tmp_path):
    runs = [str(tmp_path / name) for name in ("0_optimizer=sgd,seed=1", "1_optimizer=adam,seed=1")]
    for run in runs:
        Path(run).mkdir()
    (argument,) = quote_paths([f"checkpoint={','.join(runs)}"])
    assert [run.text for run in OverridesParser.create().parse_override(argument).sweep_iterator()] == runs
    gone = f"checkpoint={runs[0]},{runs[1]}0"
    assert quote_paths([gone]) == [gone]


def test_what_names_no_path_or_needs_no_quotes_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("1,2", "my confs"):
        (tmp_path / name).mkdir()
    arguments = ["seed=range(3)", "-m", "dataset.path=.", "~trainer", "--config-dir=my confs", "seed=1,2", "x=${y}"]
    assert quote_paths(arguments) == arguments


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer.momentum", "0.9"),
        ("optimizer", "[32,16]"),
        ("optimizer", "'a=b, c'"),
        ("optimizer.momentum", "${seed}"),
        ("optimizer", "{a:1}"),
    ],
)
def test_an_option_is_left_to_the_jobs_as_a_sweep_of_its_value(key, value):
    given = ["-m", "optimizer=sgd,swa", f"optimizer.momentum={value}", "model.hidden=[8]", "hydra.sweep.dir=here"]
    [option, *others] = [argument for argument in leave_to_jobs(given, key) if argument not in given]
    assert not others
    parser = OverridesParser.create()
    override, typed = parser.parse_override(option), parser.parse_override(f"optimizer.momentum={value}")
    [of_job] = override.sweep_string_iterator()
    assert parser.parse_override(f"optimizer.momentum={of_job}").value() == typed.value()


def test_what_cannot_be_a_sweep_of_its_value_stays_as_it_is():
    arguments = ["x=", "x=null", "x='5'", "x=1,2", "x=choice(1)", "+x=1", "~x", "y=1", "xx=1", "x@y=1", "x=(", "-x"]
    assert leave_to_jobs(arguments, "x") == arguments
