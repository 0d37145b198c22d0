"""Reads JSON in the shape of public exports of VICS 2.0 piece by piece, and adds to the text of its entries.

A root whose `@odata.context` ends in `#Cases` has cases with `Media` in its `value`; in one that ends in `#Media`, they
are the `value`. Files are of hundreds of MB: one entry at a time is in memory. What is read can be written again byte
by byte, also where it is no UTF-8.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from vec2uage.base.errors import UserError
from vec2uage.data.readers.hostile import check_regular, check_utf8

_CHUNK = 1 << 20  # characters that are read at once
_LONGEST = 1 << 26  # characters of one value: none of an export comes near it
_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder(strict=False)  # a line's end within a text is no reason to refuse a case


@dataclass(frozen=True)
class Entry:
    """A file of the case: the text of its object, and what that says."""

    text: str
    fields: dict[str, Any]

    def get(self, name: str) -> Any:
        """Return a field, whatever the case of its name; None where it is not there."""
        return next((value for key, value in self.fields.items() if key.casefold() == name.casefold()), None)


def pieces(path: Path) -> Iterator[str | Entry]:
    """Yield the entries of a JSON, and as texts what lies between them: put together, they are the file.

    Raises UserError, at the place, where it cannot be read or is of another shape.
    """
    try:
        check_regular(path)
        with path.open("rb") as start:
            check_utf8(path, start.read(4))
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            yield from _pieces(_Reader(path, file))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None


def entries(path: Path) -> Iterator[Entry]:
    """Yield the entries of a JSON; raises what `pieces` does."""
    return (piece for piece in pieces(path) if isinstance(piece, Entry))


def with_added(text: str, name: str, addition: str, joint: str) -> str:
    """Return the text of an entry with one added to its field `name`, and not a byte else touched.

    It is put behind a text, after `joint`, or into a list; it takes the place of null, and is a new last field where
    there is none. What is none of these stays.
    """
    members = list(_members(text))
    new = json.dumps(addition)
    for member in reversed(members):  # the last of equal names is the one that counts
        if member.key.casefold() == name.casefold():
            start, end, value = member.start, member.end, member.value
            if isinstance(value, str):
                return text[: end - 1] + json.dumps(joint * bool(value) + addition)[1:] + text[end:]
            if isinstance(value, list):
                return text[: end - 1] + ", " * bool(value) + new + text[end - 1 :]
            return text[:start] + new + text[end:] if value is None else text
    if not members:
        return f"{{{json.dumps(name)}: {new}{text[1:]}"
    last = members[-1]  # whose line end, indentation and blanks are those of the new one
    before = text[members[-2].end : last.key_start] if len(members) > 1 else ", "
    colon = text[last.key_end : last.start]
    return text[: last.end] + before + json.dumps(name) + colon + new + text[last.end :]


class _Member(NamedTuple):
    key: str
    key_start: int
    key_end: int
    value: Any
    start: int
    end: int


def _members(text: str) -> Iterator[_Member]:
    """Yield the members of an object that is known to be sound, and where they lie in its text."""
    position = _past_blank(text, 1)
    while text[position] != "}":
        key, key_end = _DECODER.raw_decode(text, position)
        start = _past_blank(text, _past_blank(text, key_end) + 1)
        value, end = _DECODER.raw_decode(text, start)
        yield _Member(key, position, key_end, value, start, end)
        position = _past_blank(text, end)
        if text[position] == ",":
            position = _past_blank(text, position + 1)


def _past_blank(text: str, position: int) -> int:
    blank = _BLANK.match(text, position)
    assert blank is not None, "it matches nothing, too"
    return blank.end()


class _Reader:
    """A JSON from its beginning to its end, as far as it has been read."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self._path, self._file = path, file
        self._text = file.read(_CHUNK)
        self._position = self._taken = 0
        self._dropped = 0  # characters before the text
        if self._text.startswith("\ufeff"):
            self._position = 1

    def take(self) -> str:
        """Return the text from where the last one ended to the present place."""
        text = self._text[self._taken : self._position]
        self._taken = self._position
        return text

    def next(self) -> str:
        """Go to the next character that is not blank and return it; "" at the end."""
        self._position = _past_blank(self._text, self._position)
        while self._position == len(self._text) and self._read_on():
            self._position = _past_blank(self._text, self._position)
        return self._text[self._position : self._position + 1]

    def value(self) -> Any:
        """Go past a value and return it."""
        self.next()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._position)
                if end < len(self._text) or not self._read_on():  # a number may go on
                    self._position = end
                    return value
            except (ValueError, RecursionError) as error:
                too_long = len(self._text) - self._position > _LONGEST
                if isinstance(error, RecursionError) or too_long or not self._read_on():
                    self._position = getattr(error, "pos", self._position)
                    raise self.refused(f"no JSON that can be read ({getattr(error, 'msg', error)})") from None

    def members(self) -> Iterator[str]:
        """Yield the keys of an object, and go past it; the value of each is to be read before the next is asked for."""
        for _ in self._all_between("{", "}"):
            key = self.value()
            if not isinstance(key, str):
                raise self.refused("the key of an object is no text")
            self._expect(":")
            yield key

    def items(self) -> Iterator[None]:
        """Stop at each item of a list, which is to be read before the next is asked for, and go past the list."""
        return self._all_between("[", "]")

    def end(self) -> None:
        """Go to the end of the file."""
        if self.next():
            raise self.refused("more text after the end of the JSON")

    def refused(self, problem: str) -> UserError:
        """Return what to raise at the present place."""
        return UserError(f"{self._path}: {problem} at character {self._dropped + self._position + 1:,}")

    def _all_between(self, start: str, end: str) -> Iterator[None]:
        self._expect(start)
        if self.next() != end:
            yield
            while self.next() == ",":
                self._position += 1
                self.next()
                yield
        self._expect(end)

    def _expect(self, character: str) -> None:
        if self.next() != character:
            raise self.refused(f"{character!r} is missing")
        self._position += 1

    def _read_on(self) -> bool:
        """Read more of the file; False at its end, where all stays as it is."""
        more = self._file.read(max(_CHUNK, len(self._text) - self._position))  # a long value is not tried too often
        if more:
            self._text = self._text[self._taken :] + more
            self._position -= self._taken
            self._dropped += self._taken
            self._taken = 0
        return bool(more)


def _pieces(reader: _Reader) -> Iterator[str | Entry]:
    read = None
    for key in reader.members():
        if key == "@odata.context":
            read = _CONTENTS.get(str(reader.value()).rpartition("#")[2])
        elif key != "value":
            reader.value()
            yield reader.take()  # so that it is not kept until the next entry
        elif read is None:
            raise reader.refused(
                "no export of VICS 2.0, whose @odata.context comes first and ends in #Cases or #Media,"
            )
        else:
            yield from read(reader)
    reader.end()
    yield reader.take()


def _cases(reader: _Reader) -> Iterator[str | Entry]:
    for _ in reader.items():
        for key in reader.members():
            if key.casefold() == "media" and reader.next() != "n":  # null: there are none
                yield from _media(reader)
            else:
                reader.value()
                yield reader.take()


def _media(reader: _Reader) -> Iterator[str | Entry]:
    for _ in reader.items():
        yield reader.take()
        fields = reader.value()
        if not isinstance(fields, dict):
            raise reader.refused("an entry of Media is no object")
        yield Entry(reader.take(), fields)


_CONTENTS: dict[str, Callable[[_Reader], Iterator[str | Entry]]] = {"Cases": _cases, "Media": _media}
