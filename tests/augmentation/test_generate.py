"""Every age is filled exactly, by the right parents in turn, to the same bits however the work was done."""

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vec2uage.augmentation.augmented_set import write_generated
from vec2uage.augmentation.augmenter import Parent, Pictures
from vec2uage.augmentation.generate import Generated, generate
from vec2uage.augmentation.settings import ImageAugmentation
from vec2uage.base.errors import UserError
from vec2uage.faces.pool import Interrupted

AGES = [1.0, 1.9, 1.0, 2.0, 2.5, 3.0, *[4.0] * 9]
GREYER = "augmentation.op.random_colour.min_factor=0", "augmentation.op.random_colour.max_factor=1.2"
BY_SAMPLE = "augmentation.keep.level=sample", "augmentation.keep.rule=above"


class Setting:
    """Faces in a folder, and a studio to fill their ages in."""

    def __init__(self, folder: Path, parents: dict[str, Parent], rows_of: Any, studio_in: Any) -> None:
        self.folder, self.parents, self.studio_in = folder, parents, studio_in
        self.train = rows_of(list(parents.values()))

    def fill(
        self,
        augmentation: ImageAugmentation,
        store: str = "store",
        workers: int = 1,
        stop: Event | None = None,
        after: int | None = None,
        images: bool = False,
    ) -> Generated:
        """Generate; set `stop` after `after` vectors were made."""
        output = self.folder / store / "augmented"
        output.mkdir(parents=True, exist_ok=True)
        pictures = Pictures(output / "images", 90) if images else None
        stop = stop or Event()
        with self.studio_in(self.folder / store, workers, stop) as studio:
            put, made = studio.store.put_vector, []

            def put_and_stop(*values: Any) -> None:
                put(*values)
                made.append(values)
                if len(made) == after:
                    stop.set()

            studio.store.put_vector = put_and_stop
            generated = generate(augmentation, self.train, self.parents, studio, output, pictures)
            if images:
                write_generated(generated, augmentation, self.train, studio, output, self.folder, pictures)
            return generated


@pytest.fixture
def setting(tmp_path: Path, family: Callable[..., dict[str, Parent]], rows_of: Any, studio_in: Any) -> Setting:
    return Setting(tmp_path, family(tmp_path / "photos", AGES), rows_of, studio_in)


def told(generated: Generated) -> list[object]:
    children = [(child.parent.name, child.number) for child in generated.children]
    return [children, generated.cosines.tobytes(), generated.dropped, generated.short, generated.recipe.fingerprint]


def ages_of(generated: Generated) -> dict[int, int]:
    return dict(Counter(int(child.parent.age) for child in generated.children))


def test_every_age_is_filled_exactly_and_parents_take_turns(
    setting: Setting, composed: Callable[..., ImageAugmentation]
) -> None:
    stranger = replace(setting.parents["0.png"], name="stranger")
    setting.parents["stranger"] = stranger
    generated = setting.fill(composed("published", "augmentation.train_per_age=8"))
    assert ages_of(generated) == {1: 5, 2: 6, 3: 7}  # age 4 has nine photographs
    assert (generated.dropped, generated.short) == ({}, {})
    uses = Counter(child.parent.name for child in generated.children)
    assert uses.keys() == {f"{k}.png" for k in range(6)}
    for age in (1, 2, 3):
        counts = [n for name, n in uses.items() if int(setting.parents[name].age) == age]
        assert max(counts) - min(counts) <= 1
    assert len({(child.parent.name, child.number) for child in generated.children}) == 18


def test_a_rule_that_nothing_passes_leaves_all_missing(
    setting: Setting, composed: Callable[..., ImageAugmentation]
) -> None:
    never = composed(
        "published", "augmentation.train_per_age=4", *BY_SAMPLE, "augmentation.keep.rule=below",
        "augmentation.keep.threshold=-1", "augmentation.keep.retries=1",
    )  # fmt: skip
    generated = setting.fill(never)
    assert generated.children == []
    assert generated.short == {1: 1, 2: 2, 3: 3}
    assert generated.dropped == {1: 2, 2: 4, 3: 6}


def test_what_the_rule_drops_is_drawn_anew_until_the_age_is_full(
    setting: Setting, composed: Callable[..., ImageAugmentation]
) -> None:
    options = "augmentation.train_per_age=8", *GREYER, "augmentation.keep.retries=40"
    every = setting.fill(composed("published", *options), "all")
    threshold = float(np.median(every.cosines))
    half = setting.fill(composed("published", *options, *BY_SAMPLE, f"augmentation.keep.threshold={threshold}"))
    assert (ages_of(half), half.short) == ({1: 5, 2: 6, 3: 7}, {})
    assert half.cosines.min() >= threshold
    assert sum(half.dropped.values()) >= 3
    kept = {(c.parent.name, c.number) for c in half.children}
    for child, cosine in zip(every.children, every.cosines, strict=True):
        assert ((child.parent.name, child.number) in kept) == (cosine >= threshold)


