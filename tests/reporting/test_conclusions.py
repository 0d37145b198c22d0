"""What a report concludes from a sweep: the right winner, how sure it is, and what it warns of."""

import numpy as np
import pytest

from vec2uage.reporting import conclusions
from vec2uage.reporting.analysis import across, analyse
from vec2uage.reporting.collect import read_sweep
from vec2uage.reporting.compose import compose
from vec2uage.reporting.content import Report, Table
from vec2uage.reporting.report_settings import ReportSettings
from vec2uage.reporting.run import write
from vec2uage.reporting.selection import select
from vec2uage.reporting.tables import comparison


def runs(val: float, test: float, count: int = 20, seed: int = 0, std: float = 0.03) -> list[tuple[float, float]]:
    generator = np.random.default_rng(seed)
    noise = generator.normal(0, std, (count, 2))
    return [(val + float(a), test + float(b)) for a, b in noise]


@pytest.fixture
def analysed(write_sweep):
    def make(name, maes, **changes):
        return analyse(read_sweep(write_sweep(name, maes, **changes)), seed=0, resamples=2000)

    return make


def test_validation_names_the_winner_and_the_test_set_does_not(analysed):
    found = analysed("d1", {"sgd": runs(2.5, 2.3), "swa": runs(2.4, 2.6, seed=1)})
    assert [variant.name for variant in found.variants] == ["swa", "sgd"]
    assert found.by_test() == ["sgd", "swa"]
    (difference,) = found.differences
    assert (difference.one, difference.other) == ("swa", "sgd")
    assert difference.comparison.paired
    assert difference.adjusted_p < 0.01
    assert difference.aso == 1.0
    assert conclusions.headline(found).startswith("swa is best by validation: its mean test MAE is 2.6")
    assert "0.3" in conclusions.headline(found)
    assert "better on the test set all the same" in conclusions.headline(found)
    assert any(
        "to name sgd the winner would be to choose on the test set" in text for text in conclusions.warnings(found)
    )


def test_a_clear_winner_is_told_with_its_margin_and_an_unclear_one_as_such(analysed):
    clear = analysed("clear", {"sgd": runs(2.5, 2.5), "swa": runs(2.3, 2.3, seed=1)})
    text = conclusions.headline(clear)
    assert "0.20 years below sgd, the next (p < 0.001 after Holm)" in text
    assert "with a probability of 100%" in text
    assert not conclusions.warnings(clear)
    unclear = analysed("unclear", {"sgd": runs(2.5, 2.5), "swa": runs(2.49, 2.5, seed=1)})
    assert "It cannot be told apart from" in conclusions.headline(unclear)


def test_the_lowest_test_error_is_called_luck(analysed):
    found = analysed("d1", {"sgd": [(2.3, 2.5), (2.4, 2.4), (2.5, 2.1)]})
    assert (found.selection.chosen.test_mae, found.selection.luckiest.test_mae) == (2.5, 2.1)
    text = "\n".join(conclusions.summary(found))
    assert "validation chooses 000_sgd,seed=1 (validation 2.30): test MAE 2.50 years" in text
    assert "2.10 (002_sgd,seed=3), is luck" in text
    told = conclusions.luck("sgd", select(found.best.runs))
    assert "the best of 3 equally good runs would have 2.16" in told
    assert "correlate by -1.00" in told


def test_an_options_effect_is_measured_against_its_first_value_over_equal_seeds(analysed):
    base = runs(2.4, 2.4, count=8)
    maes = {
        "sgd method=corrected": base,
        "adam method=corrected": [(v, t + 0.3) for v, t in base],
        "sgd method=published": [(v, t + 0.1) for v, t in base],
        "adam method=published": [(v, t + 0.5) for v, t in base],
    }
    found = analysed("audit", maes)
    effects = {(e.option, e.value, e.among): e for e in found.effects}
    assert list(effects) == [("method", "published", among) for among in ("all", "sgd", "adam")]
    assert effects["method", "published", "all"].difference.estimate == pytest.approx(0.15)
    assert effects["method", "published", "sgd"].difference.estimate == pytest.approx(0.1)
    assert effects["method", "published", "adam"].difference.estimate == pytest.approx(0.2)
    assert effects["method", "published", "sgd"].baseline == "corrected"
    assert effects["method", "published", "all"].p == pytest.approx(2 / 2**8)


