"""A report put together: what each sweep shows, section by section, and how two sweeps differ."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from vec2uage.reporting import beware, conclusions, search_section
from vec2uage.reporting.analysis import Analysis, across, analyse, known_runs
from vec2uage.reporting.collect import Sweep
from vec2uage.reporting.content import Figure, Report, Section, Table
from vec2uage.reporting.figures import ages, curves, data, distributions, intervals, network
from vec2uage.reporting.figures.style import colours
from vec2uage.reporting.paper import Experiment, contradictions, paper
from vec2uage.reporting.selection import select
from vec2uage.reporting.tables import comparison, provenance_tables, results, uncertainty_tables
from vec2uage.reporting.uncertainty import families, pool

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


_CAPTIONS = {
    "maes": f"Test and validation MAE of every run (paper's Figures 7 and 8). {distributions.MAES}",
    "selection": f"What validation can tell: test against validation MAE. {distributions.SELECTION}",
    "best_of": "The expected test MAE of the run that validation chooses among n, over all choices of n of the runs.",
    "best_runs": "Test MAE of each whole age: the three runs with the lowest validation MAE (paper's Figure 9).",
    "per_age": f"Test MAE of each whole age over all runs. {ages.PER_AGE}",
    "learning": f"MAE over epochs. {curves.LEARNING}",
    "range_tests": f"Learning-rate range tests. {curves.RANGE_TESTS}",
    "runtime": f"What a run costs (paper's Figure 10). {distributions.RUNTIME}",
    "source": "Photographed faces of each age by source (paper's Figures 3 and 5).",
    "gender": "Photographed faces of each age by gender (paper's Figure 4).",
    "training_rows": f"What the training rows of each age are. {data.TRAINING_ROWS}",
    "network": "The network (paper's Figure 6).",
}


def compose(analyses: Sequence[Analysis], seed: int, resamples: int) -> Report:
    """Put together the report on one or several sweeps; the differences between sweeps come first."""
    summary: list[str] = []
    warnings: list[dict[str, str]] = []
    sections: list[Section] = []
    not_comparable: list[str] = []
    by_crps = _by_crps(analyses, seed, resamples)
    for number, (first, second) in enumerate(pairwise(analyses), 1):
        if not (first.sweep.may_be_tested and second.sweep.may_be_tested):
            continue
        tables = []
        for one, other in ((first, second), *([by_crps[number - 1 : number + 1]] if by_crps else [])):
            if found := across(one, other, seed, resamples):
                summary.append(conclusions.between(one, other, found))
                table = comparison.between(one, other, found)
                tables.append(replace(table, name=f"{table.name}_{number}") if len(analyses) > 2 else table)
        if tables:
            not_comparable += beware.not_comparable(first, second)
            sections.append(Section(f"{second.sweep.name} against {first.sweep.name}", tables=tuple(tables)))
    for place, (analysis, stem) in enumerate(zip(analyses, _stems(analyses), strict=True)):
        name = analysis.sweep.name if len(analyses) > 1 else ""
        of = f"{name}: " if name else ""
        crps = by_crps[place] if by_crps else None
        summary += [of + text for text in _answers(analysis, crps)]
        warnings.append(dict.fromkeys(_warnings(analysis), of))
        sections += [_named(section, name, stem) for section in _sections(analysis, crps, seed, resamples)]
    if any(experiment_of(analysis.sweep) for analysis in analyses):
        sections.append(_paper())
    names = " and ".join(analysis.sweep.name for analysis in analyses)
    common = [text for text in warnings[0] if all(text in others for others in warnings)]
    own = [of + text for found in warnings for text, of in found.items() if text not in common]
    return Report(
        f"Underage age estimation: {names}", tuple(summary), (*not_comparable, *common, *own), tuple(sections)
    )


def experiment_of(sweep: Sweep) -> Experiment | None:
    """Tell which of the paper's experiments a sweep repeats: one that varies nothing but several of its optimisers."""
    known = sum(run.result.optimizer in paper().spreads["d1"] for run in (runs[0] for runs in sweep.variants.values()))
    target = str(sweep.group("lr_finder").get("_target_", ""))
    if sweep.factors != ("optimizer",) or known < 2 or not target:
        return None
    return "d1" if target.endswith(".NoRangeTest") else "e1"


