"""Detectors find faces where they are, on images of every size, and say when a model cannot be had."""

import math
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml
from drawn_face import BACKGROUND, EYES_AT, draw_face, draw_scene
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vec2uage.base.errors import UserError
from vec2uage.config.component import locate
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.faces.crop import resize
from vec2uage.faces.detectors.base import choose, with_max_side
from vec2uage.faces.detectors.yunet import without_overlaps
from vec2uage.faces.image import decode
from vec2uage.faces.records import Face

NETWORKS = ["dlib", "mtcnn", "yunet"]
SHIPPED = sorted(path.stem for path in Path(conf_dir(), "detector").glob("*.yaml"))


def detector(name, **options):
    settings = yaml.safe_load(Path(conf_dir(), f"detector/{name}.yaml").read_text())
    return locate(settings.pop("_target_"))(**settings | options)


@pytest.fixture(scope="module")
def dlib():
    return detector("dlib").open()


@pytest.fixture(scope="module")
def cnn(dlib):
    return detector("dlib", cnn_upsample=1).open()


@pytest.fixture(scope="module")
def mtcnn():
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield detector("mtcnn").open()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def yunet():
    return detector("yunet").open()


def overlap(face, left, top, right, bottom) -> float:
    """Intersection over union with a box."""
    wide = min(face.right, right) - max(face.left, left)
    high = min(face.bottom, bottom) - max(face.top, top)
    both = max(wide, 0) * max(high, 0)
    area = (face.right - face.left) * (face.bottom - face.top) + (right - left) * (bottom - top)
    return both / (area - both)


def features_of(left, top, size):
    """The square from the brows to the chin of a drawn face, which every detector's box follows roughly."""
    return left + 0.18 * size, top + 0.22 * size, left + 0.82 * size, top + 0.86 * size


@pytest.mark.parametrize("name", NETWORKS)
def test_a_face_is_found_where_it_is(name, request):
    for size, seed in [(80, 0), (80, 1), (128, 2), (200, 0), (320, 1)]:
        faces = request.getfixturevalue(name)(draw_face(size, seed))
        assert len(faces) == 1
        assert overlap(faces[0], *features_of(0, 0, size)) > 0.5
        assert faces[0].detector == "hog" if name == "dlib" else name
        assert math.isfinite(faces[0].score)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_face_of_a_scene_is_found(name, request):
    placed = [(20, 30, 200), (300, 100, 300)]
    faces = sorted(request.getfixturevalue(name)(draw_scene(480, 640, *placed)), key=lambda f: f.left)
    assert len(faces) == 2
    for face, place in zip(faces, placed, strict=True):
        assert overlap(face, *features_of(*place)) > 0.5


@pytest.mark.parametrize("name", NETWORKS)
def test_small_and_empty_images_have_no_face(name, request):
    for shape in [(1, 1), (1, 300), (19, 21), (20, 20), (300, 3), (300, 39), (41, 41)]:
        for level in (0, 128, 255):
            assert request.getfixturevalue(name)(np.full((*shape, 3), level, np.uint8)) == [], shape


@pytest.mark.parametrize("name", SHIPPED)
def test_no_image_breaks_a_detector_and_each_finds_the_same_again(name):
    detect, again = detector(name).open(), detector(name).open()
    noise = np.random.default_rng(0).integers(0, 256, (8, 90, 120, 3)).astype(np.uint8)
    scene = draw_scene(300, 500, (10, 20, 200), (260, 60, 220))
    for image in (*noise, scene, noise[0, :1, :1]):
        found = detect(image)
        assert all(face.left < face.right and face.top < face.bottom for face in found)
        assert [*map(repr, found)] == [*map(repr, again(image))]  # scores may be NaN


def test_the_cnn_finds_what_hog_does_not(dlib):
    tilted = tilt(draw_face(240), 60)  # HOG knows faces that are about upright
    alone = detector("dlib", fallback="none").open()
    assert alone(tilted) == []
    faces = dlib(tilted)
    assert [face.detector for face in faces] == ["cnn"]
    assert overlap(faces[0], *features_of(0, 0, 240)) > 0.4


