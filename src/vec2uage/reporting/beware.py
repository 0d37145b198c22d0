"""What makes the figures of a sweep, or of two beside each other, less than they seem; in sentences."""

from collections.abc import Hashable, Sequence

from vec2uage.base.encoder import distinct
from vec2uage.base.formatting import counted, span
from vec2uage.reporting.analysis import Analysis
from vec2uage.reporting.collect import Sweep
from vec2uage.reporting.read_run import Run
from vec2uage.runs.index import repeats_text, run_name

_FAR_OFF = 100  # years: no face is so old
_SEVERAL = 4  # names that a sentence lists


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
    seeds = {name: len({run.seeds for run in sweep.variants[name]}) for name in counts}
    if few := [name for name, count in seeds.items() if count < 5]:
        what = "seeds" if sweep.averaged_over else "runs"
        found.append(f"Fewer than 5 {what} of {_listed(few, len(counts))}: intervals and tests of so few say little.")
    found += _unlike(sweep)
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
    if changed := list(dict.fromkeys(runs[0].variant for runs in sweep.alike if _trained_on_different_rows(runs))):
        found.append(
            f"Runs of {_listed(changed, len(sweep.variants))} were trained on different rows, though their options are "
            "the same."
        )
    if (count := len({run.tested for run in sweep.runs})) > 1:
        found.append(
            f"The runs were tested on {count} different sets of faces: their errors are not of the same faces."
        )
        if sweep.search:
            found.append(
                "What one split validates with, others test: the test error of what validation chooses over several "
                "splits is a little too low."
            )
    if analysis.sweep.splits_differ:
        found.append(
            "Splits differ between runs, and runs of one split are not independent of each other: intervals are too "
            "narrow, and p too small, for what other faces would give."
        )
    return [*found, *made_of(sweep)]


def made_of(sweep: Sweep) -> list[str]:
    """Say what there is to beware of in what the runs of a sweep were made of."""
    found = []
    if (count := len(distinct([run.result.encoder for run in sweep.runs]))) > 1:
        found.append(f"The runs were made with {count} different encoders.")
    if (count := len({run.result.code for run in sweep.runs})) > 1:
        found.append(f"The runs were made with {count} different versions of the code.")
    if any(run.result.dataset == "synthetic" for run in sweep.runs):
        found.append("The vectors are generated: these numbers say nothing about faces.")
    return found


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


def _unlike(sweep: Sweep) -> list[str]:
    """Say that variants are means over other options that are not the same for all of them."""
    made = [{run.others for run in runs} for runs in sweep.variants.values()]
    if all(others == made[0] for others in made):
        return []
    return [
        f"Not all variants were run with the same {', '.join(sweep.averaged_over)}: the mean of each is over its own, "
        "and pairs are of the runs that are equal in what both have."
    ]


def _listed(names: Sequence[str], of: int) -> str:
    return ", ".join(names) if len(names) <= _SEVERAL else f"{len(names)} of {of}, such as {names[0]}"


def _trained_on_different_rows(runs: Sequence[Run]) -> bool:
    """Tell whether runs of one variant that were tested on the same faces, with equal seeds of data, differ in rows."""
    rows: dict[Hashable, set[str]] = {}
    for run in runs:
        rows.setdefault((run.tested, run.seeds[1:]), set()).add(run.result.data_fingerprint)
    return any(len(fingerprints) > 1 for fingerprints in rows.values())