def _by_crps(analyses: Sequence[Analysis], seed: int, resamples: int) -> list[Analysis]:
    """Return what the CRPS says of sweeps; nothing where it is known of points alone, whose absolute error it is."""
    sweeps = [analysis.sweep for analysis in analyses]
    known = [known_runs(sweep, "crps") for sweep in sweeps]
    if not all(known) or not any(run.distributions for runs in known for run in runs):
        return []
    return [analyse(analysis.sweep, seed, resamples, "crps") for analysis in analyses]


def _answers(analysis: Analysis, crps: Analysis | None) -> list[str]:
    if search := analysis.sweep.search:
        return [search_section.headline(analysis, search), *search_section.summary(search)]
    by_crps = [f"By CRPS, {conclusions.headline(crps)}"] if crps else []
    return [conclusions.headline(analysis), *by_crps, *conclusions.summary(analysis)]


def _warnings(analysis: Analysis) -> list[str]:
    sweep = analysis.sweep
    own = search_section.warnings(sweep.search) if sweep.search else []
    return [*own, *(beware.warnings(analysis) if sweep.may_be_tested else beware.made_of(sweep))]


def _sections(analysis: Analysis, crps: Analysis | None, seed: int, resamples: int) -> Iterator[Section]:
    """Yield what a sweep shows; of a search that is its course, and then what its chosen trial is like."""
    sweep, experiment = analysis.sweep, experiment_of(analysis.sweep)
    if sweep.search:
        yield search_section.section(sweep.search)
    else:
        yield from _results(analysis, crps, experiment)
    if sweep.may_be_tested:
        yield from _details(sweep, experiment, seed, resamples)
    parameters = sweep.runs[0].result.parameters
    figures = _figures(
        source=data.faces_by_source(sweep.row_counts),
        gender=data.faces_by_gender(sweep.row_counts),
        training_rows=data.training_rows(sweep.row_counts),
        network=network.network(sweep.group("model"), parameters),
    )
    if figures:
        yield Section("Data and network", _of_first_run(sweep), figures=figures)
    listed = [results.runs(sweep, experiment)] if sweep.may_be_tested else []
    left_out = [provenance_tables.failures(sweep)] if sweep.others or sweep.rejects or sweep.repeated else []
    if tables := (*listed, *left_out):
        yield Section("Every run of the chosen trial" if sweep.search else "Every run", tables=tables)
    yield Section("Where the numbers come from", tables=(provenance_tables.provenance(sweep),))


def _results(analysis: Analysis, crps: Analysis | None, experiment: Experiment | None) -> Iterator[Section]:
    """Yield how good the variants are, and how they differ."""
    sweep = analysis.sweep
    best, variants = analysis.best, sweep.variants
    styles = colours(list(variants))
    luck = conclusions.luck(best.name, select(best.runs)) if len(best.runs) > 1 else ""
    chances = {v.name: v.expected_chosen for v in analysis.variants if len(v.runs) > 1}
    legend = [results.variants(sweep)] if any(name != of for name, of in sweep.whole_names.items()) else []
    yield Section(
        "Results",
        tuple(filter(None, (conclusions.averaged(sweep), luck))),
        (*legend, results.summary(sweep, experiment), comparison.estimates(analysis)),
        _figures(
            maes=distributions.maes(variants, styles),
            selection=distributions.selection(variants, styles, analysis.selection, _correlation(analysis)),
            best_of=curves.best_of(chances, styles) if chances else None,
        ),
    )
    if tables := _compared(analysis):
        yield Section("Differences", tables=tables)
    if crps:
        yield Section("By CRPS", conclusions.by_crps(crps, sweep), (comparison.estimates(crps), *_compared(crps)))


