"""The figure shows what was measured, with units."""

import io

import numpy as np
import pytest

from vec2uage.evaluation.plots import plot
from vec2uage.evaluation.scores import score
from vec2uage.predictions.point import Point


@pytest.mark.parametrize("whole", [True, False])
def test_the_figure_shows_the_scores_of_every_age(whole: bool) -> None:
    generator = np.random.default_rng(0)
    ages = generator.uniform(1, 19, 300).astype(np.float32)
    ages = np.floor(ages) if whole else ages
    ages = ages[np.floor(ages) != 12]  # a gap
    predictions = ages + generator.normal(0, 2, len(ages)).astype(np.float32)
    scores = score(ages, Point(predictions), [1.0])
    figure = plot(ages, Point(predictions), scores)
    above, below = figure.axes
    assert "years" in above.get_ylabel()
    assert "years" in below.get_ylabel()
    assert below.get_xlabel() == "true age (years)"
    assert f"MAE {scores.overall['mae']:.2f}" in above.get_title()
    assert [bar.get_height() for bar in below.patches] == [a.mae for a in scores.per_age]
    middles = [bar.get_x() + bar.get_width() / 2 for bar in below.patches]
    assert middles == pytest.approx([a.age + (0 if whole else 0.5) for a in scores.per_age])
    first, last = above.get_xlim()
    assert first <= ages.min()
    assert last >= ages.max()


def test_ages_of_few_faces_are_grey() -> None:
    ages = np.array([4.0] * 19 + [5.0] * 20)
    prediction = Point(ages + 1)
    _, below = plot(ages, prediction, score(ages, prediction, [1.0])).axes
    of_few, of_enough = (bar.get_facecolor()[:3] for bar in below.patches)
    assert len(set(of_few)) == 1, "grey: as much of red, green and blue"
    assert len(set(of_enough)) > 1
    assert any("20" in text.get_text() for text in below.get_legend().get_texts())


def test_the_same_faces_give_the_same_picture_and_one_face_is_enough() -> None:
    def drawn() -> bytes:
        ages, prediction = np.array([4.0]), Point(np.array([6.0]))
        stream = io.BytesIO()
        plot(ages, prediction, score(ages, prediction, [1.0])).savefig(stream, format="png")
        return stream.getvalue()

    assert drawn()[:8] == b"\x89PNG\r\n\x1a\n"
    assert drawn() == drawn()
