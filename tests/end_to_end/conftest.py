"""Commands in this very process, for the many that end before any work: starting one takes seconds, mostly torch's."""

import importlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(type_in: Command) -> Command:
    """Run `python -m vec2uage.<entry> <arguments>` in a folder: `here(folder, "train", "seed=-1")`."""

    def run(folder: Path, entry: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        module = importlib.import_module(f"vec2uage.{entry}")
        return type_in(folder, module.__file__, module.main, *arguments)

    return run
