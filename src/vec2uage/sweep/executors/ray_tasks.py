"""Sweeps in tasks of a Ray cluster."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from vec2uage.config.settings import PositiveInt, settings
from vec2uage.sweep.executors.base import Executor, library
from vec2uage.sweep.executors.chunks import Handle, Stoppable, follow, split_into_chunks, train_chunk
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.state import SweepResult


@settings
class Ray(Executor):
    """Trains in tasks of a Ray cluster."""

    here = False
    address: str | None
    runs_per_job: PositiveInt
    cpus_per_task: PositiveInt
    gpus_per_task: Annotated[float, Field(ge=0)]

    def check(self) -> None:
        library("ray")

    def train(self, jobs: Sequence[Job], command: str, until: int | None = None) -> SweepResult:
        if not jobs:
            return SweepResult()
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # or it writes a token into the user's home
        ray = library("ray")
        ray.init(address=self.address, log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
        task = ray.remote(num_cpus=self.cpus_per_task, num_gpus=self.gpus_per_task, max_retries=0)(train_chunk)

        def submit(chunk: Sequence[Job]) -> Handle:
            reference = task.remote(list(chunk), command, self.cpus_per_task, Path.cwd(), until)
            return Stoppable(reference.future(), lambda: ray.cancel(reference))

        try:
            return follow(jobs, command, split_into_chunks(jobs, self.runs_per_job), submit, until=until)
        finally:
            ray.shutdown()
