"""What to conclude from a sweep, in sentences: the answer first, then what to beware of."""

import math
from collections.abc import Hashable, Mapping, Sequence

from vec2uage.base.encoder import distinct
from vec2uage.base.formatting import counted, duration, span
from vec2uage.reporting.analysis import Analysis, Difference
from vec2uage.reporting.collect import Run, Sweep
from vec2uage.reporting.content import Column, cell_text
from vec2uage.reporting.selection import Selection
from vec2uage.runs.index import repeats_text, run_name
from vec2uage.runs.variants import explained
from vec2uage.statistics.bootstrap import Interval

_YEARS = Column("years", 2)
_FAR_OFF = 100  # years: no face is so old
_SEVERAL = 4  # names that a sentence lists


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
        return f"{best.name} has a mean test MAE of {years(best.mean)} {over}."
    text = f"{best.name} is best by validation: its mean test MAE is {years(best.mean)} {over}."
    second = analysis.variants[1]
    found = next((d for d in analysis.differences if {d.one, d.other} == {best.name, second.name}), None)
    return f"{text} {_against(found, best.name)}" if found else text


def summary(analysis: Analysis) -> list[str]:
    """Say what else a busy reader must know: the run to use, what luck is worth, the spread, the cost."""
    found = [chosen(analysis.selection, "all runs")]
    low, high = (_number(extreme(run.test_mae for run in analysis.best.runs)) for extreme in (min, max))
    if low != high:
        what = "Seed and split move" if _splits_differ(analysis) else "The seed alone moves"
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


def warnings(analysis: Analysis) -> list[str]:
    """Say what makes the figures of a sweep less than they seem."""
    sweep, found = analysis.sweep, []
    by_val, by_test = [variant.name for variant in analysis.variants], analysis.by_test()
    if by_test[0] != by_val[0]:
        found.append(
            f"The test set puts {by_test[0]} first, validation {by_val[0]}: to name {by_test[0]} the winner would be "
            "to choose on the test set."
        )
    found += _missing(sweep)
    if sweep.repeated:
        names = [
            (run_name(path, sweep.folder), run_name(earlier, sweep.folder)) for path, earlier in sweep.repeated.items()
        ]
        found.append(f"{repeats_text(names)}.")
    counts = {variant.name: len(variant.runs) for variant in analysis.variants if not sweep.is_constant(variant.name)}
    if len(set(counts.values())) > 1:
        each = ", ".join(f"{name} {count}" for name, count in counts.items())
        few_of = [name for name, count in counts.items() if count == min(counts.values())]
        many = f"{span(counts.values())} of a variant, fewest of {_listed(few_of, len(counts))}"
        found.append(f"Numbers of runs differ: {each if len(counts) <= _SEVERAL else many}.")
    if few := [name for name, count in counts.items() if count < 5]:
        found.append(f"Fewer than 5 runs of {_listed(few, len(counts))}: intervals and tests of so few say little.")
    if constant := [variant.name for variant in analysis.variants if sweep.is_constant(variant.name)]:
        found.append(
            f"No seed changes {_listed(constant, len(analysis.variants))}: one model, which has no interval, and which "
            "others are compared with as with a fixed number."
        )
    if far := [run for run in sweep.runs if run.test_mae > _FAR_OFF]:
        found.append(
            f"{counted(len(far), 'run')} of {_listed(list(dict.fromkeys(run.variant for run in far)), len(counts))} "
            f"completed with a test MAE above {_FAR_OFF} years: means and deviations are mostly theirs."
        )
    for name, options in sweep.mixed.items():
        found.append(
            f"The runs of {name} differ in {_listed(options, len(options))}, which no option that was set tells of."
        )
    if changed := [name for name, runs in sweep.variants.items() if _trained_on_different_rows(runs)]:
        found.append(
            f"Runs of {_listed(changed, len(sweep.variants))} were trained on different rows, though their options are "
            "the same."
        )
    if (count := len({run.tested for run in sweep.runs})) > 1:
        found.append(
            f"The runs were tested on {count} different sets of faces: their errors are not of the same faces."
        )
    if (count := len(distinct([run.result.encoder for run in sweep.runs]))) > 1:
        found.append(f"The runs were made with {count} different encoders.")
    if (count := len({run.result.code for run in sweep.runs})) > 1:
        found.append(f"The runs were made with {count} different versions of the code.")
    if _splits_differ(analysis):
        found.append(
            "Splits differ between runs, and runs of one split are not independent of each other: intervals are too "
            "narrow, and p too small, for what other faces would give."
        )
    if any(run.result.dataset == "synthetic" for run in sweep.runs):
        found.append("The vectors are generated: these numbers say nothing about faces.")
    return found


