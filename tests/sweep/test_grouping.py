"""Which jobs of a sweep share a group."""

from collections.abc import Sequence
from pathlib import Path

from sweeps import Sweep

from vec2uage.sweep.grouping import group


def grouped(sweep: Sweep, tmp_path: Path, overrides: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[job.folder.name for job in members] for members in group(sweep.jobs(tmp_path, overrides))]


def test_runs_that_differ_in_a_number_of_their_own_share_a_stack(sweep: Sweep, tmp_path: Path) -> None:
    whole = ("seed", "lr_schedule.patience", "early_stopping.patience")
    real = ("optimizer.lr", "optimizer.weight_decay", "lr_schedule.factor", "early_stopping.min_delta")
    jobs = [[f"{option}={value}"] for option in whole for value in (4, 7)]
    jobs += [[f"{option}={value}"] for option in real for value in (0.5, 0.25)]
    assert len(grouped(sweep, tmp_path, jobs)) == 1


def test_runs_that_differ_in_anything_else_do_not(sweep: Sweep, tmp_path: Path) -> None:
    others = [
        "optimizer=sgd", "optimizer=swa", "optimizer=swa_published", "model=linear", "model.hidden=[8]",
        "model.hidden=[9]", "loss=l1", "normalization=none", "lr_schedule=constant", "lr_schedule=cosine",
        "early_stopping=none", "lr_finder=range_test", "trainer.batch_size=16", "trainer.max_epochs=1",
        "dataset.label=floor", "split.seed=2", "augmentation.train_per_age=30",
    ]  # fmt: skip
    jobs = [[], *([option] for option in others)]
    assert grouped(sweep, tmp_path, jobs) == [[str(number)] for number in range(len(jobs))]


def test_a_split_of_ones_own_keeps_runs_apart(sweep: Sweep, tmp_path: Path) -> None:
    jobs = [["split.seed=run", "seed=1"], ["split.seed=run", "seed=2"], ["seed=1"], ["seed=2"]]
    assert grouped(sweep, tmp_path, jobs) == [["0"], ["1"], ["2", "3"]]


def test_groups_hold_every_job_once_in_order(sweep: Sweep, tmp_path: Path) -> None:
    jobs = [[f"optimizer={o}", f"seed={s}"] for s in range(3) for o in ("sgd", "adam")]
    assert grouped(sweep, tmp_path, jobs) == [["0", "2", "4"], ["1", "3", "5"]]
