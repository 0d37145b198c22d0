"""Every age is filled exactly, by the right source faces in turn, to the same bits however the work was done."""

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

from vec2uage.augmentation.augmented_set import folder_of
from vec2uage.augmentation.generate import Generated, TrainingPart, generate
from vec2uage.augmentation.image_augmentation import ImageAugmentation
from vec2uage.augmentation.source_faces import SourceFace
from vec2uage.augmentation.write_set import write_set
from vec2uage.base.errors import UserError
from vec2uage.base.interrupt import Interrupted

AGES = [1.0, 1.9, 1.0, 2.0, 2.5, 3.0, *[4.0] * 9]
GREYER = "augmentation.op.random_colour.min_factor=0", "augmentation.op.random_colour.max_factor=1.2"
BY_SAMPLE = "augmentation.keep.level=sample", "augmentation.keep.rule=above"


class Setting:
    """Faces in a folder, and an augmenter to fill their ages."""

    def __init__(self, folder: Path, sources: dict[str, SourceFace], rows_of: Any, augmenter_in: Any) -> None:
        self.folder, self.sources, self.augmenter_in = folder, sources, augmenter_in
        self.rows = rows_of(list(sources.values()))

    def fill(
        self,
        augmentation: ImageAugmentation,
        store: str = "store",
        workers: int = 1,
        stop: Event | None = None,
        after: int | None = None,
    ) -> Generated:
        """Generate, and write where pictures are wanted; set `stop` after `after` vectors were made."""
        part = TrainingPart(self.folder / store, self.rows, self.sources)
        stop = stop or Event()
        with self.augmenter_in(part.prepared, workers, stop) as augmenter:
            put, made = augmenter.store.put_vector, []

            def put_and_stop(*values: Any) -> None:
                put(*values)
                made.append(values)
                if len(made) == after:
                    stop.set()

            augmenter.store.put_vector = put_and_stop
            generated = generate(augmentation, part, augmenter)
            if augmentation.images == "jpeg":
                write_set(generated, augmentation, part, augmenter)
            return generated


@pytest.fixture
def setting(tmp_path: Path, family: Callable[..., dict[str, SourceFace]], rows_of: Any, augmenter_in: Any) -> Setting:
    return Setting(tmp_path, family(tmp_path / "photos", AGES), rows_of, augmenter_in)


def told(generated: Generated) -> list[object]:
    faces = [(face.source.name, face.number) for face in generated.faces]
    return [faces, generated.cosines.tobytes(), generated.dropped, generated.short, generated.recipe.fingerprint]


def ages_of(generated: Generated) -> dict[int, int]:
    return dict(Counter(int(face.source.age) for face in generated.faces))


def test_how_many_faces_will_be_made_is_told_before_the_first(
    setting: Setting, composed: Callable[..., ImageAugmentation], caplog: pytest.LogCaptureFixture
) -> None:
    stop = Event()
    stop.set()
    with caplog.at_level("INFO"), pytest.raises(Interrupted):
        setting.fill(composed("published", "augmentation.train_per_age=20", *GREYER), stop=stop)
    told = caplog.text
    assert "65 faces to make from 15 faces of photographs: 11 to 19 of each of 4 ages, 1 to 4" in told
    assert str(setting.folder / "store" / "augmented") in told
    assert "65 faces to draw, which takes about" in told
    caplog.clear()
    with caplog.at_level("INFO"):
        setting.fill(composed("published", "augmentation.train_per_age=1", *GREYER))
    assert "no face to make" in caplog.text


def test_every_age_is_filled_exactly_and_source_faces_take_turns(
    setting: Setting, composed: Callable[..., ImageAugmentation]
) -> None:
    stranger = replace(setting.sources["0.png"], name="stranger")
    setting.sources["stranger"] = stranger
    generated = setting.fill(composed("published", "augmentation.train_per_age=8"))
    assert ages_of(generated) == {1: 5, 2: 6, 3: 7}  # age 4 has nine photographs
    assert (generated.dropped, generated.short) == ({}, {})
    uses = Counter(face.source.name for face in generated.faces)
    assert uses.keys() == {f"{k}.png" for k in range(6)}
    for age in (1, 2, 3):
        counts = [n for name, n in uses.items() if int(setting.sources[name].age) == age]
        assert max(counts) - min(counts) <= 1
    assert len({(face.source.name, face.number) for face in generated.faces}) == 18


def test_a_rule_that_nothing_passes_leaves_all_missing(
    setting: Setting, composed: Callable[..., ImageAugmentation]
) -> None:
    never = composed(
        "published", "augmentation.train_per_age=4", *BY_SAMPLE, "augmentation.keep.rule=below",
        "augmentation.keep.threshold=-1", "augmentation.keep.retries=1",
    )  # fmt: skip
    generated = setting.fill(never)
    assert generated.faces == []
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
    kept = {(face.source.name, face.number) for face in half.faces}
    for face, cosine in zip(every.faces, every.cosines, strict=True):
        assert ((face.source.name, face.number) in kept) == (cosine >= threshold)


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
    with setting.augmenter_in(setting.folder / "cut") as augmenter:
        found = [augmenter.stored(face) is not None for face in one.faces]
    assert 3 <= sum(found) < len(found)
    assert told(setting.fill(augmentation, "cut")) == told(one)


def test_pictures_are_kept_of_kept_faces_only(setting: Setting, composed: Callable[..., ImageAugmentation]) -> None:
    options = "augmentation.train_per_age=6", *GREYER, "augmentation.keep.retries=30", *BY_SAMPLE
    augmentation = composed("published", *options, "augmentation.keep.threshold=0.95", "augmentation.images=jpeg")
    generated = setting.fill(augmentation)
    assert sum(generated.dropped.values()) > 0
    pictures = list((folder_of(setting.folder / "store", "published") / "images").rglob("*.jpg"))
    assert Counter(path.parent.name for path in pictures) == {"01": 3, "02": 4, "03": 5}
    assert len(pictures) == len(generated.faces)
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
    first = setting.sources["5.png"]
    first.path.write_bytes(setting.sources["4.png"].path.read_bytes())
    with pytest.raises(UserError, match=r"5\.png: changed since"):
        setting.fill(augmentation)
    del setting.sources["5.png"]
    with pytest.raises(UserError, match="age 3: none of its 1 training faces has a photograph to augment"):
        setting.fill(augmentation)
