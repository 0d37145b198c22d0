"""Which encoders can be tuned, which blocks learn, and where the crops of faces are."""

import csv
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from vec2uage.base.errors import UserError
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.config.validate import check_settings
from vec2uage.data.drawn import Drawn
from vec2uage.faces.embedders.facenet import FaceNet
from vec2uage.tuning.crop_check import apart
from vec2uage.tuning.crops import find_crops, original
from vec2uage.tuning.end_to_end import EndToEnd

NAME = "facenet-20180408-102900-704afe26/resize/fixed/raw"


def options(**changes: Any) -> EndToEnd:
    """The options of conf/model/end_to_end.yaml, with changes; UserError where they are wrong."""
    found = (
        yaml.safe_load(Path(conf_dir(), "model", "end_to_end.yaml").read_text()) | {"start": "runs/frozen"} | changes
    )
    problems: list[str] = []
    made: EndToEnd = check_settings(EndToEnd, found, "model", problems)
    if problems:
        raise UserError(problems[0])
    return made


def face_net() -> FaceNet:
    return options().face_net(NAME)


def test_all_blocks_from_the_first_trainable_one_on_learn() -> None:
    assert options(trainable="repeat_3").learning("last_linear") == ("repeat_3", "block8", "last_linear")
    assert options(trainable="repeat_3").frozen("last_linear") == (
        "stem",
        "repeat_1",
        "mixed_6a",
        "repeat_2",
        "mixed_7a",
    )
    assert options(trainable="all").frozen("last_linear") == ()
    with pytest.raises(UserError, match="block9"):
        options(trainable="block9")


def test_what_learns_ends_at_the_block_that_makes_the_vectors() -> None:
    assert options().learning("last_linear") == ("last_linear",)
    assert options().learning("block8") == ("block8",)
    assert options(trainable="repeat_3").learning("block8") == ("repeat_3", "block8")
    assert options(trainable="repeat_3").frozen("block8") == ("stem", "repeat_1", "mixed_6a", "repeat_2", "mixed_7a")
    assert options(trainable="all").learning("stem") == options().learning("stem") == ("stem",)
    made = options(trainable="repeat_3").face_net(f"{NAME}/block8/detector:none")
    assert (made.layer, made.dimension) == ("block8", 1792)
    with pytest.raises(UserError, match=r"trainable = last_linear: .* last, block8, repeat_3"):
        options(trainable="last_linear").face_net(f"{NAME}/block8")
    with pytest.raises(UserError, match=r"last, all$"):
        options(trainable="repeat_1").face_net(f"{NAME}/stem")


def test_crops_are_taken_as_the_vectors_encoder_took_them() -> None:
    made = options(precision="bf16").face_net(f"{NAME}/crop.size:224/detector:none")
    assert (made.adapter, made.normalize, made.output, made.precision) == ("resize", "fixed", "raw", "bf16")


