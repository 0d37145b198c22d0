"""What a pickle would take of memory and time, found without running it: its instructions are followed by size alone.

Python's unpickler makes room for whatever a pickle announces, and hashes whatever it makes a key of a dict: a few bytes
can ask for gigabytes, or for a hash that takes for ever. What passes this check takes no more than a few hundred times
its length.
"""

import re
from pickletools import opcodes
from typing import Any

MOST_OBJECTS = 1 << 22  # lists, dicts, calls and such; as many are in a table of half a million rows with arrays
_LARGEST_KEY = 16  # numbers and texts within a key of a dict; a number of more than 64 bits is larger
_CAP = 1 << 20  # no size is followed further

_NAMES = {op.code: [thing.name for thing in op.stack_before] for op in opcodes}
# How many things an instruction takes off the stack, those since the last mark apart, and whether it takes these, too.
_TAKES = {
    code: (names.index("mark"), True) if "mark" in names else (len(names), False) for code, names in _NAMES.items()
}
_GIVES = {op.code for op in opcodes if op.stack_after}
# Arguments, by the code of the instruction (pickletools tells what each one does).
_LINES = dict.fromkeys("ILFSVgpP", 1) | dict.fromkeys("ci", 2)
_WIDTHS = dict.fromkeys("Khq\x80\x82", 1) | dict.fromkeys("M\x83", 2) | dict.fromkeys("Jjr\x84", 4) | {"G": 8}
_LENGTHS = dict.fromkeys("UC\x8c\x8a", 1) | dict.fromkeys("TXB\x8b", 4) | dict.fromkeys("\x8d\x8e\x96\x95", 8)
_ARGUMENTS = {*_LINES, *_WIDTHS, *_LENGTHS}
_RUNS = {
    chr(code[0]): re.compile(b"(?:" + code + b")+", re.DOTALL) for code in (b"G.{8}", b"K.", b"J.{4}", b"M..", b"N")
}
_INTEGERS = set("IL\x8a\x8b")
_PUTS, _GETS = set("pqr"), set("ghj")
_TOGETHER = set("t\x85\x86\x87\x91RoiQ\x81\x92")  # as large as what they are made of
_MAKERS = _TOGETHER | set("]}\x8fldb")
_KEYS = {"s": slice(1, 2), "u": slice(1, None, 2), "d": slice(0, None, 2), "\x90": slice(1, None), "\x91": slice(None)}


def check(data: Any, start: int = 0) -> None:
    """Raise ValueError with the reason where the pickle that begins at `start` is damaged, or would take too much.

    `data` are `bytes` or an `mmap`.
    """
    stack: list[int] = []  # the size of each thing
    marks: list[int] = []
    memo: dict[int, int] = {}
    at, made = start, 0
    try:
        while True:
            code = chr(data[at])
            if (run := _RUNS.get(code)) and (found := run.match(data, at)):
                stack += [1] * ((found.end() - at) // (1 + _WIDTHS.get(code, 0)))
                at = found.end()
                continue
            at, argument, length = _argument(data, at + 1, code) if code in _ARGUMENTS else (at + 1, 0, 0)
            if code == ".":
                return
            if code == "(":
                marks.append(len(stack))
            elif code == "0" and marks and marks[-1] == len(stack):
                marks.pop()
            elif code == "2":
                stack.append(stack[-1])
            elif code in _PUTS:
                if argument > at:  # the unpickler makes room for as many
                    raise ValueError("it numbers more than it holds")
                memo[argument] = stack[-1]
            elif code == "\x94":
                memo[len(memo)] = stack[-1]
            elif code in _GETS:
                stack.append(memo[argument])
            else:
                count, is_marked = _TAKES[code]
                place = (marks.pop() if is_marked else len(stack)) - count
                if place < 0:
                    raise IndexError
                taken = stack[place:]
                del stack[place:]
                if code in _KEYS and max(taken[_KEYS[code]], default=0) > _LARGEST_KEY:
                    raise ValueError("a key in it is too large")
                made += code in _MAKERS
                if made > MOST_OBJECTS:
                    raise ValueError(f"it makes more than {MOST_OBJECTS:,} objects")
                if code in _TOGETHER:
                    stack.append(min(1 + sum(taken), _CAP))
                elif code in _GIVES:
                    is_large = code in _INTEGERS and length > (8 if code in _LENGTHS else len(str(2**63)))
                    stack.append(1 + _LARGEST_KEY * is_large)
    except (IndexError, KeyError):
        raise ValueError("it ends within a value, or is damaged") from None


def _argument(data: Any, at: int, code: str) -> tuple[int, int, int]:
    """Return where the next instruction is, an argument that is a number, and the bytes that the argument takes."""
    if code in _LINES:
        end = at
        for _ in range(_LINES[code]):
            if (end := data.find(b"\n", end) + 1) == 0:
                raise IndexError
        return end, int(data[at:end]) if code in "gp" else 0, end - at
    width = _WIDTHS.get(code) or _LENGTHS.get(code, 0)
    number = int.from_bytes(data[at : at + width], "little")
    end = at + width + (number if code in _LENGTHS else 0)
    if end > len(data):
        raise ValueError("it ends within a value")
    return (at + width if code == "\x95" else end), number, end - at - width  # a frame is looked into
