"""The figures of a report show every run, alike in all of them, and can be read at their size in print."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from vec2uage.reporting.figures import ages, curves, data, distributions, network
from vec2uage.reporting.figures.save import save, svg_text
from vec2uage.reporting.figures.scale import ceiling
from vec2uage.reporting.figures.style import COLUMN, PAGE, colours, styled
from vec2uage.reporting.read_run import Run
from vec2uage.reporting.selection import select
from vec2uage.runs.result import RunResult

OPTIMIZERS = ("adagrad", "adam", "sgd", "swa")
AUDIT = [f"{name} method={m}" for m in ("corrected", "paper", "published") for name in (*OPTIMIZERS, "swa_published")]
LONG = [
    f"{name} optimizer.lr={lr} trainer.batch_size={size} lr_schedule=plateau"
    for name in ("sgd", "adam")
    for lr in (0.001, 0.01, 0.1)
    for size in (64, 1024)
]
MLP = {"_target_": "vec2uage.training.models.MLP", "hidden": [512, 256, 128]}
ROW_COUNTS = [
    {"part": part, "kind": kind, "source": source, "gender": gender, "age": str(age), "faces": str(age + 2)}
    for part in ("train", "test")
    for kind in ("photographed", "augmented", "repeated")[: 3 if part == "train" else 1]
    for source in ("album", "web")
    for gender in ("female", "male", "")
    for age in range(1, 19)
]


def run(
    variant: str,
    test: float,
    seed: int = 1,
    epochs: int = 30,
    tested: bool = True,
    val: float | None = None,
    **known: Any,
) -> Run:
    """Return a run that falls from 9 years above its validation MAE (0.1 above its test MAE) to it.

    One of no epochs has neither optimizer nor learning rate.
    """
    epoch, val = np.arange(epochs, dtype=float), test + 0.1 if val is None else val
    curve = test + 0.1 + 9 * np.exp(-epoch)
    rates = 10.0 ** np.linspace(-8, 0, epochs)
    loss = 100 - 60 / (1 + 0.01 / rates) + 1e4 * rates**4 + seed / 10
    result = {
        "status": "completed",
        "name": f"{seed:03d}_{variant}",
        "seed": seed,
        "optimizer": variant.split(" ")[0] if epochs else None,
        "model": "vec2uage",
        "dataset": "vectors",
        "lr": 0.01 if epochs else None,
        "epochs": epochs,
        "best_epoch": epochs - 1 if epochs else None,
        "scores": {"train/mae": test - 0.5, "validation/mae": val, "test/mae": test},
        "seconds": 100.0 + seed,
    }
    return Run(
        folder=Path("nowhere"),
        result=RunResult(**(result | known)),
        label=f"{seed:03d}",
        options={},
        variant=variant,
        others=(),
        seeds=(str(seed),),
        curve={"epoch": epoch, "validation/mae": curve, "train/mae": curve - 0.02 * epoch} if epochs else None,
        range_test={"lr": rates, "loss": loss, "smoothed": loss} if epochs and tested else None,
        per_age={age: test + 0.05 * abs(age - 9) for age in range(1, 19)},
        distributions=None,
        tested="",
    )


def sweep(names: Sequence[str], count: int = 10, astray: Mapping[int, float] | None = None) -> dict[str, list[Run]]:
    """Return runs of variants that lie 0.05 years apart; `astray` puts other test MAEs in place of the first one's."""
    maes = {name: [2.4 + 0.05 * k + 0.01 * seed for seed in range(count)] for k, name in enumerate(names)}
    for place, mae in (astray or {}).items():
        maes[names[0]][place] = mae
    return {name: [run(name, mae, seed) for seed, mae in enumerate(of_name)] for name, of_name in maes.items()}


def drawn(variants: Mapping[str, Sequence[Run]]) -> Iterator[tuple[str, Figure]]:
    """Yield every figure of a sweep."""
    styles, runs = colours(list(variants)), [run for of_variant in variants.values() for run in of_variant]
    yield "maes", distributions.maes(variants, styles)
    yield "runtime", distributions.runtime(variants, styles)
    yield "selection", distributions.selection(variants, styles, select(runs), "Rank correlation 0.93")
    for name, found in (
        ("learning", curves.learning(variants, styles)),
        ("range_tests", curves.range_tests(variants, styles)),
    ):
        assert found is not None
        yield name, found
    yield "best_of", curves.best_of({name: _sorted(runs) for name, runs in variants.items()}, styles)
    yield "best_runs", ages.best_runs(runs[:3], styles)
    yield "per_age", ages.per_age(variants, styles)


