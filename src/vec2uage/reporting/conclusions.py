"""What to conclude from a sweep, in sentences: the answer first, then what to beware of."""

import math
from collections.abc import Mapping

from vec2uage.base.formatting import counted, duration
from vec2uage.reporting.analysis import Analysis
from vec2uage.reporting.collect import Sweep
from vec2uage.reporting.content import Column, cell_text
from vec2uage.reporting.selection import Selection
from vec2uage.reporting.tested import Difference
from vec2uage.reporting.uncertainty import LEVELS, Uncertainty
from vec2uage.runs.variants import explained
from vec2uage.statistics.bootstrap import Interval
from vec2uage.statistics.comparison import ALPHA

_YEARS = Column("years", 2)
_TOLD = (50, 80, 90, 95)  # percent of the intervals that a sentence tells of


def years(interval: Interval) -> str:
    """Return an MAE or a difference of two as people read it; one run has no interval."""
    estimate, *bounds = cell_text(interval, _YEARS).split(" ", 1)
    return " ".join([estimate, "years", *bounds])


def _number(value: float) -> str:
    return cell_text(value, _YEARS)


def headline(analysis: Analysis) -> str:
    """Say in a sentence or two which variant to use, and how sure that is."""
    best = analysis.best
    over = f"over {_runs(len(best.runs))}"
    if analysis.sweep.is_constant(best.name):
        over = "whatever the seed"
    if len(analysis.variants) == 1:
        return f"{best.name} has a mean test {analysis.label} of {years(best.mean)} {over}."
    text = f"{best.name} is best by validation: its mean test {analysis.label} is {years(best.mean)} {over}."
    second = analysis.variants[1]
    found = next((d for d in analysis.differences if {d.one, d.other} == {best.name, second.name}), None)
    return f"{text} {_against(found, best.name)}" if found else text


def averaged(sweep: Sweep) -> str:
    """Say what else was swept than what the variants differ in; "" where that is all."""
    if not sweep.averaged_over:
        return ""
    over = []
    for option in sweep.averaged_over:
        values = dict.fromkeys(run.options.get(option, "none such") for run in sweep.runs)
        over.append(f"{option} ({', '.join(values)})")
    return f"Variants differ in {sweep.compares}; each is the mean over its runs, which differ in {' and '.join(over)}."


def by_crps(analysis: Analysis, sweep: Sweep) -> tuple[str, ...]:
    """Say what the CRPS judges, which variant is best by it, and of which of the sweep's runs it is not known."""
    known = {run.folder for run in analysis.sweep.runs}
    unknown = list(dict.fromkeys(run.variant for run in sweep.runs if run.folder not in known))
    meaning = (
        "The continuous ranked probability score (CRPS, years) judges the whole distribution that is predicted; of a "
        "point it is the absolute error, so that points and distributions can be compared by it."
    )
    left_out = f"It is not known of runs of {', '.join(unknown)}: they did not record it." if unknown else ""
    return (meaning, headline(analysis), *filter(None, [left_out]))


def pooled(found: Uncertainty, sweep: Sweep) -> tuple[str, ...]:
    """Say of how much the uncertainty of one kind of model is told, and how far its intervals can be believed."""
    options = [option for option in sweep.factors if len({run.options.get(option) for run in found.runs}) > 1]
    runs = counted(len(found.runs), "run") + (f", which differ in {' and '.join(options)}," if options else "")
    persons = f" of {counted(found.persons, 'person')}" if found.persons < found.faces else ""
    inside = [
        f"{100 * level:.0f}% intervals hold {cell_text(found.coverage[place].times(100), Column('', 1))}%"
        for place, level in enumerate(LEVELS)
        if round(100 * level) in _TOLD
    ]
    if math.isnan(found.pit_p):
        even = "Whether the PIT is even cannot be told."
    elif found.pit_p < ALPHA:
        even = f"The PIT is not even ({_p(found.pit_p)})."
    else:
        even = f"The PIT is not shown to be uneven ({_p(found.pit_p)})."
    return (f"{runs} on {counted(found.faces, 'face')}{persons}: {', '.join(inside)} of ages. {even}",)


def _p(value: float) -> str:
    return f"p = {value:.3f}" if value >= 0.001 else "p < 0.001"


def summary(analysis: Analysis) -> list[str]:
    """Say what else a busy reader must know: the run to use, what luck is worth, the spread, the cost."""
    found = [chosen(analysis.selection, "all runs")]
    low, high = (_number(extreme(run.test_mae for run in analysis.best.runs)) for extreme in (min, max))
    if low != high:
        movers = ["Seed", *(["split"] if analysis.sweep.splits_differ else []), *analysis.sweep.averaged_over]
        what = f"{', '.join(movers[:-1])} and {movers[-1]} move" if len(movers) > 1 else "The seed alone moves"
        found.append(f"{what} the test MAE of {analysis.best.name} between {low} and {high} years.")
    worst = analysis.variants[-1]
    if worst is not analysis.best:
        gap = worst.mean.estimate - analysis.best.mean.estimate
        if gap >= 0:
            found.append(f"Between the first and the last ({worst.name}) lie {_number(gap)} years of mean test MAE.")
        else:
            found.append(
                f"{worst.name}, last by validation, has a mean test MAE {_number(-gap)} years below the first's."
            )
    found += _cost(analysis)
    whole = analysis.sweep.whole_names
    told = [analysis.variants[place].name for place in (0, 1, -1) if place < len(analysis.variants)]
    found += [f"{text}." for text in explained({whole[name]: name for name in told})]
    return found


