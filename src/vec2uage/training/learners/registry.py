"""Which learner trains a run, and what reads the file of its model."""

from collections.abc import Callable, Mapping
from typing import Any

from vec2uage.config.component import locate
from vec2uage.training.config_groups import has_own_learner, is_network, is_regressor, is_stacking
from vec2uage.training.learners.base import Learner
from vec2uage.training.learners.fitting import Sklearn
from vec2uage.training.learners.stacked_torch import StackedTorch
from vec2uage.training.learners.stacking import StackingLearner
from vec2uage.training.readers import RUN_READERS, Reader
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.stacking.model import StackingModel, StackingReader

_LEARNERS: tuple[tuple[Callable[[Any], bool], Learner], ...] = (
    (is_network, StackedTorch()),
    (is_stacking, StackingLearner()),
    (is_regressor, Sklearn()),
)
"""By what tells whether a model's class is theirs."""

READERS: Mapping[str, Reader] = {**RUN_READERS, StackingModel.suffix: StackingReader()}
"""By the suffix of a file."""


def learner_of(run: RunSettings) -> Learner:
    """Return the learner of a run's model: that which its class brings, or the one for classes of its kind."""
    target = locate(run.model.target)
    if has_own_learner(target):
        own: Learner = target.learner
        return own
    return next(learner for is_its, learner in _LEARNERS if is_its(target))
