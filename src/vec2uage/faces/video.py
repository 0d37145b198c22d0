"""Frames of a video, upright and in colour, spread over its length; or the reason why there are none.

A video is read twice: once to learn where its frames lie, which costs little, and once to decode those that are wanted,
each from the key frame before it. No seeking, so that a file without an index, or with a wrong one, is read as well.
"""

import re
import struct
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from math import floor, inf
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
from jaxtyping import UInt8
from pydantic import Field

from vec2uage.config.settings import PositiveInt, settings
from vec2uage.faces.records import Refused, unopened

_START = re.compile(
    rb".{4}ftyp(?!avi[fs]|hei[cxms]|hev[cxms]|mif1|msf1|crx |M4[ABP] )"  # pictures, and sound alone
    rb"|.{4}(moov|mdat|wide|pnot)"  # QuickTime from before there was ftyp
    rb"|\x1aE\xdf\xa3"  # Matroska, WebM
    rb"|RIFF.{4}AVI |FLV\x01|\.RMF"
    rb"|0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0b\xcel"  # ASF: WMV
    rb"|\0\0\x01\xba"  # MPEG-1 and 2
    rb"|G.{187}G.{187}G|.{4}G.{191}G.{191}G"  # transport streams: TS, and M2TS
    rb"|OggS.{24}(\x80theora|fishead\0|OVP80)",
    re.DOTALL,
)
_FORMATS = "mov,matroska,avi,flv,rm,asf,mpeg,mpegts,ogg"
"""FFmpeg's names of what `_START` finds. Playlists, which name other files to open, are not among them."""

_FARTHEST = 10_000
"""Frames decoded in vain before a video is given up: a small file could otherwise keep a process busy for days."""


@settings
class Frames:
    """Which frames of a video are looked into."""

    per_second: Annotated[float, Field(gt=0, le=1000)]
    """One frame is taken of each 1/per_second seconds."""
    most: PositiveInt
    """Frames a file: of a longer video as many, spread evenly."""


class Damaged(Exception):
    """A video of which only a part could be read."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def is_video(start: bytes) -> bool:
    """Tell whether a file that begins with these bytes (a kilobyte or more) is a video, whatever its name is."""
    return _START.match(start) is not None


def frames(path: Path, options: Frames, max_pixels: int) -> Iterator[tuple[float, UInt8[np.ndarray, "H W 3"]]]:
    """Yield frames of a video's first picture track: seconds from its beginning, and the upright RGB image.

    A frame that is damaged, or that was decoded after a damaged one, is replaced by the next key frame. Pixels that are
    not square are stretched until they are. Colours are converted as the file says they are meant; HDR stays dull.

    Raises Refused("unreadable", reason) where not one frame can be read, Refused("no_media", ...) where the file holds
    sound alone, and, after the last frame, Damaged(reason) where some could not be read.
    """
    import av

    count, damage = 0, list[str]()
    try:
        with path.open("rb") as file:
            timeline = _timeline(file, damage)
            for frame in _decoded(file, timeline, choose(timeline.times, options), max_pixels, damage):
                yield frame
                count += 1
    except av.FFmpegError as error:
        _note(damage, f"not to be read as a video ({error.strerror})")
    except OSError as error:
        raise unopened(error) from None
    if not count:
        raise Refused("unreadable", "; ".join(damage))
    if damage:
        raise Damaged("; ".join(damage))


def choose(times: Sequence[float], options: Frames) -> list[int]:
    """Return which frames to take: the first in each 1/per_second seconds; if they are more than `most`, some of them.

    `times` (seconds) are in the order of decoding. They grow, but where recordings were put together they may begin
    again: a time that was there before then counts as a new one.
    """
    chosen, before = list[int](), None
    for index, time in enumerate(times):
        slot = floor((time - times[0]) * options.per_second + 1e-6)  # 3/25 of a second times 25 is a little less than 3
        if slot != before:
            chosen.append(index)
            before = slot
    most = min(options.most, len(chosen))
    return [chosen[k * len(chosen) // most] for k in range(most)]


@dataclass(frozen=True)
class _Timeline:
    """Where the frames of a video lie; they are numbered in the order of decoding."""

    times: "array[float]"
    """Seconds on the clock of decoding, which frames that are shown in another order do not turn back."""
    keys: "array[int]"
    """Numbers of the frames that are decoded without another one."""
    start: float
    """Seconds at which the first frame is shown."""

    def elapsed(self, number: int) -> float:
        """Return about how many seconds lie between the first frame and this one."""
        return self.times[number] - self.times[0]

    def key_before(self, number: int) -> int:
        """Return the key frame from which a frame can be decoded."""
        return self.keys[max(bisect_right(self.keys, number) - 1, 0)] if self.keys else 0

    def key_after(self, number: int) -> int:
        """Return the next key frame; where there is none, the number of all frames."""
        after = bisect_right(self.keys, number)
        return self.keys[after] if after < len(self.keys) else len(self.times)


def _open(file: BinaryIO) -> Any:
    """Open a video's container: by the open file, so that no name is taken for an address in a network."""
    import av

    file.seek(0)
    return av.open(file, container_options={"format_whitelist": _FORMATS}, metadata_errors="replace")


