"""What heads with a grid of ages have in common: an output for each whole age, and a probability for each."""

from collections.abc import Mapping
from dataclasses import replace
from math import ceil, floor
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Float
from pydantic import AfterValidator
from torch import Tensor

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.data.parts import AgeRange
from vec2uage.predictions.piecewise import Discrete
from vec2uage.training.heads.base import Head, Raw
from vec2uage.training.losses import PerSample

UNIT = 5.0
"""How many nats of a logit an output of 1 is. Were outputs the logits, these losses would fall so slowly with them that
a network hardly learned at the rates of the scalar head, as those of a range test and `averaging.swa_lr` are."""


def _two_or_more(ages: AgeRange) -> AgeRange:
    if ages[0] == ages[1]:
        raise ValueError("the first age must be below the last")
    return ages


@settings
class Grid(Head):
    """Base of heads that give every whole age from the first to the last of `ages` a probability, here by softmax.

    The ages are points on the scale of the labels. A label between two of them belongs to both, to the nearer one more
    (`shares`); a prediction spreads the probability of an age evenly from half a year below it to half a year above
    (`Discrete`). Labels before the first age or after the last one have no place, and are refused.
    """

    ages: Annotated[AgeRange, AfterValidator(_two_or_more)] | None = None
    """None: those of the labels, which `for_ages` fills in."""

    @property
    def cuda_graph_safe(self) -> bool:
        return True

    @property
    def needs_ages(self) -> bool:
        return self.ages is None

    def for_ages(self, age_range: AgeRange) -> "Grid":
        if age_range[0] == age_range[1]:
            raise UserError(f"head: all labels are {age_range[0]} years: a head with a grid needs two ages or more")
        return self if self.ages is not None else replace(self, ages=age_range)

    @property
    def outputs(self) -> int:
        first, last = self._ends()
        return last - first + 1

    def check_labels(self, ages: Mapping[str, Float[Tensor, " _"]]) -> None:
        first, last = self._ends()
        for part, of_part in ages.items():
            low, high = float(of_part.min()), float(of_part.max())
            if low < first or high > last:
                wrong = low if low < first else high
                raise UserError(
                    f"head.ages = [{first},{last}]: the {part} part has a face of {wrong:g} years: set "
                    f"head.ages=[{min(first, floor(low))},{max(last, ceil(high))}], or leave it at null"
                )

    def grid(self, like: Tensor) -> Float[Tensor, " G"]:
        """Return the ages of the grid in years, as numbers of the kind that `like` has, and where that is."""
        first, last = self._ends()
        return torch.arange(first, last + 1, dtype=like.dtype, device=like.device)

    def shares(self, age: PerSample) -> Float[Tensor, "K B G"]:
        """Return how much of each label belongs to each age of the grid: 7.25 years to 7 by 0.75 and to 8 by 0.25."""
        return (age[..., None] - self.grid(age)).abs_().neg_().add_(1).clamp_(min=0)

    def probabilities(self, raw: Float[Tensor, "*_ O"]) -> Float[Tensor, "*_ G"]:
        """Return the probability of each age of the grid."""
        return (raw * UNIT).softmax(-1)

    def point(self, raw: Raw) -> PerSample:
        """Return the expected age in years."""
        return (self.probabilities(raw) * self.grid(raw)).sum(-1)

    def prediction(self, raw: Float[np.ndarray, "N O"]) -> Discrete:
        exact = torch.tensor(raw, dtype=torch.float64)
        return Discrete(self.grid(exact).numpy(), self.probabilities(exact).numpy())

    def to_predict(self) -> dict[str, Any]:
        return {"ages": list(self._ends())}

    def _ends(self) -> AgeRange:
        if self.ages is None:
            raise UserError("head.ages = null: nobody said which ages there are: set it, as head.ages=[1,18]")
        return self.ages
