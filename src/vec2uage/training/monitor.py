"""The score that a run is steered by: what the best epoch, early stopping and schedules look at."""

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

from vec2uage.predictions.metrics import METRICS


def _known(monitor: str) -> str:
    allowed = ["validation/loss", *(f"validation/{name}" for name, known in METRICS.items() if known.every_epoch)]
    if monitor not in allowed:
        raise ValueError(f"should be a score of every epoch: {', '.join(allowed)}")
    return monitor


Monitor = Annotated[str, AfterValidator(_known)]
"""Names a score of every epoch, such as `validation/loss`."""


def needs_spread(monitor: str) -> bool:
    """Tell whether predictions without a spread lack the monitored score."""
    name = monitor.rpartition("/")[2]
    return name in METRICS and METRICS[name].needs_spread


def badness(monitor: str, scores: Mapping[str, float]) -> float:
    """Return a number that is lower the better the monitored score is; infinity for what is no number."""
    score, name = scores[monitor], monitor.rpartition("/")[2]
    found = METRICS[name].badness(score) if name in METRICS else score
    return math.inf if math.isnan(found) else found
