"""Encoders: one text for all that decides from photograph to vector, and what two of them have in common."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.encoder import Difference, Encoder, check, completed, differences, distinct, merged
from vec2uage.base.errors import UserError

OLD = "facenet-20180408-102900-704afe26/resize/fixed/normalized/bf16"
FACENET = OLD.removesuffix("/bf16")
NAMES = ("the model", "the dataset")


def made(network: str = FACENET, **options: str) -> str:
    """Return the text of an encoder whose crops are the whole pictures, but for `options`."""
    usual = {"crop.size": "224", "crop.margin": "0.0", "detector": "none"}
    return str(Encoder.parse(network).with_options(usual | {key.replace("_", ".", 1): options[key] for key in options}))


@given(
    st.sampled_from(
        ["arcface", "insightface:buffalo_l", "a/b/c/d", FACENET, f"{FACENET}/block8", "dlib-resnet-v1-1/none"]
    ),
    st.dictionaries(st.sampled_from(["detector", "detector.a_b", "crop.size", "crop"]), st.text("a1.-+,/", min_size=1)),
)
def test_a_text_says_all_of_an_encoder(network: str, options: dict[str, str]) -> None:
    encoder = Encoder.parse(network).with_options(options)
    assert Encoder.parse(str(encoder)) == encoder
    assert not differences(str(encoder), str(encoder))


def test_a_name_of_ones_own_and_no_name_stay_as_they_are() -> None:
    for name in ("unknown", "facenet-vggface2", "synthetic-v1", "https://host/net"):
        assert str(Encoder.parse(name)) == name
    assert Encoder.parse("unknown").network is None


@pytest.mark.parametrize("network", [FACENET, "dlib-resnet-v1-1/landmarks-2", "arcface"])
def test_precision_is_no_part_of_an_encoder(network: str, caplog: pytest.LogCaptureFixture) -> None:
    one, other = f"{network}/bf16", f"{network}/float32"
    assert str(Encoder.parse(one)) == network
    assert not differences(one, other)
    assert distinct([network, one, other]) == [network]
    assert merged([one, other]) == one
    check(one, other, NAMES, "")
    assert not caplog.records


@pytest.mark.parametrize(
    ("option", "value", "other", "matters"),
    [
        ("detector", "dlib", "mtcnn", True),
        ("detector", "dlib+mtcnn", "mtcnn+none", True),
        ("detector.upsample", "1", "0", False),
        ("crop.margin", "0.0", "0.05", False),
        ("crop.margin", "0.25", "0.2", False),
        ("crop.margin", "0.0", "0.1", True),
        ("crop.margin", "0.0+0.4", "0.35", False),
        ("crop.margin", "0.0", "wide", True),
        ("crop.margin", "[0.7,0.7,0.8,0.8]", "[0.7,0.75,0.8,0.8]", False),
        ("crop.margin", "[0.7,0.7,0.8,0.8]", "[0.7,0.7,0.8,0.9]", True),
        ("crop.margin", "0.2", "[0.2,0.2,0.2,0.2]", False),
        ("crop.margin", "[0.2,0.2]", "0.2", True),
        ("crop.align", "box", "points", True),
        ("crop.size", "224", "160", False),
        ("crop.size", "null", "160", False),
        ("crop.size", "224", "24", True),
    ],
)
def test_what_costs_a_model_much_is_refused_and_what_costs_little_is_told(
    option: str, value: str, other: str, matters: bool, caplog: pytest.LogCaptureFixture
) -> None:
    wanted, given = (made(**{option.replace(".", "_"): of}) for of in (value, other))
    assert [(d.option, d.matters) for d in differences(wanted, given)] == [(option, matters)]
    check(wanted, given, NAMES, "", allow=True)
    assert f"{option} (the model: {value}, the dataset: {other})" in caplog.text
    if matters:
        with pytest.raises(UserError, match=f"{option}.*do it again"):
            check(wanted, given, NAMES, "do it again")
    else:
        check(wanted, given, NAMES, "")


def test_boxes_are_what_a_text_means_that_says_nothing_of_alignment() -> None:
    assert "align" not in made(crop_align="box")
    assert "crop.align:points" in made(crop_align="points")
    assert not differences(made(), made(crop_align="box"))
    assert [d.option for d in differences(made(), made(crop_align="points"))] == ["crop.align"]
    assert not any(d.is_known for d in differences(FACENET, made(crop_align="points")))
    check(merged([made(), made(crop_align="points")]), made(), NAMES, "")


def test_the_last_layer_is_what_a_text_means_that_says_nothing_of_blocks() -> None:
    block8 = made(f"{FACENET}/block8")
    assert Encoder.parse(block8).options["embedder.layer"] == "block8"
    assert not differences(made(), made(f"{FACENET}/last_linear"))
    assert [(d.option, d.matters) for d in differences(made(), block8)] == [("embedder.layer", True)]
    with pytest.raises(UserError, match=r"embedder\.layer block8, last_linear"):
        merged([made(), block8])
    assert completed("facenet-20180408-102900-704afe26", block8) == block8


def test_a_copy_of_weights_under_another_name_is_the_same_network() -> None:
    copy = made(FACENET.replace("20180408-102900", "graph_final"))
    assert not differences(made(), copy)
    assert merged([made(), copy]) == made()
    assert differences(made(), made(FACENET.replace("704afe26", "704afe27")))


def test_what_is_left_out_is_not_known_and_never_refused(caplog: pytest.LogCaptureFixture) -> None:
    keys = ["crop.align", "crop.margin", "crop.size", "detector"]
    found = differences(OLD, made(detector_upsample="1"))
    assert [(d.option, d.wanted, d.is_known) for d in found] == [(key, None, False) for key in keys]
    check(OLD, made(), NAMES, "")
    check("unknown", made(), NAMES, "")
    check("unknown", "unknown", NAMES, "")
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 3
    assert "detector (the model: not known, the dataset: none)" in caplog.text
    assert "network (not known of either)" in caplog.text
    assert distinct([OLD, made(), made(crop_margin="0.4")]) == [OLD]


def test_the_settings_of_another_detector_or_network_are_not_compared() -> None:
    found = differences(made(detector="dlib", detector_upsample="1"), made(detector="mtcnn", detector_factor="0.7"))
    assert found == [Difference("detector", "dlib", "mtcnn")]
    assert differences(made(), made("arcface", crop_margin="0.4")) == [Difference("network", FACENET[:32], "arcface")]


def test_vectors_of_one_network_are_put_together_and_all_values_are_told(caplog: pytest.LogCaptureFixture) -> None:
    dlib, mtcnn = made(detector="dlib", detector_upsample="1"), made(detector="mtcnn")
    both = merged([dlib, mtcnn, dlib])
    assert both == made(detector="dlib+mtcnn")
    assert "detector (dlib, mtcnn)" in caplog.text
    caplog.clear()
    check(both, mtcnn, NAMES, "")  # the model has learned from such crops, too
    assert not caplog.records
    check(both, made(detector="dlib+mtcnn+none"), NAMES, "", allow=True)
    assert "dlib+mtcnn+none" in caplog.text
    assert merged([both, both]) == both
    assert len(distinct([both, dlib])) == len(distinct([dlib, both])) == 2
    assert merged([OLD, dlib]) == FACENET  # what is not known of all is known of none


def test_a_word_for_what_is_missing_names_no_network() -> None:
    for name in ("None", "nan", "", " unknown ", "NULL/crop.size:224"):
        assert Encoder.parse(name).network is None
        assert completed(name.split("/")[0], "arcface") == "arcface"
        with pytest.raises(UserError, match="unknown encoder"):
            merged([name, name])


@pytest.mark.parametrize(
    "other", ["unknown", "arcface", "facenet-1/resize/fixed/normalized", FACENET.replace("fixed", "prewhiten")]
)
def test_vectors_of_other_networks_are_not_put_together(other: str) -> None:
    with pytest.raises(UserError, match="merged"):
        merged([made(), other])


def test_what_only_a_user_knows_completes_what_a_file_says() -> None:
    assert completed("arcface", "unknown") == "arcface"
    assert completed(FACENET, OLD) == OLD
    assert completed(f"{FACENET[:32]}/crop.size:224", OLD) == f"{FACENET}/crop.size:224"
    assert completed("arcface", OLD) is None
    assert completed(made(crop_margin="0.4"), made()) is None
