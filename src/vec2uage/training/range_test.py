"""The learning-rate range test (Smith 2017): a short run with growing rates, and the rate its loss suggests."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field, model_validator

from vec2uage.config.settings import settings

Rule = Literal["steepest", "valley", "minimum_over_10"]


@settings
class NoRangeTest:
    """Start with the optimiser's own learning rate."""


@settings
class RangeTest(NoRangeTest):
    """Train `steps` batches with a rate growing from `min_lr` to `max_lr` and read the first rate off the loss.

    The defaults in the YAML are pytorch-lightning's, which the paper used: they put the suggestions on the grid
    `1e-8 * 10^(0.08 (k + 1))` that the learning rates of its Table 5 lie on.
    """

    min_lr: Annotated[float, Field(gt=0)]
    max_lr: Annotated[float, Field(gt=0)]
    steps: Annotated[int, Field(ge=20)]
    smoothing: Annotated[float, Field(ge=0, lt=1)]
    stop_factor: Annotated[float, Field(gt=1)]
    skip_begin: Annotated[int, Field(ge=0)]
    skip_end: Annotated[int, Field(ge=0)]
    rule: Rule

    @model_validator(mode="after")
    def _leaves_something_to_read(self) -> "RangeTest":
        if self.max_lr <= self.min_lr:
            raise ValueError(f"max_lr must be above min_lr ({self.min_lr})")
        if self.steps - self.skip_begin - self.skip_end < 2:
            raise ValueError(
                f"steps={self.steps} leaves nothing to read between skip_begin={self.skip_begin} and "
                f"skip_end={self.skip_end}"
            )
        return self

    def rates(self) -> Float[np.ndarray, " steps"]:
        """Return the learning rate of every step, evenly spaced on a logarithmic scale, ending at `max_lr`."""
        return self.min_lr * (self.max_lr / self.min_lr) ** (np.arange(1, self.steps + 1) / self.steps)


@dataclass(frozen=True)
class Curve:
    """What a range test saw: rates, raw and smoothed losses up to its end, and the suggestion (None: none found)."""

    lr: Float[np.ndarray, " steps"]
    loss: Float[np.ndarray, " steps"]
    smoothed: Float[np.ndarray, " steps"]
    suggestion: float | None


def read_curve(test: RangeTest, losses: Float[np.ndarray, " steps"]) -> Curve:
    """Smooth the losses of one run, cut them where they explode, and apply the rule."""
    smoothed = smooth(losses, test.smoothing)
    end = explosion(smoothed, test.stop_factor)
    rates, losses, smoothed = test.rates()[:end], losses[:end], smoothed[:end]
    last = max(0, len(smoothed) - test.skip_end)
    found = _RULES[test.rule](smoothed[test.skip_begin : last])
    if found is None:
        return Curve(rates, losses, smoothed, None)
    divisor = 10 if test.rule == "minimum_over_10" else 1
    return Curve(rates, losses, smoothed, float(rates[test.skip_begin + found]) / divisor)


def smooth(losses: Float[np.ndarray, " steps"], beta: float) -> Float[np.ndarray, " steps"]:
    """Exponential moving average with bias correction: `v_k / (1 - beta^k)`."""
    average, smoothed = 0.0, np.empty(len(losses))
    for k, loss in enumerate(losses):
        average = beta * average + (1 - beta) * float(loss)
        smoothed[k] = average / (1 - beta ** (k + 1))
    return smoothed


def explosion(smoothed: Float[np.ndarray, " steps"], factor: float) -> int:
    """Return how many steps count: up to and with the first that exceeds `factor` times the best so far."""
    best = math.inf
    for k, loss in enumerate(smoothed):
        if not math.isfinite(loss):
            return k
        if k > 0 and loss > factor * best:
            return k + 1
        best = min(best, loss)
    return len(smoothed)


def steepest(smoothed: Float[np.ndarray, " steps"]) -> int | None:
    """Index of the steepest descent over the step index, by central differences."""
    return int(np.gradient(smoothed).argmin()) if len(smoothed) > 1 else None


def minimum(smoothed: Float[np.ndarray, " steps"]) -> int | None:
    """Index of the lowest loss."""
    return int(smoothed.argmin()) if len(smoothed) else None


def valley(smoothed: Float[np.ndarray, " steps"]) -> int | None:
    """Halfway into the longest run of falling losses, losses in between left out (the rule of fastai's finder)."""
    n = len(smoothed)
    if n < 2:
        return None
    length = np.ones(n, dtype=int)
    for i in range(1, n):
        lower = smoothed[:i] > smoothed[i]
        if lower.any():
            length[i] = length[:i][lower].max() + 1
    end = int(length.argmax())
    start = end - int(length[end]) + 1
    return start + (end - start) // 2


_RULES: dict[str, Callable[[np.ndarray], int | None]] = {
    "steepest": steepest,
    "minimum_over_10": minimum,
    "valley": valley,
}
