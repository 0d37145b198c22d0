"""A sweep in one session: batches asked for one after the other, and a folder that is never left half done."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from sweeps import SMALL, make_sweep

from vec2uage.base.errors import UserError
from vec2uage.base.lock import Busy, only_user_of
from vec2uage.config.hydra.composer import parse_grid
from vec2uage.runs.index import read_sweep
from vec2uage.runs.result import RunResult
from vec2uage.sweep.resume import FolderConflict
from vec2uage.sweep.session import SweepSession

FIXED = [*SMALL, "trainer.max_epochs=1", "model=linear", "trainer.device=cpu"]


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    state = Singleton.get_state()
    yield
    Singleton.set_state(state)


def open_session(folder: Path, *options: str, launcher: Launcher | None = None) -> SweepSession:
    sweep = make_sweep()
    sweep.master.hydra.sweep.dir = str(folder)
    parse_grid(sweep.loader, sweep.master, [*FIXED, *options])
    return SweepSession(sweep.context(), sweep.master, print, launcher)


def batch(*values: str, options: Sequence[str] = ()) -> list[list[str]]:
    return [[*FIXED, *options, value] for value in values]


def names(results: Sequence[RunResult]) -> list[str]:
    return [result.name for result in results]


def all_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_search_asks_in_batches_and_is_told_every_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_session(tmp_path) as sweep:
        first = sweep.run(batch("optimizer.lr=0.1", "optimizer.lr=1e38"))
        trained = all_below(tmp_path / "000_lr=0.1")
        second = sweep.run(batch("optimizer.lr=0.2", "optimizer.lr=0.1"))
        assert "best by validation" not in capsys.readouterr().out, "summed up before the end"
    assert names(first) == ["000_lr=0.1", "001_lr=1e38"]
    assert [result.status for result in first] == ["completed", "diverged"]
    assert names(second) == ["002_lr=0.2", "000_lr=0.1"], "found by its configuration"
    assert second[1].scores == first[0].scores
    assert all_below(tmp_path / "000_lr=0.1") == trained
    assert [job.status for job in sweep.job_returns] == [JobStatus.COMPLETED, JobStatus.FAILED] + [
        JobStatus.COMPLETED
    ] * 2
    assert names(read_sweep(tmp_path)) == ["000_lr=0.1", "001_lr=1e38", "002_lr=0.2"]
    assert "best by validation" in capsys.readouterr().out


def test_what_a_session_has_trained_is_kept_though_earlier_runs_are_not(tmp_path: Path) -> None:
    anew = ["resume=false"]
    with open_session(tmp_path) as sweep:
        sweep.run(batch("seed=1"))
    before = all_below(tmp_path)
    with open_session(tmp_path, *anew) as sweep:
        sweep.run(batch("seed=1", options=anew))
        after = all_below(tmp_path / "000_seed=1")
        assert after[tmp_path / "000_seed=1/config.yaml"] != before[tmp_path / "000_seed=1/config.yaml"]
        assert names(sweep.run(batch("seed=1", options=anew))) == ["000_seed=1"]
        assert all_below(tmp_path / "000_seed=1") == after


def test_a_batch_that_is_wrong_or_only_planned_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sweep"
    with pytest.raises(UserError, match="1 of 2 jobs, such as seed=-1"), open_session(folder) as sweep:
        sweep.run(batch("seed=1", "seed=-1"))
    with pytest.raises(SystemExit, match="0"), open_session(folder, "plan=true") as sweep:
        sweep.run(batch("seed=1", "seed=2", options=["plan=true"]))
    assert "2 of 2 runs to train" in capsys.readouterr().out
    assert not folder.exists()


def test_what_lies_in_the_way_refuses_the_sweep_and_stays_as_it_was(tmp_path: Path) -> None:
    with open_session(tmp_path) as sweep:
        sweep.run(batch("seed=1"))
    before = all_below(tmp_path)
    with pytest.raises(FolderConflict, match=r"optimizer\.lr"), open_session(tmp_path, "optimizer.lr=0.5") as sweep:
        sweep.run(batch("seed=1", options=["optimizer.lr=0.5"]))
    with only_user_of(tmp_path), pytest.raises(Busy), open_session(tmp_path) as sweep:
        sweep.run(batch("seed=2"))
    assert all_below(tmp_path) == before


def break_off(folder: Path) -> None:
    """Be interrupted between two batches, as a search may be."""
    with open_session(folder) as sweep:
        sweep.run(batch("seed=1"))
        raise KeyboardInterrupt


def test_a_session_that_breaks_off_is_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        break_off(tmp_path)
    assert "best by validation: 000_seed=1" in capsys.readouterr().out
    with only_user_of(tmp_path):
        pass  # it has let go of the folder


class OneByOne(Launcher):
    """A launcher as others write them, whose jobs leave nothing."""

    def setup(self, **_: object) -> None: ...

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        self.given = [list(overrides) for overrides in job_overrides], initial_job_idx
        return [JobReturn(overrides, status=JobStatus.COMPLETED) for overrides in job_overrides]


def test_launchers_of_others_train_what_they_are_given(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    launcher = OneByOne()
    with caplog.at_level(logging.WARNING), open_session(tmp_path, launcher=launcher) as sweep:
        results = sweep.run(batch("seed=1", "seed=2"))
    assert launcher.given == (batch("seed=1", "seed=2"), 0)
    assert [(result.name, result.status) for result in results] == [("000_seed=1", "failed"), ("001_seed=2", "failed")]
    assert "no run has ended in this folder" in (results[0].reason or "")
    assert (tmp_path / "multirun.yaml").is_file()