def drawn_of_data() -> Iterator[tuple[str, Figure]]:
    """Yield every figure that runs have no part in."""
    figures = {
        "faces_by_source": data.faces_by_source(ROW_COUNTS),
        "faces_by_gender": data.faces_by_gender(ROW_COUNTS),
        "training_rows": data.training_rows(ROW_COUNTS),
        "network": network.network(MLP, 427_009),
    }
    for name, figure in figures.items():
        assert figure is not None
        yield name, figure


def _sorted(runs: Sequence[Run]) -> np.ndarray:
    return np.sort([run.test_mae for run in runs])[::-1]


def points(figure: Figure, panel: int, label: str, sideways: bool = False) -> list[list[float]]:
    """Return the values along the axis of numbers of each line with the label."""
    found = [line for line in figure.axes[panel].lines if line.get_label() == label]
    return [np.asarray(line.get_xdata() if sideways else line.get_ydata()).tolist() for line in found]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


@pytest.mark.parametrize("names", [OPTIMIZERS, LONG])
def test_every_run_is_a_point_beside_its_median(names):
    variants = sweep(names, astray={0: 22.1})
    figure = distributions.maes(variants, colours(names))
    for panel, part in enumerate(("test_mae", "val_mae")):
        expected = [[getattr(run, part) for run in runs] for runs in variants.values()]
        sideways = names is LONG
        assert points(figure, panel, "runs", sideways) == expected
        medians = [np.median(values) for values in expected]
        assert points(figure, panel, "median", sideways) == [[median, median] for median in medians]
        shown = [text.get_text() for text in figure.axes[panel].texts]
        assert [text for text in shown if text in {f"{median:.2f}" for median in medians}] == [
            f"{median:.2f}" for median in medians
        ]
    label = figure.axes[0].get_xlabel() if sideways else figure.axes[0].get_ylabel()
    assert label == "test MAE (years)"


@pytest.mark.parametrize("names", [OPTIMIZERS, LONG])
def test_runs_far_away_are_named_at_the_edge_and_do_not_stretch_the_axis(names):
    variants = sweep(names, astray={0: 22.13, 1: 9.0})
    figure = distributions.maes(variants, colours(names))
    low, high = figure.axes[0].get_xlim() if names is LONG else figure.axes[0].get_ylim()
    assert 2.3 < low < 2.5
    assert 2.6 < high < 3.6
    assert any("22.1" in text and "9.0" in text for text in texts(figure))
    scattered = distributions.selection(
        variants, colours(names), select([run for runs in variants.values() for run in runs]), "title"
    )
    assert scattered.axes[0].get_xlim()[1] < 3.6
    assert "2 runs beyond, to 22.2" in texts(scattered)


def test_an_axis_shows_what_most_runs_show():
    near = np.linspace(2.4, 2.6, 20)
    scattered = np.concatenate([near[:12], np.linspace(7, 22, 8)])
    assert ceiling([near, near + 0.1]) == pytest.approx(2.7)
    assert ceiling([near, near + 1.1, near + 4]) == pytest.approx(6.6), "no run is far from its own variant"
    assert ceiling([near, near + 20]) == pytest.approx(2.6), "a whole variant is"
    assert ceiling([near, near, near, scattered]) < 7, "the spread of one variant is not that of all"
    assert ceiling([np.array([2.5])]) == 2.5
    assert ceiling([np.array([2.5]), np.array([2.6]), np.array([22.0])]) == 2.6


@given(st.lists(st.lists(st.floats(-5, 20), min_size=5, max_size=20), min_size=1, max_size=6), st.floats(1000, 1e9))
def test_no_single_run_decides_how_far_an_axis_reaches(groups, astray):
    arrays = [np.array(group) for group in groups]
    assert ceiling(arrays) <= max(group.max() for group in arrays)
    assert min(np.median(group) for group in arrays) <= ceiling(arrays)
    assert ceiling([np.append(arrays[0], astray), *arrays[1:]]) < 1000


