"""What a report concludes from a sweep: the right winner, how sure it is, and what it warns of."""

from dataclasses import replace

import numpy as np
import pytest

from vec2uage.reporting import beware, conclusions
from vec2uage.reporting.analysis import across, analyse
from vec2uage.reporting.collect import read_sweep
from vec2uage.reporting.compose import compose
from vec2uage.reporting.content import Report, Table
from vec2uage.reporting.report_settings import ReportSettings
from vec2uage.reporting.run import write
from vec2uage.reporting.selection import select
from vec2uage.reporting.tables import comparison
from vec2uage.runs.result import RunResult


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
    assert any("to name sgd the winner would be to choose on the test set" in text for text in beware.warnings(found))


def test_a_clear_winner_is_told_with_its_margin_and_an_unclear_one_as_such(analysed):
    clear = analysed("clear", {"sgd": runs(2.5, 2.5), "swa": runs(2.3, 2.3, seed=1)})
    text = conclusions.headline(clear)
    assert "0.20 years below sgd, the next (p < 0.001 after Holm)" in text
    assert "with a probability of 100%" in text
    assert not beware.warnings(clear)
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


@pytest.mark.parametrize(("seeds", "shown"), [(2, False), (5, False), (6, True)])
def test_a_difference_that_no_test_of_so_few_runs_can_show_is_not_called_none(analysed, seeds, shown):
    found = analysed("few", {"sgd": runs(2.5, 2.5, seeds), "swa": runs(2.3, 2.3, seeds, seed=1)})
    (difference,) = found.differences
    verdict = comparison.verdict(difference)
    assert verdict == ("swa is better" if shown else "too few runs to tell: takes 6 of the same seeds")
    assert ("takes 6 runs of the same seeds" in conclusions.headline(found)) is not shown
    assert ("too few" in comparison.differences(found).rows[0][-1]) is not shown


def test_a_difference_that_was_not_shown_although_it_could_have_been_is_told_as_such(analysed):
    found = analysed("unclear", {"sgd": runs(2.5, 2.5), "swa": runs(2.49, 2.5, seed=1)})
    assert comparison.verdict(found.differences[0]) == "no difference shown"
    equal = analysed("equal", {"sgd": [(2.4, 2.5)] * 8, "swa": [(2.4, 2.5)] * 8})
    assert "equal" in comparison.verdict(equal.differences[0])
    effect = analysed("option", {f"sgd loss={loss}": runs(2.4, 2.4, 4, seed) for seed, loss in enumerate(("a", "b"))})
    assert "takes 6" in str(comparison.effects(effect).rows[0][-1])
    one, other = (analysed(name, {"sgd": runs(mae, mae, 3)}) for name, mae in (("one", 2.5), ("other", 2.4)))
    assert "too few runs" in conclusions.between(one, other, across(one, other, seed=0, resamples=999))


def test_a_model_that_no_seed_changes_is_one_run_and_has_no_interval(analysed):
    ridge = {f"ridge model.alpha={alpha}": [(mae, mae)] * 20 for alpha, mae in ((1, 2.6), (9, 2.7))}
    found = analysed("both", {"sgd": runs(2.4, 2.4)} | ridge, draws=False)
    of_ridge = [variant for variant in found.variants if variant.name != "sgd"]
    assert [(len(variant.runs), np.isnan(variant.mean.low)) for variant in of_ridge] == [(1, True)] * 2
    against_sgd, *_, alike = (difference for difference in found.differences)
    assert against_sgd.runs == "20 against one model"
    assert against_sgd.is_shown, "the runs of sgd are 20"
    assert (alike.runs, alike.is_shown, alike.could_be_shown) == ("1 same seed", False, False)
    assert any("No seed changes ridge model.alpha=1" in text for text in beware.warnings(found))
    (effect,) = found.effects
    assert (effect.option, effect.is_shown, effect.could_be_shown) == ("model.alpha", False, False)
    stated = {"ridge": [(2.6, 2.7)] * 9, "ridge model.alpha=1": [(2.6, 2.7)] * 9}
    alone = analysed("alone", stated, draws=False, choices={"model": "ridge"}, config="model.alpha: 1\n")
    assert conclusions.headline(alone) == "ridge has a mean test MAE of 2.70 years whatever the seed."


def test_a_variant_that_lost_runs_or_all_of_them_is_named(write_sweep):
    folder = write_sweep("lost", {"sgd": runs(2.4, 2.4, 6), "swa": runs(2.4, 2.4, 6, 1), "adam": runs(2.4, 2.4, 2)})
    for number in (*range(3), *range(12, 14)):
        (path,) = folder.glob(f"{number:03d}_*/result.json")
        result = RunResult.from_json(path.read_text())
        path.write_text(replace(result, status="diverged", reason="the loss was nan").to_json())
    found = " ".join(beware.warnings(analyse(read_sweep(folder), 0, 100)))
    assert "5 of 14 runs did not complete and are left out (3 of 6 of sgd)" in found
    assert "Half or more of the runs of sgd are missing" in found
    assert "No run of adam completed" in found


