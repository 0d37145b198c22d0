"""The page of a statement, as HTML that needs nothing beside it, and as Markdown."""

from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from vec2uage.base import foreign_text
from vec2uage.base.atomic import write_text
from vec2uage.evaluation.statement import Statement
from vec2uage.evaluation.statement_content import Section, Table, sections

_TITLE = "Validation statement of an age estimator"


def write(path: Path, statement: Statement) -> list[Path]:
    """Write `<path>.html` and `<path>.md`, and return their paths."""
    texts = {".html": html(statement), ".md": markdown(statement)}
    written = []
    for suffix, text in texts.items():
        file = path.with_name(path.name + suffix)
        write_text(file, text)
        written.append(file)
    return written


def html(statement: Statement) -> str:
    """Return the page as HTML; nothing in it runs, and nothing is loaded from anywhere."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, finalize=_visible
    )
    template = resources.files("vec2uage.evaluation").joinpath("statement.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(template).render(title=_TITLE, sections=sections(statement))


def markdown(statement: Statement) -> str:
    """Return the page as Markdown."""
    lines = [f"# {_TITLE}", *(line for section in sections(statement) for line in _section(section))]
    return "\n".join(lines) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield from ("", f"## {foreign_text.markdown(section.title)}")
    for paragraph in section.paragraphs:
        yield from ("", foreign_text.markdown(paragraph))
    if section.points:
        yield ""
        yield from (f"- {foreign_text.markdown(point)}" for point in section.points)
    for table in section.tables:
        yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    yield from ("", f"**{foreign_text.markdown(table.title)}**", "", _piped(table.heads))
    yield _piped([":--", *([":--" if table.prose else "--:"] * (len(table.heads) - 1))])
    yield from map(_piped, ([foreign_text.markdown(cell) for cell in row] for row in table.rows))
    if table.note:
        yield from ("", foreign_text.markdown(table.note))


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _visible(value: object) -> object:
    return foreign_text.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
