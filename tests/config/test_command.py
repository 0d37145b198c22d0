"""The skeleton of commands: how they end, alone and as jobs of a sweep, and what is left of one that was refused."""

import io
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from vec2uage.base.atomic import write_text
from vec2uage.base.errors import UserError
from vec2uage.base.lock import only_user_of
from vec2uage.config.command import Invocation, command, discard_unused, execute
from vec2uage.reporting.report_settings import ReportSettings

Done = subprocess.CompletedProcess[str]
Report = Callable[..., Done]
SINGLE = ["sweep=a", "hydra.run.dir=out"]
SEVERAL = ["-m", "sweep=a", "seed=0,5,3", "hydra.sweep.dir=out"]


@dataclass(frozen=True)
class Named(ReportSettings):
    """Settings with a text that one may want to be a number."""

    name: str


@pytest.fixture
def report(type_in: Callable[..., Done], tmp_path: Path) -> Report:
    """Type a command with the options of `vec2uage.report` and work of one's own: `report(work, *arguments)`."""
    return lambda work, *arguments: type_in(tmp_path, __file__, command("report", repeatable="sweep")(work), *arguments)


def test_work_gets_what_was_typed(report: Report, tmp_path: Path) -> None:
    seen: list[Invocation] = []
    assert report(seen.append, *SINGLE, "sweep=b,c").returncode == 0
    [invocation] = seen
    assert (invocation.folder, invocation.sweep) == (tmp_path / "out", None)
    assert invocation.options["sweep"] == ["a", "b,c"]
    assert "hydra" not in invocation.options
    assert "sweep=['a','b,c']" in invocation.overrides
    assert invocation.line.startswith("python -m vec2uage.report ")


def test_what_work_returns_is_the_exit_code(report: Report) -> None:
    assert report(lambda _: 3, *SINGLE).returncode == 3


def test_a_sweep_ends_with_the_highest_code_of_its_jobs(report: Report) -> None:
    places = []

    def work(invocation: Invocation) -> int:
        places.append(invocation.folder.parent.samefile(invocation.sweep or ""))
        return int(invocation.options["seed"])

    assert report(work, *SEVERAL).returncode == 5
    assert places == [True] * 3


def test_ctrl_c_in_a_job_ends_the_sweep(report: Report) -> None:
    seeds = []

    def work(invocation: Invocation) -> int:
        seeds.append(invocation.options["seed"])
        return 130 if invocation.options["seed"] == 5 else 0

    assert report(work, *SEVERAL).returncode == 130
    assert seeds == [0, 5]


def refuse(invocation: Invocation) -> None:
    raise UserError("no such thing")


def fail(invocation: Invocation) -> None:
    raise ZeroDivisionError


def test_a_users_error_is_one_sentence_and_leaves_no_folder(report: Report, tmp_path: Path) -> None:
    done = report(refuse, *SINGLE)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: no such thing\n")
    assert not (tmp_path / "out").exists()


def test_a_users_error_in_a_job_is_one_sentence_at_the_end(report: Report) -> None:
    done = report(refuse, *SEVERAL)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: no such thing"


def test_work_elsewhere_than_where_paths_were_typed_is_refused(report: Report, tmp_path: Path) -> None:
    done = report(lambda _: 0, "hydra.job.chdir=true", *SINGLE)
    assert done.returncode == 1
    assert "hydra.job.chdir" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_number_is_read_as_it_was_typed_where_text_is_needed(report: Report, tmp_path: Path) -> None:
    seen = []

    def work(invocation: Invocation) -> None:
        seen.append(invocation.settings(Named).name)

    done = report(work, "+name=1_000", *SINGLE)
    assert (done.returncode, done.stderr, seen) == (0, "", ["1_000"])
    assert report(work, "-m", "+name=1e5,007,ü", "sweep=a", "hydra.sweep.dir=out").returncode == 0
    assert seen[1:] == ["1e5", "007", "ü"]


