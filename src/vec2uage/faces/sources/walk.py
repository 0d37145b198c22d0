"""Finds every file below a folder once, whatever links, odd names and closed folders there are."""

import logging
import os
import re
from collections import deque
from dataclasses import replace
from pathlib import Path

from vec2uage.base.errors import UserError
from vec2uage.faces.records import Photograph

log = logging.getLogger(__name__)

SYSTEM_FILES = ("thumbs.db", "desktop.ini")


def walk(folder: Path, source: str) -> list[Photograph]:
    """Return a record without an age for every file below `folder`, sorted by name.

    Links to files and folders are followed; a folder that several paths lead to is entered once, by a path without
    links where there is one. Hidden files, files that the operating system left and what is not a regular file
    (a pipe, a link to nothing) get a record with a `problem`, and so does a folder that cannot be read, as `folder/`.

    Raises UserError when `folder` is missing, no folder, or has no file below it.
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder}: {'not a folder' if folder.exists() else 'no such folder'} (path of source {source})"
        )
    entered = {_identity(parent) for parent in folder.resolve().parents}  # a link up there would lead back here
    found: list[Photograph] = []
    closed: list[Photograph] = []
    again: list[str] = []
    folders, linked = [folder], deque[Path]()
    while folders or linked:
        here = folders.pop() if folders else linked.popleft()
        try:
            if (identity := _identity(here)) in entered:
                again.append(text_name(here, folder))
                continue
            entered.add(identity)
            with os.scandir(here) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            closed.append(_closed(here, text_name(here, folder), source, error))
            continue
        for entry in entries:
            path = here / entry.name
            kind = _kind(entry)
            if kind == "folder":
                (linked if entry.is_symlink() else folders).append(path)
            else:
                name = text_name(path, folder)
                photograph = Photograph(path, name, None, source=source)
                if kind:
                    photograph = replace(photograph, problem=kind, problem_status="unreadable")
                elif unwanted := _unwanted(name):
                    photograph = replace(photograph, problem=unwanted, problem_status="filtered")
                found.append(photograph)
    if again:
        log.warning("%s: folders that another path leads to are read once; left out: %s", folder, _some(again))
    shut = _some([f"{photograph.name} ({photograph.problem})" for photograph in closed])
    if closed:
        log.warning("%s: %d folders are left out: %s", folder, len(closed), shut)
    if not found:
        raise UserError(f"{folder}: no file below it" + (f"; left out: {shut}" if closed else ""))
    return sorted(found + closed, key=lambda photograph: photograph.name)


def text_name(path: Path, folder: Path) -> str:
    r"""Return the path below `folder` with `/`, as text that can be written: bytes that are no UTF-8 become `\udcff`.

    Different paths have different names: where a name would look like an escaped one, its backslashes are doubled.
    """
    name = path.relative_to(folder).as_posix()
    if re.search(r"[\ud800-\udfff]|\\ud", name):
        name = name.replace("\\", "\\\\").encode("utf-8", "backslashreplace").decode("utf-8")
    return name


def _closed(path: Path, name: str, source: str, error: OSError) -> Photograph:
    """Return the record of a folder that cannot be read."""
    problem = f"folder cannot be read: {error.strerror or error}"
    return Photograph(path, f"{name}/", None, source=source, problem=problem, problem_status="unreadable", outside=True)


def _kind(entry: os.DirEntry[str]) -> str:
    """Return "folder", "" for a regular file, or what is wrong with it."""
    try:
        if entry.is_dir():
            return "folder"
        return "" if entry.is_file() else "not a regular file, or a link to none"
    except OSError as error:  # a link to itself
        return f"cannot be looked at ({error.strerror})"


def _unwanted(name: str) -> str:
    if any(part.startswith(".") for part in name.split("/")):
        return "hidden: its name or that of a folder starts with a dot"
    if name.rpartition("/")[2].lower() in SYSTEM_FILES:
        return "a file of the operating system"
    return ""


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(sorted(names)[:3]) + more
