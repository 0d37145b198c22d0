"""The learner of `model=end_to_end`: it makes inputs of crops, and leaves the rest to the trainer of all networks."""

from collections.abc import Hashable, Sequence

import torch

from vec2uage.base.errors import UserError
from vec2uage.training import memory
from vec2uage.training.checkpoint import Checkpoint
from vec2uage.training.data import TrainingData
from vec2uage.training.learners.base import Observer
from vec2uage.training.learners.stacked_torch import StackedTorch
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.stack_check import StackCheck
from vec2uage.training.trainer import train_stack
from vec2uage.tuning.described import Described, check_start
from vec2uage.tuning.options import TuningOptions
from vec2uage.tuning.start import chosen
from vec2uage.tuning.tuning import Tuning


class EndToEndLearner:
    """Tunes the encoder of one run at a time."""

    def stack_key(self, run: RunSettings) -> Hashable:
        return StackedTorch().stack_key(run), run.seed

    def check_stackable(self, run: RunSettings, data: TrainingData, device: torch.device) -> StackCheck:
        for option, is_on in (("overfit", run.trainer.overfit), ("calibrate", run.trainer.calibrate)):
            if is_on:
                raise UserError(f"trainer.{option} = true: not with model=end_to_end: leave it out")
        return StackCheck(False, one_thread=True, reason="encoders are tuned one after the other")

    def run_bytes(self, run: RunSettings, data: TrainingData) -> int:
        tuning = Tuning.of(run, data)
        return memory.run_bytes(tuning.run, tuning.frozen(torch.device("cpu")).shape, len(data.train))

    def steps_per_epoch(self, run: RunSettings, data: TrainingData) -> int:
        return StackedTorch().steps_per_epoch(run, data)

    def warning(self, run: RunSettings, data: TrainingData) -> str:
        return StackedTorch().warning(run, data)

    def made_of(self, run: RunSettings) -> list[str]:
        options: TuningOptions = run.model.build()
        return [chosen(options.start, run).sha256]

    def fit(
        self,
        runs: Sequence[RunSettings],
        data: TrainingData,
        device: torch.device,
        observer: Observer,
        checkpoints: Sequence[Checkpoint] = (),
    ) -> None:
        (run,) = runs
        tuning = Tuning.of(run, data)
        check_start(checkpoints, tuning.start)
        faces = tuning.faces(device)
        observed = Described(observer, faces.about, tuning.start)
        train_stack([tuning.measured(faces.train)], faces, device, observed, checkpoints)
