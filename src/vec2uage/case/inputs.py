"""What there is to do with each file that a source names: told by its hashes and its first bytes, in bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Event

from vec2uage.base.interrupt import Interrupted
from vec2uage.base.progress import Progress
from vec2uage.case.examine import START_BYTES
from vec2uage.case.journal import Input, Journal, Outcome
from vec2uage.case.records import CaseFile
from vec2uage.faces.hashing import digest, regular_state, size_in
from vec2uage.faces.image import is_image
from vec2uage.faces.records import Hashes, Refused, unopened
from vec2uage.faces.video import is_video

_SUFFIXES = frozenset(
    [
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp"),
        *(".jp2", ".j2k", ".jpx", ".avif", ".heic", ".heif", ".hif", ".ppm", ".pgm", ".pbm", ".pnm"),
        *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".flv", ".f4v"),
        *(".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts", ".ogv", ".rm", ".rmvb"),
    ]
)
"""Of names that say image or video: such a file is damaged where its content is neither."""
_WAITING = 8  # files that each thread may have before it

Content = tuple[str, Hashes, bytes] | Refused
"""A file's state, hashes and first bytes, or why it cannot be read."""
Begun = tuple[CaseFile, Hashes | None, Future[Content]]
"""A file that is being read, and its hashes where the journal knows them."""


def read_inputs(
    files: Iterable[CaseFile], journal: Journal, is_known: Callable[[Hashes], bool], workers: int, stop: Event
) -> Iterator[Input]:
    """Yield each file with what there is to do with it, in order; the journal keeps the hashes.

    Only files that the journal does not know in their present state are read as a whole. Raises Interrupted when `stop`
    is set, and what `files` raises.
    """
    waiting = deque[Input | Begun]()

    def first() -> Input:
        progress.advance()
        each = waiting.popleft()
        return each if isinstance(each, Input) else _judged(*each, journal, is_known)

    # threads suffice: reading and hashing hold no lock of Python's
    with ThreadPoolExecutor(workers) as threads, Progress(None, "hashed file", "hashing", spoken=True) as progress:
        for file in files:
            if stop.is_set():
                raise Interrupted
            waiting.append(_begun(file, journal, threads, stop))
            if len(waiting) > workers * _WAITING:
                yield first()
        while waiting:
            yield first()


def _begun(file: CaseFile, journal: Journal, threads: ThreadPoolExecutor, stop: Event) -> Input | Begun:
    """Let a thread read a file, where it can be read."""
    if file.problem:
        return Input(file, Outcome(file.status, file.problem))
    try:
        state = regular_state(file.path)
    except (FileNotFoundError, NotADirectoryError):
        return Input(file, Outcome("missing", "no such file"))
    except ValueError:  # a zero byte, or half of a surrogate pair
        return Input(file, Outcome("missing", "no file can have such a name"))
    except OSError as error:
        state = unopened(error)
    if isinstance(state, Refused):
        return Input(file, Outcome("unreadable", state.reason))
    known = journal.hashes(file.path, state)
    return file, known, threads.submit(_read, file.path, state, known, stop)


def _read(path: Path, state: str, known: Hashes | None, stop: Event) -> Content:
    try:
        with path.open("rb") as file:
            start = file.read(START_BYTES)
    except OSError as error:
        return unopened(error)
    if known is not None:
        return state, known, start
    found = digest(path, stop)
    return found if isinstance(found, Refused) else (*found, start)


def _judged(
    file: CaseFile,
    known: Hashes | None,
    reading: Future[Content],
    journal: Journal,
    is_known: Callable[[Hashes], bool],
) -> Input:
    """Tell whether a file that was read is to be looked into."""
    content = reading.result()
    if isinstance(content, Refused):
        return Input(file, Outcome("unreadable", content.reason))
    state, hashes, start = content
    if known is None:
        journal.put_hashes(file.path, state, hashes)
    outcome = None
    if reason := _mismatch(file, hashes):
        outcome = Outcome("hash_mismatch", reason)
    elif is_known(hashes):
        outcome = Outcome("skipped_known", "on the list of known files")
    elif not is_image(start) and not is_video(start):
        outcome = _of_other_content(file, start)
    return Input(file, outcome, hashes.sha256 if outcome is None else None, size_in(state), hashes)


def _mismatch(file: CaseFile, hashes: Hashes) -> str:
    """Return which digest that the source gives is another one, "" where none is."""
    found = asdict(hashes)
    wrong = [(name, given) for name, given in file.hashes.items() if given != found[name]]
    return "; ".join(f"its {name} is {found[name]}, and {given} was given" for name, given in wrong)


def _of_other_content(file: CaseFile, start: bytes) -> Outcome:
    reason = "neither an image nor a video" if start else "the file is empty"
    if file.path.suffix.lower() in _SUFFIXES:
        return Outcome("unreadable", f"{reason}, though its name says so" if start else reason)
    return Outcome("no_media", reason)
