"""Tables as Markdown, as CSV and as LaTeX."""

from vec2uage.base import foreign_text
from vec2uage.base.csv_file import csv_text
from vec2uage.reporting.content import Cell, Table, cell_text
from vec2uage.statistics.bootstrap import Interval

_LATEX = str.maketrans(
    {
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "\N{EN DASH}": "--",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
    }
)


def markdown(table: Table) -> str:
    """Return a table as Markdown; rows that stand out are bold."""
    heads = [foreign_text.markdown(column.head) for column in table.columns]
    lines = [
        f"**{foreign_text.markdown(table.title)}**",
        "",
        _piped(heads),
        _piped([":--" if table.has_text(c) else "--:" for c in range(len(heads))]),
    ]
    for number, row in enumerate(table.rows):
        cells = list(map(foreign_text.markdown, _texts(table, row)))
        lines.append(_piped([f"**{cell}**" if number in table.marked and cell else cell for cell in cells]))
    return "\n".join([*lines, *(["", foreign_text.markdown(table.note)] if table.note else [])]) + "\n"


def comma_separated(table: Table) -> str:
    """Return a table as CSV with full precision; an interval becomes three columns, what does not exist is empty."""
    spread = {c for row in table.rows for c, cell in enumerate(row) if isinstance(cell, Interval)}
    heads = [
        [f"{c.head} {end}".strip() for end in ("", "low", "high")] if n in spread else [c.head]
        for n, c in enumerate(table.columns)
    ]
    rows = [
        [value for number, cell in enumerate(row) for value in _values(cell, number in spread)] for row in table.rows
    ]
    return csv_text([head for group in heads for head in group], rows)


def latex(table: Table) -> str:
    """Return a table as LaTeX for the booktabs package; rows that stand out are bold."""
    layout = "".join("l" if table.has_text(number) else "r" for number in range(len(table.columns)))
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_latex(table.title)}}}",
        rf"  \label{{tab:{table.name}}}",
        rf"  \begin{{tabular}}{{{layout}}}",
        r"    \toprule",
        f"    {_ampersand([column.head for column in table.columns])}",
        r"    \midrule",
    ]
    for number, row in enumerate(table.rows):
        lines.append(f"    {_ampersand(_texts(table, row), bold=number in table.marked)}")
    lines += [r"    \bottomrule", r"  \end{tabular}"]
    if table.note:
        lines += [rf"  \par\smallskip\footnotesize {_latex(table.note)}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _texts(table: Table, row: tuple[Cell, ...]) -> list[str]:
    return [cell_text(cell, column) for cell, column in zip(row, table.columns, strict=True)]


def _piped(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _ampersand(cells: list[str], bold: bool = False) -> str:
    texts = list(map(_latex, cells))
    if texts[0].startswith(("[", "*")):  # which the end of the line before would take for its own
        texts[0] = f"{{}}{texts[0]}"
    return " & ".join(rf"\textbf{{{text}}}" if bold and text else text for text in texts) + r" \\"


def _latex(text: str) -> str:
    return foreign_text.visible(text).translate(_LATEX)


def _values(cell: Cell, spread: bool) -> list[str | int | float]:
    if isinstance(cell, Interval):
        return [_known(cell.estimate), _known(cell.low), _known(cell.high)]
    return [_known(cell), "", ""] if spread else [_known(cell)]


def _known(value: str | int | float | None) -> str | int | float:
    return "" if value is None or value != value else value
