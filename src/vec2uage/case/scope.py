"""Where the faces of a case lie outside of what the model was validated on."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from vec2uage.case.records import FaceResult

AGE = "estimated age"
"""Beside the measures of `quality`."""
EXPECTED = 0.02
"""Of the faces that the model was validated on lie outside of their own 1st to 99th percentile."""
MANY = 0.05
"""A larger share is pointed out."""

Range = tuple[float, float]
"""From, to."""


@dataclass(frozen=True)
class Scope:
    """Counts of the faces that were added, against what the model was validated on."""

    validated: Mapping[str, Range]
    """By measure."""
    measured: Counter[str] = field(default_factory=Counter)
    """Faces of which there is each measure."""
    below: Counter[str] = field(default_factory=Counter)
    above: Counter[str] = field(default_factory=Counter)

    def add(self, face: FaceResult) -> None:
        """Count a face."""
        values = {**face.measures, AGE: face.age}
        for name, (low, high) in self.validated.items():
            value = values.get(name)
            if value is not None and value == value:
                self.measured[name] += 1
                self.below[name] += value < low
                self.above[name] += value > high

    def share_outside(self, measure: str) -> float:
        """Return the share of the faces that have a measure which lies outside."""
        return (self.below[measure] + self.above[measure]) / self.measured[measure]
