"""From a composed configuration to plain settings: every mistake found at once, before any work starts."""

import inspect
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from vec2uage.base.errors import UserError
from vec2uage.config.component import Component, frozen, locate
from vec2uage.config.error_messages import as_typed, settings_problems, unknown_option, value_problem
from vec2uage.config.settings import CheckedBy, OfGroup

T = TypeVar("T")

_OF_THE_SKELETON = ("hydra", "access")


def from_config(cfg: DictConfig | Mapping[str, Any], cls: type[T]) -> T:
    """Check a composed configuration against the annotations of the dataclass `cls`, and return it as one.

    Its fields are the options: plain values, settings classes (options of their own), config groups (`Choice`), and
    what has a check of its own (`CheckedBy`). Their defaults are in conf/: a field that has one here is no option.
    Raises UserError, which names every wrong key, its value and what is allowed.
    """
    problems: list[str] = []
    plain = to_container(cfg) if isinstance(cfg, DictConfig) else cfg
    values = check_options(options_of(cls), plain, problems)
    refuse(problems)
    return cls(**values)


def options_of(cls: Any) -> dict[str, Any]:
    """Return the annotations of the fields of the dataclass `cls` that are options, by their names."""
    annotations = get_type_hints(cls, include_extras=True)
    return {f.name: annotations[f.name] for f in fields(cls) if f.default is MISSING}


