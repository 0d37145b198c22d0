"""What is compared is free: any swept option, over all others and over seeds."""

from dataclasses import replace
from itertools import product

import pytest

from conftest import write_run
from vec2uage.base.errors import UserError
from vec2uage.reporting import beware, conclusions
from vec2uage.reporting.analysis import analyse
from vec2uage.reporting.collect import read_sweep
from vec2uage.reporting.compose import compose
from vec2uage.reporting.tables import comparison, results

HEADS = ("scalar", "gaussian")


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """A sweep of heads by optimizer by seed: gaussian is 0.2 years better, adam 0.1, and seeds differ by 0.01."""
    folder = tmp_path_factory.mktemp("heads")
    for number, (head, optimizer, seed) in enumerate(product(HEADS, ("sgd", "adam"), range(6))):
        mae = 2.5 - 0.2 * (head == "gaussian") - 0.1 * (optimizer == "adam") + 0.01 * seed
        write_run(folder / f"{number:03d}", optimizer, seed, mae, mae, choices={"head": head, "loss": "mse"})
    return folder


def test_a_variant_is_what_has_one_value_of_the_axis_even_where_nobody_set_it(heads):
    sweep = read_sweep(heads, by=("head",))
    assert {name: len(runs) for name, runs in sweep.variants.items()} == {"scalar": 12, "gaussian": 12}
    assert sweep.compares == "head"
    assert sweep.averaged_over == ("optimizer",)
    both = read_sweep(heads, by=("optimizer", "head"))
    assert set(both.variants) == {f"{name} head={head}" for name in ("sgd", "adam") for head in HEADS}


def test_a_seed_counts_once_whatever_else_was_swept(heads):
    found = analyse(read_sweep(heads, by=("head",)), seed=0, resamples=500)
    assert [variant.name for variant in found.variants] == ["gaussian", "scalar"]
    (difference,) = found.differences
    assert difference.runs == "6 same seeds"
    assert difference.difference.estimate == pytest.approx(-0.2)
    assert difference.p == pytest.approx(2 / 2**6), "of six seeds, not of twelve runs"
    assert found.best.mean.estimate == pytest.approx(2.3 - 0.05 + 0.025)
    assert found.best.mean.high - found.best.mean.low < 0.03, "optimizers differ by 0.1, and not by chance"
    effects = {(e.option, e.value, e.among): e.difference.estimate for e in found.effects}
    assert effects == {("optimizer", "adam", among): pytest.approx(-0.1) for among in ("all", "scalar", "gaussian")}


def test_pairs_are_equal_in_all_that_both_have(write_sweep):
    for head, options, mae in (("scalar", ("loss=mse", "loss=l1"), 2.5), ("gaussian", ("",), 2.3)):
        maes = {
            f"{optimizer} {option}".strip(): [(mae, mae + shift + 0.2 * (option == "loss=l1"))] * 6
            for option in options
            for optimizer, shift in (("sgd", 0.0), ("adam", 0.3))
        }
        folder = write_sweep(f"sweep/{head}", maes, choices={"head": head})
    sweep = read_sweep(folder.parent, by=("head",))
    (difference,) = analyse(sweep, seed=0, resamples=200).differences
    assert difference.runs == "6 same seeds"
    assert abs(difference.difference.estimate) == pytest.approx(0.3), "scalar is the mean over its two losses"
    assert any("Not all variants were run with the same" in text for text in beware.warnings(analyse(sweep, 0, 200)))


def test_a_seed_that_lacks_other_options_is_left_out(heads):
    whole = read_sweep(heads, by=("head",))
    lost = next(run for run in whole.runs if run.variant == "gaussian")
    sweep = replace(whole, runs=tuple(run for run in whole.runs if run is not lost))
    (difference,) = analyse(sweep, seed=0, resamples=200).differences
    assert difference.runs == "5 same seeds"
    assert difference.difference.estimate == pytest.approx(-0.2)


def test_the_page_says_what_variants_are_means_over(heads):
    report = compose([analyse(read_sweep(heads, by=("head",)), 0, 100)], 0, 100)
    (results,) = (section for section in report.sections if section.title == "Results")
    assert "optimizer (sgd, adam)" in results.paragraphs[0]
    tables = {table.name: table for section in report.sections for table in section.tables}
    assert tables["estimates"].columns[0].head == "head"
    assert "default" not in str([table.rows for table in tables.values()])
    assert any(text.startswith("Seed and optimizer move") for text in report.summary)


