"""What is written is its owner's alone, or a group's, too, and never what a stranger's link points to."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vec2uage.base.access import grant, make_folder, open_to_write
from vec2uage.base.atomic import write_text
from vec2uage.base.errors import UserError
from vec2uage.base.lock import only_user_of
from vec2uage.base.log_format import LogFile
from vec2uage.faces.store import open_store
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.metrics_log import MetricsLog
from vec2uage.runs.tensorboard import EventLog


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The umask of most people, and no access granted yet, as where the library is used without a command."""
    monkeypatch.setenv("VEC2UAGE_ACCESS", "")
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("prepare", "file", "folder"),
    [
        (lambda: None, 0o600, 0o700),
        (lambda: grant("owner"), 0o600, 0o700),
        (lambda: grant("group"), 0o640, 0o750),
        (lambda: os.umask(0), 0o600, 0o700),
    ],
    ids=["library", "owner", "group", "no umask"],
)
def test_who_may_read(prepare: Callable[[], object], file: int, folder: int, tmp_path: Path) -> None:
    prepare()
    with only_user_of(tmp_path / "a/b"), open_store(tmp_path / "c/d/store.sqlite") as store:
        store.put_signature("a", "b", "c")
        write_text(tmp_path / "e/result.json", "{}")
        EventLog(tmp_path / "f/events").close("completed")
        MetricsLog(tmp_path / "a/metrics.csv").close()
        written = list(tmp_path.rglob("*"))
        assert {path.name for path in written} >= {"store.sqlite-wal", "store.sqlite-shm", ".lock", "result.json"}
        assert {mode(path) for path in written if path.is_file()} == {file}
        assert {mode(path) for path in written if path.is_dir()} == {folder}


def test_what_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_folder(tmp_path)
    assert mode(tmp_path) == 0o755


def write_metrics(folder: Path) -> None:
    MetricsLog(folder / "metrics.csv").close()


def lock(folder: Path) -> None:
    with only_user_of(folder):
        pass


def store(folder: Path) -> None:
    with open_store(folder / "store.sqlite"):
        pass


def log(folder: Path) -> None:
    LogFile(str(folder / "train.log")).close()


def occupy(folder: Path) -> None:
    RunFolder(folder).occupy().close()


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (lock, ".lock"),
        (write_metrics, "metrics.csv"),
        (occupy, "config.yaml"),
        (store, "store.sqlite"),
        (log, "train.log"),
    ],
)
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_refused_and_what_it_points_to_stays(
    write: Callable[[Path], None], name: str, exists: bool, tmp_path: Path
) -> None:
    target = tmp_path / "of_somebody_else"
    if exists:
        target.write_text("precious")
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / name).symlink_to(target)
    with pytest.raises(UserError, match=f"{name}: is a link"):
        write(folder)
    assert target.exists() == exists
    assert not exists or target.read_text() == "precious"


def test_a_lock_leaves_what_is_in_its_file(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("precious")
    lock(tmp_path)
    assert (tmp_path / ".lock").read_text() == "precious"


def test_a_file_is_made_for_its_owner_even_where_the_umask_hides_nothing(tmp_path: Path) -> None:
    os.umask(0)
    open_to_write(tmp_path / "new", "xb").close()
    assert mode(tmp_path / "new") == 0o600
