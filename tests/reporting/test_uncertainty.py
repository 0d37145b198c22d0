"""What a report says of predicted distributions: right for models that are, and no surer for many runs of a face."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from vec2uage.predictions.minors import boundary, p_minor
from vec2uage.predictions.normal import Normal
from vec2uage.reporting.analysis import analyse
from vec2uage.reporting.collect import read_sweep
from vec2uage.reporting.compose import compose
from vec2uage.reporting.figures.intervals import uncertainty as draw
from vec2uage.reporting.read_run import Distributions, Run
from vec2uage.reporting.tables import uncertainty_tables
from vec2uage.reporting.uncertainty import LEVELS, families, pool
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult


def run(seed: int = 0, told: float = 2.0, faces: int = 1500, persons: int = 0, oldest: int = 30) -> Run:
    """Return a run whose errors have a deviation of 2 years, and which says `told`."""
    generator = np.random.default_rng(7)
    ages = generator.integers(1, oldest + 1, faces).astype(float)
    prediction = Normal(ages + np.random.default_rng(seed).normal(0, 2, faces), np.full(faces, told))
    names = np.array([f"face {k}" for k in range(faces)], dtype=object)
    return Run(
        folder=Path(f"run{seed}"),
        result=RunResult(
            status="completed",
            name=f"{seed}",
            seed=seed,
            optimizer="sgd",
            model="vec2uage",
            dataset="vectors",
            choices={"head": "gaussian", "averaging": "swag"},
        ),
        label="0",
        options={},
        variant="sgd",
        others=(),
        seeds=(str(seed),),
        curve=None,
        range_test=None,
        per_age={},
        distributions=Distributions(
            name=names,
            person=np.array([f"person {k % persons}" for k in range(faces)], dtype=object) if persons else names,
            age=ages,
            prediction=prediction.median,
            low_90=prediction.quantile(0.05),
            high_90=prediction.quantile(0.95),
            pit=prediction.cdf(ages),
            crps=prediction.crps(ages),
            p_minor=p_minor(prediction, boundary(ages)),
        ),
        tested="",
    )


def test_a_model_that_tells_how_far_it_is_off_is_found_right():
    found = pool("gaussian", [run()], seed=0, resamples=400)
    assert (found.faces, found.persons) == (1500, 1500)
    assert sum(c.low <= level <= c.high for c, level in zip(found.coverage, LEVELS, strict=True)) >= 0.8 * len(LEVELS)
    assert found.pit_p > 0.05
    assert sum(share.estimate for share in found.pit) == pytest.approx(1)
    off = [not r.observed.low <= r.predicted <= r.observed.high for r in found.reliability if r.faces >= 20]
    assert sum(off) <= 2
    ages = run().distributions.age
    assert [of.faces for of in found.by_age] == [int((ages == of.age).sum()) for of in found.by_age]
    assert found.by_age[4].width.estimate == pytest.approx(2 * 1.6449 * 2, rel=1e-3)
    assert np.mean([of.crps.estimate for of in found.by_age]) == pytest.approx(2 / np.sqrt(np.pi), rel=0.05)


def test_intervals_that_are_half_as_wide_as_they_should_be_are_found_out():
    found = pool("gaussian", [run(told=1.0)], seed=0, resamples=400)
    at_90 = found.coverage[int(np.argmin(abs(LEVELS - 0.9)))]
    assert at_90.estimate == pytest.approx(2 * stats.norm.cdf(1.6449 / 2) - 1, abs=0.03)
    assert at_90.high < 0.9
    assert found.pit_p < 0.01


def test_the_rates_are_those_of_challenge_t_with_its_bands():
    rows = run()
    found = pool("gaussian", [rows], seed=0, resamples=200)
    assert found.operating.thresholds == tuple(range(18, 26))
    at = {of.ages: of for of in found.operating.rows}
    assert list(at) == [*map(str, range(1, 18)), "8-12", "13-16", *map(str, range(18, 31))]
    of = rows.distributions
    assert at["17"].rates[0].estimate == pytest.approx((of.prediction[of.age == 17] > 17.5).mean())
    assert at["20"].rates[7].estimate == pytest.approx((of.prediction[of.age == 20] <= 24.5).mean())
    assert at["13-16"].faces == ((of.age >= 13) & (of.age <= 16)).sum()
    assert at["17"].is_minor
    assert not at["18"].is_minor
    none = at["3"].rates[0]
    assert (none.estimate, none.low) == (0, 0)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / at["3"].faces)), "none of few is not none at all"
    young = pool("gaussian", [run(oldest=18)], seed=0, resamples=100)
    assert young.operating.thresholds == (18,)


def test_many_runs_on_the_same_faces_and_many_faces_of_a_person_are_not_more_people():
    one = run(faces=300)
    again = [replace(one, folder=Path(f"{k}")) for k in range(8)]
    alone, pooled = (pool("gaussian", runs, seed=0, resamples=500) for runs in ([one], again))
    assert pooled.faces == 300
    for a, b in zip(alone.coverage, pooled.coverage, strict=True):
        assert a.estimate == pytest.approx(b.estimate)
        assert b.high - b.low == pytest.approx(a.high - a.low, rel=0.2)
    assert pooled.pit_p == pytest.approx(alone.pit_p, abs=0.1)
    few = pool("gaussian", [run(faces=300, persons=10)], seed=0, resamples=100)
    assert few.persons == 10


def test_without_adults_nothing_is_said_of_minors():
    found = pool("gaussian", [run(oldest=12)], seed=0, resamples=100)
    assert found.reliability == ()
    figure = draw(found)
    assert "all faces are of one side of 18" in [text.get_text() for axes in figure.axes for text in axes.texts]


def test_ages_of_few_faces_are_faint_and_all_panels_are_drawn():
    found = pool("gaussian", [run(faces=500)], seed=0, resamples=100)
    table = uncertainty_tables.by_age(found)
    assert table.faint == {row for row, cells in enumerate(table.rows) if cells[1] < 20}
    assert 0 < len(table.faint) < len(table.rows)
    figure = draw(found)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Coverage",
        "Probability integral transform",
        "Reliability of P(minor)",
        "Width of 90% intervals",
    ]


def test_bins_and_ages_of_few_faces_are_grey():
    found = pool("gaussian", [run(faces=500)], seed=0, resamples=100)
    reliability, width = draw(found).axes[2:]
    points = [line for line in reliability.lines if line.get_marker() == "o"]
    drawn = [line.get_color() == "0.6" for line in points]
    assert drawn == [of.faces < 20 for of in found.reliability]
    grey = [x for line in width.lines if line.get_color() == "0.6" for x in line.get_xdata()]
    assert grey == [of.age for of in found.by_age if of.faces < 20] != []


def test_a_kind_is_named_by_what_sets_it_apart_from_points_too(write_sweep):
    maes = [(2.5, 2.5)]
    write_sweep("sweep/none", {"sgd": maes}, choices={"head": "scalar", "averaging": "none"})
    folder = write_sweep("sweep/swag", {"sgd": maes}, choices={"head": "scalar", "averaging": "swag"}, spread=2.0)
    assert list(families(read_sweep(folder.parent))) == ["averaging=swag"]
    assert list(families(read_sweep(folder))) == ["scalar"]


def test_each_kind_of_model_has_a_section_and_points_have_none(write_sweep):
    maes = [(2.5, 2.5), (2.6, 2.6)]
    write_sweep("sweep/points", {"sgd": maes}, choices={"head": "scalar"})
    write_sweep("sweep/laplace", {"sgd": maes}, choices={"head": "laplace"}, spread=2.0)
    folder = write_sweep("sweep/normal", {"sgd": maes}, choices={"head": "gaussian"}, spread=3.0, subjects=6).parent
    sweep = read_sweep(folder, by=("head",))
    assert {name: len(runs) for name, runs in families(sweep).items()} == {"laplace": 2, "gaussian": 2}
    report = compose([analyse(sweep, 0, 100)], seed=0, resamples=100)
    assert any(text.startswith("By CRPS, ") for text in report.summary)
    sections = {section.title: section for section in report.sections}
    assert {table.name for table in sections["By CRPS"].tables} >= {"estimates_crps", "differences_crps"}
    assert {"Uncertainty", "Uncertainty: laplace", "Uncertainty: gaussian"} <= sections.keys()
    assert "36 faces of 6 persons" in sections["Uncertainty: gaussian"].paragraphs[0]
    overview = sections["Uncertainty"].tables[0]
    heads = [column.head for column in overview.columns]
    expected = {run.variant: run.scores["test/crps"] for run in sweep.runs if run.seeds == ("2",) and run.distributions}
    cells = {row[0]: dict(zip(heads, row, strict=True)) for row in overview.rows}
    assert cells.keys() == expected.keys()
    for names in (
        [table.name for section in report.sections for table in section.tables],
        [figure.name for section in report.sections for figure in section.figures],
    ):
        assert len(names) == len(set(names))


@pytest.mark.parametrize("column", ["pit", "crps"])
def test_a_distribution_that_is_none_is_no_run_to_report_on(write_sweep, column):
    folder = write_sweep("sweep", {"sgd": [(2.5, 2.5)] * 2}, spread=2.0)
    files = RunFolder(next(folder.glob("000_*")))
    path = files.predictions
    head, *rows = path.read_text().splitlines()
    at = head.split(",").index(column)
    rows = [",".join([*row.split(",")[:at], "nan", *row.split(",")[at + 1 :]]) for row in rows]
    path.write_text("\n".join([head, *rows]) + "\n")
    files.write_result(files.read_result())
    assert "no number" in read_sweep(folder).rejects[path.parent]
