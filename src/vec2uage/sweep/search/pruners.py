"""Which trials of a search end early, because others are better at the same epoch."""

import statistics
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from vec2uage.config.settings import PositiveInt, settings


def _in_order(epochs: tuple[int, ...]) -> tuple[int, ...]:
    if not epochs or any(later <= earlier for earlier, later in zip((0, *epochs), epochs, strict=False)):
        raise ValueError("should be epochs in order, such as [5,10,20,40]")
    return epochs


Epochs = Annotated[tuple[int, ...], AfterValidator(_in_order)]
Values = Mapping[int, float]
"""How good trials are at one epoch, lower is better, by their numbers; infinity for what is no number."""


@settings
class Pruner:
    """Ends no trial early."""

    compares_batch: ClassVar[bool] = False
    """Whether what becomes of a trial depends on the others of its batch."""

    @property
    def name(self) -> str:
        """What it is called in conf/pruner/."""
        return "none" if type(self) is Pruner else type(self).__name__.lower()

    @property
    def after(self) -> tuple[int, ...]:
        """The numbers of epochs after which trials are compared, in order."""
        return ()

    def worse(self, batch: Values, earlier: Values, completed: Values) -> dict[int, str]:
        """Return which trials of a batch are to end at an epoch that they have had, with the reason.

        `earlier` holds all trials of earlier batches that came to this epoch, `completed` those of them that were
        trained to their end.
        """
        return {}


@settings
class Median(Pruner):
    """Ends what is worse than the median of what was completed before (Golovin et al. 2017, section 3.2.2)."""

    epochs: Epochs
    startup: Annotated[int, Field(ge=1)]

    @property
    def after(self) -> tuple[int, ...]:
        return self.epochs

    def worse(self, batch: Values, earlier: Values, completed: Values) -> dict[int, str]:
        if len(completed) < self.startup:
            return {}
        median = statistics.median(completed.values())
        return {number: f"the median is {median:.4g}" for number, value in batch.items() if value > median}


@settings
class Halving(Pruner):
    """Lets the best 1/`reduction` go on (successive halving, Jamieson and Talwalkar 2016), and all that equal them."""

    compares_batch: ClassVar[bool] = True
    epochs: Epochs
    reduction: Annotated[PositiveInt, Field(ge=2)]

    @property
    def after(self) -> tuple[int, ...]:
        return self.epochs

    def worse(self, batch: Values, earlier: Values, completed: Values) -> dict[int, str]:
        known = sorted([*earlier.values(), *batch.values()])
        if not known:
            return {}
        last = known[max(1, len(known) // self.reduction) - 1]
        return {number: f"others go on up to {last:.4g}" for number, value in batch.items() if value > last}