def test_a_variant_has_one_colour_in_every_figure():
    variants = sweep(OPTIMIZERS)
    styles = colours(OPTIMIZERS)
    figures = dict(drawn(variants))
    expected = [style.colour for style in styles.values()]
    for name in ("learning", "best_of", "per_age"):
        lines = figures[name].axes[0].lines
        assert [to_hex(line.get_color()).upper() for line in lines] == expected, name
        legend = figures[name].legends[0]
        assert [to_hex(handle.get_color()).upper() for handle in legend.legend_handles] == expected
        assert [text.get_text() for text in legend.get_texts()] == list(OPTIMIZERS)
    runs = [line for line in figures["maes"].axes[1].lines if line.get_label() == "runs"]
    assert [to_hex(line.get_color()).upper() for line in runs] == expected
    assert [to_hex(bar.get_facecolor()).upper() for bar in figures["runtime"].axes[0].patches] == expected
    tests = [axes.collections[0].get_colors()[0] for axes in figures["range_tests"].axes]
    assert [to_hex(colour).upper() for colour in tests] == expected
    assert {to_hex(line.get_color()).upper() for line in figures["best_runs"].axes[0].lines} == {expected[0]}


def test_optimisers_keep_their_colours_and_all_variants_can_be_told_apart():
    alone, together = colours(["swa", "adam"]), colours(AUDIT)
    assert (
        alone["swa"].colour == together["swa method=paper"].colour == colours(["swa_published"])["swa_published"].colour
    )
    assert alone["adam"].colour == colours(["lion", "adam"])["adam"].colour
    published = colours(["swa_published", "swa"])
    assert published["swa_published"].marker != published["swa"].marker
    assert published["swa_published"].dashes != published["swa"].dashes
    one = [f"sgd optimizer.lr={k}" for k in range(15)]
    own = [f"optimiser{k}" for k in range(15)]
    for names in (AUDIT, LONG, one, own):
        styles = colours(names)
        assert list(styles) == list(names)
        assert len({(style.colour, style.marker) for style in styles.values()}) == len(names)
        assert len({(style.colour, style.dashes) for style in styles.values()}) == len(names)
    assert len({style.colour for style in colours(one).values()}) > 3, "colours tell them apart if optimisers do not"


@pytest.mark.parametrize(
    "variants",
    [
        sweep(["sgd"], 1),
        sweep(OPTIMIZERS, 10, {0: 22.1, 1: 9.0, 2: 31.0, 3: 45.0}),
        sweep([*AUDIT[:5], *LONG[:5]], 6, {0: 22.1}),
        {},
    ],
    ids=["one run", "runs astray", "many variants with long names", "data"],
)
def test_no_text_overlaps_or_is_cut_off_and_no_legend_covers_data(variants):
    for name, figure in drawn(variants) if variants else drawn_of_data():
        assert figure.get_figwidth() in (COLUMN, PAGE)
        canvas = FigureCanvasAgg(figure)
        with styled():
            canvas.draw()
        # the labels of ticks beyond the ends of an axis are there, but are not drawn
        undrawn = {label for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in _undrawn(axis)}
        found = [text for text in figure.findobj(Text) if text.get_text().strip() and text not in undrawn]
        found = [text for text in found if text.get_visible() and (text.axes is None or text.axes.get_visible())]
        boxes = [text.get_window_extent(canvas.get_renderer()) for text in found]
        for text, box in zip(found, boxes, strict=True):
            assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, f"{name}: {text}"
            assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, f"{name}: {text}"
        for (one, box), (other, its_box) in combinations(zip(found, boxes, strict=True), 2):
            assert not box.padded(-0.5).overlaps(its_box.padded(-0.5)), f"{name}: {one} and {other}"
        for legend in figure.legends:
            for axes in figure.axes:
                assert not legend.get_window_extent().overlaps(axes.get_window_extent()), name


def _undrawn(axis: Axis) -> list[Text]:
    low, high = sorted(axis.get_transform().transform(axis.get_view_interval()))
    places = axis.get_transform().transform([tick.get_loc() for tick in axis.get_major_ticks()])
    return [
        label
        for tick, place in zip(axis.get_major_ticks(), places, strict=True)
        for label in (tick.label1, tick.label2)
        if not low - 1e-6 <= place <= high + 1e-6
    ]


