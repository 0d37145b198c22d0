"""Frames of videos: the right ones, upright, and no other picture than the one that was taken."""

import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vec2uage.faces import video
from vec2uage.faces.records import Refused
from vec2uage.faces.video import Damaged, Frames, choose, frames, is_video

RATE, HEIGHT, WIDTH = 10, 48, 64
ALL = Frames(per_second=1000, most=10_000)
EACH_SECOND = Frames(per_second=1, most=100)
LIMIT = 1_000_000

av.logging.set_level(None)


def drawn(number: int) -> np.ndarray:
    """A picture that tells its number by its grey, red in its upper left quarter; its upper right one is noise."""
    image = np.full((HEIGHT, WIDTH, 3), 20 + 3 * number, np.uint8)
    noise = np.random.default_rng(number).integers(0, 256, (HEIGHT // 4, WIDTH // 4, 1), np.uint8)
    image[: HEIGHT // 2, WIDTH // 2 :] = noise.repeat(2, 0).repeat(2, 1)
    image[: HEIGHT // 2, : WIDTH // 2] = (200, 20, 20)
    return image


def number_in(image: np.ndarray) -> float:
    return (float(image[HEIGHT // 2 + 4 :].mean()) - 20) / 3


def recorded(kind="mp4", codec="libx264", count=60, gop=20, between=2, aspect=1, options=None, pixels="yuv420p"):
    """A video of `count` pictures, 10 a second, with a key frame every `gop`."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind, options=options or {}) as container:
        track = container.add_stream(codec, rate=RATE)
        track.width, track.height, track.pix_fmt = WIDTH, HEIGHT, pixels
        codec_context = track.codec_context
        codec_context.gop_size, codec_context.max_b_frames, codec_context.thread_count = gop, between, 1
        codec_context.sample_aspect_ratio = aspect
        if codec == "libx264":
            codec_context.options = {"crf": "10", "sc_threshold": "0"}
        for number in range(count):
            container.mux(track.encode(av.VideoFrame.from_ndarray(drawn(number))))
        container.mux(track.encode())
    return file.getvalue()


CONTAINERS = {
    "mp4": {},
    "mov": {},
    "matroska": {},
    "webm": {"codec": "libvpx-vp9", "between": 0},
    "avi": {"codec": "mpeg4"},
    "mpeg": {"codec": "mpeg2video"},
    "mpegts": {"codec": "mpeg2video"},
    "flv": {},
    "asf": {"codec": "wmv2", "between": 0},
}
"""Each with a coding that is usual in it."""


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return {kind: recorded(kind, **options) for kind, options in CONTAINERS.items()}


def read(path: Path, content: bytes, options=EACH_SECOND, max_pixels=LIMIT):
    """Return what frames() yields of a file of this content, and why it ended early."""
    path.write_bytes(content)
    found, reason = [], ""
    try:
        for seconds, image in frames(path, options, max_pixels):
            found.append((seconds, image))
    except Damaged as damaged:
        reason = damaged.reason
    return found, reason


def refused(path: Path, content: bytes, max_pixels=LIMIT) -> Refused:
    path.write_bytes(content)
    with pytest.raises(Refused) as error:
        list(frames(path, EACH_SECOND, max_pixels))
    assert error.value.reason
    return error.value


@pytest.mark.parametrize("kind", CONTAINERS)
def test_frames_are_those_of_their_times(kind, made, tmp_path):
    assert is_video(made[kind][:1024])
    found, reason = read(tmp_path / "v", made[kind])
    assert reason == ""
    assert [seconds for seconds, _ in found] == pytest.approx(range(6), abs=0.41)  # frames in between may come first
    for seconds, image in found:
        assert image.shape == (HEIGHT, WIDTH, 3)
        assert image.dtype == np.uint8
        assert number_in(image) == pytest.approx(RATE * seconds, abs=1)
        np.testing.assert_allclose(image[10, 10], (200, 20, 20), atol=30)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_frame_has_the_same_pixels_whatever_was_left_out_before_it(kind, made, tmp_path):
    every = dict(read(tmp_path / "v", made[kind], ALL)[0])
    assert 58 <= len(every) <= 60  # the first times of a Matroska file are not known
    found = read(tmp_path / "v", made[kind], Frames(per_second=1000, most=3))[0]
    assert len(found) == 3
    for seconds, image in found:
        np.testing.assert_array_equal(image, every[seconds])


def test_a_long_video_gives_as_many_frames_spread_over_it(made, tmp_path):
    found, _ = read(tmp_path / "v", made["mp4"], Frames(per_second=10, most=4))
    assert [seconds for seconds, _ in found] == pytest.approx([0, 1.5, 3, 4.5], abs=0.31)


@settings(max_examples=50)
@given(
    st.lists(st.floats(0, 10), min_size=1, max_size=60), st.floats(0.1, 50), st.integers(1, 40), st.floats(-1e6, 1e6)
)
def test_one_frame_is_taken_of_each_stretch_of_time(gaps, per_second, most, start):
    times = list(start + np.cumsum(gaps))
    chosen = choose(times, Frames(per_second=per_second, most=1000))
    slots = np.floor((np.array(times) - times[0]) * per_second + 1e-6)
    assert chosen == np.unique(slots, return_index=True)[1].tolist()
    fewer = choose(times, Frames(per_second=per_second, most=most))
    assert len(fewer) == min(most, len(chosen))
    assert set(fewer) <= set(chosen)
    assert fewer[0] == 0


def test_a_clock_that_begins_again_loses_nothing():
    assert choose([0.0, 1.0, 2.0, 0.0, 1.0, 2.0], EACH_SECOND) == [0, 1, 2, 3, 4, 5]
    assert choose([0.0, 0.5, 1.0, 1e9, 1e9 + 1], EACH_SECOND) == [0, 2, 3, 4]
    assert choose([k / 25 for k in range(50)], Frames(per_second=25, most=100)) == list(range(50))


def test_recordings_that_were_put_together_are_read_to_the_end(made, tmp_path):
    found, _ = read(tmp_path / "v", made["mpegts"] + recorded("mpegts", "mpeg2video", count=30))
    assert len(found) in (9, 10)
    assert number_in(found[-1][1]) == pytest.approx(20, abs=4)


@pytest.mark.parametrize(
    ("matrix", "upright"),
    [  # the first two columns of the matrix in the header of an MP4, and what a player makes of the picture
        ((1, 0, 0, 1), lambda image: image),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
        ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
        ((0, -1, 1, 0), lambda image: np.rot90(image)),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda image: image[::-1, ::-1].swapaxes(0, 1)),
        ((0, 0, 0, 0), lambda image: image),
    ],
)
def test_videos_are_turned_upright(matrix, upright, made, tmp_path):
    plain = read(tmp_path / "v", made["mp4"])[0]
    a, b, c, d = (65536 * value for value in matrix)
    at = made["mp4"].index(b"tkhd") + 44
    content = bytearray(made["mp4"])
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    turned = read(tmp_path / "v", bytes(content))[0]
    for (_, image), (_, before) in zip(turned, plain, strict=True):
        np.testing.assert_array_equal(image, upright(before))


def test_pixels_that_are_not_square_become_square(tmp_path):
    found, _ = read(tmp_path / "v", recorded(count=5, aspect=2))
    assert found[0][1].shape == (HEIGHT, 2 * WIDTH, 3)
    np.testing.assert_allclose(found[0][1][10, 50], (200, 20, 20), atol=30)


def fast_start(content: bytes, path: Path) -> bytes:
    """The same MP4 with its index in front, so that its first part can be read without the rest."""
    with av.open(io.BytesIO(content)) as source, av.open(str(path), "w", "mp4", {"movflags": "faststart"}) as target:
        track = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                target.mux(packet)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["mp4", "matroska", "webm", "avi", "flv"])
def test_of_a_truncated_video_the_first_part_is_read_and_it_is_said(kind, made, tmp_path):
    content = fast_start(made[kind], tmp_path / "fast") if kind == "mp4" else made[kind]
    found, reason = read(tmp_path / "v", content[: len(content) * 6 // 10])
    assert 1 <= len(found) < 6
    assert reason
    for seconds, image in found:
        assert number_in(image) == pytest.approx(RATE * seconds, abs=1)


def test_frames_that_damage_may_have_reached_are_left_out(made, tmp_path):
    wrong = 0
    for seed in range(4):
        at = int(np.random.default_rng(seed).uniform(0.3, 0.8) * len(made["matroska"]))
        content = made["matroska"][:at] + b"\xff" * 200 + made["matroska"][at + 200 :]
        found, reason = read(tmp_path / "v", content, ALL)
        assert reason
        assert 30 <= len(found) < 58
        wrong += sum(abs(number_in(image) - RATE * seconds) > 1 for seconds, image in found)
    assert wrong <= 1  # damage that leaves the codes valid shows in nothing


def test_damage_is_told_also_where_the_file_before_had_the_same(made, tmp_path):
    middle = len(made["webm"]) // 2
    content = made["webm"][:middle] + bytes(200) + made["webm"][middle + 200 :]
    reasons = [read(tmp_path / "v", content)[1] for _ in range(2)]
    assert "FFmpeg says" in reasons[0]
    assert reasons[0] == reasons[1]


def test_a_track_that_begins_later_costs_no_other(made, tmp_path):
    packets = [made["mpegts"][at : at + 188] for at in range(0, len(made["mpegts"]), 188)]
    begin = [
        k for k, packet in enumerate(packets) if packet[1] & 0x5F == 0x41 and packet[2] == 0
    ]  # a frame of track 256
    for k in begin[20::8]:
        of_another = packets[k][:2] + b"\x77" + packets[k][3:]
        found, reason = read(tmp_path / "v", b"".join([*packets[:k], of_another, *packets[k + 1 :]]), ALL)
        assert "damaged" in reason
        assert len(found) >= 38


def test_what_holds_no_frame_is_refused(made, tmp_path):
    for content in (b"", b"\0\0\0\x18ftypisom", made["mp4"][: len(made["mp4"]) // 2], b"text\n" * 400):
        assert refused(tmp_path / "v", content).status == "unreadable"
    assert "max_pixels" in refused(tmp_path / "v", made["mp4"], max_pixels=HEIGHT * WIDTH - 1).reason
    with pytest.raises(FileNotFoundError):
        list(frames(tmp_path / "missing", EACH_SECOND, LIMIT))


def test_sound_alone_is_no_video(tmp_path):
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        track = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        container.mux(track.encode(silence))
        container.mux(track.encode())
    assert refused(tmp_path / "v", file.getvalue()).status == "no_media"


def test_a_list_of_other_files_opens_none_of_them(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.ts").write_bytes(made["mpegts"])
    for text in (
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nother.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile other.ts\n",
    ):
        assert not is_video(text.encode())
        assert refused(tmp_path / "v.mp4", text.encode()).status == "unreadable"


def test_a_name_is_never_an_address(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("http:v.mp4", "concat:a|b", "-", "\udcff.mp4"):
        assert len(read(Path(name), made["mp4"])[0]) == 6


def test_a_video_that_shows_nothing_for_long_is_given_up(made, tmp_path, monkeypatch):
    monkeypatch.setattr(video, "_FARTHEST", 5)
    found, reason = read(tmp_path / "v", made["mp4"], Frames(per_second=1, most=2))
    assert len(found) == 1
    assert "no frame" in reason


def test_an_index_of_more_frames_than_the_file_has_bytes_is_refused(made, tmp_path):
    content = bytearray(made["mp4"])
    # ISO 14496-12, 8.6.1.2, 8.7.3 and 8.7.4: a hundred thousand frames of a byte, in one chunk
    for box, entries in ((b"stts", (1, 10**5, 1)), (b"stsz", (1, 10**5)), (b"stsc", (1, 1, 10**5, 1))):
        at = content.index(box) + 8
        content[at : at + 4 * len(entries)] = struct.pack(f">{len(entries)}I", *entries)
    assert "100,000 frames" in refused(tmp_path / "v", bytes(content)).reason


def test_colours_are_those_that_the_file_means(tmp_path):
    image = np.full((HEIGHT, WIDTH, 3), (180, 60, 30), np.uint8)
    for standard, tag in (("ITU709", 1), ("ITU601", 6)):  # the numbers of ITU-T H.273
        with av.open(str(tmp_path / "v.mp4"), "w") as container:
            track = container.add_stream("libx264", rate=RATE)
            track.width, track.height, track.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            track.codec_context.colorspace, track.codec_context.options = tag, {"crf": "5"}
            frame = av.VideoFrame.from_ndarray(image).reformat(format="yuv420p", dst_colorspace=standard)
            frame.colorspace = tag
            container.mux(track.encode(frame))
            container.mux(track.encode())
        (_, shown), *_ = frames(tmp_path / "v.mp4", EACH_SECOND, LIMIT)
        np.testing.assert_allclose(shown, image, atol=4)


def test_other_files_are_no_videos():
    for start in (
        b"",
        b"\xff\xd8\xff",
        b"\0\0\0\x18ftypheic\0\0\0\0",
        b"\0\0\0\x18ftypM4A \0",
        b"G" * 100,
        b"RIFF1234WAVE",
    ):
        assert not is_video(start + bytes(64))


@settings(max_examples=30)
@given(
    kind=st.sampled_from(sorted(CONTAINERS)),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=12),
    kept=st.floats(0.05, 1),
)
def test_damaged_videos_are_read_or_refused(made, tmp_path_factory, kind, changes, kept):
    content = bytearray(made[kind])
    for place, value in changes:
        content[int(place**2 * len(content))] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content[: int(kept * len(content))])
    try:
        for seconds, image in frames(path, EACH_SECOND, LIMIT):
            assert np.isfinite(seconds)
            assert image.shape[0] * image.shape[1] <= LIMIT
    except (Refused, Damaged) as ended:
        reason = ended.reason
        assert reason.strip() == reason != ""
