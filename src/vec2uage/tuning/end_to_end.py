"""`model=end_to_end`: the options of a tuning and the learner that trains it, in one place for `_target_`."""

from typing import ClassVar

from vec2uage.config.settings import settings
from vec2uage.tuning.learner import EndToEndLearner
from vec2uage.tuning.options import TuningOptions


@settings
class EndToEnd(TuningOptions):
    """The last blocks of an encoder and a regressor, trained as one network."""

    learner: ClassVar[EndToEndLearner] = EndToEndLearner()
