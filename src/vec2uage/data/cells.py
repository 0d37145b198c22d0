"""What the cells of a file say: numbers, ages, labels and vectors, however a person or a program wrote them.

All readers of vectors and all tables of photographs go through here, so that a missing value, a date or a number as
text means the same in every format.
"""

import math
import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from vec2uage.base.errors import UserError

OLDEST = 120  # years; the record is 122, an age above this is a mistake

_MISSING = frozenset(
    (
        "",
        "nan",
        "none",
        "null",
        "nil",
        "nat",
        "<na>",
        "n/a",
        "#n/a",
        "unknown",
        "undefined",
        "-",
        "--",
        "\u2013",
        "\u2014",
        "?",
    )
)
_GENDERS = {"male": "male", "m": "male", "female": "female", "f": "female"}
_WHOLE = re.compile(r"([0-9]+)\.0+")
_CODE = re.compile(r"-[0-9]+(\.0+)?")  # -1 or -999 for what is not known: nobody numbers persons so
_SEPARATOR = re.compile(r" ?[,;] ?| ")
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_KINDS = {"b": "truth values", "M": "dates", "m": "spans of time", "c": "complex numbers", "V": "records"}


def is_missing(text: str) -> bool:
    """Tell whether a text stands for "not known", as programs and people write it (nan, None, NULL, NA, -, ...)."""
    text = text.strip()
    return text.casefold() in _MISSING or text in ("NA", "na")  # Na is a name


def as_text(value: object, where: str) -> str:
    """Return a cell as text, "" where it is missing: None or NaN.

    A column of whole numbers of which some are missing is one of floats: 12.0 is "12", as in other files. Raises
    UserError for anything but texts and numbers, for text that is not Unicode, and for floats so large that
    neighbouring whole numbers are one.
    """
    if value is None:
        return ""
    if type(value) is str and value.isascii():
        return value
    if isinstance(value, float | np.floating):
        if math.isnan(value):
            return ""
        if not abs(float(value)) < 2.0 ** (np.finfo(type(value)).nmant + 1):
            raise UserError(f"{where}: {value:g} stands for many whole numbers: write them as integers or texts")
        return str(int(value)) if float(value).is_integer() else str(value)
    if isinstance(value, bytes | str):
        try:
            text = value.decode() if isinstance(value, bytes) else str(value)
            text.encode()  # half a surrogate pair cannot be written to any file
        except UnicodeError:
            raise UserError(f"{where}: {ascii(value)[:60]} is not text in UTF-8") from None
        return text
    if isinstance(value, int | np.integer | Decimal) and not isinstance(value, bool | np.timedelta64):
        return str(value)
    raise UserError(f"{where} is not of texts, but of {type(value).__name__}")


def as_label(value: object, where: str) -> str:
    """Return what a cell says of a person or a source, "" where it is missing or a word or a code for that.

    Texts that differ in form and not in meaning become one: composed and decomposed or full-width letters, blanks
    around and between words, characters without width, "12.0" and "12". Capitals count. Raises what `as_text` does.
    """
    return _label(as_text(value, where))


@lru_cache(maxsize=1 << 16)  # sources and genders come again in every row
def _label(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        visible = "".join(c for c in " ".join(text.split()) if unicodedata.category(c) not in ("Cc", "Cf"))
        text = unicodedata.normalize("NFKC", visible)
    text = " ".join(text.split())
    whole = _WHOLE.fullmatch(text)
    return "" if is_missing(text) or _CODE.fullmatch(text) else whole[1] if whole else text


def as_gender(value: object, where: str) -> str:
    """Return "male", "female" or "" (unknown) for what a cell says; UserError naming `where` for other words."""
    text = as_label(value, where)
    if text and text.casefold() not in _GENDERS:
        raise UserError(f"{where}: gender {text[:40]!r} is not one of male, female, m, f or empty (unknown)")
    return text and _GENDERS[text.casefold()]


def as_number(text: str) -> float:
    """Return the number that a text says, NaN where it is missing; ValueError where it says something else."""
    if is_missing(text):
        return math.nan
    if "_" in text:
        raise ValueError("Python reads 1_2 as 12")
    return float(text)


def as_vector(text: str) -> Float32[np.ndarray, " D"]:
    """Return the vector that a text says: `[0.1, 0.2]`, `0.1 0.2`, as Python, NumPy and JSON write it.

    Raises ValueError where it says something else, also where numbers are parted in several ways: one of them may be a
    decimal comma.
    """
    text = " ".join(text.split())
    if text[:1] in _BRACKETS and text.endswith(_BRACKETS[text[:1]]):
        text = text[1:-1].strip()
    separators = set(_SEPARATOR.findall(text))
    if len(separators) > 1:
        raise ValueError("parted in several ways")
    words = text.split(separators.pop()) if separators else [text]
    with np.errstate(over="ignore"):  # too large for float32 becomes Inf, which is a bad row
        return np.array([as_number(word) for word in words], dtype=np.float32)


def numbers(values: Any, what: str) -> Float32[np.ndarray, "..."]:
    """Return integers, floats or None (NaN) as float32; UserError for all else, however it could be cast."""
    try:
        found = np.asarray(values)
    except (ValueError, TypeError):
        raise UserError(f"{what} are not numbers") from None
    booleans = isinstance(values, list | tuple) and bool in set(map(type, values))  # NumPy makes 1.0 of True
    if found.dtype == object:
        booleans = not all(value is None or _is_number(value) for value in found.flat)
    if booleans or found.dtype.kind not in "iufO":
        kind = _KINDS.get(found.dtype.kind)
        raise UserError(f"{what} are {kind}, not numbers" if kind else f"{what} are not numbers")
    try:
        with np.errstate(over="ignore"):  # too large for float32 becomes Inf, which is a bad row
            return np.asarray(found, dtype=np.float32)
    except (OverflowError, TypeError, ValueError):
        raise UserError(f"{what} are beyond all numbers that can be computed with") from None


def ages(values: Iterable[Any], what: str) -> tuple[Float32[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """Return ages in years, NaN where they are missing, and which of them are texts that say no number.

    Raises UserError for dates, truth values and all else that is neither number nor text.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind not in "OUS":
        years = numbers(values, what) + np.float32(0)  # -0 becomes 0
        if years.ndim != 1:
            raise UserError(f"{what} of shape {values.shape}: give one for each vector")
        return years, np.zeros(years.shape, dtype=bool)
    read, unread = [], []
    for value in values:
        age, is_unread = math.nan, False
        if isinstance(value, str | bytes):
            try:
                age = as_number(as_text(value, what))
            except ValueError:
                is_unread = True
        elif _is_number(value):
            try:
                age = float(value)
            except OverflowError:
                age = math.inf
        elif value is not None:
            raise UserError(f"{what} are not numbers of years, but {type(value).__name__}")
        read.append(age)
        unread.append(is_unread)
    with np.errstate(over="ignore"):
        return np.array(read, dtype=np.float32) + np.float32(0), np.array(unread, dtype=bool)


def _is_number(value: object) -> bool:
    # NumPy counts spans of time among the integers, Python truth values
    return isinstance(value, Real | Decimal) and not isinstance(value, bool | np.bool_ | np.timedelta64)
