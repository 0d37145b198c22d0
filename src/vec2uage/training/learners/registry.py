"""Which learner trains a run, and which reads a model file."""

from collections.abc import Callable, Mapping, Sequence

from vec2uage.config.component import locate
from vec2uage.training import model_file
from vec2uage.training.learners import sklearn
from vec2uage.training.learners.base import Learner
from vec2uage.training.learners.sklearn import Sklearn
from vec2uage.training.learners.stacked_torch import StackedTorch
from vec2uage.training.outcome import Model
from vec2uage.training.run_settings import RunSettings

LEARNERS: Sequence[Learner] = (StackedTorch(), Sklearn())
READERS: Mapping[str, Callable[..., Model]] = {
    model_file.NetworkModel.suffix: model_file.load,
    sklearn.SklearnModel.suffix: sklearn.load,
}
"""What reads a model, by the suffix of its file."""


def learner_of(run: RunSettings) -> Learner:
    """Return the learner of a run's model; its settings were checked to have one."""
    target = locate(run.model.target)
    return next(learner for learner in LEARNERS if learner.trains(target))