def tilt(image, degrees):
    return np.asarray(Image.fromarray(image).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=BACKGROUND))


def test_doubling_the_image_for_the_cnn_finds_smaller_faces(dlib, cnn):
    small = tilt(draw_scene(100, 100, (20, 20, 60)), 60)
    assert dlib(small) == []
    assert [face.detector for face in cnn(small)] == ["cnn"]


def test_yunet_gives_points_where_they_are_in_images_of_all_sizes(yunet):
    drawn = draw_face(200)
    for size in (80, 200, 1100):
        (face,) = yunet(resize(drawn, size, size))
        x, y = EYES_AT
        for point, wanted in zip(
            (face.points.left_eye, face.points.right_eye), ((0.5 - x, 0.5 + y), (0.5 + x, 0.5 + y)), strict=True
        ):
            np.testing.assert_allclose(point, np.array(wanted) * size, atol=0.04 * size)
        assert face.points.left_mouth[1] > face.points.nose[1] > face.points.left_eye[1]


def test_yunet_finds_large_and_small_faces_of_one_scene_once_each(yunet):
    placed = [(30, 20, 650), (750, 50, 75), (800, 350, 130)]
    faces = yunet(draw_scene(700, 960, *placed))
    assert len(faces) == 3
    for place in placed:
        assert max(overlap(face, *features_of(*place)) for face in faces) > 0.5


def test_yunet_finds_nothing_in_slivers_whatever_it_searched_before(yunet):
    generator = np.random.default_rng(0)
    for count in range(30):
        shape = generator.integers(1, 33), generator.integers(100, 400)
        yunet(generator.integers(0, 256, (90, 120, 3)).astype(np.uint8))
        sliver = np.full((*shape[:: 1 - 2 * (count % 2)], 3), generator.integers(0, 256), np.uint8)
        assert yunet(sliver) == []


@given(st.lists(st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(1, 12)] * 2, st.floats(0, 1)), max_size=8))
def test_of_faces_that_overlap_the_surest_stays(boxes):
    faces = [Face(x, y, x + w, y + h, score, "yunet") for x, y, w, h, score in boxes]
    kept = without_overlaps(faces, 0.3)
    for face in faces:
        rivals = [k for k in kept if overlap(k, *edges(face)) > 0.3]
        assert rivals
        assert max(k.score for k in rivals) >= face.score
    assert all(overlap(one, *edges(other)) <= 0.3 for one in kept for other in kept if one is not other)


def edges(face):
    return face.left, face.top, face.right, face.bottom


@pytest.mark.parametrize("name", ["dlib", "mtcnn"])
def test_large_images_are_searched_smaller_and_boxes_scaled_back(name, request):
    scene = draw_scene(900, 1400, (500, 200, 600))
    free, bound = detector(name, max_side=None).open(), detector(name, max_side=350).open()
    for faces in (free(scene), bound(scene)):
        assert len(faces) == 1
        assert overlap(faces[0], *features_of(500, 200, 600)) > 0.5
    small = draw_face(200)
    assert detector(name, max_side=200).open()(small) == request.getfixturevalue(name)(small)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_the_whole_image_is_the_face_and_a_box_around_all_stays_around_all(height, width, max_side):
    (face,) = with_max_side(detector("none").open(), max_side)(np.zeros((height, width, 3), np.uint8))
    assert (face.left, face.top, face.right, face.bottom, face.detector) == (0, 0, width, height, "none")
    assert math.isnan(face.score)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_fingerprint_tells_every_setting_apart(name):
    usual = detector(name)
    other = {"upsample": 0, "max_side": 999, "fallback": "none", "cnn_upsample": 1, "cnn_max_side": None}
    other |= {"thresholds": (0.5, 0.7, 0.7), "min_face_size": 30, "factor": 0.5}
    other |= {"score_threshold": 0.7, "nms_threshold": 0.4, "max_sides": (640,)}
    changes = [{f.name: other[f.name]} for f in fields(usual) if f.name in other]
    prints = {detector(name, **change).fingerprint() for change in [{}, *changes]}
    assert len(prints) == 1 + len(changes)
    assert usual.fingerprint() == detector(name).fingerprint()
    told = {str(detector(name, **change).encoder_options()) for change in [{}, *changes]}
    assert len(told) == 1 + len(changes)
    assert usual.encoder_options()["detector"] == name
    assert all(p.startswith(name) for p in prints)