@pytest.mark.parametrize(
    "arguments",
    [[], ["-m"], ["--cfg", "job"], ["--help"]],
)
def test_a_name_that_is_no_text_is_refused_in_one_sentence(report: Report, arguments: list[str]) -> None:
    done = report(lambda _: 0, "sweep=f\udce4ces", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: sweep=")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [SINGLE, SEVERAL], ids=["single", "several"])
def test_a_defect_of_ours_is_raised(report: Report, arguments: list[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        report(fail, *arguments)


def test_help_is_composed_with_what_the_command_lacks(type_in: Callable[..., Done], tmp_path: Path) -> None:
    main = command("prepare", for_help="source=table")(lambda _: 7)
    for asked, source in ((["--cfg", "job"], "sources.table."), (["--help", "source=utkface"], "sources.names.")):
        done = type_in(tmp_path, __file__, main, *asked)
        assert done.returncode == 0
        assert source in done.stdout
    assert type_in(tmp_path, __file__, main).returncode == 1


def test_letters_that_a_terminal_lacks_are_shown_by_their_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["report"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", terminal)
    execute(lambda: print("±2 Jänner", flush=True))
    terminal.seek(0)
    assert terminal.buffer.read() == b"\\xb12 J\\xe4nner\n"


def test_a_closed_terminal_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["report"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    execute(lambda: print("nobody reads this", sys.stdin.read(), file=sys.stderr))
    sys.stdin.close()
    sys.stdout.close()
    sys.stderr.close()


# what is left


@pytest.fixture
def typed(type_in: Callable[..., Done], tmp_path: Path) -> Callable[..., Done]:
    """Type a command that does nothing, in a folder of its own."""
    return lambda *arguments: type_in(tmp_path, "/somewhere/report.py", lambda: execute(lambda: None), *arguments)


def written(folder: Path, log: str = "") -> Path:
    folder.mkdir()
    (folder / "report.log").write_text(log)
    (folder / ".lock").touch()
    return folder


def test_a_folder_to_which_only_an_empty_log_was_written_goes(typed: Callable[..., Done], tmp_path: Path) -> None:
    typed("hydra.run.dir=new")
    discard_unused(written(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_log_that_says_something_stays_unless_told_otherwise(typed: Callable[..., Done], tmp_path: Path) -> None:
    typed()
    folder = written(tmp_path / "new", "4,814 files found")
    discard_unused(folder)
    assert (folder / "report.log").read_text() == "4,814 files found"
    discard_unused(folder, with_log=True)
    assert not folder.exists()


def test_a_folder_of_the_users_or_with_anything_else_in_it_stays(typed: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    typed("hydra.run.dir='mine'")
    other = written(tmp_path / "other")
    (other / "notes.txt").touch()
    for folder in (tmp_path / "mine", other):
        discard_unused(folder, with_log=True)
        assert folder.exists()
    assert (other / "report.log").exists()
    assert not list((tmp_path / "mine").iterdir())


def test_a_folder_that_another_command_writes_to_stays(typed: Callable[..., Done], tmp_path: Path) -> None:
    typed()
    folder = written(tmp_path / "busy")
    with only_user_of(folder):
        discard_unused(folder, with_log=True)
        assert {path.name for path in folder.iterdir()} == {"report.log", ".lock"}
    discard_unused(folder)
    assert not folder.exists()


# who may read what is written, and what is shown of others' text


@pytest.mark.parametrize(("access", "folder", "file"), [((), 0o700, 0o600), (("access=group",), 0o750, 0o640)])
@pytest.mark.parametrize("arguments", [SINGLE, SEVERAL], ids=["single", "several"])
def test_what_a_command_writes_is_its_owners_or_a_groups(
    access: tuple[str, ...], folder: int, file: int, arguments: list[str], report: Report, tmp_path: Path
) -> None:
    def work(invocation: Invocation) -> None:
        (invocation.folder / "by_another_library.txt").touch()
        write_text(invocation.folder / "tables" / "table.csv", "")
        assert "access" not in invocation.options

    nested = [argument.replace("=out", "=out/of/mine") for argument in arguments]
    assert report(work, *nested, *access).returncode == 0
    written = [tmp_path / "out", *(tmp_path / "out").rglob("*")]
    assert {"by_another_library.txt", "table.csv", "test_command.log"} <= {path.name for path in written}
    assert {path.stat().st_mode & 0o777 for path in written if path.is_dir()} == {folder}
    assert {path.stat().st_mode & 0o777 for path in written if path.is_file()} == {file}


def test_an_option_that_stands_for_its_neighbour_is_kept_as_typed(report: Report, tmp_path: Path) -> None:
    def work(invocation: Invocation) -> None:
        is_as_typed = "resamples=${.seed}" in invocation.overrides
        (invocation.folder / "seen").write_text(f"{invocation.options['resamples']} {is_as_typed}")

    done = report(work, *SINGLE, "access=group", "resamples=${.seed}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "seen").read_text() == "0 True"
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    "arguments", [[*SINGLE, "access=all"], [*SEVERAL, "access=owner,group"]], ids=["wrong", "swept"]
)
def test_another_access_is_refused_before_anything_is_written(
    arguments: list[str], report: Report, tmp_path: Path
) -> None:
    done = report(lambda _: 0, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: access = ")
    assert "'owner' or 'group'" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["a link", "a folder"])
def test_a_log_that_cannot_be_written_is_one_sentence(place: str, report: Report, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "precious").write_text("precious")
    log = tmp_path / "out" / "test_command.log"
    log.mkdir() if place == "a folder" else log.symlink_to(tmp_path / "precious")
    done = report(lambda _: 0, *SINGLE)
    assert done.returncode == 1
    assert re.fullmatch(rf"error: {log}: [^\n]+\n", done.stderr)
    assert (tmp_path / "precious").read_text() == "precious"


def test_text_of_others_is_shown_and_does_nothing(report: Report, tmp_path: Path) -> None:
    name = "face\x1b[2J\u202e\udce4\rno error\nerror: forged.jpg"

    def work(invocation: Invocation) -> None:
        logging.getLogger("vec2uage").warning("%s: left out", name)
        print(name.replace("\n", " "))
        raise UserError(f"{name}: no face", [name])

    done = report(work, *SINGLE)
    shown = r"face\x1b[2J\u202e\udce4\rno error\nerror: forged.jpg"
    lines = done.stderr.splitlines()
    assert lines[0] == f"{shown}: left out"
    assert lines[-2:] == [f"error: {shown}: no face", f"  {shown}"]
    assert re.sub(r"[\n\r]", "", done.stdout + done.stderr).isprintable()
    assert f"{shown}: left out\n" in (tmp_path / "out" / "test_command.log").read_text()
