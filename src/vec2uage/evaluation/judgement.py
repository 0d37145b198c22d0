"""All that an evaluation says of predictions for faces of known ages: scores, tables and figures."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Real

from vec2uage.base.atomic import replacing
from vec2uage.base.csv_file import write_csv
from vec2uage.base.formatting import counted
from vec2uage.base.seeds import numpy_generator
from vec2uage.data.vectorset import VectorSet, needed_ages
from vec2uage.evaluation.breakdown import Group, breakdown
from vec2uage.evaluation.scores import SMALL, Scores, score
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.minors import boundary, is_minor, p_minor
from vec2uage.predictions.operating import FEWEST, OperatingTable, numbered, operating_table
from vec2uage.predictions.reliability import Reliability, reliability, share_interval
from vec2uage.predictions.roc import ROC, roc
from vec2uage.statistics.bootstrap import Interval

FIXED_ERRORS = (0.01, 0.05, 0.1)
"""Shares of adults that are flagged, and of minors that are not, at which the other rate is told."""
_SHOWN_AGES = range(13, 26)  # of the operating table on a terminal
_SHOWN_THRESHOLDS = (18, 21, 25)


@dataclass(frozen=True, eq=False)
class Judgement:
    """What predictions are worth."""

    ages: Real[np.ndarray, " N"]
    prediction: Prediction
    scores: Scores
    groups: tuple[Group, ...]
    operating: OperatingTable
    reliability: Reliability | None
    """Of P(age < 18); this and the ROC are None for points, and where all faces are minors, or none is."""
    roc: ROC | None

    def text(self) -> str:
        """Return what fits on a terminal; the tables have files of their own."""
        parts = [self.scores.text(), *_groups_text(self.groups), _operating_text(self.operating)]
        if self.roc is not None:
            parts.append("\n".join(_fixed_errors_text(self.roc)))
        if not self.prediction.has_spread:
            parts.append("points: how sure they are is not said, so there are no intervals and no P(age < 18)")
        if any(group.is_small for group in self.groups):
            parts.append(_small_text())
        return "\n\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return the numbers that have no table of their own."""
        return {
            "n": self.scores.n,
            "scores": self.scores.overall,
            "cs": {f"{k:g}": share for k, share in self.scores.cs},
            "per_age": [asdict(of_age) for of_age in self.scores.per_age],
            "fixed_errors": None if self.roc is None else list(_fixed_errors(self.roc)),
        }

    def write(self, folder: Path) -> None:
        """Write the tables as CSV files and the figures; those of spread for distributions alone."""
        from vec2uage.evaluation import plots, uncertainty_plots

        for name in ("uncertainty.png", "reliability.csv"):  # not of all predictions: they would speak of earlier ones
            (folder / name).unlink(missing_ok=True)
        heads = ("ages", "faces", "taken_for", "threshold", "rate", "low", "high")
        write_csv(folder / "operating.csv", heads, _operating_rows(self.operating))
        measures = ("mae", "bias", "crps", "coverage_90", "width_90")
        bounds = [f"{name}{bound}" for name in measures for bound in ("", "_low", "_high")]
        write_csv(folder / "by_column.csv", ("column", "value", "faces", "persons", *bounds), _group_rows(self.groups))
        figures = {
            "predictions": plots.plot(self.ages, self.prediction, self.scores),
            "operating": uncertainty_plots.operating(self.operating),
        }
        if self.prediction.has_spread:
            figures["uncertainty"] = uncertainty_plots.uncertainty(
                self.ages, self.prediction, self.groups, self.reliability
            )
        if (curve := self.reliability) is not None:
            columns = (curve.predicted, curve.observed, curve.low, curve.high, curve.n)
            rows = zip(*(column.tolist() for column in columns), strict=True)
            write_csv(folder / "reliability.csv", ("predicted", "observed", "low", "high", "faces"), rows)
        for name, figure in figures.items():
            with replacing(folder / f"{name}.png") as temporary:
                figure.savefig(temporary, format="png")