def _cost(analysis: Analysis) -> list[str]:
    """Say what compute the runs took, as far as it is known."""
    known = {
        v.name: [run.result.seconds for run in v.runs if run.result.seconds is not None] for v in analysis.variants
    }
    cost = {name: sum(seconds) / len(seconds) for name, seconds in known.items() if seconds}
    if not cost:
        return []
    cheapest, dearest = min(cost, key=lambda n: cost[n]), max(cost, key=lambda n: cost[n])
    count = sum(map(len, known.values()))
    text = "The one run" if count == 1 else f"All {count} runs"
    text += f" took {duration(sum(map(sum, known.values())))} of compute"
    if len(cost) > 1:
        text += (
            f": one of {cheapest} the least ({duration(cost[cheapest])} on average), one of {dearest} the most "
            f"({duration(cost[dearest])})"
        )
    return [f"{text}."]


def chosen(selection: Selection, among: str) -> str:
    """Say which run validation chooses, and what the lowest test MAE owes to luck."""
    text = (
        f"Of {among}, validation chooses {selection.chosen.name} (validation {_number(selection.chosen.val_mae)}): "
        f"test MAE {_number(selection.chosen.test_mae)} years."
    )
    if selection.luckiest.test_mae < selection.chosen.test_mae:
        of = "any run" if among == "all runs" else "these runs"
        text += (
            f" The lowest test MAE of {of}, {_number(selection.luckiest.test_mae)} ({selection.luckiest.name}), is "
            "luck: nobody can choose it without the test set"
        )
        text += (
            f", and the best of {selection.n} equally good runs would have {_number(selection.expected_luck)}."
            if (among != "all runs")
            else "."
        )
    return text


def luck(name: str, selection: Selection) -> str:
    """Say what the lowest test MAE of one variant's runs owes to luck, and whether validation tells runs apart."""
    text = chosen(selection, f"the {selection.n} runs of {name}")
    if not math.isnan(selection.correlation):
        text += f" Validation and test MAE of these runs correlate by {selection.correlation:+.2f} (Spearman)."
    return text


def between(first: Analysis, second: Analysis, differences: Mapping[str, Difference]) -> str:
    """Say for which variants the second sweep is better than the first."""
    better = [name for name, d in differences.items() if d.is_shown and d.difference.estimate < 0]
    worse = [name for name, d in differences.items() if d.is_shown and d.difference.estimate > 0]
    rest = [name for name, d in differences.items() if not d.is_shown and d.could_be_shown]
    untold = [name for name, d in differences.items() if not d.is_shown and not d.could_be_shown]
    parts = [
        text
        for names, text in (
            (better, f"lowers the test {first.label} of {', '.join(better)}"),
            (worse, f"raises {'that' if better else f'the test {first.label}'} of {', '.join(worse)}"),
            (rest, f"shows no difference for {', '.join(rest)}"),
            (untold, f"has too few runs, or equal ones, to show a difference for {', '.join(untold)}"),
        )
        if names
    ]
    return f"{second.sweep.name} against {first.sweep.name}: {'; '.join(parts)}."


def _against(found: Difference, best: str) -> str:
    sign = 1 if found.one == best else -1
    gap = found.difference.estimate * sign
    signed = f"{'+' * (gap >= 0)}{_number(gap)}"
    other = found.other if found.one == best else found.one
    if not found.is_shown and not found.could_be_shown:
        return f"No test can tell whether that differs from {other}, the next ({signed} years): {_why(found)}."
    sure = _p(found.adjusted_p)
    if not found.is_shown:
        return f"It cannot be told apart from {other}, the next ({signed} years, {sure} after Holm)."
    if gap > 0:
        return f"{other}, the next, is {_number(gap)} years better on the test set all the same ({sure} after Holm)."
    superiority = found.comparison.superiority.estimate
    probability = superiority if found.one == best else 1 - superiority
    return (
        f"That is {_number(-gap)} years below {other}, the next ({sure} after Holm); a run of {best} beats one of "
        f"{other} {'of the same seed ' if found.comparison.paired else ''}with a probability of {probability:.0%}."
    )


def _why(found: Difference) -> str:
    if found.comparison.least_p == 1:
        return "the numbers are equal"
    if found.needed is None:
        return "it takes more resamples"
    return f"it takes {found.needed} runs {'of the same seeds' if found.comparison.paired else 'of each'}"


def _runs(count: int) -> str:
    return "one run" if count == 1 else f"{count} runs"