@pytest.mark.parametrize("mae", [float("nan"), float("inf"), 1e308, -3.0])
def test_an_error_that_cannot_be_averaged_is_left_out(analysed, mae):
    with np.errstate(over="ignore", invalid="ignore"):
        found = analysed("beyond", {"sgd": [*runs(2.4, 2.4, 5), (mae, mae)]})
    assert found.best.mean.estimate == pytest.approx(2.4, abs=0.05)
    assert any("1 of 6 runs did not complete" in text for text in beware.warnings(found))


def test_an_error_that_only_just_can_be_averaged_is_told_and_drawn(analysed):
    found = analysed("far", {"sgd": [*runs(2.4, 2.4, 5), (3e38, 3e38)], "swa": runs(2.4, 2.4, 6, 1)})
    report = compose([found], seed=0, resamples=100)
    assert "above 100 years" in " ".join(report.warnings)
    assert _tables(report)["estimates"].rows[1][3].estimate == pytest.approx(3e38 / 6)
    assert "e+37 years" in " ".join(report.summary)


def test_runs_that_differ_in_what_no_option_says_are_told(write_sweep):
    for noise in (0, 1):
        changes = {"config": f"augmentation: {{noise: {noise}}}\n", "data_fingerprint": str(noise)}
        folder = write_sweep("mixed", {"sgd": runs(2.4, 2.4, 3, noise)}, first_seed=3 * noise, **changes)
    found = " ".join(beware.warnings(analyse(read_sweep(folder), 0, 100)))
    assert "differ in augmentation.noise, which no option" in found
    assert "Runs of sgd were trained on different rows" in found


def test_sweeps_of_other_encoders_or_code_are_told(analysed):
    one, other = (analysed(name, {"sgd": runs(2.4, 2.4)}, encoder=name, code=name) for name in ("a", "b"))
    told = " ".join(beware.not_comparable(one, other))
    assert "other encoders" in told
    assert "other versions of the code" in told


def test_two_folders_with_the_same_runs_are_not_called_independent(analysed):
    one, other = (analysed(name, {"sgd": [(2.4, 2.5)]}, config_hash="h") for name in ("sweep", "copy"))
    assert "share 1 run" in " ".join(beware.not_comparable(one, other))
    (section,) = (s for s in compose([one], 0, 100).sections if s.title == "Data and network")
    assert not section.paragraphs, "all runs have the same data"


def test_what_makes_figures_less_than_they_seem_is_told(analysed):
    told = beware.warnings(analysed("few", {"sgd": [(2.4, 2.4), (2.5, 2.5)]}, dataset="synthetic"))
    for warning in ("say nothing about faces", "Fewer than 5 runs of sgd"):
        assert any(warning in text for text in told)


def test_missing_runs_and_unequal_numbers_are_told(write_sweep):
    folder = write_sweep("d1", {"sgd": runs(2.4, 2.4, 6), "swa": runs(2.4, 2.4, 6, seed=1)})
    (folder / "000_sgd,seed=1" / "metrics.csv").unlink()
    found = beware.warnings(analyse(read_sweep(folder), 0, 500))
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
    assert not beware.not_comparable(one, same)
    assert not beware.not_comparable(one, augmented), "only the training rows differ"
    assert beware.not_comparable(one, other) == [
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
    assert any("runs of one split are not independent" in text for text in beware.warnings(found))
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
    assert tables["summary"].columns[0].head == "variant"
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
    settings = ReportSettings(sweep=(str(folder),), by=None, formats=("svg",), resamples=100, seed=0, tensorboard=False)
    report = write(settings, tmp_path / "report")
    assert "ridge model.alpha=9" in (tmp_path / "report" / "index.html").read_text()
    tables = _tables(report)
    assert tables["summary"].columns[0].head == "variant"
    heads = {column.head for name in ("runs", "runtimes") for column in tables[name].columns}
    assert heads.isdisjoint({"optimizer", "lr", "epochs", "best epoch", "epochs to the best", "seconds an epoch"})
    assert [row[:3] for row in tables["effects"].rows] == [("model.alpha=9", "no model.alpha", "all")]
    drawn = {figure.name for section in report.sections for figure in section.figures}
    assert drawn >= {"maes", "runtime", "best_of"}
    assert drawn.isdisjoint({"learning", "range_tests"})
