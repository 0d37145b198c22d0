"""Finds files below folders and by patterns as it goes along: millions of them in little memory."""

import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from vec2uage.case.records import CaseFile

Pattern = tuple[str, ...]
"""What the folders and the file below a folder are called, each with `*`, `?` and `[...]`; `**` stands for any number
of folders. What lies below a folder that matches, matches: the empty pattern takes everything."""


def walk(folder: Path, pattern: Pattern = (), prefix: str = "") -> Iterator[CaseFile]:
    """Yield the files below `folder` that match, as the disk has them in order; their names begin with `prefix`.

    Hidden files are among them. Links are not followed: they, and what is neither a file nor a folder, have a problem,
    and so has a folder that cannot be read, as `folder/`.
    """
    folders = [(folder, prefix, _started(pattern))]
    while folders:
        here, before, reached = folders.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    matched = _step(reached, entry.name, pattern)
                    if entry.is_dir(follow_symlinks=False):
                        if matched:
                            folders.append((here / entry.name, f"{before}{entry.name}/", matched))
                    elif len(pattern) in matched:
                        yield _found(entry, before + entry.name, here / entry.name)
        except OSError as error:
            yield CaseFile(before or f"{here}/", here, problem=f"folder cannot be read: {error.strerror or error}")


def matches(parts: Iterable[str], pattern: Pattern) -> bool:
    """Tell whether `walk` takes the file to which these folders, and its own name, lead."""
    reached = _started(pattern)
    for part in parts:
        reached = _step(reached, part, pattern)
    return len(pattern) in reached


def _found(entry: os.DirEntry[str], name: str, path: Path) -> CaseFile:
    if entry.is_symlink():
        return CaseFile(name, path, problem="a link, which is not followed", status="no_media")
    if not entry.is_file(follow_symlinks=False):
        return CaseFile(name, path, problem="not a regular file", status="no_media")
    return CaseFile(name, path)


def _started(pattern: Pattern) -> frozenset[int]:
    """Return how many parts of the pattern may be behind one who stands in the folder that it starts from."""
    return _and_past_folders({0}, pattern)


def _step(reached: frozenset[int], name: str, pattern: Pattern) -> frozenset[int]:
    """Return how many may be behind one who goes on to `name`; none: nothing from there on can match."""
    behind = set()
    for count in reached:
        if count == len(pattern) or pattern[count] == "**":
            behind.add(count)
        elif fnmatchcase(name, pattern[count]):
            behind.add(count + 1)
    return _and_past_folders(behind, pattern)


def _and_past_folders(behind: set[int], pattern: Pattern) -> frozenset[int]:
    """Add what is behind one for whom `**` stands for no folder."""
    for count in range(len(pattern)):
        if count in behind and pattern[count] == "**":
            behind.add(count + 1)
    return frozenset(behind)