def _picture_track(container: Any) -> Any:
    """Return the first track of moving pictures; the cover of a piece of music is none."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise Refused("unreadable", "a video whose coding FFmpeg does not know")
            return stream
    raise Refused("no_media", "holds no moving pictures")


def _timeline(file: BinaryIO, damage: list[str]) -> _Timeline:
    """Read where the frames lie, without decoding them; what is missing is added to `damage`."""
    times, keys = array("d"), array("q")
    now, start, end = 0.0, inf, 0.0
    with _open(file) as container:
        track = _picture_track(container).index
        for packet in container.demux():
            if not packet.size:
                continue
            base = float(packet.time_base)
            shown = base * ((packet.dts or 0) if packet.pts is None else packet.pts)
            end = max(end, shown + base * (packet.duration or 0))
            if packet.stream.index != track:
                continue
            now, start = now if packet.dts is None else base * packet.dts, min(start, shown)
            if packet.is_keyframe:
                keys.append(len(times))
            if packet.is_corrupt:
                _note(damage, f"damaged at {shown - start:.1f} s")
            times.append(now)
        if not times:
            raise Refused("unreadable", "a video without a frame")
        length, stated = (container.duration or 0) / 1e6, container.streams[track].frames
        there = end - (container.start_time or 0) / 1e6
        if stated > len(times):
            _note(damage, f"holds {len(times)} of {stated} frames")
        elif length > there + 1:  # containers round, and sound may be a little longer
            _note(damage, f"ends after {there:.1f} of {length:.1f} s")
    return _Timeline(times, keys, start)


def _decoded(
    file: BinaryIO, timeline: _Timeline, chosen: Sequence[int], max_pixels: int, damage: list[str]
) -> Iterator[tuple[float, UInt8[np.ndarray, "H W 3"]]]:
    """Decode the chosen frames, or what follows them where they are damaged, which is added to `damage`."""

    waiting, distrusted, in_vain = deque(chosen), range(0), 0
    with _open(file) as container:
        track = _picture_track(container)
        codec = track.codec_context
        codec.thread_count, codec.copy_opaque = 1, True  # a frame is to know which packet it is of
        codec.options = {"max_pixels": str(max_pixels)}
        begin, first_shown = timeline.key_before(chosen[0]), None
        for index, packet in enumerate(chain((packet for packet in container.demux(track) if packet.size), [None])):
            if packet is not None:
                if index < begin:
                    continue
                if index == begin:
                    codec.flush_buffers()
                    first_shown = packet.pts
                packet.opaque = index
            for number, frame in _decode(codec, packet, index):
                in_vain += 1
                if frame is None:
                    _note(damage, f"damaged at {timeline.elapsed(number):.1f} s")
                    distrusted = range(number, timeline.key_after(number))
                # what is shown before the key frame that decoding began at needs frames that were left out
                elif number >= waiting[0] and number not in distrusted and not _shown_before(frame, first_shown):
                    shown = None if frame.pts is None else float(frame.pts * track.time_base) - timeline.start
                    seconds = timeline.elapsed(number) if shown is None else shown
                    yield round(seconds, 3), _upright(frame, track.sample_aspect_ratio, max_pixels)
                    in_vain = 0
                    while waiting and waiting[0] <= number:
                        waiting.popleft()
                    if not waiting:
                        return
            if in_vain > _FARTHEST:
                _note(damage, f"no frame that is wanted in {_FARTHEST:,} frames")
                return
            begin = timeline.key_before(waiting[0])
            if index in distrusted:
                begin = max(begin, distrusted.stop)


def _decode(codec: Any, packet: Any, index: int) -> list[tuple[int, Any]]:
    """Return the frames that a packet completes, each with its number; None in the place of a damaged one."""
    import av

    try:
        return [(frame.opaque, None if frame.is_corrupt else frame) for frame in codec.decode(packet)]
    except av.FFmpegError:
        return [(index, None)]


def _shown_before(frame: Any, pts: int | None) -> bool:
    return pts is not None and frame.pts is not None and frame.pts < pts


def _upright(frame: Any, aspect: Fraction | None, max_pixels: int) -> UInt8[np.ndarray, "H W 3"]:
    """Return a frame as RGB with square pixels, turned and mirrored as its display matrix says."""
    from av.sidedata.sidedata import Type
    from av.video.reformatter import Interpolation

    width = max(round(frame.width * (aspect or 1)), 1)
    if width * frame.height > max_pixels:
        raise Refused("unreadable", f"more than {max_pixels:,} pixels (max_pixels)")
    exact = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT
    image = frame.to_ndarray(format="rgb24", width=width, interpolation=exact)
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return image
    # ISO 14496-12, 6.2.2: (a, b, u, c, d, v, x, y, w) takes (p, q) to (ap + cq + x, bp + dq + y)
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    if abs(b) > abs(a):
        image, a, d = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _note(damage: list[str], reason: str) -> None:
    """Keep the first things that are wrong with a video; how many more there are says little."""
    if len(damage) < 3:
        damage.append(reason)
