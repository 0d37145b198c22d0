"""The counts of a split's rows count every row once, and knows a photographed face from a repeat."""

import numpy as np

from vec2uage.data.balance import Balance
from vec2uage.data.row_counts import RowCount, row_counts
from vec2uage.data.vectorset import make_vector_set


def test_every_row_is_counted_by_what_it_is():
    generator = np.random.default_rng(0)
    vs = make_vector_set(
        generator.normal(size=(5, 8)).astype(np.float32),
        [3.0, 3.9, 4.0, 4.5, 4.0],
        names=["a", "b", "c", "c#2", "e"],
        source="album",
        gender=["male", "male", "female", "", "female"],
        parents=["", "", "", "", "c"],
    )
    parts = {"train": vs, "validation": vs.take(np.array([0])), "test": vs.take(np.array([1, 2]))}
    counts = row_counts(parts)
    assert RowCount("train", "photographed", "album", "male", 3, 2) in counts
    assert RowCount("train", "photographed", "album", "", 4, 1) in counts, "a photograph's second face is no repeat"
    assert RowCount("train", "augmented", "album", "female", 4, 1) in counts
    assert [c for c in counts if c.part == "test"] == [
        RowCount("test", "photographed", "album", "female", 4, 1),
        RowCount("test", "photographed", "album", "male", 3, 1),
    ]
    assert sum(count.faces for count in counts) == 5 + 1 + 2

    balanced = row_counts({"train": Balance(train_per_age=6).apply(vs)})
    by_kind = {
        (kind, age): sum(c.faces for c in balanced if (c.part, c.kind, c.age) == ("train", kind, age))
        for kind in ("photographed", "augmented", "repeated")
        for age in (3, 4)
    }
    assert by_kind == {
        ("photographed", 3): 2,
        ("augmented", 3): 0,
        ("repeated", 3): 4,
        ("photographed", 4): 2,
        ("augmented", 4): 1,
        ("repeated", 4): 3,
    }