def test_two_sweeps_are_compared_optimiser_by_optimiser(analysed):
    d1 = analysed("d1", {"sgd": runs(2.6, 2.6), "adam": runs(2.4, 2.4, seed=1), "swa": runs(2.4, 2.4, seed=2)})
    e1 = analysed("e1", {"sgd": runs(2.4, 2.4, seed=3), "adam": runs(2.7, 2.7, seed=4)}, first_seed=100)
    found = across(d1, e1, seed=0, resamples=2000)
    assert list(found) == ["sgd", "adam"]
    assert not found["sgd"].comparison.paired
    assert found["sgd"].comparison.difference.estimate == pytest.approx(-0.2, abs=0.02)
    assert conclusions.between(d1, e1, found) == ("e1 against d1: lowers the test MAE of sgd; raises that of adam.")


def test_what_makes_figures_less_than_they_seem_is_told(analysed):
    told = conclusions.warnings(analysed("few", {"sgd": [(2.4, 2.4), (2.5, 2.5)]}, dataset="synthetic"))
    for warning in ("say nothing about faces", "Fewer than 5 runs of sgd"):
        assert any(warning in text for text in told)


def test_missing_runs_and_unequal_numbers_are_told(write_sweep):
    folder = write_sweep("d1", {"sgd": runs(2.4, 2.4, 6), "swa": runs(2.4, 2.4, 6, seed=1)})
    (folder / "000_sgd,seed=1" / "metrics.csv").unlink()
    found = conclusions.warnings(analyse(read_sweep(folder), 0, 500))
    assert any("1 of 12 runs did not complete" in text for text in found)
    assert any("sgd 5, swa 6" in text for text in found)


def test_the_seed_draws_the_resamples_and_nothing_else_does(write_sweep):
    sweep = read_sweep(write_sweep("d1", {"sgd": runs(2.5, 2.5), "swa": runs(2.4, 2.4, seed=1)}))
    one, same, other = (analyse(sweep, seed, 500) for seed in (0, 0, 1))
    intervals = [[d.difference for d in analysis.differences] for analysis in (one, same, other)]
    assert intervals[0] == intervals[1]
    assert intervals[0] != intervals[2]


def test_one_run_alone_is_reported_without_intervals_in_sentences_that_make_sense(analysed):
    found = analysed("one", {"sgd": [(2.4, 2.5)]})
    assert found.differences == ()
    assert np.isnan(found.best.mean.low)
    assert conclusions.headline(found) == "sgd has a mean test MAE of 2.50 years over one run."
    text = " ".join(conclusions.summary(found))
    assert "The one run took" in text
    assert "seed alone" not in text
    assert "luck" not in text
    other = analysed("other", {"sgd": [(2.4, 2.5)]})
    (between,) = across(found, other, seed=0, resamples=100).values()
    assert comparison.verdict(between) == "too few runs to tell: takes 4 of each"


def test_sweeps_on_different_data_are_told_apart(analysed):
    one, same = (analysed(name, {"sgd": runs(2.4, 2.4)}) for name in ("one", "same"))
    other = analysed("other", {"sgd": runs(2.2, 2.2)}, faces="another")
    augmented = analysed("augmented", {"sgd": runs(2.2, 2.2)}, data_fingerprint="another")
    assert not conclusions.not_comparable(one, same)
    assert not conclusions.not_comparable(one, augmented), "only the training rows differ"
    assert conclusions.not_comparable(one, other) == [
        "one and other were not tested on the same faces: do not compare their errors."
    ]


def test_two_ways_of_splitting_are_an_option_and_not_seeds(analysed):
    both = {
        f"sgd split.seed={how}": [(mae + k / 100, mae + k / 100) for k in range(4)]
        for how, mae in (("0", 2.4), ("run", 2.9))
    }
    found = analysed("splits", both)
    assert [variant.name for variant in found.variants] == [
        "sgd split.seed=0",
        "sgd split.seed=run",
    ]
    assert found.effects[0].difference.estimate == pytest.approx(0.5)


