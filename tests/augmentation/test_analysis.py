"""The analysis measures what it says, of as many faces as possible, and sums it up as NumPy does."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from vec2uage.augmentation import ops
from vec2uage.augmentation.analysis import OperationDraws, alone, analyse, kept_ops, spread_draws, summarise
from vec2uage.augmentation.drawing import AugmentedFace
from vec2uage.augmentation.image_augmentation import ImageAugmentation
from vec2uage.augmentation.keep_rule import KeepRule
from vec2uage.augmentation.source_faces import SourceFace
from vec2uage.faces.records import Face

NAN = float("nan")
FLIP = ops.Flip(direction="horizontal", probability=0.1)
KEEP = KeepRule(rule="above", threshold=0.6, band=(0.2, 0.9), level="op", draws=4, retries=0)
GREY = "augmentation.op.random_colour.min_factor=0", "augmentation.op.random_colour.max_factor=0"
Family = Callable[..., dict[str, SourceFace]]


def sources_of(ages: Sequence[float]) -> list[SourceFace]:
    """Source faces that nobody looks at."""
    face, vector = Face(0, 0, 1, 1, 1.0, "hog"), np.ones(3, np.float32)
    return [SourceFace(f"{k}", age, Path("none"), f"{k}", face, vector) for k, age in enumerate(ages)]


def draws_of(name: str, ages: Sequence[float], cosines: np.ndarray) -> OperationDraws:
    recipe = alone(name, FLIP, 0)
    faces = tuple(AugmentedFace(source, recipe, 0) for source in sources_of(ages))
    return OperationDraws(name, FLIP.text(), faces, cosines)


AGES = st.one_of(st.just(NAN), st.floats(0, 5, width=32))


@given(ages=st.lists(AGES, min_size=1, max_size=25), draws=st.integers(1, 60), seed=st.integers(0, 2**40))
def test_draws_are_spread_over_as_many_faces_as_possible_and_all_ages_alike(
    ages: list[float], draws: int, seed: int
) -> None:
    sources = sources_of(ages)
    chosen = spread_draws(sources, draws, seed)
    assert len({(source.name, number) for source, number in chosen}) == len(chosen) == draws
    uses = Counter(source.name for source, _ in chosen)
    assert len(uses) == min(draws, len(sources))
    assert max(uses.values()) - min(uses.values()) <= 1
    assert [(p.name, n) for p, n in spread_draws(sources, draws, seed)] == [(p.name, n) for p, n in chosen]

    whole = {source.name: -1 if np.isnan(source.age) else int(source.age) for source in sources}
    there, taken = Counter(whole.values()), Counter(whole[name] for name in uses)
    most = max(taken.values())
    # an age with fewer faces than another one gives all that it has
    assert all(taken[age] >= most - 1 or taken[age] == count for age, count in there.items())


def test_another_seed_takes_other_faces() -> None:
    sources = sources_of([1.0] * 30)
    assert len({tuple(source.name for source, _ in spread_draws(sources, 5, seed)) for seed in range(5)}) == 5


@given(
    cosines=arrays(np.float64, st.integers(1, 30), elements=st.floats(-1, 1)),
    rule=st.sampled_from(["all", "above", "below", "band"]),
    data=st.data(),
)
def test_the_summary_is_numpys(cosines: np.ndarray, rule: str, data: st.DataObject) -> None:
    ages = data.draw(st.lists(AGES, min_size=len(cosines), max_size=len(cosines)))
    keep = KeepRule(rule=rule, threshold=0.1, band=(-0.5, 0.5), level="op", draws=1, retries=0)
    rows = summarise([draws_of("flip", ages, cosines)], keep, [(0, 1), (3, 4)])
    whole = [None if np.isnan(age) else int(age) for age in ages]
    of_band = {
        "all": cosines,
        "0-1": cosines[[age in (0, 1) for age in whole]],
        "3-4": cosines[[age in (3, 4) for age in whole]],
    }
    assert [row.ages for row in rows] == [band for band, values in of_band.items() if len(values)]
    for row in rows:
        values = of_band[row.ages]
        mean = sum(values) / len(values)
        assert (row.operation, row.options, row.n) == ("flip", "direction=horizontal", len(values))
        assert row.mean == pytest.approx(mean, abs=1e-12)
        deviation = np.sqrt(sum((values - mean) ** 2) / (len(values) - 1)) if len(values) > 1 else 0
        assert row.std == pytest.approx(deviation, abs=1e-9)
        assert (row.low, row.high) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])), abs=1e-12)
        assert row.above == pytest.approx(sum(values >= 0.1) / len(values))
        assert row.below == pytest.approx(sum(values <= 0.1) / len(values))
        assert row.band == pytest.approx(sum((values >= -0.5) & (values <= 0.5)) / len(values))
        kept = {"all": True, "above": row.mean >= 0.1, "below": row.mean <= 0.1, "band": -0.5 <= row.mean <= 0.5}
        assert row.kept == kept[rule]


def test_operations_are_kept_by_their_mean_over_all_faces() -> None:
    means = {"flip": 0.7, "rotation": 0.5, "all in order": 0.9}
    draws = [draws_of(name, [1.0, 2.0], np.array([mean - 0.2, mean + 0.2])) for name, mean in means.items()]
    rows = summarise(draws, KEEP, [(2, 2)])
    assert {row.operation for row in rows if row.ages == "2-2" and row.kept} == {"flip", "rotation", "all in order"}
    assert kept_ops((("flip", FLIP), ("rotation", FLIP)), rows) == {"flip"}


def analysed(
    augmentation: ImageAugmentation,
    sources: Sequence[SourceFace],
    draws: int,
    folder: Path,
    augmenter_in: Any,
    workers: int,
) -> list[OperationDraws]:
    with augmenter_in(folder, workers) as augmenter:
        return analyse(augmentation, sources, draws, augmenter, whole_recipe=True)


def test_cosines_are_those_of_the_faces_before_and_after(
    tmp_path: Path, family: Family, augmenter_in: Any, composed: Callable[..., ImageAugmentation]
) -> None:
    # mean colours: a mirrored or brighter face has the same direction, a grey one that of (1, 1, 1)
    dim = "augmentation.op.brightness.min_factor=0.5", "augmentation.op.brightness.max_factor=0.5"
    augmentation = composed("table1", *GREY, *dim)
    sources = list(family(tmp_path, [1.0, 2.0, 2.5, NAN]).values())
    found = analysed(augmentation, sources, 6, tmp_path, augmenter_in, 1)
    assert [each.operation for each in found] == [*(name for name, _ in augmentation.op), "one of them"]
    by_name = {each.operation: each for each in found}
    colours = {p.name: np.asarray(Image.open(p.path), float).mean(axis=(0, 1)) for p in sources}
    for each in found:
        assert len(each.cosines) == 6
        assert Counter(face.source.name for face in each.faces).most_common()[0][1] == 2
    np.testing.assert_allclose(by_name["flip"].cosines, 1, atol=1e-9)
    np.testing.assert_allclose(by_name["brightness"].cosines, 1, atol=1e-3)
    grey = [colours[face.source.name] for face in by_name["random_colour"].faces]
    expected = [colour.sum() / np.sqrt(3 * (colour**2).sum()) for colour in grey]
    assert max(expected) < 0.95
    np.testing.assert_allclose(by_name["random_colour"].cosines, expected, atol=1e-6)
    assert by_name["random_colour"].options == "min_factor=0 max_factor=0"


def test_the_number_of_processes_changes_no_bit(
    tmp_path: Path, family: Family, augmenter_in: Any, composed: Callable[..., ImageAugmentation]
) -> None:
    sources = list(family(tmp_path, [1.0, 2.0, 3.0]).values())
    one, two = (
        analysed(composed("published"), sources, 7, tmp_path / f"{workers}", augmenter_in, workers)
        for workers in (1, 2)
    )
    for before, after in zip(one, two, strict=True):
        assert before.cosines.tobytes() == after.cosines.tobytes()
        assert [(face.source.name, face.number) for face in before.faces] == [
            (face.source.name, face.number) for face in after.faces
        ]