def test_the_same_runs_give_the_same_bytes(tmp_path):
    first, again = (
        {name: svg_text(figure) for name, figure in (*drawn(sweep(["sgd"], 5)), *drawn_of_data())} for _ in range(2)
    )
    assert first == again
    _, figure = next(drawn_of_data())
    for name, magic in (("figure.png", b"\x89PNG"), ("figure.pdf", b"%PDF")):
        for folder in ("figures", "again"):
            save(figure, tmp_path / folder / name)
        content = (tmp_path / "figures" / name).read_bytes()
        assert content == (tmp_path / "again" / name).read_bytes()
        assert content.startswith(magic)
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 4


def test_learning_is_drawn_while_half_of_the_runs_are_still_training():
    runs = [run("sgd", 2.0 + seed, seed, epochs) for seed, epochs in enumerate((3, 5, 8, 9))]
    figure = curves.learning({"sgd": runs}, colours(["sgd"]))
    assert figure is not None
    (line,) = figure.axes[0].lines
    assert line.get_xdata().tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    expected = [
        np.median([r.curve["validation/mae"][k] for r in runs if k < len(r.curve["validation/mae"])]) for k in range(8)
    ]
    assert line.get_ydata().tolist() == pytest.approx(expected)
    assert figure.axes[0].get_yscale() == "log"
    assert figure.axes[0].get_xlabel() == "epochs trained"
    for one in runs:
        assert one.curve is not None
        one.curve["train/mae"][0] = 1e4
    figure = curves.learning({"sgd": runs}, colours(["sgd"]))
    assert figure is not None
    assert figure.axes[1].get_ylim()[1] < 25, "a first epoch far off does not flatten the curves"


def test_range_tests_mark_the_rate_that_training_began_with():
    variants = {
        "adam": [run("adam", 2.5, lr=0.003), run("adam", 2.6, 2, lr=None)],
        "sgd": [run("sgd", 2.5, tested=False)],
    }
    figure = curves.range_tests(variants, colours(["adam", "sgd"]))
    assert figure is not None
    (axes,) = figure.axes
    assert len(axes.collections[0].get_segments()) == 2
    (ticks,) = axes.lines
    assert ticks.get_xdata().tolist() == [0.003]
    assert 80 < ticks.get_ydata()[0] < 90
    assert axes.get_title(loc="left") == "adam"
    assert axes.get_ylabel() == "smoothed loss"
    assert curves.range_tests({"sgd": variants["sgd"]}, colours(["sgd"])) is None


def test_the_best_of_n_runs_is_drawn_against_n():
    figure = curves.best_of({"sgd": np.array([40.0, 2.6, 2.5])}, colours(["sgd"]))
    (line,) = figure.axes[0].lines
    assert line.get_xydata().tolist() == [[1, 40], [2, 2.6], [3, 2.5]]


def test_ages_have_the_median_of_the_runs_that_met_them():
    runs = [run("sgd", mae, seed) for seed, mae in enumerate((2.0, 2.2, 3.0))]
    del runs[0].per_age[18]
    figure = ages.per_age({"sgd": runs}, colours(["sgd"]))
    (line,) = figure.axes[0].lines
    assert line.get_xdata().tolist() == list(range(1, 19))
    assert line.get_ydata()[8] == pytest.approx(2.2)
    assert line.get_ydata()[17] == pytest.approx(2.6 + 0.45)
    best = ages.best_runs(runs, colours(["sgd"]))
    assert [text.get_text() for text in best.legends[0].get_texts()] == [
        "sgd, run 000: 2.00 years",
        "sgd, run 001: 2.20 years",
        "sgd, run 002: 3.00 years",
    ]
    assert best.axes[0].lines[0].get_ydata().tolist() == [runs[0].per_age[age] for age in range(1, 18)]


def test_choice_by_validation_and_luck_are_marked():
    runs = [run("sgd", 2.5, 1, val=2.3), run("sgd", 2.4, 2, val=2.6), run("sgd", 2.6, 3, val=2.5)]
    figure = distributions.selection({"sgd": runs}, colours(["sgd"]), select(runs), "Rank correlation 0.5")
    assert [
        line.get_xydata().tolist() for line in figure.axes[0].lines if line.get_label() == "chosen by validation"
    ] == [[[2.3, 2.5]]]
    assert [line.get_xydata().tolist() for line in figure.axes[0].lines if line.get_label() == "lowest test MAE"] == [
        [[2.6, 2.4]]
    ]
    assert figure.axes[0].get_title(loc="left") == "Rank correlation 0.5"