def test_the_models_file_is_part_of_the_fingerprint_not_its_place(tmp_path):
    package = find_spec("face_recognition_models").submodule_search_locations[0]
    copy = tmp_path / "copy.dat"
    copy.write_bytes(Path(package, "models/mmod_human_face_detector.dat").read_bytes())
    usual, copied = detector("dlib"), detector("dlib", weights=str(copy))
    assert usual.fingerprint() == copied.fingerprint()
    assert copied.open()(draw_face(200)) == usual.open()(draw_face(200))
    changed = tmp_path / "changed.dat"
    changed.write_bytes(copy.read_bytes() + b"x")
    assert detector("dlib", weights=str(changed)).fingerprint() != usual.fingerprint()


def test_missing_and_foreign_weights_are_the_users_to_correct(tmp_path):
    missing = detector("dlib", weights=str(tmp_path / "none.dat"))
    for use in (missing.open, missing.fingerprint):
        with pytest.raises(UserError, match=r"none\.dat.*detector\.weights"):
            use()
    foreign = tmp_path / "foreign.dat"
    foreign.write_text("no model")
    with pytest.raises(UserError, match=r"foreign\.dat.*no face detector"):
        detector("dlib", weights=str(foreign)).open()
    alone = detector("dlib", weights=str(tmp_path / "none.dat"), fallback="none", cnn_upsample=1)
    alone.open()
    assert alone.fingerprint() == detector("dlib", fallback="none").fingerprint()


BOXES = st.builds(
    lambda left, top, wide, high, score: Face(left, top, left + wide, top + high, score, "hog"),
    *[st.integers(-3, 3)] * 2,
    *[st.integers(1, 3)] * 2,
    st.sampled_from([0.5, 1.0, 2.0, math.nan]),
)


@given(st.lists(BOXES, min_size=1, max_size=6), st.randoms())
def test_the_choice_does_not_depend_on_the_detectors_order(faces, random):
    shuffled = list(faces)
    random.shuffle(shuffled)
    for which in ("largest", "first", "all"):
        assert [*map(repr, choose(faces, which))] == [*map(repr, choose(shuffled, which))]


@given(st.lists(BOXES, max_size=6))
def test_the_right_faces_are_chosen(faces):
    if not faces:
        refusals = [choose(faces, which) for which in ("largest", "first", "all", "single")]
        assert {refused.status for refused in refusals} == {"no_face"}
        return

    def area(face):
        return (face.right - face.left) * (face.bottom - face.top)

    assert [area(f) for f in choose(faces, "largest")] == [max(map(area, faces))]
    assert sorted(map(repr, choose(faces, "all"))) == sorted(map(repr, faces))
    scores = [f.score for f in faces if not math.isnan(f.score)]
    if scores:
        assert [f.score for f in choose(faces, "first")] == [max(scores)]
    if len(faces) == 1:
        assert choose(faces, "single") == faces
    else:
        assert choose(faces, "single").status == "several_faces"


def test_real_chips_are_found(dlib, yunet, shared):
    chips = sorted((shared / "data/utkface").iterdir())[::200]
    assert sum(len(yunet(decode(path.read_bytes(), 10**6))) == 1 for path in chips) == len(chips)
    found = [dlib(decode(path.read_bytes(), 10**6)) for path in chips]
    assert sum(map(bool, found)) == len(chips)
    assert sum(faces[0].detector == "hog" for faces in found) / len(chips) > 0.8


def test_the_papers_face_is_found(dlib, shared):
    image = decode((shared / "data/original/082A21.JPG").read_bytes(), 10**8)
    (face,) = dlib(image)
    assert face.detector == "hog"
    assert overlap(face, 22, 171, 290, 439) > 0.9
