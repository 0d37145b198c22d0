"""What is left of a command that was refused, and how commands end."""

import pytest

from vec2uage.base.cli import discard_unused, run
from vec2uage.base.lock import only_user_of


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
