"""What a learner is: it trains runs, shows an observer how they go, and hands it their models."""

from collections.abc import Hashable, Sequence
from typing import Protocol, runtime_checkable

import torch

from vec2uage.training.checkpoint import Checkpoint
from vec2uage.training.data import TrainingData
from vec2uage.training.outcome import Epoch, Outcome
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.stack_check import StackCheck


@runtime_checkable
class Observer(Protocol):
    """Who watches runs train; `run` is the position in the sequence of runs given."""

    def interrupted(self) -> bool:
        """Asked before every step: should all runs end with what they have?"""

    def epoch(self, run: int, epoch: Epoch) -> None:
        """Told of every epoch of every run."""

    def checkpoint(self, run: int, checkpoint: Checkpoint) -> None:
        """Given what the run can go on from; valid until the next step."""

    def end(self, run: int, outcome: Outcome) -> None:
        """Told once per run, as soon as it has ended."""


@runtime_checkable
class Learner(Protocol):
    """Trains the runs of one kind of model: `fit`, and what a sweep asks to plan for it."""

    def stack_key(self, run: RunSettings) -> Hashable:
        """Return what runs must have in common to be given to `fit` together, or to be planned alike."""

    def check_stackable(self, run: RunSettings, data: TrainingData, device: torch.device) -> StackCheck:
        """Find out whether several such runs may be given to `fit` at once, and under which conditions."""

    def run_bytes(self, run: RunSettings, data: TrainingData) -> int:
        """Return the bytes of memory that one run needs beside its data."""

    def steps_per_epoch(self, run: RunSettings, data: TrainingData) -> int:
        """Return how many steps an epoch has, 0 where there are no epochs."""

    def warning(self, run: RunSettings, data: TrainingData) -> str:
        """Return what a user should know of the settings, "" for nothing."""

    def made_of(self, run: RunSettings) -> list[str]:
        """Return the SHA-256 of the models that a run is made of, sorted: those of a stack, or the one it begins from.

        Raises UserError where they are not there.
        """

    def fit(
        self,
        runs: Sequence[RunSettings],
        data: TrainingData,
        device: torch.device,
        observer: Observer,
        checkpoints: Sequence[Checkpoint] = (),
    ) -> None:
        """Train the runs on `data`, each with the numbers that it would have alone.

        Every run's outcome, its model with it, goes to `observer.end`. With `checkpoints`, one a run and all after the
        same number of epochs, they go on from there.
        """
