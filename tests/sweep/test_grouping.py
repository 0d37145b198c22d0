"""What may share a stack: found from the settings, proved on the network."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from sweeps import Dropping, Sweep
from torch import nn

from vec2uage.config.component import Component
from vec2uage.sweep.grouping import group
from vec2uage.training.stack_check import StackCheck, check_stackable

CPU = torch.device("cpu")


class Branching(nn.Module):
    """Looks at its own values, which `torch.func` cannot follow for many networks at once."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.layer = nn.Linear(in_features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        return y if y.sum() > 0 else 2 * y


def grouped(sweep: Sweep, tmp_path: Path, overrides: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[job.folder.name for job in members] for members in group(sweep.jobs(tmp_path, overrides))]


@pytest.mark.parametrize(
    "option",
    [
        "seed",
        "optimizer.lr",
        "optimizer.weight_decay",
        "lr_schedule.patience",
        "lr_schedule.factor",
        "early_stopping.patience",
        "early_stopping.min_delta",
    ],
)
def test_runs_that_differ_in_a_number_of_their_own_share_a_stack(sweep: Sweep, tmp_path: Path, option: str) -> None:
    values = ("0.5", "0.25") if option.endswith(("lr", "factor", "decay", "delta")) else ("4", "7")
    assert grouped(sweep, tmp_path, [[f"{option}={v}"] for v in values]) == [["0", "1"]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("optimizer=sgd", "optimizer=adam"),
        ("optimizer=swa", "optimizer=swa_published"),
        ("model=linear", "model=vec2uage"),
        ("model.hidden=[8]", "model.hidden=[9]"),
        ("loss=mse", "loss=l1"),
        ("normalization=l2", "normalization=none"),
        ("lr_schedule=constant", "lr_schedule=cosine"),
        ("early_stopping=none", "early_stopping=patience"),
        ("lr_finder=none", "lr_finder=range_test"),
        ("trainer.batch_size=16", "trainer.batch_size=32"),
        ("trainer.max_epochs=1", "trainer.max_epochs=2"),
        ("dataset.label=exact", "dataset.label=floor"),
        ("dataset.split.seed=1", "dataset.split.seed=2"),
        ("augmentation.train_per_age=20", "augmentation.train_per_age=30"),
    ],
)
def test_runs_that_differ_in_anything_else_do_not(sweep: Sweep, tmp_path: Path, one: str, other: str) -> None:
    assert grouped(sweep, tmp_path, [[one], [other]]) == [["0"], ["1"]]


def test_a_split_of_ones_own_keeps_runs_apart(sweep: Sweep, tmp_path: Path) -> None:
    jobs = [["dataset.split.seed=run", "seed=1"], ["dataset.split.seed=run", "seed=2"], ["seed=1"], ["seed=2"]]
    assert grouped(sweep, tmp_path, jobs) == [["0"], ["1"], ["2", "3"]]


def test_groups_hold_every_job_once_in_order(sweep: Sweep, tmp_path: Path) -> None:
    jobs = [[f"optimizer={o}", f"seed={s}"] for s in range(3) for o in ("sgd", "adam")]
    assert grouped(sweep, tmp_path, jobs) == [["0", "2", "4"], ["1", "3", "5"]]


def stack_check(sweep: Sweep, tmp_path: Path, *overrides: str, model: type[nn.Module] | None = None) -> StackCheck:
    (job,) = sweep.jobs(tmp_path, [overrides])
    settings = job.settings
    if model is not None:
        object.__setattr__(settings, "model", Component(f"{model.__module__}.{model.__qualname__}"))
    return check_stackable(settings, 512, 360, CPU)


@pytest.mark.parametrize("model", ["model=vec2uage", "model=linear"])
def test_the_models_that_come_along_can_be_stacked(sweep: Sweep, tmp_path: Path, model: str) -> None:
    assert stack_check(sweep, tmp_path, model).stackable


def test_a_model_that_draws_random_numbers_trains_alone(sweep: Sweep, tmp_path: Path) -> None:
    found = stack_check(sweep, tmp_path, model=Dropping)
    assert not found.stackable
    assert found.draws
    assert "random numbers" in found.reason


def test_a_model_that_torch_func_cannot_stack_trains_alone(sweep: Sweep, tmp_path: Path) -> None:
    found = stack_check(sweep, tmp_path, model=Branching)
    assert not found.stackable
    assert not found.draws
    assert found.reason.startswith("torch.func cannot stack the model")