def test_runs_on_several_splits_are_not_called_independent(analysed):
    both = {f"sgd split.seed={split}": runs(2.4, 2.4, 5, split) for split in (1, 2)}
    found = analysed("splits", both)
    assert [variant.name for variant in found.variants] == ["sgd"]
    assert any("runs of one split are not independent" in text for text in conclusions.warnings(found))
    assert any(text.startswith("Seed and split move") for text in conclusions.summary(found))


def test_of_all_optimisers_an_effect_counts_only_seeds_that_all_have(analysed):
    def pair(optimizer, effect, count):
        return {
            f"{optimizer} loss=mse": [(2.4, 2.4)] * 6,
            f"{optimizer} loss=l1": [(2.4, 2.4 + effect + k / 1000) for k in range(count)],
        }

    found = analysed("uneven", pair("sgd", 0.1, 6) | pair("adam", 0.2, 3))
    every = next(effect for effect in found.effects if effect.among == "all")
    assert every.difference.estimate == pytest.approx(0.151, abs=1e-6)


def test_files_of_several_sweeps_have_names_of_their_own(analysed):
    alike = [analysed(name, {"sgd": [(2.4, 2.4)] * 20, "swa": [(2.5, 2.4)] * 20}) for name in ("J=1", "J-1", "K")]
    report = compose(alike, seed=0, resamples=100)
    tables = [table.name for section in report.sections for table in section.tables]
    figures = [figure.name for section in report.sections for figure in section.figures]
    assert len(tables) == len(set(tables))
    assert len(figures) == len(set(figures))
    assert {"between_1", "between_2"} <= set(tables)


def _tables(report: Report) -> dict[str, Table]:
    return {table.name: table for section in report.sections for table in section.tables}


def test_models_without_epochs_are_reported_beside_others_and_alone(analysed):
    ridge = {"ridge": [(2.6, 2.7)] * 6, "ridge model.alpha=9": [(2.8, 2.9)] * 6}
    mixed = analysed("mixed", {"sgd": runs(2.5, 2.5, 6)} | ridge)
    assert mixed.best.name == "sgd"
    assert conclusions.headline(mixed).startswith(f"{mixed.best.name} is best by validation")
    assert mixed.differences[0].comparison.paired
    report = compose([mixed], seed=0, resamples=100)
    tables = _tables(report)
    assert tables["summary"].columns[0].head == "optimizer or model"
    heads = [column.head for column in tables["runs"].columns]
    of_ridge = dict(zip(heads, tables["runs"].rows[6], strict=True))
    assert [of_ridge[head] for head in ("optimizer", "model", "lr", "epochs", "test MAE")] == [
        *(None, "ridge", None, None),
        2.7,
    ]
    costs = {row[0]: row[4:7] for row in tables["runtimes"].rows}
    assert (costs[mixed.best.name], costs["ridge"]) == ((3, 3, pytest.approx(10 / 3)), (None, None, None))
    assert "learning" in {figure.name for section in report.sections for figure in section.figures}


def test_models_without_epochs_alone_have_a_whole_report(write_sweep, tmp_path):
    folder = write_sweep("alone", {"ridge": [(2.6, 2.7)] * 6, "ridge model.alpha=9": [(2.8, 2.9)] * 6})
    settings = ReportSettings(sweep=(str(folder),), formats=("svg",), resamples=100, seed=0, tensorboard=False)
    report = write(settings, tmp_path / "report")
    assert "ridge model.alpha=9" in (tmp_path / "report" / "index.html").read_text()
    tables = _tables(report)
    assert tables["summary"].columns[0].head == "model"
    heads = {column.head for name in ("runs", "runtimes") for column in tables[name].columns}
    assert heads.isdisjoint({"optimizer", "lr", "epochs", "best epoch", "epochs to the best", "seconds an epoch"})
    assert [row[:3] for row in tables["effects"].rows] == [("model.alpha=9", "no model.alpha", "all")]
    drawn = {figure.name for section in report.sections for figure in section.figures}
    assert drawn >= {"maes", "runtime", "best_of"}
    assert drawn.isdisjoint({"learning", "range_tests"})
