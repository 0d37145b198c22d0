"""What an executor is: settings, and a method that trains the jobs of a sweep; the one that does so in this process."""

import importlib
import logging
from collections.abc import Sequence
from typing import Any, ClassVar

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.state import SweepResult


@settings
class Executor:
    """Trains jobs in this process."""

    here: ClassVar[bool] = True
    """Whether jobs are trained on this machine, where their data can be looked for before they begin."""

    def check(self) -> None:
        """Raise UserError where this executor cannot work here."""

    def train(self, jobs: Sequence[Job], command: str, until: int | None = None) -> SweepResult:
        """Train all jobs, each into its own folder, or `until` they have had so many epochs; failures stop no other."""
        return train_jobs(jobs, command, until=until)


def library(name: str) -> Any:
    """Return a package that only an extra installs; raises UserError, which names the extra, where it is missing."""
    logging.getLogger(name).setLevel(logging.ERROR)  # submitit warns at every look where a cluster keeps no accounts
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(f"this launcher needs {name}, which is not installed: pip install 'vec2uage[{name}]'") from None