def test_operations_are_dropped_as_a_whole_by_their_mean(
    setting: Setting, composed: Callable[..., ImageAugmentation]
) -> None:
    options = [
        "augmentation.train_per_age=4", "augmentation.keep.draws=6", "augmentation.keep.rule=above",
        "augmentation.op.random_colour.min_factor=0", "augmentation.op.random_colour.max_factor=0",
    ]  # fmt: skip
    generated = setting.fill(composed("table1", *options, "augmentation.keep.threshold=0.95"))
    kept = dict(generated.recipe.ops)
    means = {row.operation: row.mean for row in generated.analysis if row.operation in dict(composed("table1").op)}
    assert len(means) == 8
    assert kept.keys() == {name for name, mean in means.items() if mean >= 0.95}
    assert "flip" in kept
    assert "random_colour" not in kept
    assert ages_of(generated) == {1: 1, 2: 2, 3: 3}
    below = "augmentation.keep.rule=below", "augmentation.keep.threshold=-0.5"
    with pytest.raises(UserError, match=r"augmentation\.keep drops every operation \(cosine <= -0.5; .*flip 1.000"):
        setting.fill(composed("table1", *options, *below))


def test_dropping_all_that_ever_happens_is_the_users_error(
    setting: Setting, composed: Callable[..., ImageAugmentation]
) -> None:
    # the flip passes the rule but never happens, and every other operation is gone
    off = [f"augmentation.op.{name}.probability=0" for name, _ in composed("table1").op if name != "random_colour"]
    options = *GREYER[:1], "augmentation.op.random_colour.max_factor=0", *off
    rule = "augmentation.keep.rule=above", "augmentation.keep.threshold=0.99", "augmentation.keep.draws=3"
    with pytest.raises(UserError, match="drops every operation"):
        setting.fill(composed("table1", "augmentation.train_per_age=4", *options, *rule))


def test_processes_and_interruptions_change_no_bit(
    setting: Setting, composed: Callable[..., ImageAugmentation]
) -> None:
    augmentation = composed("published", "augmentation.train_per_age=9")
    one = setting.fill(augmentation, "one", workers=1)
    assert told(setting.fill(augmentation, "two", workers=2)) == told(one)
    with pytest.raises(Interrupted):
        setting.fill(augmentation, "cut", after=3)
    with setting.studio_in(setting.folder / "cut") as studio:
        found = [studio.vector(child) is not None for child in one.children]
    assert 3 <= sum(found) < len(found)
    assert told(setting.fill(augmentation, "cut")) == told(one)


def test_pictures_are_kept_of_kept_children_only(setting: Setting, composed: Callable[..., ImageAugmentation]) -> None:
    options = "augmentation.train_per_age=6", *GREYER, "augmentation.keep.retries=30", *BY_SAMPLE
    generated = setting.fill(composed("published", *options, "augmentation.keep.threshold=0.95"), images=True)
    assert sum(generated.dropped.values()) > 0
    pictures = list((setting.folder / "store" / "augmented" / "images").rglob("*.jpg"))
    assert Counter(path.parent.name for path in pictures) == {"01": 3, "02": 4, "03": 5}
    assert len(pictures) == len(generated.children)
    for path in pictures:
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("JPEG", (40, 40))


def test_a_disk_that_is_too_small_is_noticed_before_any_face_is_made(
    setting: Setting, composed: Callable[..., ImageAugmentation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10_000, used=9_000, free=1_000))
    with pytest.raises(
        UserError, match=r"6 augmented faces would take about .* MB there and 0.0 MB are free: make room"
    ):
        setting.fill(composed("published", "augmentation.train_per_age=4"))
    monkeypatch.undo()
    assert ages_of(setting.fill(composed("published", "augmentation.train_per_age=4"))) == {1: 1, 2: 2, 3: 3}


def test_a_changed_photograph_and_an_age_without_one_are_refused(
    setting: Setting, composed: Callable[..., ImageAugmentation]
) -> None:
    augmentation = composed("published", "augmentation.train_per_age=4")
    first = setting.parents["5.png"]
    first.path.write_bytes(setting.parents["4.png"].path.read_bytes())
    with pytest.raises(UserError, match=r"5\.png: changed since it was looked into"):
        setting.fill(augmentation)
    del setting.parents["5.png"]
    with pytest.raises(UserError, match="age 3: none of its 1 training faces has a photograph to augment"):
        setting.fill(augmentation)
