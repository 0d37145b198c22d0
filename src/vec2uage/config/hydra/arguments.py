"""Arguments as people type them, rewritten so that Hydra reads what was meant."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from vec2uage.base.arguments import quoted
from vec2uage.base.errors import UserError

_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")  # Hydra's own options that are text
_parser = OverridesParser.create()


def parsed(argument: str) -> Override | None:
    """Return an argument as Hydra reads it, None where it cannot."""
    try:
        return _parser.parse_override(argument)
    except HydraException:
        return None


def refuse_undecodable(arguments: Sequence[str]) -> None:
    """Raise UserError where a name, or that of the working directory, is no text: it could not be written anywhere."""
    try:
        here = str(Path.cwd())
    except FileNotFoundError:
        raise UserError("the folder in which this was typed is gone: change to another one") from None
    for text in (*arguments, here):
        try:
            text.encode()
        except UnicodeEncodeError:
            name = os.fsencode(text).decode(errors="backslashreplace")
            raise UserError(
                f"{name}: its bytes are no UTF-8 text, as names in old archives: rename it, for example with convmv "
                "(where it is text, the locale is none of UTF-8: set PYTHONUTF8=1)"
            ) from None


def gather_repeated(key: str, arguments: Sequence[str]) -> list[str]:
    """Put all `key=value` arguments into one list, quoted, where Hydra would take the last one alone.

    Values are paths as shells complete them: Hydra could not read a bare = or , in them. Where one is a list already,
    nothing changes; what is in quotes stays as it is.
    """
    given = [argument.partition("=")[2] for argument in arguments if argument.startswith(f"{key}=")]
    if not given or any(value[:1] in ("[", "$", "") for value in given):
        return list(arguments)
    others = [argument for argument in arguments if not argument.startswith(f"{key}=")]
    items = [value if _is_quoted(value) else quoted(value) for value in given]
    return [*others, f"{key}=[{','.join(items)}]"]


def readable(arguments: Sequence[str]) -> list[str]:
    """Quote what Hydra could not read in the values of `key=value` arguments, so that it is taken as it is.

    These are letters that its grammar lacks, and a bare = or , in a path that exists. A name without / \\ or = is none:
    `seed=1,2` is a sweep, whatever files there are. What Hydra can read keeps the meaning that it has there. Flags are
    not Hydra's to parse. `log()` of a search, which Hydra lacks, becomes what it means (see `with_log`).
    """

    def rewritten(argument: str) -> str:
        key, equals, value = argument.partition("=")
        if argument.startswith("-") or not equals or re.fullmatch(r"[\w./-]*", value, re.ASCII):
            return as_text(argument) if key in _FOLDERS else argument
        if with_log(value) != value:
            return f"{key}={with_log(value)}"
        may_be_path = any(sign in value for sign in "/\\=")
        paths = _existing(value.split(",")) if may_be_path else None
        return f"{key}={','.join(map(quoted, paths)) if paths else _readable(value)}"

    return list(map(rewritten, arguments))


def with_log(value: str) -> str:
    """Return a value in which `log(a, b)`, numbers of a search that are uniform in their logarithm, is as Hydra has it.

    >>> with_log("log(1e-5, 1e-1)"), with_log("int(log(8, 64))"), with_log("3")
    ('tag(log,interval(1e-5, 1e-1))', 'int(tag(log,interval(8, 64)))', '3')
    """
    found = re.fullmatch(r"(int\()?log\(([^()]*)\)(\)?)", value.strip())
    return f"{found[1] or ''}tag(log,interval({found[2]})){found[3]}" if found else value


def as_text(argument: str) -> str:
    """Quote the numbers and truth values in a `key=value` argument, so that Hydra reads them as they are spelled."""
    key, _, value = argument.partition("=")

    def spelled(item: str) -> str:
        return quoted(item) if _is_number(item) else item

    return f"{key}={_of_items(value, spelled) or spelled(value)}"


def _existing(parts: Sequence[str]) -> list[str] | None:
    """Join the parts of a text cut at its commas to the fewest paths that exist; None where they are no paths."""
    for end in range(len(parts), 0, -1):
        first = ",".join(parts[:end])
        if os.path.exists(first):  # noqa: PTH110 - that of Path raises where a name is too long
            others = _existing(parts[end:]) if end < len(parts) else []
            if others is not None:
                return [first, *others]
    return None


def _readable(value: str) -> str:
    """Return a value that Hydra can read: this one, or with those of its items quoted that it cannot."""
    if _is_read(value):
        return value
    with_readable_items = _of_items(value, _readable)
    if with_readable_items and _is_read(with_readable_items):
        return with_readable_items
    return quoted(value, keep_interpolations=re.search(r"\$\{[^{}]+\}", value) is not None)


def _of_items(value: str, change: Callable[[str], str]) -> str:
    """Return a list, a mapping, a call or a sweep with each of its items changed; "" for a value without items."""
    for start, pattern, end in (("[", r"\[(.*)\]", "]"), ("{", r"\{(.*)\}", "}")):
        if found := re.fullmatch(pattern, value, re.DOTALL):
            return start + ",".join(map(change if start == "[" else _of_pair(change), _items(found[1]))) + end
    call = re.fullmatch(r"(\w+)\((.*)\)", value, re.DOTALL)
    if call and call[1] in _parser.functions.functions:
        return f"{call[1]}({','.join(map(change, _items(call[2])))})"
    items = _items(value)
    is_path = any("=" in item and item[:1] not in "['{\"" for item in items)  # of a run, which its options name
    return ",".join(map(change, items)) if len(items) > 1 and not is_path else ""


def _of_pair(change: Callable[[str], str]) -> Callable[[str], str]:
    def changed(pair: str) -> str:
        key, colon, value = pair.partition(":")
        return f"{key}{colon}{change(value)}"

    return changed


def _items(text: str) -> list[str]:
    """Cut a text at the commas outside of quotes and brackets; in one piece where these do not match."""
    items, depth = [""], 0
    tokens = re.findall(r"""(?:(?<=[\[({:,\s])|^)(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|.""", text, re.DOTALL)
    for token in tokens:
        depth += (token in "[{(") - (token in "]})")
        if depth < 0:
            return [text]
        if token == "," and depth == 0:
            items.append("")
        else:
            items[-1] += token
    return items if depth == 0 and "" not in items else [text]


def _is_read(value: str) -> bool:
    return parsed(f"x={value}") is not None


def _is_quoted(value: str) -> bool:
    return value[:1] in ("'", '"') and _is_read(value)


def _is_number(value: str) -> bool:
    override = parsed(f"x={value}")
    return override is not None and isinstance(override.value(), bool | int | float)