def test_costs_are_means_of_what_is_known():
    variants = {
        "sgd": [run("sgd", 2.5, 1, epochs=10, seconds=10.0), run("sgd", 2.5, 2, epochs=21, seconds=None)],
        "adam": [run("adam", 2.5, 1, seconds=None, best_epoch=None)],
    }
    figure = distributions.runtime(variants, colours(["sgd", "adam"]))
    assert [bar.get_width() for bar in figure.axes[0].patches] == [10.0]
    assert [bar.get_width() for bar in figure.axes[1].patches] == [15.5]
    assert [text.get_text() for text in figure.axes[0].texts] == ["mean", "10.0", "\N{EN DASH}"]


def test_figures_lack_what_runs_without_epochs_do_not_have():
    variants = {"sgd": [run("sgd", 2.5)], "ridge": [run("ridge", 2.6, epochs=0)]}
    learning = curves.learning(variants, colours(list(variants)))
    assert learning is not None
    assert [text.get_text() for text in learning.legends[0].get_texts()] == ["sgd"]
    both = distributions.runtime(variants, colours(list(variants)))
    assert [text.get_text() for text in both.axes[1].texts] == ["mean", "30.0", "\N{EN DASH}"]
    alone = {"ridge": variants["ridge"]}
    assert curves.learning(alone, colours(["ridge"])) is None
    assert curves.range_tests(alone, colours(["ridge"])) is None
    (axes,) = distributions.runtime(alone, colours(["ridge"])).axes
    assert axes.get_xlabel() == "seconds of a run"


def test_bars_of_an_age_add_up_to_its_faces_and_what_is_not_known_is_not_drawn():
    figure = data.faces_by_source(ROW_COUNTS)
    assert figure is not None
    album, web = figure.axes[0].containers
    assert [bar.get_height() for bar in album] == [6 * (age + 2) for age in range(1, 19)]
    assert [bar.get_y() for bar in web] == [bar.get_height() for bar in album]
    assert figure.axes[0].get_ylim()[1] > 12 * 20
    kinds = data.training_rows(ROW_COUNTS)
    assert kinds is not None
    assert [text.get_text() for text in kinds.legends[0].get_texts()] == [
        "photographed (1,242)",
        "augmented (1,242)",
        "repeated (1,242)",
    ]
    by_gender = data.faces_by_gender(ROW_COUNTS)
    assert by_gender is not None
    assert [text.get_text() for text in by_gender.legends[0].get_texts()] == [
        "female (828)",
        "male (828)",
        "unknown (828)",
    ]

    unknown = [row | {"gender": "", "source": "album"} for row in ROW_COUNTS]
    assert data.faces_by_gender(unknown) is None
    figure = data.faces_by_source(unknown)
    assert figure is not None
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["album (2,484)"]
    for draw in (data.faces_by_source, data.faces_by_gender, data.training_rows):
        assert draw([]) is None


def test_the_network_is_drawn_from_its_layers_and_the_sum_of_its_parameters():
    figure = network.network(MLP, 427_009)
    assert figure is not None
    shown = texts(figure)
    assert [text for text in shown if text in {"512", "256", "128", "1"}] == ["512", "512", "256", "128", "1"]
    assert {"262,656", "131,328", "32,896", "129", "427,009 parameters"} <= set(shown)
    linear = network.network(MLP | {"hidden": []}, 129)
    assert linear is not None
    assert "128" in texts(linear)
    assert network.network({"_target_": "mine.Network"}, 100) is None
    assert network.network({}, None) is None


def test_two_names_of_middling_length_stand_apart():
    names = ("adam head=scalar", "adam head=gaussian")
    figure = distributions.maes(sweep(names), colours(names))
    FigureCanvasAgg(figure).draw()
    drawn = [text for text in figure.findobj(Text) if text.get_text() in names and text.get_visible()]
    assert {text.get_text() for text in drawn} == set(names)
    for one, other in combinations([text.get_window_extent() for text in drawn], 2):
        assert not one.overlaps(other)
