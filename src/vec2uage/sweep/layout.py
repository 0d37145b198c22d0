"""How the groups of a sweep become stacks and are laid over the machine; asked by the engine and by `plan=true`."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vec2uage.base.cores import cores
from vec2uage.base.formatting import counted
from vec2uage.base.memory import memory_bytes
from vec2uage.config.settings import EXECUTION_OPTIONS
from vec2uage.runs.variants import split_override
from vec2uage.sweep import calibration
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.plan import Plan, devices_of, make_plan, share_gpus, split_evenly
from vec2uage.training.data import TrainingData, load
from vec2uage.training.learners.registry import learner_of
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.stack_check import StackCheck

_MEMORY_SHARE = 0.5  # of the machine's memory, for all models without epochs that are fitted at a time


@dataclass(frozen=True)
class Layout:
    """A group of jobs, its data on the first of the devices, and the stacks that it is trained in.

    `epochs` are still to be trained at most; `seconds` is the estimated time of all stacks if every run trains to its
    last epoch, None where no speed was measured.
    """

    jobs: list[Job]
    epochs: int
    data: TrainingData
    devices: tuple[torch.device, ...]
    stack_check: StackCheck
    stacks: list[list[Job]]
    at_once: int
    """How many stacks such as these train at a time, at most."""
    seconds: float | None

    @property
    def settings(self) -> RunSettings:
        return self.jobs[0].settings

    @property
    def steps(self) -> int:
        """Steps of each run, at most."""
        return learner_of(self.settings).steps_per_epoch(self.settings, self.data) * self.epochs

    @property
    def run_bytes(self) -> int:
        return learner_of(self.settings).run_bytes(self.settings, self.data)

    @property
    def what(self) -> str:
        """Dataset, model, a network's optimiser, and what else was swept and is the same for all jobs of the group."""
        names = ("dataset", "model", *(["optimizer"] if self.settings.is_network else []))
        first, *others = (dict(map(split_override, job.settings.overrides)) for job in self.jobs)
        options = [
            key for key in self.settings.swept if key not in (*names, *EXECUTION_OPTIONS) and not key.endswith("seed")
        ]
        alike = [f"{key}={first[key]}" for key in options if all(other.get(key) == first[key] for other in others)]
        return " ".join([*map(self.settings.choice, names), *alike])

    @property
    def warning(self) -> str:
        """What a user should know of the settings, "" for nothing."""
        return learner_of(self.settings).warning(self.settings, self.data)

    @property
    def stack_sizes(self) -> str:
        """The runs in a stack: one number, or two where the runs do not divide evenly."""
        return "-".join(map(str, sorted({len(stack) for stack in self.stacks})))

    def describe(self) -> str:
        """Say in one line what is trained, and how."""
        how = f"stacks of {self.stack_sizes}, {min(self.at_once, len(self.stacks))} at a time"
        why = "" if self.stack_check.stackable else f" (one by one: {self.stack_check.reason})"
        return f"{counted(len(self.jobs), 'run')} of {self.what}: {how}{why}"


def sweep_plan(groups: Sequence[Sequence[Job]], available: int | None) -> Plan:
    """Plan a whole sweep after its first group: how many stacks at a time, and with how many threads each."""
    settings, runs = groups[0][0].settings, sum(len(members) for members in groups)
    try:
        devices = devices_of(settings.trainer)
        plan = make_plan(runs, settings.trainer, devices, available)
        if devices[0].type != "cpu":
            return share_gpus(plan, len(groups), settings.trainer)
        if not _is_calibrated(settings, devices, runs):
            return plan
        data = load(settings, devices[0])
        stack_check = learner_of(settings).check_stackable(settings, data, devices[0])
        speeds = calibration.measured_speeds(settings, data, available or cores(), stack_check.stackable)
        best = calibration.fastest(speeds, runs)
        return Plan(tuple(devices) * best.workers, best.threads, best.stack_size)
    except Exception:  # the group fails by itself, with its reason, and no other group with it
        return make_plan(runs, settings.trainer, (torch.device("cpu"),), available)


def lay_out(members: Sequence[Job], plan: Plan, available: int | None, epochs_done: int = 0) -> Layout:
    """Load the data of a group and split it into stacks; UserError if there is no such device or data."""
    settings, runs = members[0].settings, len(members)
    learner, devices = learner_of(settings), devices_of(settings.trainer)
    data = load(settings, devices[0])
    stack_check = learner.check_stackable(settings, data, devices[0])
    size = make_plan(runs, settings.trainer, devices, available).stack_size if stack_check.stackable else 1
    seconds = None
    if plan.room is not None:
        size = max(1, min(size, plan.room // learner.run_bytes(settings, data)))
    epochs = settings.trainer.max_epochs - epochs_done
    if _is_calibrated(settings, devices, runs):
        speeds = calibration.measured_speeds(settings, data, available or cores(), stack_check.stackable)
        same = [s for s in speeds if s.workers == plan.workers]
        best = calibration.fastest(same or speeds, runs)
        steps = learner.steps_per_epoch(settings, data) * epochs
        size, seconds = best.stack_size, best.estimate(runs, steps)
    stacks = split_evenly(list(members), size, plan.workers // plan.groups)
    at_once = plan.workers if settings.is_network else _that_memory_holds(learner.run_bytes(settings, data), plan)
    return Layout(list(members), epochs, data, devices, stack_check, stacks, at_once, seconds)


def _that_memory_holds(run_bytes: int, plan: Plan) -> int:
    """Return how many models without epochs are fitted at a time: without memory the system may end the process."""
    return max(1, min(plan.workers, int(_MEMORY_SHARE * memory_bytes()) // run_bytes))


def _is_calibrated(settings: RunSettings, devices: Sequence[torch.device], runs: int) -> bool:
    """Tell whether a plan is to be measured: where it was asked for, and there is something to choose."""
    trainer = settings.trainer
    is_open = runs > 1 and devices[0].type == "cpu" and (trainer.threads, trainer.stack_size) == ("auto", "auto")
    return settings.is_network and trainer.calibrate and is_open
