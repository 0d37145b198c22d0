"""The keep rule: which operations, or which single augmented faces, are worth learning from (paper section 3.2)."""

import math
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field, model_validator

from vec2uage.config.settings import settings

Cosine = Annotated[float, Field(ge=-1, le=1)]


@settings
class KeepRule:
    """Keeps what changes the embedding neither too little nor too much; the paper's own rule can be read both ways."""

    rule: Literal["all", "above", "below", "band"]
    """On the cosine of the embeddings before and after: `above` or `below` the threshold, or within the `band`."""
    threshold: Cosine
    band: tuple[Cosine, Cosine]
    level: Literal["op", "sample"]
    """`op`: an operation is kept or dropped as a whole, by its mean; `sample`: every augmented face by itself."""
    draws: Annotated[int, Field(ge=1)]
    """At level `op`: the cosines that an operation's mean is taken of, from as many training faces as possible."""
    retries: Annotated[int, Field(ge=0)]
    """At level `sample`: faces that may be drawn for each one that is still missing, beyond the first."""

    @model_validator(mode="after")
    def _ordered(self) -> "KeepRule":
        if self.band[0] > self.band[1]:
            raise ValueError("the first number of the band must not be above the second")
        return self

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest cosine that are kept; infinite where there is no limit."""
        return {
            "all": (-math.inf, math.inf),
            "above": (self.threshold, math.inf),
            "below": (-math.inf, self.threshold),
            "band": self.band,
        }[self.rule]

    def keeps(self, cosine: Float[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
        """Tell of each cosine whether the rule keeps what has it; the limits themselves are kept."""
        low, high = self.limits
        return (cosine >= low) & (cosine <= high)

    def text(self) -> str:
        """Return the rule as tables show it."""
        return {
            "all": "all",
            "above": f"cosine >= {self.threshold:g}",
            "below": f"cosine <= {self.threshold:g}",
            "band": f"{self.band[0]:g} <= cosine <= {self.band[1]:g}",
        }[self.rule]