def check_options(annotations: Mapping[str, Any], plain: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Check a configuration that should have just these options, each with its annotation.

    Returns what they stand for; one that is wrong is None, with a line in `problems`.
    """
    problems += [unknown_option(key, plain[key], sorted(annotations)) for key in plain if key not in annotations]
    problems += [f"{key} is missing" for key in sorted(annotations) if key not in plain]
    return {key: check_option(annotations[key], plain[key], key, problems) for key in annotations if key in plain}


def check_option(annotation: Any, value: Any, key: str, problems: list[str]) -> Any:
    """Check one option against its annotation; return what it stands for, or None with a line in `problems`."""
    for mark in getattr(annotation, "__metadata__", ()):
        if isinstance(mark, OfGroup):
            return check_group(value, key, annotation.__origin__, problems)
        if isinstance(mark, CheckedBy):
            return mark.check(value, key, problems)
    if is_dataclass(annotation):
        return check_settings(annotation, value, key, problems)
    return check_value(annotation, value, key, problems)


def to_container(cfg: DictConfig) -> dict[str, Any]:
    """Resolve a composed config to plain containers, without Hydra's own node and what the skeleton reads (`access`).

    UserError names all that is missing, or what cannot be resolved.
    """
    plain = {}
    try:
        for key in cfg:
            if key not in _OF_THE_SKELETON:
                value = cfg[key]
                is_node = OmegaConf.is_config(value)
                plain[str(key)] = (
                    OmegaConf.to_container(value, resolve=True, throw_on_missing=True) if is_node else value
                )
    except MissingMandatoryValue as error:
        missing = {str(error.full_key)}
        with suppress(OmegaConfBaseException):  # the others can only be told where all can be resolved
            own = [str(key) for key in cfg if key not in _OF_THE_SKELETON]
            missing |= OmegaConf.missing_keys(OmegaConf.masked_copy(cfg, own))
        refuse([f"{key} is missing: set {key}=..." for key in sorted(missing)])
    except OmegaConfBaseException as error:
        first_line = str(error).splitlines()[0]
        raise UserError(f"{error.full_key}: {first_line}") from None
    return plain


def check_settings(cls: Any, values: Any, key: str, problems: list[str]) -> Any:
    """Build the settings class `cls` from `values`; append to `problems` one line per mistake instead of raising."""
    if not isinstance(values, Mapping):
        problems.append(f"{key} = {as_typed(values)}: should have options of its own")
        return None
    if not is_dataclass(cls) or cls.__hash__ is None:
        problems.append(f"{key}._target_ = {values['_target_']}: must be a class made with @vec2uage.config.settings")
        return None
    before = len(problems)
    plain = {name: _built(value, f"{key}.{name}", problems) for name, value in values.items() if name != "_target_"}
    if len(problems) > before:  # in the components within
        return None
    try:
        return TypeAdapter(cls).validate_python(plain)
    except ValidationError as error:
        problems.extend(settings_problems(cls, key, error))
        return None


def check_group(values: Any, key: str, base: type, problems: list[str]) -> Any:
    """Build the settings object of a config group: its `_target_` names a settings class, a subclass of `base`.

    Returns None, with lines in `problems`, where that cannot be done.
    """
    target = target_of(values, key, problems)
    if target is None:
        return None
    if not (isinstance(target, type) and issubclass(target, base)):
        problems.append(f"{key}._target_ = {values['_target_']}: must be a subclass of {base.__name__}")
        return None
    return check_settings(target, values, key, problems)


def check_call(target: str, values: Mapping[str, Any], key: str, given: set[str], problems: list[str]) -> Component:
    """Bind the options of a foreign `_target_` to its real signature; `given` are filled in by vec2uage itself."""
    options = {name: value for name, value in values.items() if name != "_target_"}
    try:
        parameters = dict(inspect.signature(locate(target)).parameters)
    except ValueError:  # some C types have no signature to check against
        parameters = {}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values()) or not parameters
    allowed = [n for n, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    for name in options:
        if not open_ended and (name not in allowed or name in given):
            problems.append(unknown_option(f"{key}.{name}", options[name], [n for n in allowed if n not in given]))
    for name in allowed:
        if parameters[name].default is inspect.Parameter.empty and name not in options and name not in given:
            problems.append(f"{key}.{name} is missing: {target} needs it")
    for name, annotation in _simple_types(target).items():
        if name in options:
            checked = check_value(annotation, options[name], f"{key}.{name}", problems)
            if _is_plain(checked):  # a path or an enumeration the class makes itself, of what was given
                options[name] = checked
    return Component(target, tuple(sorted((n, frozen(v)) for n, v in options.items())))


def _is_plain(value: Any) -> bool:
    """Tell whether a value can be hashed (once `frozen`), compared and written as JSON, any number of times."""
    if isinstance(value, dict):
        return all(map(_is_plain, (*value, *value.values())))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def check_value(annotation: Any, value: Any, key: str, problems: list[str]) -> Any:
    """Check one value against a type; return it converted, or None with a line in `problems`."""
    try:
        return TypeAdapter(annotation).validate_python(_tuples(value))
    except ValidationError as error:
        problems.append(value_problem(key, annotation, error.errors()))
        return None


def target_of(values: Any, key: str, problems: list[str]) -> Any:
    """Return the object that `key._target_` names, or None with a line in `problems`."""
    if not isinstance(values, Mapping) or not isinstance(values.get("_target_"), str):
        problems.append(f"{key} = {as_typed(values)}: needs a _target_, the dotted name of a class or function")
        return None
    try:
        return locate(values["_target_"])
    except LookupError as error:
        problems.append(f"{key}._target_ = {values['_target_']}: {error}")
        return None


def refuse(problems: list[str]) -> None:
    """Raise one UserError that lists all `problems`, if there are any."""
    if len(problems) == 1:
        raise UserError(problems[0])
    if problems:
        raise UserError(f"{len(problems)} options are wrong:", problems)


def _simple_types(target: str) -> dict[str, Any]:
    """Return the annotated types of a signature that a value can be checked against."""
    found = locate(target)
    try:
        hints = get_type_hints(found.__init__ if inspect.isclass(found) else found, include_extras=True)
    except Exception:  # a foreign signature may name types that do not exist at run time
        return {}
    checkable = {}
    for name, annotation in hints.items():
        try:
            TypeAdapter(annotation)
        except PydanticSchemaGenerationError:
            continue
        checkable[name] = annotation
    return checkable


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value


def _built(value: Any, key: str, problems: list[str]) -> Any:
    """Turn lists into tuples and build the components, mappings with a `_target_`, that lie within a value."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            target = target_of(value, key, problems)
            return None if target is None else check_settings(target, value, key, problems)
        return {name: _built(item, f"{key}.{name}", problems) for name, item in value.items()}
    return _tuples(value)
