"""Which learner trains a run, and what reads the file of its model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vec2uage.training import model_file
from vec2uage.training.learners import sklearn
from vec2uage.training.learners.base import Learner
from vec2uage.training.learners.stacked_torch import StackedTorch
from vec2uage.training.outcome import Model
from vec2uage.training.run_settings import RunSettings

_NETWORKS: Learner = StackedTorch()
_REGRESSORS: Learner = sklearn.Sklearn()


@dataclass(frozen=True)
class Reader:
    """How the model files of one learner are read."""

    untrusted_classes: Callable[[Path], dict[str, str]]
    """Returns the classes that a file names and that are not built on its word alone, by config group."""
    load: Callable[..., Model]
    """Reads a file, given what the configuration of its run says of each of these groups, by keyword."""


READERS: Mapping[str, Reader] = {
    model_file.NetworkModel.suffix: Reader(model_file.untrusted_classes, model_file.load),
    sklearn.SklearnModel.suffix: Reader(sklearn.untrusted_classes, sklearn.load),
}
"""By the suffix of a file."""


def learner_of(run: RunSettings) -> Learner:
    """Return the learner of a run's model."""
    return _NETWORKS if run.is_network else _REGRESSORS
