"""Where the frames of a video lie: its packets are read, and none is decoded."""

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Any, BinaryIO

from vec2uage.faces.records import Refused

_FORMATS = "mov,matroska,avi,flv,rm,asf,mpeg,mpegts,ogg"
"""FFmpeg's names of what `video.is_video` finds. Playlists, which name other files to open, are not among them."""

LATE = 16
"""At most so many frames are shown before one that was decoded before them (H.264, A.3.1; HEVC, A.4)."""


@dataclass(frozen=True)
class Timeline:
    """Where the frames of a video lie; they are numbered in the order of decoding."""

    times: "array[float]"
    """Seconds on the clock of decoding, which frames that are shown in another order do not turn back."""
    keys: "array[int]"
    """Numbers of the frames that are decoded without another one."""
    following: "array[int]"
    """For each key frame, from which number on frames need none from before it: some that are decoded after it are
    shown before it, and need both."""
    start: float
    """Seconds at which the first frame is shown."""

    def elapsed(self, number: int) -> float:
        """Return about how many seconds lie between the first frame and this one."""
        return self.times[min(number, len(self.times) - 1)] - self.times[0]

    def seconds(self, number: int, shown: float | None) -> float:
        """Return how long after the beginning a frame is shown, which a file may not say, to a millisecond."""
        return round(self.elapsed(number) if shown is None else shown - self.start, 3)

    def key_before(self, number: int) -> int:
        """Return the key frame from which a frame can be decoded."""
        at = bisect_right(self.keys, number) - 1
        if at > 0 and self.keys[at] < number < self.following[at]:
            at -= 1
        return self.keys[max(at, 0)] if self.keys else 0

    def leading(self, key: int) -> range:
        """Return the frames after a key frame that need frames from before it, too."""
        at = bisect_left(self.keys, key)
        return range(key + 1, self.following[at]) if at < len(self.keys) else range(0)

    def key_after(self, number: int) -> int:
        """Return the next key frame; where there is none, the number of all frames."""
        after = bisect_right(self.keys, number)
        return self.keys[after] if after < len(self.keys) else len(self.times)


def open_video(file: BinaryIO) -> Any:
    """Open a video's container: by the open file, so that no name is taken for an address in a network."""
    import av

    file.seek(0)
    return av.open(file, container_options={"format_whitelist": _FORMATS}, metadata_errors="replace")


def picture_track(container: Any) -> Any:
    """Return the first track of moving pictures; the cover of a piece of music is none."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise Refused("unreadable", "a video whose coding FFmpeg does not know")
            return stream
    raise Refused("no_media", "holds no moving pictures")


def packets(container: Any, damage: list[str], *tracks: Any) -> Iterator[Any]:
    """Yield the packets of some tracks, or of all, as far as they can be read."""
    import av

    while True:
        try:
            yield from (packet for packet in container.demux(*tracks) if packet.size)
        except IndexError:  # PyAV's, at a track that begins later; from here on it leaves that out
            continue
        except av.FFmpegError as error:
            note(damage, f"ends with an error ({error.strerror})")
        return


def read_timeline(file: BinaryIO, damage: list[str]) -> Timeline:
    """Read where the frames lie, without decoding them; what is missing or damaged is added to `damage`.

    Raises Refused where there can be none.
    """
    times, keys, following = array("d"), array("q"), array("q")
    now, start, end, key_shown = 0.0, inf, 0.0, -inf
    with _said() as said, open_video(file) as container:
        track = picture_track(container)
        if track.frames > os.fstat(file.fileno()).st_size:  # FFmpeg would look for each of them
            raise Refused("unreadable", f"states {track.frames:,} frames, more than it has bytes")
        for packet in packets(container, damage):
            if said:
                note(damage, f"FFmpeg says: {said[0][2].strip()[:100]}")
                said.clear()
            base = float(packet.time_base)
            shown = base * ((packet.dts or 0) if packet.pts is None else packet.pts)
            end = max(end, shown + base * (packet.duration or 0))
            if packet.stream.index != track.index:
                continue
            if not packet.is_discard:  # not shown, as the container cuts it off: it does not count as a time of its own
                now, start = now if packet.dts is None else base * packet.dts, min(start, shown)
            if packet.is_keyframe:
                keys.append(len(times))
                following.append(len(times) + 1)
                key_shown = shown
            elif shown < key_shown and len(times) <= keys[-1] + LATE:
                following[-1] = len(times) + 1
            if packet.is_corrupt:
                note(damage, f"damaged at {shown - start:.1f} s")
            times.append(now)
        if not times:
            raise Refused("unreadable", "a video without a frame")
        length, there = (container.duration or 0) / 1e6, end - (container.start_time or 0) / 1e6
        if track.frames > len(times):
            note(damage, f"holds {len(times)} of {track.frames} frames")
        elif length > there + 1:  # containers round, and sound may be a little longer
            note(damage, f"ends after {there:.1f} of {length:.1f} s")
    return Timeline(times, keys, following, start if start < inf else 0.0)


@contextmanager
def _said() -> Iterator[list[tuple[int, str, str]]]:
    """Collect what FFmpeg calls errors but goes on from, such as a part of a file that it skips."""
    import av

    before, skipped = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # also what was said of the file before
    try:
        with av.logging.Capture(local=True) as said:
            yield said
    finally:
        av.logging.set_level(before)
        av.logging.set_skip_repeated(skipped)


def note(damage: list[str], reason: str) -> None:
    """Keep the first things that are wrong with a video; how many more there are says little."""
    if reason not in damage and len(damage) < 3:
        damage.append(reason)
