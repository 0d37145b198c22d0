"""Commands in this very process, for the many that end before any work: starting one takes seconds, mostly torch's."""

import contextlib
import importlib
import io
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `python -m vec2uage.<entry> <arguments>` in a folder: `here(folder, "train", "seed=-1")`."""

    def run(folder: Path, entry: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        module = importlib.import_module(f"vec2uage.{entry}")
        monkeypatch.chdir(folder)
        monkeypatch.setenv("VEC2UAGE_CACHE", str(folder / "cache"))
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # the command sets it, for itself alone
        monkeypatch.setattr(sys, "argv", [module.__file__, *arguments])
        handlers = set(logging.getLogger().handlers)
        out, err, state, code = io.StringIO(), io.StringIO(), Singleton.get_state(), 0
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                module.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            GlobalHydra.instance().clear()
            Singleton.set_state(state)
            for handler in set(logging.getLogger().handlers) - handlers:
                logging.getLogger().removeHandler(handler)
                handler.close()
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    return run
