"""Frames of a video, upright and in colour, spread over its length; or the reason why there are none.

A video is read twice: once to learn where its frames lie, which costs little, and once to decode those that are wanted,
each from the key frame before it. No seeking, so that a file without an index, or with a wrong one, is read as well.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from math import floor, inf
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
from jaxtyping import UInt8
from pydantic import Field

from vec2uage.config.settings import PositiveInt, settings
from vec2uage.faces.records import Refused
from vec2uage.faces.timeline import LATE, Timeline, note, open_video, packets, picture_track, read_timeline

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
    sound alone, and, after the last frame, Damaged(reason) where some could not be read. Raises OSError where the file
    cannot be read, now.
    """
    import av

    count, damage = 0, list[str]()
    try:
        with path.open("rb") as file:
            timeline = read_timeline(file, damage)
            for frame in _decoded(file, timeline, choose(timeline.times, options), max_pixels, damage):
                yield frame
                count += 1
    except av.FFmpegError as error:
        note(damage, f"not to be read as a video ({error.strerror})")
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


def _decoded(
    file: BinaryIO, timeline: Timeline, chosen: Sequence[int], max_pixels: int, damage: list[str]
) -> Iterator[tuple[float, UInt8[np.ndarray, "H W 3"]]]:
    """Decode the chosen frames, or those in their place where they are damaged, which is added to `damage`."""
    wanted, leading, in_vain = _Wanted(timeline, list(chosen)), range(0), 0
    with open_video(file) as container:
        track = picture_track(container)
        codec = track.codec_context
        if codec.width * codec.height > max_pixels:
            raise _too_large(max_pixels)
        codec.thread_count, codec.copy_opaque = 1, True  # a frame is to know which packet it is of
        codec.options = {"max_pixels": str(max_pixels)}  # for frames of other sizes
        for index, packet in enumerate(chain(packets(container, damage, track), [None])):
            if packet is not None:
                if index < wanted.begin:
                    continue
                if index == wanted.begin:
                    codec.flush_buffers()
                    leading = timeline.leading(index)  # what they need was left out
                packet.opaque = (index,)  # an object of its own: PyAV tells them apart by identity
            for number, frame in _decode(codec, packet, index):
                in_vain += 1
                if frame is None:
                    note(damage, f"damaged at {timeline.elapsed(number):.1f} s")
                    wanted.leave_out(number)
                elif number not in leading and wanted.take(number):
                    in_vain = 0
                    shown = None if frame.pts is None else float(frame.pts * track.time_base)
                    yield timeline.seconds(number, shown), _upright(frame, track.sample_aspect_ratio, max_pixels)
            if not wanted.numbers:
                return
            if in_vain > _FARTHEST:
                note(damage, f"no frame to show in {_FARTHEST:,} frames")
                return
        note(damage, f"no frame from {timeline.elapsed(wanted.numbers[0]):.1f} s on")


@dataclass
class _Wanted:
    """The frames that are still to be shown, by their numbers in the order of decoding."""

    timeline: Timeline
    numbers: list[int]
    damaged: dict[int, int] = field(default_factory=dict)
    """From which frame on there is damage, by the key frame that ends it."""

    @property
    def begin(self) -> int:
        """The key frame from which the next one can be decoded."""
        return self.timeline.key_before(self.numbers[0])

    def take(self, number: int) -> bool:
        """Tell whether to show a frame: one of these, or one that follows one that never came."""
        if not self.numbers or number >= self.damaged.get(self.timeline.key_after(number), inf):
            return False
        if number not in self.numbers and number <= self.numbers[0] + LATE:
            return False
        self.numbers = [other for other in self.numbers if other != number and other >= number - LATE]
        return True

    def leave_out(self, number: int) -> None:
        """Want the next key frame, where there is one, in the place of a damaged frame and of those after it."""
        end = self.timeline.key_after(number)
        self.damaged[end] = min(number, self.damaged.get(end, number))
        whole = {other for other in self.numbers if not self.damaged[end] <= other < end}
        if len(whole) < len(self.numbers) and end < len(self.timeline.times):
            whole.add(end)
        self.numbers = sorted(whole)


def _decode(codec: Any, packet: Any, index: int) -> list[tuple[int, Any]]:
    """Return the frames that a packet completes, each with its number; None in the place of a damaged one."""
    import av

    try:
        return [(frame.opaque[0], None if frame.is_corrupt else frame) for frame in codec.decode(packet)]
    except av.FFmpegError:
        return [(index, None)]


def _upright(frame: Any, aspect: Fraction | None, max_pixels: int) -> UInt8[np.ndarray, "H W 3"]:
    """Return a frame as RGB with square pixels, turned and mirrored as its display matrix says."""
    from av.sidedata.sidedata import Type
    from av.video.reformatter import Interpolation

    width = max(round(frame.width * (aspect or 1)), 1)
    if width * frame.height > max_pixels:
        raise _too_large(max_pixels)
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


def _too_large(max_pixels: int) -> Refused:
    return Refused("unreadable", f"more than {max_pixels:,} pixels (max_pixels)")
