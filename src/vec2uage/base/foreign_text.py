r"""How text that others have written is shown: names of files, persons and sources, values of configurations.

It may hold anything. Within the program and in JSON it stays as it is; each other medium has its function here, and
what reads it back from a CSV file has one, too. What people read shows a character that is no visible one, or that
moves a cursor or turns the direction of writing, as Python writes it: `\n`, `\x1b`, `\u202e`.
"""

import re
from typing import Any

_LONGEST = 4000  # characters of a sentence
_MARKDOWN = re.compile(
    r"""[\\`*|]             # also within words
    | (?<![^\W_])_ | _(?![^\W_])
    | \](?=[(\[:])          # of a link
    """,
    re.VERBOSE,
)
_HTML = re.compile(r"[<>$~@]|&(?=[#\w])|:(?=//)|(?<=www)\.")  # and mathematics, and addresses that become links
_FORMULA = re.compile("'*[=+@\t\r\n\\-\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}"
                      "\N{FULLWIDTH COMMERCIAL AT}]")  # fmt: skip


def visible(text: str, keep: str = "") -> str:
    r"""Return a text as one line for people; `keep` are characters that stay as they are.

    >>> print(visible("two\nlines \x1b[31m"))
    two\nlines \x1b[31m
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def sentence(text: str) -> str:
    """Return what is told to people as one visible line, without the middle of one that nobody would read to its end.

    >>> len(sentence("x" * 10**6))
    4000
    """
    line = visible(text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1005]} ... {line[-1000:]}"


class VisibleStream:
    """A stream, such as a terminal, to which nothing is written but visible text, line ends and tabs.

    A carriage return passes, as bars of progress are drawn with it.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be seen of a text."""
        self._stream.write(visible(text, keep="\n\r\t"))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def csv_cell(text: str) -> str:
    """Return a text as a cell of a CSV file that no spreadsheet takes for a formula: with `'` before it.

    Numbers stay as they are. `from_csv_cell` returns the text (OWASP, CSV injection).

    >>> csv_cell("=1+1"), csv_cell("-1.5"), csv_cell("a.jpg")
    ("'=1+1", '-1.5', 'a.jpg')
    """
    return f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text


def from_csv_cell(cell: str) -> str:
    """Return the text that `csv_cell` has made a cell of.

    >>> from_csv_cell("'=1+1"), from_csv_cell("'s-Hertogenbosch.jpg")
    ('=1+1', "'s-Hertogenbosch.jpg")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def markdown(text: str) -> str:
    r"""Return a text as Markdown that shows it: neither HTML nor a link, a column, mathematics or a style.

    >>> print(markdown("<b> [x](javascript:1) a|b sgd_2"))
    &#60;b&#62; [x\](javascript:1) a\|b sgd_2
    """
    escaped = _HTML.sub(lambda found: f"&#{ord(found[0])};", visible(text))
    return _MARKDOWN.sub(lambda found: f"\\{found[0]}", escaped)


def figure(text: str) -> str:
    r"""Return a text for a figure of matplotlib, which takes what stands between two `$` for mathematics.

    >>> print(figure(r"$\frac{$"))
    \$\frac{\$
    """
    return visible(text).replace("$", r"\$")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
