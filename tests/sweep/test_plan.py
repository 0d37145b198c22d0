"""Laying runs over the machine: nothing lost, nothing twice, no stack too large, no worker idle for long."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.sweep import plan as plan_module
from vec2uage.sweep.plan import make_plan, share_gpus, split_evenly
from vec2uage.training.run_settings import Trainer

CPU = torch.device("cpu")


def trainer(threads: str | int = "auto", stack_size: str | int = "auto") -> Trainer:
    return Trainer(
        max_epochs=1,
        batch_size=8,
        mean_over="rows",
        monitor="validation/loss",
        device="cpu",
        precision="float32",
        threads=threads,  # type: ignore[arg-type]
        stack_size=stack_size,  # type: ignore[arg-type]
        calibrate=False,
        checkpoint_every=1,
        overfit=False,
        profile=False,
    )


@given(st.integers(0, 300), st.integers(1, 40), st.integers(1, 16))
def test_a_split_keeps_every_item_once_and_is_even(count: int, size: int, workers: int) -> None:
    stacks = split_evenly(range(count), size, workers)
    assert [item for stack in stacks for item in stack] == list(range(count))
    sizes = [len(stack) for stack in stacks]
    assert all(0 < n <= size for n in sizes)
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
    if count >= workers:
        assert len(stacks) % workers == 0 or max(sizes) == 1


@given(st.integers(2, 200), st.sampled_from(["auto", 1, 2, 4]), st.sampled_from(["auto", 1, 7, 50]))
def test_a_plan_uses_no_more_than_there_is(runs: int, threads: str | int, stack_size: str | int) -> None:
    plan = make_plan(runs, trainer(threads, stack_size), (CPU,))
    assert 1 <= plan.workers <= runs
    assert plan.threads >= 1
    assert plan.stack_size >= 1
    if stack_size != "auto":
        assert plan.stack_size == stack_size
    if threads != "auto":
        assert plan.threads == threads


def test_one_run_gets_the_whole_machine_or_what_of_it_was_asked_for() -> None:
    assert make_plan(1, trainer(), (CPU,)).workers == 1
    assert make_plan(1, trainer(threads=3), (CPU,)).threads == 3
    assert make_plan(1, trainer(), (CPU,), available=1).threads == 1
    assert make_plan(8, trainer(), (CPU,), available=1).workers == 1


def test_accelerators_share_the_runs_and_each_trains_one_stack() -> None:
    plan = make_plan(20, trainer(), (torch.device("cuda"),))
    assert (plan.workers, plan.stack_size) == (1, 20)
    assert make_plan(20, trainer(stack_size=5), (torch.device("cuda"),)).stack_size == 5
    four = tuple(torch.device("cuda", index) for index in range(4))
    plan = make_plan(80, trainer(), four)
    assert (plan.devices, plan.stack_size) == (four, 20)
    assert make_plan(3, trainer(), four).workers == 3


def test_groups_share_the_memory_of_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "free_bytes", lambda devices: 48_000)
    plan = make_plan(80, trainer(), (torch.device("cuda", 0),))
    assert (plan.groups, plan.room) == (1, None)
    assert share_gpus(plan, 1, trainer()).room == 24_000
    shared = share_gpus(plan, 3, trainer())
    assert (shared.groups, shared.room, shared.workers) == (3, 8_000, 3)
    assert share_gpus(plan, 100, trainer()).groups == 4
    assert share_gpus(plan, 3, trainer(stack_size=5)).room is None