def between(first: Analysis, second: Analysis, differences: Mapping[str, Difference]) -> str:
    """Say for which variants the second sweep is better than the first."""
    better = [name for name, d in differences.items() if d.is_shown and d.difference.estimate < 0]
    worse = [name for name, d in differences.items() if d.is_shown and d.difference.estimate > 0]
    rest = [name for name, d in differences.items() if not d.is_shown and d.could_be_shown]
    untold = [name for name, d in differences.items() if not d.is_shown and not d.could_be_shown]
    parts = [
        text
        for names, text in (
            (better, f"lowers the test MAE of {', '.join(better)}"),
            (worse, f"raises {'that' if better else 'the test MAE'} of {', '.join(worse)}"),
            (rest, f"shows no difference for {', '.join(rest)}"),
            (untold, f"has too few runs, or equal ones, to show a difference for {', '.join(untold)}"),
        )
        if names
    ]
    return f"{second.sweep.name} against {first.sweep.name}: {'; '.join(parts)}."


def not_comparable(first: Analysis, second: Analysis) -> list[str]:
    """Say what keeps two sweeps from being compared."""
    found = []
    names = f"{first.sweep.name} and {second.sweep.name}"
    one, other = ({run.tested for run in a.sweep.runs} for a in (first, second))
    if one != other:
        found.append(f"{names} were not tested on the same faces: do not compare their errors.")
    made = [
        {(r.config_hash, r.data_fingerprint, r.code) for run in a.sweep.runs if (r := run.result).config_hash}
        for a in (first, second)
    ]
    if shared := len(made[0] & made[1]):
        found.append(f"{names} share {counted(shared, 'run')}: they are not independent, and p means nothing.")
    for what in ("encoder", "code"):
        one, other = ({getattr(run.result, what) for run in a.sweep.runs} for a in (first, second))
        if one != other:
            others = "encoders" if what == "encoder" else "versions of the code"
            found.append(f"{names} were made with other {others}: that alone may be what differs.")
    return found


def _missing(sweep: Sweep) -> list[str]:
    """Say which runs are left out, and which variants they leave with few runs or none."""
    missing = len(sweep.others) + len(sweep.rejects)
    if not missing:
        return []
    text = f"{missing} of {len(sweep.runs) + missing} runs did not complete and are left out"
    partly = [
        f"{n} of {n + len(sweep.variants[of])} of {of}" for of, n in sweep.left_out.items() if of in sweep.variants
    ]
    if partly and len(sweep.whole_names) > 1:
        more = f" and of {len(partly) - _SEVERAL} more variants" if len(partly) > _SEVERAL else ""
        text += f" ({', '.join(partly[:_SEVERAL])}{more})"
    found = [f"{text}: means are over the others only."]
    half = [of for of, n in sweep.left_out.items() if of in sweep.variants and n >= len(sweep.variants[of])]
    if half:
        found.append(
            f"Half or more of the runs of {_listed(half, len(sweep.variants))} are missing: figures are of those that "
            "got through."
        )
    if none := [of for of in sweep.left_out if of not in sweep.variants]:
        found.append(f"No run of {_listed(none, len(sweep.whole_names))} completed: no table has them.")
    return found


def _listed(names: Sequence[str], of: int) -> str:
    return ", ".join(names) if len(names) <= _SEVERAL else f"{len(names)} of {of}, such as {names[0]}"


def _trained_on_different_rows(runs: Sequence[Run]) -> bool:
    """Tell whether runs of one variant that were tested on the same faces, with equal seeds of data, differ in rows."""
    rows: dict[Hashable, set[str]] = {}
    for run in runs:
        rows.setdefault((run.tested, run.seeds[1:]), set()).add(run.result.data_fingerprint)
    return any(len(fingerprints) > 1 for fingerprints in rows.values())


def _splits_differ(analysis: Analysis) -> bool:
    return any(len(run.seeds) > 1 for run in analysis.sweep.runs)


def _against(found: Difference, best: str) -> str:
    sign = 1 if found.one == best else -1
    gap = found.difference.estimate * sign
    signed = f"{'+' * (gap >= 0)}{_number(gap)}"
    other = found.other if found.one == best else found.one
    if not found.is_shown and not found.could_be_shown:
        return f"No test can tell whether that differs from {other}, the next ({signed} years): {_why(found)}."
    sure = f"p = {found.adjusted_p:.3f}" if found.adjusted_p >= 0.001 else "p < 0.001"
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