def _details(sweep: Sweep, experiment: Experiment | None, seed: int, resamples: int) -> Iterator[Section]:
    """Yield what its runs are like: how sure, at each age, and as they trained."""
    variants = sweep.variants
    styles = colours(list(variants))
    yield from _uncertainty(sweep, seed, resamples)
    top = sorted(sweep.runs, key=lambda run: run.val_mae)[: results.TOP]
    yield Section(
        "Ages",
        tables=(results.per_age(sweep),),
        figures=_figures(best_runs=ages.best_runs(top, styles), per_age=ages.per_age(variants, styles)),
    )
    yield Section(
        "Training",
        tables=(results.runtimes(sweep, experiment),),
        figures=_figures(
            learning=curves.learning(variants, styles),
            range_tests=curves.range_tests(variants, styles),
            runtime=distributions.runtime(variants, styles),
        ),
    )


def _uncertainty(sweep: Sweep, seed: int, resamples: int) -> Iterator[Section]:
    """Yield what can be believed of the distributions that runs predict: of all variants, and of each kind of model."""
    kinds = families(sweep)
    if kinds:
        yield Section("Uncertainty", tables=(uncertainty_tables.overview(sweep),))
    for number, (name, runs) in enumerate(kinds.items(), 1):
        found = pool(name, runs, seed, resamples)
        tables = [uncertainty_tables.by_age(found), uncertainty_tables.operating(found)]
        tables += [uncertainty_tables.reliability(found)] if found.reliability else []
        end = f"_{number}" if len(kinds) > 1 else ""
        yield Section(
            f"Uncertainty: {name}",
            conclusions.pooled(found, sweep),
            tuple(replace(table, name=f"{table.name}{end}") for table in tables),
            (Figure(f"uncertainty{end}", intervals.CAPTION, intervals.uncertainty(found)),),
        )


def _compared(analysis: Analysis) -> tuple[Table, ...]:
    differences = [comparison.differences(analysis)] if analysis.differences else []
    return *differences, *([comparison.effects(analysis)] if analysis.effects else [])


def _of_first_run(sweep: Sweep) -> tuple[str, ...]:
    """Say that the figures of data and network are of one run, where those of others would differ."""
    results = [run.result for run in sweep.runs]
    data, networks = {r.files.get("data.csv") for r in results}, {r.parameters for r in results if r.parameters}
    if len(data) < 2 and len(networks) < 2:
        return ()
    what = " and ".join(["data"] * (len(data) > 1) + ["network"] * (len(networks) > 1))
    return (f"Not all runs have the same {what}: the figures are of {results[0].name}.",)


def _correlation(analysis: Analysis) -> str:
    correlation = analysis.selection.correlation
    return "" if math.isnan(correlation) else f"Spearman's correlation {correlation:+.2f}"


def _paper() -> Section:
    """Judge the paper's own runs by the same rules as ours."""
    judged = [
        f"{name.upper()}: {conclusions.luck(paper().listed[name].upper(), select(runs))}"
        for name, runs in paper().runs.items()
    ]
    disagree = "Where its text and its tables, or two of its tables, do not agree:"
    return Section("The paper's own tables", (*judged, disagree, *contradictions()))


def _figures(**drawings: "Drawing | None") -> tuple[Figure, ...]:
    return tuple(Figure(name, _CAPTIONS[name], drawn) for name, drawn in drawings.items() if drawn is not None)


def _stems(analyses: Sequence[Analysis]) -> list[str]:
    """Return the beginning of the file names of each sweep, no two the same."""
    stems: list[str] = []
    for analysis in analyses:
        stem = re.sub(r"\W+", "_", analysis.sweep.name)
        stems.append(stem if stem not in stems else f"{stem}_{len(stems) + 1}")
    return stems


def _named(section: Section, sweep: str, stem: str) -> Section:
    """Put a sweep's name before a section's title and the names of its tables and figures."""
    if not sweep:
        return section
    return replace(
        section,
        title=f"{sweep}: {section.title}",
        tables=tuple(replace(table, name=f"{stem}_{table.name}") for table in section.tables),
        figures=tuple(replace(figure, name=f"{stem}_{figure.name}") for figure in section.figures),
    )