@pytest.mark.parametrize("by", ["nothing", "loss", "seed"])
def test_an_option_that_was_not_swept_is_refused_with_those_that_were(heads, by):
    with pytest.raises(UserError, match=f"by={by}.*optimizer") as refused:
        read_sweep(heads, by=(by,))
    assert "\n" not in str(refused.value)


def test_without_an_axis_all_that_was_swept_is_compared(heads):
    assert list(read_sweep(heads).variants) == ["sgd", "adam"], "nobody set a head here"


def test_distributions_are_compared_by_crps_and_points_by_their_absolute_error(write_sweep):
    maes = [(2.5 + 0.01 * k, 2.5 + 0.01 * k) for k in range(6)]
    write_sweep("sweep/points", {"sgd": maes}, choices={"head": "scalar"})
    folder = write_sweep("sweep/normal", {"sgd": maes}, choices={"head": "gaussian"}, spread=2.5).parent
    sweep = read_sweep(folder, by=("head",))
    found = analyse(sweep, seed=0, resamples=500, metric="crps")
    means = {variant.name: variant.mean.estimate for variant in found.variants}
    assert means["scalar"] == pytest.approx(2.525)
    # of a normal distribution that is one deviation off: Gneiting and Raftery 2007, equation 21
    assert means["gaussian"] == pytest.approx(2.5 * 0.6024, rel=0.02)
    (difference,) = found.differences
    assert difference.is_shown
    assert comparison.verdict(difference) == "gaussian is better"
    told = [analyse(read_sweep(folder.parent / "sweep" / name), 0, 100) for name in ("points", "normal")]
    both = compose(told, seed=0, resamples=100)
    assert {"between", "between_crps"} <= {table.name for section in both.sections for table in section.tables}
    assert any("lowers the test CRPS of sgd" in text for text in both.summary)


def test_a_crps_that_is_no_number_is_not_known(write_sweep):
    folder = write_sweep("sweep", {"sgd": [(2.5, 2.5)] * 5}, spread=1.0)
    write_sweep(
        "sweep/odd",
        {"adam": [(2.5, 2.5)]},
        spread=1.0,
        scores=dict.fromkeys(("train/mae", "validation/mae", "test/mae"), 2.5),
    )
    sweep = read_sweep(folder)
    crps = analyse(sweep, 0, 100, "crps")
    assert [variant.name for variant in crps.variants] == ["sgd"]
    assert any("adam" in text and "not known" in text for text in conclusions.by_crps(crps, sweep))


def test_where_the_crps_is_known_of_points_alone_nothing_is_compared_by_it(write_sweep):
    old = dict.fromkeys(("train/mae", "validation/mae", "test/mae"), 2.5)
    write_sweep("sweep/points", {"sgd": [(2.5, 2.5)] * 2}, choices={"head": "scalar"})
    folder = write_sweep("sweep/old", {"sgd": [(2.5, 2.5)] * 2}, choices={"head": "gaussian"}, spread=1.0, scores=old)
    report = compose([analyse(read_sweep(folder.parent, by=("head",)), 0, 100)], 0, 100)
    assert not any("CRPS" in text for text in report.summary)
    assert not any("CRPS" in section.title for section in report.sections)


def test_titles_speak_of_optimisers_only_where_nothing_else_was_swept(write_sweep):
    alone = write_sweep("d1", {name: [(2.5, 2.5)] * 2 for name in ("sgd", "adam")})
    more = write_sweep("losses", {f"sgd loss={loss}": [(2.5, 2.5)] * 2 for loss in ("l1", "mse")})
    for folder, head, noun in ((alone, "optimizer", "optimiser"), (more, "variant", "variant")):
        analysis = analyse(read_sweep(folder), 0, 100)
        tables = results.summary(analysis.sweep, None), comparison.differences(analysis)
        assert tables[0].columns[0].head == head
        assert all(f"{noun}" in table.title for table in tables)


def test_points_alone_have_no_tables_of_the_crps(write_sweep):
    report = compose([analyse(read_sweep(write_sweep("d1", {"sgd": [(2.4, 2.4)] * 2})), 0, 100)], 0, 100)
    titles = {section.title for section in report.sections}
    assert not any("CRPS" in title or "Uncertainty" in title for title in titles)
