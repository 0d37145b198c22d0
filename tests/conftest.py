"""Array types of vec2uage are checked in every test, and the real data is found or its tests are skipped."""

import contextlib
import gc
import io
import logging
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton
from hypothesis import settings
from jaxtyping import install_import_hook

# Before the first import of the package: from here on, a call with a wrong shape or dtype fails.
install_import_hook("vec2uage", "beartype.beartype")

# What is imported and collected stays: looking through it for garbage, again and again, takes a third of that time.
gc.disable()

ALL_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

# A busy machine is no bug: examples may take as long as they do.
settings.register_profile("vec2uage", deadline=None)
settings.load_profile("vec2uage")


def pytest_configure() -> None:
    """Give each process of a parallel run, and all that it starts, cores of its own.

    Threads of one wait for each other on cores that another needs: sharing them costs a third of the time.
    """
    worker, count = os.environ.get("PYTEST_XDIST_WORKER", ""), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if own := ALL_CORES[int(worker.removeprefix("gw")) :: count] if worker else []:
        os.sched_setaffinity(0, own)
        torch.set_num_threads(len(own))


def pytest_collection_finish() -> None:
    """Collect garbage from now on, of what tests make."""
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what the machine cannot do."""
    if item.get_closest_marker("bf16") and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor has no bfloat16 products")


@pytest.fixture(scope="module")
def all_cores() -> Iterator[None]:
    """Let the processes that a module's tests start have all cores, as commands have."""
    if ALL_CORES:
        own = os.sched_getaffinity(0)
        os.sched_setaffinity(0, ALL_CORES)
        yield
        os.sched_setaffinity(0, own)
    else:
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real vectors and reference numbers, which are not part of the repository."""
    folder = Path(os.environ.get("VEC2UAGE_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder} (set VEC2UAGE_SHARED)")
    return folder


@pytest.fixture(autouse=True)
def same_luck() -> None:
    """Let every test draw the same networks every time, whichever tests its process ran before."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., CompletedProcess[str]]:
    """Run a command in this very process, as starting one takes seconds: `type_in(folder, program, main, *arguments)`.

    `program` is the file of which it is the main function.
    """

    def run(folder: Path, program: str, main: Callable[[], object], *arguments: str) -> CompletedProcess[str]:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("VEC2UAGE_CACHE", str(folder / "cache"))
        for of_the_command in ("HYDRA_FULL_ERROR", "VEC2UAGE_ACCESS"):
            monkeypatch.setenv(of_the_command, "")  # which sets them for its own process
        monkeypatch.setattr("sys.argv", [program, *arguments])
        handlers = set(logging.getLogger().handlers)
        out, err, state, code = io.StringIO(), io.StringIO(), Singleton.get_state(), 0
        umask = os.umask(0o022)  # of most people's shells
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            os.umask(umask)
            GlobalHydra.instance().clear()
            Singleton.set_state(state)
            for handler in set(logging.getLogger().handlers) - handlers:
                logging.getLogger().removeHandler(handler)
                handler.close()
        return CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    return run
