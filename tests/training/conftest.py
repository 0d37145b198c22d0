"""Small runs and small data for the tests of training."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers
from vec2uage.training.checkpoint import Checkpoint
from vec2uage.training.data import TrainingData
from vec2uage.training.inputs import VectorInputs
from vec2uage.training.learners.registry import learner_of
from vec2uage.training.normalization import Normalization
from vec2uage.training.outcome import Epoch, Outcome
from vec2uage.training.run_settings import RunSettings, from_config

CPU = torch.device("cpu")
SMALL = ("trainer.batch_size=32", "trainer.max_epochs=4")


@dataclass
class Recording:
    """An observer that keeps all it is told, and interrupts before step `stop_after`."""

    stop_after: float = math.inf
    steps: int = 0
    epochs: dict[int, list[Epoch]] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def interrupted(self) -> bool:
        self.steps += 1
        return self.steps > self.stop_after

    def epoch(self, run: int, epoch: Epoch) -> None:
        assert run not in self.outcomes, "an epoch of a run that has ended"
        self.epochs.setdefault(run, []).append(epoch)

    def checkpoint(self, run: int, checkpoint: Checkpoint) -> None:
        assert run not in self.outcomes, "a checkpoint of a run that has ended"

    def end(self, run: int, outcome: Outcome) -> None:
        assert run not in self.outcomes, "a run ended twice"
        self.outcomes[run] = outcome

    def everything(self, run: int) -> tuple[str, dict[str, bytes]]:
        """All that is known of a run, bit for bit, except how long it took."""
        outcome = self.outcomes[run]
        hidden = ("weights", "posterior", "prediction", "model", "curve", "seconds")
        figures = {f.name: getattr(outcome, f.name) for f in fields(outcome) if f.name not in hidden}
        arrays = {name: tensor.numpy().tobytes() for name, tensor in outcome.weights.items()}
        arrays |= {f"posterior/{name}": tensor.numpy().tobytes() for name, tensor in outcome.posterior.items()}
        if outcome.prediction is not None:
            arrays |= {name: column.tobytes() for name, column in outcome.prediction.columns().items()}
        if outcome.curve is not None:
            arrays["curve"] = b"".join(np.asarray(part, dtype=float).tobytes() for part in astuple(outcome.curve))
        return repr((figures, self.epochs.get(run, []))), arrays


@lru_cache(maxsize=256)
def composed(overrides: tuple[str, ...]) -> RunSettings:
    register_resolvers()
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        return from_config(compose("train", list(overrides)), {}, overrides)


@pytest.fixture(scope="session")
def make_run() -> Callable[..., RunSettings]:
    """Compose the settings of a small run from conf/: `make_run("optimizer=sgd", seed=3, optimizer={"lr": 0.1})`.

    Keywords change settings after composing, which is faster than an override.
    """

    def make(*overrides: str, **changes: Any) -> RunSettings:
        narrow = () if any(o.startswith("model") for o in overrides) else ("model.hidden=[32,16]",)
        run = composed((*SMALL, *narrow, *overrides))
        for name, value in changes.items():
            run = replace(run, **{name: replace(getattr(run, name), **value) if isinstance(value, dict) else value})
        return run

    return make


@pytest.fixture(scope="session")
def make_data() -> Callable[..., TrainingData]:
    """Make unit vectors with ages that a network can learn; 100 training rows are no multiple of any batch size."""

    @lru_cache(maxsize=8)
    def make(dimension: int = 24, rows: int = 100, seed: int = 0) -> TrainingData:
        generator = torch.Generator().manual_seed(seed)
        direction = torch.randn(dimension, generator=generator)

        def part(count: int) -> VectorInputs:
            x = torch.nn.functional.normalize(torch.randn(count, dimension, generator=generator))
            age = 9 + 4 * torch.tanh(2 * (x @ direction)) + torch.randn(count, generator=generator) / 4
            return VectorInputs(x, age)

        names = np.array([f"face:{row}" for row in range(37)], dtype=object)
        return TrainingData(
            parts={"train": part(rows), "validation": part(45), "test": part(37)},
            test_names=names,
            test_subjects=np.full(37, "", dtype=object),
            normalization=Normalization("l2"),
            fingerprint="f",
            encoder="e",
            row_counts=(),
        )

    return make


@pytest.fixture(scope="session")
def train() -> Callable[..., Recording]:
    """Train runs as one stack; return what an observer saw."""

    def go(runs: Sequence[RunSettings], data: TrainingData, stop_after: float = math.inf) -> Recording:
        learner = learner_of(runs[0])
        assert len({learner.stack_key(run) for run in runs}) == 1
        recording = Recording(stop_after)
        learner.fit(runs, data, CPU, recording)
        return recording

    return go


@pytest.fixture
def observer() -> Recording:
    """Someone to watch training without ever interrupting it."""
    return Recording()


@pytest.fixture
def recording() -> type[Recording]:
    """The class of such observers, to be extended."""
    return Recording


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small products are fastest in one thread; tests that are about threads set their own number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
