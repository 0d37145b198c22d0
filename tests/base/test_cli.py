"""Arguments that shells complete and Hydra cannot read, and what is left of a command that was refused."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.cli import discard_unused, gathered, run, with_paths
from vec2uage.base.lock import only_user_of

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


def written(folder, log=""):
    folder.mkdir()
    (folder / "train.log").write_text(log)
    (folder / ".lock").touch()
    return folder


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Start a command with arguments in a folder of its own."""

    def start(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["/somewhere/train.py", *arguments])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        run(lambda: None)

    return start


def test_a_folder_to_which_only_an_empty_log_was_written_goes(command, tmp_path):
    command("hydra.run.dir=new")
    discard_unused(written(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_log_that_says_something_stays_unless_told_otherwise(command, tmp_path):
    command()
    folder = written(tmp_path / "new", "4,814 files found")
    discard_unused(folder)
    assert (folder / "train.log").read_text() == "4,814 files found"
    discard_unused(folder, with_log=True)
    assert not folder.exists()


def test_a_folder_of_the_users_or_with_anything_else_in_it_stays(command, tmp_path):
    (tmp_path / "mine").mkdir()
    command("hydra.run.dir='mine'")
    other = written(tmp_path / "other")
    (other / "notes.txt").touch()
    for folder in (tmp_path / "mine", other):
        discard_unused(folder, with_log=True)
        assert folder.exists()
    assert (other / "train.log").exists()
    assert not list((tmp_path / "mine").iterdir())


def test_a_folder_that_another_command_writes_to_stays(command, tmp_path):
    command()
    folder = written(tmp_path / "busy")
    with only_user_of(folder):
        discard_unused(folder, with_log=True)
        assert {path.name for path in folder.iterdir()} == {"train.log", ".lock"}
    discard_unused(folder)
    assert not folder.exists()
