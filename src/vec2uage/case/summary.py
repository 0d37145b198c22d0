"""What a case comes to: how many files and faces there are of what kind, how old, and how surely."""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np

from vec2uage.base.formatting import counted, span
from vec2uage.case.records import Results, Status

P_BINS = 20
"""Bars of the histogram of P(minor), each 0.05 wide; 1 is in the last."""


@dataclass(frozen=True)
class AgeBin:
    """The faces whose estimate, the median, lies within one year of age."""

    age: int
    """From this age to below the next, in years."""
    faces: int
    low: float
    """Years: the mean of where their 90% intervals begin."""
    high: float
    """Years: the mean of where these end."""


@dataclass(frozen=True)
class Spread:
    """How a measure is spread over the faces of which it was taken."""

    faces: int
    p1: float
    p50: float
    p99: float


@dataclass(frozen=True)
class Summary:
    """Counts of a case; those by status add up to `files`."""

    files: int
    statuses: Mapping[Status, int]
    """In the order of `Status`, without those of no file."""
    faces: int
    reliable: int
    """Faces without any doubt."""
    doubts: Mapping[str, int]
    """Faces of each doubt, from the commonest; a face may have several."""
    detectors: Mapping[str, int]
    """Faces by the detector that found them."""
    turned: int
    """Faces that were found only when their photograph was turned."""
    flagged: int | None
    """Faces at or above the guaranteed threshold; None where the model has none, or where there is no face."""
    flagged_files: int | None
    """Files with such a face."""
    ages: tuple[AgeBin, ...]
    """From the youngest, without years that have no face."""
    p_minor: tuple[int, ...] | None
    """Faces in each of `P_BINS` steps of P(age < 18); None where the model gives points."""
    p_flagged: tuple[int, ...] | None
    """Of these, the faces that are flagged; None where the model has no threshold, too."""
    minors: float | None
    """The sum of all P(age < 18), the number of minors' faces to expect; None where the model gives points."""
    measures: Mapping[str, Spread]
    """Of each measure."""

    def text(self) -> str:
        """Return what is told of the case in a terminal, a line for files, for faces and for what is doubtful."""
        lines = [f"{counted(self.files, 'file')}: " + _listed(self.statuses)]
        faces = counted(self.faces, "face")
        if self.ages:
            faces += f", estimated at {span([self.ages[0].age, self.ages[-1].age])} years"
        if self.minors is not None:
            faces += f", of which about {self.minors:,.0f} are minors' by their P(age < 18)"
        lines.append(faces)
        if self.flagged is not None:
            lines.append(f"flagged as minors: {counted(self.flagged, 'face')} in {self.flagged_files:,} of the files")
        if self.doubts:
            doubtful = counted(self.faces - self.reliable, "estimate")
            lines.append(f"doubtful: {doubtful} ({_listed(self.doubts)}; one may have several)")
        return "\n".join(lines)


def _listed(counts: Mapping[Status, int] | Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def summarise(results: Results) -> Summary:
    """Read all results once; memory grows by 4 bytes for each measure of a face."""
    statuses: Counter[Status] = Counter()
    doubts: Counter[str] = Counter()
    detectors: Counter[str] = Counter()
    flags: Counter[bool] = Counter()
    flagged_files = reliable = turned = 0
    by_age: dict[int, list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    p_minor, p_flagged, minors = [0] * P_BINS, [0] * P_BINS, array("d")
    measures: dict[str, array[float]] = defaultdict(lambda: array("f"))
    for result in results():
        statuses[result.status] += 1
        flagged_files += bool(result.flagged)
        for face in result.faces:
            doubts.update(face.doubts)
            reliable += not face.doubts
            detectors[face.face.detector] += 1
            turned += bool(face.face.turn)
            if face.flagged is not None:
                flags[face.flagged] += 1
            of_year = by_age[math.floor(face.age)]
            of_year[:] = of_year[0] + 1, of_year[1] + face.low, of_year[2] + face.high
            if face.p_minor is not None:
                step = min(int(face.p_minor * P_BINS), P_BINS - 1)
                p_minor[step] += 1
                p_flagged[step] += bool(face.flagged)
                minors.append(face.p_minor)
            for name, value in face.measures.items():
                if not math.isnan(value):
                    measures[name].append(value)
    return Summary(
        files=statuses.total(),
        statuses={status: statuses[status] for status in get_args(Status) if statuses[status]},
        faces=detectors.total(),
        reliable=reliable,
        doubts=dict(sorted(doubts.items(), key=lambda item: (-item[1], item[0]))),
        detectors=dict(sorted(detectors.items())),
        turned=turned,
        flagged=flags[True] if flags else None,
        flagged_files=flagged_files if flags else None,
        ages=tuple(AgeBin(age, int(n), low / n, high / n) for age, (n, low, high) in sorted(by_age.items())),
        p_minor=tuple(p_minor) if minors else None,
        p_flagged=tuple(p_flagged) if minors and flags else None,
        minors=math.fsum(minors) if minors else None,
        measures={name: _spread(values) for name, values in sorted(measures.items())},
    )


def _spread(values: "array[float]") -> Spread:
    p1, p50, p99 = np.quantile(np.asarray(values), (0.01, 0.5, 0.99)).tolist()
    return Spread(len(values), p1, p50, p99)
