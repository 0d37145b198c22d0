"""Networks that bring a learner of their own, because they are trained on something else than vectors."""

from collections.abc import Mapping
from typing import Any, ClassVar

from vec2uage.config.settings import settings


@settings
class OwnLearner:
    """Base of the options of such a network; what `_target_` of its YAML names, instead of a `torch.nn.Module`."""

    learner: ClassVar[Any]
    """The `learners.base.Learner` that builds and trains the network."""
    unused: ClassVar[Mapping[str, str]] = {}
    """The options of a run that it has no use for, and why."""
    execution: ClassVar[tuple[str, ...]] = ()
    """Those of its own options that change no number (see `config.settings.EXECUTION_OPTIONS`)."""
