"""What a case comes to in numbers and in words."""

from dataclasses import replace

import pytest
from made_case import FOUND, face, file, results

from vec2uage.case.summary import Spread, summarise


def test_counts_add_up_to_the_number_of_inputs() -> None:
    case = results(
        file("a.jpg", face(1, 9.5), face(2, 30.2, p_minor=0.01, flagged=False, doubts=("small", "blurred"))),
        file("b.jpg"),
        file("b.jpg", number=2, status="missing", hashes=None, size=None),
        file("c.jpg", face(1, 9.9, doubts=("small",), at=replace(FOUND, turn=90))),
    )
    summary = summarise(case)
    assert summary.files == sum(summary.statuses.values()) == 4
    assert summary.statuses == {"ok": 2, "no_face": 1, "missing": 1}
    assert (summary.faces, summary.reliable, summary.turned) == (3, 1, 1)
    assert list(summary.doubts.items()) == [("small", 2), ("blurred", 1)]
    assert (summary.flagged, summary.flagged_files) == (2, 2)
    assert summary.detectors == {"yunet": 3}


def test_histograms_hold_every_face() -> None:
    chances = (0.0, 0.04, 0.05, 0.999, 1.0)
    summary = summarise(results(file("a", *(face(n, age=9.1 + n / 10, p_minor=p) for n, p in enumerate(chances, 1)))))
    assert summary.p_minor is not None
    assert [(step, count) for step, count in enumerate(summary.p_minor) if count] == [(0, 2), (1, 1), (19, 2)]
    assert summary.p_flagged == summary.p_minor, "all are flagged"
    assert summary.minors == pytest.approx(2.089)
    [years] = summary.ages
    assert (years.age, years.faces) == (9, 5)
    assert (years.low, years.high) == pytest.approx((7.4, 11.4))
    below_zero = summarise(results(file("b", face(1, age=-0.2))))
    assert [years.age for years in below_zero.ages] == [-1]


def test_measures_are_spread_over_the_faces_that_have_them() -> None:
    faces = [face(n, measures={"size": float(n), "yaw": float("nan")}) for n in range(101)]
    assert summarise(results(file("a", *faces))).measures == {"size": Spread(101, 1.0, 50.0, 99.0)}


def test_points_have_no_chances_and_an_empty_case_has_nothing() -> None:
    some = summarise(results(file("a", face(1, p_minor=0.01), face(2, p_minor=0.02, flagged=False))))
    assert some.p_flagged is not None
    assert (some.p_flagged[0], sum(some.p_flagged)) == (1, 1), "whatever the P(age < 18) that is told"
    unflagged = summarise(results(file("a", face(flagged=None))))
    assert unflagged.p_minor is not None
    assert unflagged.p_flagged is None
    points = summarise(results(file("a", face(p_minor=None, flagged=None))))
    assert points.p_minor is points.minors is points.flagged is points.flagged_files is None
    nothing = summarise(results(file("a"), file("b", status="unreadable")))
    assert (nothing.faces, nothing.ages, nothing.p_minor, nothing.flagged) == (0, (), None, None)
    assert "2 files: 1 no_face, 1 unreadable" in nothing.text()


def test_the_text_tells_of_files_faces_flags_and_doubts() -> None:
    text = summarise(results(file("a", face(1, 9.5, doubts=("small",)), face(2, 30.2)), file("b"))).text()
    assert "2 files: 1 ok, 1 no_face" in text
    assert "2 faces" in text
    assert "9 to 30 years" in text
    assert "1 estimate (1 small" in text
