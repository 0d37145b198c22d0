"""How often ages are taken for the other side of a threshold."""

import numpy as np
import pytest

from vec2uage.predictions.operating import numbered, operating_table


def table(ages: list[float], predicted: list[float], persons: list[int] | None = None) -> object:
    everyone = np.arange(len(ages))
    return operating_table(
        np.array(ages),
        np.array(predicted),
        everyone,
        everyone if persons is None else np.array(persons),
        np.random.default_rng(0),
        500,
    )


def test_minors_count_as_taken_for_older_and_adults_for_younger() -> None:
    found = table([17, 17, 17, 17, 20, 20], [17.4, 17.6, 19.0, 20.0, 17.0, 22.0])
    minors, adults = (next(row for row in found.rows if row.ages == age) for age in ("17", "20"))
    assert found.thresholds == (18, 19, 20)
    assert minors.is_minor
    assert [rate.estimate for rate in minors.rates] == [0.75, 0.5, 0.25]  # the lines are 17.5, 18.5, 19.5
    assert not adults.is_minor
    assert [rate.estimate for rate in adults.rates] == [0.5, 0.5, 0.5]


def test_ages_with_fractions_have_their_line_at_the_whole_year() -> None:
    found = table([17.2, 17.9, 18.0], [17.9, 18.1, 17.9])
    by_age = {row.ages: row.rates[0].estimate for row in found.rows}
    assert by_age == {"17": 0.5, "18": 1.0}


def test_bands_hold_the_faces_of_their_ages() -> None:
    found = table([8, 10, 12, 13, 16, 17], [20, 3, 3, 20, 20, 3])
    bands = {row.ages: (row.faces, row.rates[0].estimate) for row in found.rows if "-" in row.ages}
    assert bands == {"8-12": (3, pytest.approx(1 / 3)), "13-16": (2, 1.0)}


def test_a_rate_of_zero_is_not_called_certain() -> None:
    (row,) = table([10.0] * 30, [9.0] * 30).rows[:1]
    assert row.rates[0].estimate == row.rates[0].low == 0
    assert row.rates[0].high == pytest.approx(1 - 0.025 ** (1 / 30))  # the exact bound of 0 of 30


def test_faces_of_one_person_are_no_more_evidence_than_the_person() -> None:
    ages, predicted = [17.0] * 40, [16.0, 20.0] * 20
    apart, together = (
        next(row for row in table(ages, predicted, persons).rows if row.ages == "17").rates[0]
        for persons in (None, [face % 4 for face in range(40)])
    )
    assert apart.estimate == together.estimate == 0.5
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_a_face_without_a_subject_is_a_person_of_its_own() -> None:
    numbers = numbered(np.array(["a", "", "b", "", "a"], dtype=object))
    assert len(set(numbers.tolist())) == 4
    assert numbers[0] == numbers[4]