def judge(vs: VectorSet, prediction: Prediction, cs: Sequence[float]) -> Judgement:
    """Measure predictions for faces of known ages; `cs` are the k of the cumulative scores.

    Intervals resample persons where subjects are known, else faces, with a fixed seed.
    """
    ages = needed_ages(vs, "an evaluation")
    persons = numbered(vs.subjects)
    minors = is_minor(ages)
    decides = prediction.has_spread and bool(minors.any()) and not minors.all()
    p = p_minor(prediction, boundary(ages)) if decides else None
    return Judgement(
        ages=ages,
        prediction=prediction,
        scores=score(ages, prediction, cs),
        groups=breakdown(vs, prediction, persons, numpy_generator(0, "evaluate", "breakdown")),
        operating=operating_table(
            ages, prediction.median, np.arange(len(vs)), persons, numpy_generator(0, "evaluate", "operating")
        ),
        reliability=None if p is None else reliability(p, minors),
        roc=None if p is None else roc(p, minors),
    )


def _groups_text(groups: Sequence[Group]) -> Iterator[str]:
    """Yield a table of each column but the age, which has one already."""
    for column in dict.fromkeys(group.column for group in groups if group.column != "age"):
        own = [group for group in groups if group.column == column][:12]
        width = max(len(column), *(len(group.value) for group in own))
        lines = [f"{column:{width}}       n     MAE    bias   covered by 90% intervals"]
        for group in own:
            covered = "" if group.coverage_90 is None else f"   {_percent(group.coverage_90)}"
            lines.append(
                f"{group.value:{width}} {group.faces:7,d} {group.mae.estimate:7.3f} {group.bias.estimate:+7.3f}"
                f"{covered}{SMALL if group.is_small else ''}"
            )
        yield "\n".join(lines)


def _operating_text(table: OperatingTable) -> str:
    """Return the rows around 18, at some thresholds."""
    shown = [place for place, t in enumerate(table.thresholds) if t in _SHOWN_THRESHOLDS]
    heads = "".join(f"{f'T = {table.thresholds[place]}':>20}" for place in shown)
    lines = [f"%, taken for        ages  faces{heads}"]
    for row in table.rows:
        if "-" in row.ages or int(row.ages) in _SHOWN_AGES:
            side = "T or older" if row.is_minor else "younger than T"
            rates = "".join(f"{_percent(row.rates[place]):>20}" for place in shown)
            lines.append(f"{side:16} {row.ages:>7} {row.faces:6,d}{rates}{SMALL if row.faces < FEWEST else ''}")
    return "\n".join(lines)


def _small_text() -> str:
    """Return what the mark of small groups means, and what they cannot tell."""
    most = FEWEST - 1
    possible = float(share_interval(np.array([0]), np.array([most]))[1][0])
    return (
        f"{SMALL.strip()} fewer than {counted(FEWEST, 'face')}: not ranked, as even where none of {most} is taken for "
        f"the other side, the true rate may be {possible:.0%}"
    )


def _fixed_errors(curve: ROC) -> Iterator[dict[str, float]]:
    """Yield the share of minors flagged where a share of adults is, and of adults where a share of minors is missed."""
    for error in FIXED_ERRORS:
        threshold, minors = curve.at_false_positives(error)
        yield {"adults_flagged_at_most": error, "minors_flagged": minors, "threshold": threshold}
    for error in FIXED_ERRORS:
        threshold, adults = curve.at_true_positives(1 - error)
        yield {"minors_missed_at_most": error, "adults_flagged": adults, "threshold": threshold}


def _fixed_errors_text(curve: ROC) -> Iterator[str]:
    yield "by P(age < 18), with thresholds chosen on these very faces:"
    for error in FIXED_ERRORS:
        minors, adults = curve.at_false_positives(error)[1], curve.at_true_positives(1 - error)[1]
        yield (
            f"{error:4.0%} of adults flagged: {minors:6.1%} of minors flagged;  "
            f"{error:4.0%} of minors missed: {adults:6.1%} of adults flagged"
        )


def _percent(share: Interval) -> str:
    return f"{100 * share.estimate:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _operating_rows(table: OperatingTable) -> Iterator[tuple[object, ...]]:
    for row in table.rows:
        side = "T or older" if row.is_minor else "younger than T"
        for threshold, rate in zip(table.thresholds, row.rates, strict=True):
            yield row.ages, row.faces, side, threshold, *astuple(rate)


def _group_rows(groups: Sequence[Group]) -> Iterator[tuple[object, ...]]:
    for group in groups:
        of_group = (group.mae, group.bias, group.crps, group.coverage_90, group.width_90)
        bounds = (bound for of in of_group for bound in (("", "", "") if of is None else astuple(of)))
        yield group.column, group.value, group.faces, group.persons, *bounds