@pytest.mark.parametrize(
    ("encoder", "words"),
    [
        ("unknown", r"dataset\.encoder"),
        ("dlib-resnet-v1-8a3d3b2f/landmarks", "only FaceNet"),
        (f"{NAME}/block9", "layer: .*'block8'"),
        ("facenet-tuned-039ea46d/resize/fixed/raw", "not tuned before"),
        ("facenet-20180408-102900-704afe26/resize", r"does not say its embedder\.normalize"),
    ],
)
def test_other_encoders_are_refused(encoder: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        options().face_net(encoder)


def test_weights_that_are_not_there_are_told_by_the_option_that_names_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.path = .*none\.pt"):
        options(weights="file", path=str(tmp_path / "none.pt")).face_net(NAME)
    with pytest.raises(UserError, match=r"model\.weights: weights=file needs path"):
        options(weights="file").face_net(NAME)


@pytest.mark.parametrize("alike", [0.0, 1.0, 10.0])
def test_vectors_of_other_faces_are_told_however_alike_all_are(alike: float) -> None:
    drawn = np.random.default_rng(0).standard_normal((2, 32, 256)).astype(np.float32)
    made = drawn[0] + np.float32(alike) * 16
    assert apart(made, made + 0.02 * drawn[1]).max() < 0.03
    assert apart(made, np.roll(made, 1, axis=0)).min() > 1
    assert np.isnan(apart(made, made * np.float32(np.nan))).all()


def test_a_prepared_set_has_crops_by_the_photographs_they_were_cut_from(tmp_path: Path) -> None:
    (tmp_path / "crops").mkdir()
    with (tmp_path / "faces.csv").open("w", newline="") as file:
        rows = [
            ["name", "status", "sha256"],
            ["a/1.jpg", "ok", "aa"],
            ["2.jpg", "ok", "bb"],
            ["3.jpg", "no_face", "cc"],
        ]
        csv.writer(file).writerows(rows)
    for name in ("aa_11111111", "bb_11111111"):
        Image.new("RGB", (8, 8), (10, 20, 30)).save(tmp_path / "crops" / f"{name}.png")
    crops = find_crops(tmp_path, ["2.jpg", "a/1.jpg"], NAME, face_net())
    assert [file.name for file in crops.files] == ["bb_11111111.png", "aa_11111111.png"]
    assert crops.prepared(0).shape == (3, 160, 160)
    with pytest.raises(UserError, match="keep_crops"):
        find_crops(tmp_path, ["3.jpg"], NAME, face_net())
    (tmp_path / "crops" / "bb_22222222.png").touch()
    with pytest.raises(UserError, match="2 crops"):
        find_crops(tmp_path, ["2.jpg"], NAME, face_net())
    (tmp_path / "faces.csv").write_text("file,age\n2.jpg,2\n")
    with pytest.raises(UserError, match=r"faces\.csv"):
        find_crops(tmp_path, ["2.jpg"], NAME, face_net())


def test_pictures_are_crops_only_where_no_detector_has_cut_them(tmp_path: Path) -> None:
    Image.new("RGB", (300, 200)).save(tmp_path / "1.jpg")
    whole = find_crops(tmp_path, ["1.jpg"], f"{NAME}/crop.margin:0.0/crop.size:224/detector:none", face_net())
    assert (whole.files, whole.side) == ((tmp_path / "1.jpg",), 224)
    assert find_crops(tmp_path, ["1.jpg"], NAME, face_net()).side is None
    with pytest.raises(UserError, match="detector=dlib"):
        find_crops(tmp_path, ["1.jpg"], f"{NAME}/detector:dlib", face_net())
    (tmp_path / "1.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"1\.jpg: this crop cannot be used \(no image"):
        find_crops(tmp_path, ["1.jpg"], NAME, face_net()).prepared(0)


def test_a_repeated_row_has_the_crop_of_its_original() -> None:
    assert [original(name) for name in ("1.jpg#repeat12", "1.jpg", "1#repeat", "#repeatx")] == [
        "1.jpg",
        "1.jpg",
        "1#repeat",
        "#repeatx",
    ]


def test_a_drawn_face_has_the_crop_of_its_parent_and_is_told_from_it(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (10, 20, 30)).save(tmp_path / "1.png")
    drawn = {f"1.png~mine-{n}": Drawn("1.png", f"recipe/{n}", partial(np.add, np.uint8(100 * n))) for n in (1, 2)}
    crops = find_crops(tmp_path, ["1.png", *drawn], NAME, face_net(), drawn)
    assert crops.files == (tmp_path / "1.png",) * 3
    means = [crops.prepared(position).mean(axis=(1, 2)) for position in range(3)]
    levels = np.stack(means) * 128 + 127.5
    assert levels == pytest.approx(np.add.outer([0, 100, 200], [10, 20, 30]), abs=1)
    assert len(set(crops.contents())) == 3
    again = find_crops(tmp_path, ["1.png", *drawn], NAME, face_net(), drawn)
    assert again.contents() == crops.contents()
    with pytest.raises(UserError, match=r"such as 2\.png.*dataset=prepared"):
        find_crops(tmp_path, ["x"], NAME, face_net(), {"x": Drawn("2.png", "", np.asarray)})
