"""What is wrong with an option, in one sentence: its key, its value as it is typed, and what is allowed."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from pydantic import ValidationError

from vec2uage.config.renamed import RENAMED

# By the type of pydantic's error, or how it begins; the words of the others are good enough.
_SHOULD_BE = {
    "int_": "a whole number",
    "float_": "a number",
    "bool_": "true or false",
    "string_type": "text",
    "path_type": "text",
    "tuple_type": "a list in brackets, as in [1,2]",
}


def as_typed(value: Any) -> str:
    """Return a value as one types it on the command line.

    >>> as_typed((1, None)), as_typed("two"), as_typed(True)
    ('[1,null]', "'two'", 'true')
    """
    if isinstance(value, list | tuple):
        return f"[{','.join(map(as_typed, value))}]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def unknown_option(key: str, value: Any, allowed: Sequence[str]) -> str:
    """Say that a configuration has an option that does not exist, which ones are `allowed`, and how to be rid of it.

    It comes from a file where a group's `_target_` was set to another class than that of its file.
    """
    group, _, name = key.rpartition(".")
    hint = _close(name, allowed) or (f"~{key} leaves it out; " if group else "")
    return _unknown_key(key, f" = {as_typed(value)}", f"; {hint}{_allowed(allowed)}")


def unknown_typed_option(
    key: str, value: str, allowed: Sequence[str], options: Sequence[str], choices: Sequence[str]
) -> str:
    """Say that an option that was typed does not exist, and what may have been meant.

    `allowed` are the options in its place, `options` all there are by their full names, and `choices` those of its
    config group that have it.
    """
    group, _, name = key.rpartition(".")
    of_name: dict[str, list[str]] = {}
    for option in options:
        of_name.setdefault(option.rpartition(".")[2], []).append(option)
    if choices:
        hint = f"it is one of {', '.join(choices)}"
    elif same := difflib.get_close_matches(key, of_name.get(name, []), n=2, cutoff=0):
        hint = f"did you mean {' or '.join(same)}?"
    elif group in options:
        hint = _close(name, allowed) + _allowed(allowed)
    elif close := difflib.get_close_matches(key, options, n=1, cutoff=0.7):
        hint = f"did you mean {close[0]}?"
    elif close := difflib.get_close_matches(name, of_name, n=1, cutoff=0.7):
        hint = f"did you mean {' or '.join(of_name[close[0]][:2])}?"
    else:
        hint = _allowed(allowed)
    return _unknown_key(key, f" = {value}" if value else "", f"; {hint}")


def _allowed(allowed: Sequence[str]) -> str:
    return f"allowed are: {', '.join(sorted(allowed))}" if allowed else "this choice has no options"


def unknown_group(key: str) -> str:
    """Say that a command has no such option or group at the top of its options."""
    return _unknown_key(key, "", " or group of this command (--help shows them)")


def _unknown_key(key: str, value: str, hint: str) -> str:
    """Say that a key does not exist, or has another name now: all messages of that are made here."""
    if key in RENAMED:
        return f"{key}{value}: is now {RENAMED[key]}"
    return f"{key}{value}: no such option{hint}"


def unknown_choice(group: str, choice: str, allowed: Sequence[str]) -> str:
    """Say that a group has no such choice, and which ones it has."""
    return f"{group} = {choice}: no such choice; {_close(choice, allowed)}allowed are: {', '.join(allowed)}"


def _close(name: str, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, allowed, n=1)
    return f"did you mean {close[0]}? " if close else ""


def settings_problems(cls: Any, key: str, error: ValidationError) -> list[str]:
    """Return one sentence for each option that a settings class refuses; a union has an error for each of its types."""
    found = []
    items_of: dict[str, list[Any]] = {}
    annotations: dict[str, Any] = {}
    for item in error.errors():
        owner, path = cls, key
        for part in map(str, item["loc"]):
            allowed = [f.name for f in fields(owner) if f.init] if is_dataclass(owner) else []
            if part not in allowed and item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
                found.append(unknown_option(f"{path}.{part}", item["input"], allowed))
                break
            if part not in allowed:  # a type of a union or a place within a value, not an option
                items_of.setdefault(path, []).append(item)
                break
            path, owner = f"{path}.{part}", get_type_hints(owner)[part]
            annotations[path] = owner
        else:
            items_of.setdefault(path, []).append(item)
    return found + [value_problem(path, annotations.get(path), items) for path, items in items_of.items()]


def value_problem(key: str, annotation: Any, items: list[Any]) -> str:
    """Return pydantic's errors of one option, which has this annotation, as one sentence."""
    first = items[0]
    if first["type"] in ("missing", "missing_argument") and not isinstance(first["input"], tuple):
        return f"{key} is missing"
    value = "" if isinstance(first["input"], dict) else f" = {as_typed(first['input'])}"
    wrong = [_wrong(item, annotation) for item in items]
    several = [text for text, item in zip(wrong, items, strict=True) if item["type"] != "missing"]
    problem = f"{key}{value}: {' or '.join(dict.fromkeys(several or wrong)).replace(' or should be ', ' or ')}"
    is_scalar = not isinstance(first["input"], dict | list | tuple)
    in_quotes = f"; as text it needs quotes: '{key}=\"{as_typed(first['input'])}\"'"
    return problem + in_quotes * (is_scalar and is_text_problem(problem, key))


def is_text_problem(problem: str, key: str) -> bool:
    """Tell whether a problem is that of an option `key` which should be text and was read as something else."""
    return re.search(rf"(?:^|: ){re.escape(key)} = .*: should be (?:.* or )?text\b", problem) is not None


def _wrong(item: Any, annotation: Any) -> str:
    error, about, message = item["type"], item.get("ctx", {}), str(item["msg"])
    if error == "missing":
        return "has too few items"
    if error == "too_long":
        return f"has {about['actual_length']} items, not {about['max_length']}"
    if error in ("too_short", "string_too_short"):
        return "should not be empty"
    if error == "string_pattern_mismatch":
        return f"should match {about['pattern']}"
    if error == "sequence_str" or (error == "is_instance_of" and about["class"] == "Sequence"):
        error = "tuple_type"
    if error == "tuple_type" and "tuple[tuple[str, " in str(annotation):  # a mapping, as its sorted pairs
        return "should have options of its own"
    for known, thing in _SHOULD_BE.items():
        if error.startswith(known):
            return f"should be {thing}"
    message = message.replace("True", "true").replace("False", "false") if error == "literal_error" else message
    return message.replace("Input should be", "should be").removeprefix("Value error, ")
