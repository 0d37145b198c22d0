"""What a search costs beside a grid, and with a pruner: `python -m benchmarks.searching --data utkface_vectors.npz`.

A search of the network over options that stack; the configurations that it tried once more, as one grid; and the same
search with each pruner. All train on the same split, in one process, and write what they always do. A repetition draws
other configurations, first weights and order of data (`hydra.sweeper.seed`, `seed`). By default runs are small, so that
all takes minutes; longer ones (`--train-per-age 500 --epochs 100`, as `experiment=utkface`) take hours.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import HydraContext, RunMode
from jaxtyping import Float
from omegaconf import DictConfig
from scipy import stats

from benchmarks.setting import machine
from vec2uage.config.hydra.composer import parse_grid
from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers
from vec2uage.runs.search_record import SearchRecord, read_search
from vec2uage.sweep.search.search import run_search
from vec2uage.sweep.session import SweepSession

SPACE = {
    "optimizer.lr": "tag(log,interval(1e-4,1e-1))",
    "optimizer.momentum": "interval(0,0.95)",
    "optimizer.weight_decay": "tag(log,interval(1e-6,1e-2))",
}
PRUNERS = ("median", "halving")
Composed = tuple[HydraContext, DictConfig]


def composed(folder: Path, *options: str) -> Composed:
    """Compose what `python -m vec2uage.train -m` hands to its sweeper."""
    setup_globals()
    register_resolvers()
    JobRuntime.instance().set("name", "train")
    loader: ConfigLoader = ConfigLoaderImpl(create_config_search_path(conf_dir()))
    master = loader.load_configuration("train", list(options), run_mode=RunMode.MULTIRUN)
    master.hydra.sweep.dir = str(folder)
    return HydraContext(config_loader=loader, callbacks=Callbacks()), master


def search(folder: Path, runs: Sequence[str], *options: str) -> SearchRecord:
    """Search within SPACE and return what was found."""
    context, master = composed(folder, "hydra/sweeper=optuna", *options)
    run_search(context, master, print, None, [*runs, *(f"{key}={values}" for key, values in SPACE.items())])
    found = read_search(folder)
    assert found is not None
    return found


def grid(folder: Path, runs: Sequence[str], found: SearchRecord) -> None:
    """Train the configurations that a search has tried, all together."""
    context, master = composed(folder)
    parse_grid(context.config_loader, master, list(runs))
    with SweepSession(context, master, print) as sweep:
        sweep.run([[*runs, *(f"{key}={value}" for key, value in t.options.items())] for t in found.trials])


def clock(work: Callable[[], object]) -> float:
    """Return the seconds of `work`, and show nothing of what it prints."""
    state, began = Singleton.get_state(), time.perf_counter()
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        work()
    Singleton.set_state(state)
    return time.perf_counter() - began


def best(found: SearchRecord) -> float:
    """Return the validation error (years) of the best trial."""
    assert found.chosen is not None
    return found.chosen.scores["validation/mae"]


def repetition(seed: int, given: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Return the seconds, and the validation error of the best, of every way."""
    runs = [
        "experiment=utkface",
        f"dataset.path={given.data}",
        "lr_finder=none",
        f"augmentation.train_per_age={given.train_per_age}",
        f"trainer.max_epochs={given.epochs}",
        "trainer.device=cpu",
        f"seed={seed}",
    ]
    options = [
        f"hydra.sweeper.trials={given.trials}",
        f"hydra.sweeper.batch={given.batch}",
        f"hydra.sweeper.seed={seed}",
    ]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found: dict[str, SearchRecord] = {}

        def searching(name: str) -> None:
            found[name] = search(folder / name, runs, f"pruner={name}", *options)

        seconds = {name: clock(lambda name=name: searching(name)) for name in ("none", *PRUNERS)}  # type: ignore[misc]
        seconds["grid"] = clock(lambda: grid(folder / "grid", runs, found["none"]))
    measured = {name: (seconds[name], best(found[name])) for name in ("none", *PRUNERS)}
    return {"grid": (seconds["grid"], measured["none"][1]), **measured}


def interval(values: Float[np.ndarray, " R"]) -> str:
    """Return the mean with its 95% interval (Student's t) over repetitions."""
    if len(values) < 2:
        return f"{values.mean():.3f}"
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return f"{values.mean():.3f} ({values.mean() - half:.3f} to {values.mean() + half:.3f})"


def main() -> None:
    """Measure and print two tables: every repetition, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="UTKFace's vectors")
    parser.add_argument("--trials", type=int, default=64, help="configurations, of one run each")
    parser.add_argument("--batch", type=int, default=16, help="trials that are asked for at a time")
    parser.add_argument("--repeats", type=int, default=5, help="repetitions")
    parser.add_argument("--train-per-age", type=int, default=30, help="rows of each of 18 ages")
    parser.add_argument("--epochs", type=int, default=40, help="of every run at most, more than a pruner's first")
    given = parser.parse_args()
    given.data = given.data.absolute()
    names = {"grid": "the same as a grid", "none": "search", **{name: f"search, {name}" for name in PRUNERS}}
    print(f"{given.trials} trials, {given.batch} at a time, {18 * given.train_per_age:,} rows\n{machine()}\n")
    print(f"{'':12}" + "".join(f"{name:>24}" for name in names.values()))
    few = argparse.Namespace(**{**vars(given), "trials": given.batch, "epochs": min(given.epochs, 6)})
    repetition(0, few)  # pays for imports, and loads the vectors
    rows = []
    for seed in range(1, given.repeats + 1):
        rows.append(repetition(seed, given))
        cells = (f"{rows[-1][name][0]:9.1f} s, mae {rows[-1][name][1]:.3f}" for name in names)
        print(f"seed {seed:<7}" + "".join(f"{cell:>24}" for cell in cells), flush=True)
    seconds, errors = ({name: np.array([row[name][place] for row in rows]) for name in names} for place in (0, 1))
    goals = {"none": "<= 1.3", **dict.fromkeys(PRUNERS, "<= 0.6")}
    print(f"\n{'':24}{'times a grid':>28}{'goal':>9}{'best validation MAE, years lower than without':>50}")
    for name, goal in goals.items():
        gained = "" if name == "none" else interval(errors["none"] - errors[name])
        print(f"{names[name]:24}{interval(seconds[name] / seconds['grid']):>28}{goal:>9}{gained:>50}")


if __name__ == "__main__":
    main()
