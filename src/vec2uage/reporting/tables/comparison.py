"""How optimisers and options differ, and how sure that is."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from vec2uage.reporting.analysis import Analysis
from vec2uage.reporting.collect import Sweep
from vec2uage.reporting.content import Column, Table
from vec2uage.reporting.tested import Difference, Effect, Tested
from vec2uage.statistics.dominance import CLEAR


def estimates(analysis: Analysis) -> Table:
    """Lay out the mean, median and best test score of each variant with intervals, and the expected best of n runs."""
    rows = [
        (
            variant.name,
            len(variant.runs),
            variant.validation,
            variant.mean,
            variant.median,
            variant.best,
            _at(variant.expected_chosen, 5),
            _at(variant.expected_chosen, len(variant.runs)),
            _at(variant.expected_best, 5),
        )
        for variant in analysis.variants
    ]
    return Table(
        _name("estimates", analysis),
        f"Test {analysis.label} with 95% intervals, from the best by validation to the worst",
        (
            Column(analysis.sweep.compares),
            Column("runs"),
            Column("validation mean", 3),
            Column("test mean", 3),
            Column("test median", 3),
            Column("test best", 3),
            Column("chosen of 5", 3),
            Column("chosen of all", 3),
            Column("luckiest of 5", 3),
        ),
        tuple(rows),
        "Years. Bootstrap intervals over runs: what other seeds would give on these same faces, not what other faces "
        f"would. chosen of n: expected test {analysis.label} of the run with the lowest validation {analysis.label} "
        f"among n; luckiest of n: expected lowest test {analysis.label} among n (Tang et al. 2020), which nobody can "
        f"choose without the test set.{_averaged(analysis.sweep)}",
        frozenset({0}),
    )


def differences(analysis: Analysis) -> Table:
    """Lay out how variants differ, and whether that is more than luck."""
    rows = [
        (
            f"{d.one} - {d.other}",
            d.runs,
            d.difference,
            d.p,
            d.adjusted_p,
            d.comparison.superiority,
            d.aso,
            verdict(d),
        )
        for d in analysis.differences
    ]
    return Table(
        _name("differences", analysis),
        f"Differences in test {analysis.label} between {analysis.sweep.variant_noun}s",
        (
            Column("pair"),
            Column("runs"),
            Column("difference", 3),
            Column("p", 4),
            Column("p (Holm)", 4),
            Column("P(first is better)", 2),
            Column("ASO", 2),
            Column("verdict"),
        ),
        tuple(rows),
        "Years, below 0 where the first is better. Permutation tests, p adjusted by Holm over all rows; of too few "
        "runs, p cannot fall below 0.05 whatever they differ by. P: the "
        "probability that a run of the first has the lower error than one of the second, of the same seed where runs "
        f"are paired. ASO: bound of almost stochastic order (Dror et al. 2019), below {CLEAR} where the first is "
        f"better at almost all quantiles.{_averaged(analysis.sweep)}",
    )


def _name(table: str, analysis: Analysis) -> str:
    """Return the name of a table's files, which those of the MAE have without its name."""
    return table if analysis.metric == "mae" else f"{table}_{analysis.metric}"


def _averaged(sweep: Sweep) -> str:
    """Say what a seed stands for where a variant has several runs of it."""
    others = " and ".join(sweep.averaged_over)
    return f" A seed counts once, with the mean over its runs, which differ in {others}." if others else ""


def verdict(difference: Difference) -> str:
    """Say in words what a difference shows at the 5% level, after Holm's correction."""
    if not difference.is_shown:
        return not_shown(difference)
    return f"{difference.one if difference.difference.estimate < 0 else difference.other} is better"


def not_shown(tested: Tested) -> str:
    """Say that a test shows no difference, or that it could not have shown one, and how many runs it takes."""
    if tested.could_be_shown:
        return "no difference shown"
    if tested.comparison.least_p == 1:
        return "none: the numbers are equal"
    if tested.needed is None:
        return "not to be told: needs more resamples"
    which = "of the same seeds" if tested.comparison.paired else "of each"
    return f"too few runs to tell: takes {tested.needed} {which}"


def effects(analysis: Analysis) -> Table:
    """Lay out what options change that the variants do not name."""
    rows = [
        (
            f"{e.option}={e.value}" if e.value else f"no {e.option}",
            e.baseline or f"no {e.option}",
            e.among,
            e.difference,
            e.p,
            e.adjusted_p,
            _direction(e),
        )
        for e in analysis.effects
    ]
    return Table(
        _name("effects", analysis),
        f"Effects of options on the test {analysis.label}",
        (
            Column("option"),
            Column("against"),
            Column("variants" if analysis.sweep.by else "optimizers"),
            Column("effect", 3),
            Column("p", 4),
            Column("p (Holm)", 4),
            Column("verdict"),
        ),
        tuple(rows),
        "Years, above 0 where the option raises the error. Runs are paired by seed and by all other options; p from "
        "sign-flip permutation tests over seeds, adjusted by Holm over all rows.",
    )


def _direction(effect: Effect) -> str:
    if not effect.is_shown:
        return not_shown(effect)
    return "lowers the error" if effect.difference.estimate < 0 else "raises the error"


def between(first: Analysis, second: Analysis, found: Mapping[str, Difference]) -> Table:
    """Lay out how the same variant differs between two sweeps."""
    rows = [
        (name, d.difference, d.p, d.adjusted_p, d.comparison.superiority, d.aso, verdict(d))
        for name, d in found.items()
    ]
    return Table(
        _name("between", first),
        f"{second.sweep.name} against {first.sweep.name}, by {first.label}",
        (
            Column(second.sweep.compares),
            Column("difference", 3),
            Column("p", 4),
            Column("p (Holm)", 4),
            Column("P(second is better)", 2),
            Column("ASO", 2),
            Column("verdict"),
        ),
        tuple(rows),
        f"Test {first.label} in years, {second.sweep.name} minus {first.sweep.name}: below 0 where the second is "
        "better.",
    )


def _at(curve: Float[np.ndarray, " N"], n: int) -> float | None:
    return float(curve[n - 1]) if n <= len(curve) else None
