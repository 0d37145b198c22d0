"""What sets the runs of a sweep apart: the options that they were made with, and the names that these give them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vec2uage.config.settings import EXECUTION_OPTIONS
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult

Options = Mapping[str, str]
"""What a run was made with: values as text by option, without options that it does not have."""

_TAKEN_BY = {"loss": ("head", "head.loss")}
"""A config group that only some choices of another one take, as no head but `scalar` has a loss to choose."""

_FLOAT = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?")
_LINE = 32
"""Names of variants with more characters lose what all variants share of their options and values."""
_LONGEST = 48
"""Those that are longer even then are numbers, which a table explains."""


def read_configs(folders: Iterable[Path]) -> dict[Path, Options]:
    """Return the whole configuration of runs (`optimizer.lr` for nested options); empty where it cannot be read."""
    return {folder: _config(folder) for folder in folders}


def used_options(
    results: Mapping[Path, RunResult], configs: Mapping[Path, Options], also: Sequence[str] = ()
) -> dict[Path, dict[str, str]]:
    """Return what every run was made with of the options that were set for any of them, by the folders of the runs.

    `also` are options of interest that nobody may have set, as `optimizer=swa` brings an averaging with it.

    An option that was not set has the value that it had nevertheless, from the run's choices of files and its
    configuration. Numbers are the same however they were typed. A run whose files do not tell has what was set for it.
    """
    stated = {path: stated_options(result) for path, result in results.items()}
    keys = list(dict.fromkeys([*(key for options in stated.values() for key in options), *also]))
    used = {}
    for path, result in results.items():
        values = {key: _value(key, stated[path], result, configs[path]) for key in keys}
        used[path] = {key: value for key, value in values.items() if value}
    groups = dict.fromkeys(group for result in results.values() for group in result.choices)
    for preset in (group for group in groups if not any(_has(config, group) for config in configs.values())):
        _name_alike(preset, used, configs)
    return used


def swept(options: Sequence[Options]) -> list[str]:
    """Return the options that have different values in different runs, in the order they were set."""
    keys = dict.fromkeys(key for values in options for key in values)
    return [key for key in keys if len({values.get(key) for values in options}) > 1]


def factors(options: Sequence[Options]) -> list[str]:
    """Return the swept options without seeds: the values of these repeat a run and do not change what it is."""
    return [option for option in swept(options) if not is_seed(options, option)]


def is_seed(options: Sequence[Options], option: str) -> bool:
    """Tell whether an option is a seed: numbers only, as `split.seed=0,run` compares two ways of splitting."""
    return option.rpartition(".")[2] == "seed" and all(
        values[option].isdecimal() for values in options if option in values
    )


def variant_names(results: Sequence[RunResult], options: Sequence[Options], by: Sequence[str] = ()) -> list[str]:
    """Name runs by their optimizer, or their model where they have none, and by what else sets them apart.

    Such as `sgd loss=l1`, and `ridge` or `ridge normalization=none` beside it: an option that is the same for all runs
    with an optimizer, or for all others, is left out. With `by`, they are named by the values of these options alone:
    `gaussian averaging=swag`, `no head` for a model that has none.
    """
    words = _words(results, options, by)
    return [" ".join([first, *(f"{option}={value}" for option, value in others.items())]) for first, others in words]


def short_names(results: Sequence[RunResult], options: Sequence[Options], by: Sequence[str] = ()) -> dict[str, str]:
    """Return a name for each variant by its whole one (`variant_names`), no two the same, as short as figures need.

    Long ones lose what tells nothing apart: groups before options, beginnings that all values of an option share. Where
    that is not enough, variants are numbered: `sgd 1`, `sgd 2`.
    """
    whole = variant_names(results, options, by)
    if max(map(len, whole), default=0) <= _LINE:
        return dict(zip(whole, whole, strict=True))
    words = _words(results, options, by)
    called = _short_options(list(dict.fromkeys(option for _, others in words for option in others)))
    values = {option: _short_values([others[option] for _, others in words if option in others]) for option in called}
    short = {
        name: " ".join([first, *(f"{called[option]}={values[option][value]}" for option, value in others.items())])
        for name, (first, others) in zip(whole, words, strict=True)
    }
    if max(map(len, short.values())) <= _LONGEST and len(set(short.values())) == len(short):
        return short
    firsts = {name: first for name, (first, _) in zip(whole, words, strict=True)}
    return {name: f"{first} {number}" for number, (name, first) in enumerate(firsts.items(), 1)}


def explained(short: Mapping[str, str]) -> list[str]:
    """Say what variants are whose short names are numbers."""
    return [f"{name} is {whole}" for whole, name in short.items() if name.rpartition(" ")[2].isdecimal()]


def split_override(override: str) -> tuple[str, str]:
    """Return the option that an override sets, and the value as it was typed."""
    key, _, value = override.lstrip("+~").partition("=")
    return key, value


def stated_options(result: RunResult) -> dict[str, str]:
    """Return the options that were set for a run, as they were typed, without those that change no number."""
    return {key: value for key, value in map(split_override, result.overrides) if key not in EXECUTION_OPTIONS}


def differing(configs: Sequence[Options], seeds: Sequence[str]) -> list[str]:
    """Return the options that configurations have different values of, besides `seeds` and how runs are run."""
    keys = dict.fromkeys(key for config in configs for key in config if key not in (*seeds, *EXECUTION_OPTIONS))
    return [key for key in keys if len({config[key] for config in configs if key in config}) > 1]


def _words(
    results: Sequence[RunResult], options: Sequence[Options], by: Sequence[str]
) -> list[tuple[str, dict[str, str]]]:
    """Return what the name of each run begins with, and the options that follow."""
    if by:
        is_group = by[0] in ("optimizer", "model", "dataset") or any(by[0] in result.choices for result in results)
        return [(_first(by[0], of_run, is_group), _having(of_run, by[1:])) for of_run in options]
    apart = _apart(results, options)
    return [
        (result.optimizer or result.model, _having(of_run, apart[_is_network(result)]))
        for result, of_run in zip(results, options, strict=True)
    ]


def _first(option: str, of_run: Options, is_group: bool) -> str:
    """Return the value of an option: alone where it is the name of a file of a config group, as that is a word."""
    if option not in of_run:
        return f"no {option}"
    return of_run[option] if is_group else f"{option}={of_run[option]}"


def _having(of_run: Options, options: Sequence[str]) -> dict[str, str]:
    return {option: of_run[option] for option in options if option in of_run}


def _apart(results: Sequence[RunResult], options: Sequence[Options]) -> dict[bool, list[str]]:
    """Return the factors of the runs with an optimizer (True) and of the others, without what a name begins with."""
    found = {}
    for kind in (True, False):
        own = [of_run for result, of_run in zip(results, options, strict=True) if _is_network(result) is kind]
        head = "optimizer" if kind else "model"
        found[kind] = [o for o in factors(own) if o != head and (kind or not o.startswith("optimizer."))]
    return found


def _is_network(result: RunResult) -> bool:
    return result.optimizer is not None


def _value(option: str, stated: Options, result: RunResult, config: Options) -> str:
    """Return the value of an option in a run, "" if it has none."""
    group = option.partition(".")[0]
    other, taken = _TAKEN_BY.get(group, ("", ""))
    if other and _has(config, other) and not _has(config, taken):
        return ""
    choices = {"optimizer": result.optimizer, "model": result.model, "dataset": result.dataset} | result.choices
    if option in choices:
        return choices[option] or ""
    is_idle = bool(result.choices) and group not in result.choices and _has(config, f"{group}._target_")
    if option in config and not is_idle:
        return config[option]
    typed = stated.get(option, "")
    return _text(float(typed)) if _FLOAT.fullmatch(typed) else typed


def _has(config: Options, option: str) -> bool:
    return option in config or any(key.startswith(f"{option}.") for key in config)


def _name_alike(preset: str, used: Mapping[Path, dict[str, str]], configs: Mapping[Path, Options]) -> None:
    """Give the value of a preset, which sets other options, to the runs that have the same ones without it."""
    known = {path: configs[path] for path in used if configs[path]}
    seeds = [option for option in swept(list(known.values())) if is_seed(list(known.values()), option)]
    alike = {path: frozenset((k, v) for k, v in config.items() if k not in seeds) for path, config in known.items()}
    called = {made: used[path][preset] for path, made in alike.items() if preset in used[path]}
    for path, made in alike.items():
        if made in called:
            used[path].setdefault(preset, called[made])


def _config(folder: Path) -> dict[str, str]:
    """Return a run's configuration, `optimizer.lr` for nested options, as text; empty if it cannot be read."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _flattened(yaml.load(RunFolder(folder).config.read_text(encoding="utf-8"), loader))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}


def _flattened(node: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(node, dict):
        return {prefix: _text(node)} if prefix else {}
    below = (_flattened(value, f"{prefix}.{key}" if prefix else str(key)) for key, value in node.items())
    return {key: text for found in below for key, text in found.items()}


def _text(value: Any) -> str:
    """Return a value as it could be typed; equal numbers are equal texts, and different ones different texts.

    >>> _text(1.0e-05), _text(1.0), _text([512, None, True])
    ('1e-05', '1', '[512,null,true]')
    """
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _short_options(options: Sequence[str]) -> dict[str, str]:
    """Return the shortest ends of options that tell them apart; a run's own seed is no option's end.

    >>> _short_options(["optimizer.lr", "lr_finder.max_lr", "split.seed"])
    {'optimizer.lr': 'lr', 'lr_finder.max_lr': 'max_lr', 'split.seed': 'split.seed'}
    """
    short = {}
    for option in options:
        parts = option.split(".")
        ends = (".".join(parts[-n:]) for n in range(1, len(parts) + 1))
        others = [f".{other}" for other in (*options, "seed") if other != option]
        short[option] = next(end for end in ends if end == option or not _ends_one(others, end))
    return short


def _ends_one(options: Sequence[str], end: str) -> bool:
    return any(option.endswith(f".{end}") for option in options)


def _short_values(values: Sequence[str]) -> dict[str, str]:
    """Return values without the folders, or modules, that they all begin with.

    >>> _short_values(["/data/a/set", "/data/b/set"])
    {'/data/a/set': 'a/set', '/data/b/set': 'b/set'}
    """
    different = list(dict.fromkeys(values))
    if len(different) < 2 or any(map(_FLOAT.fullmatch, different)):
        return {value: value for value in different}
    levels = [re.findall(r"[^/.]*[/.]", value) for value in different]
    cut = 0
    for alike in zip(*levels, strict=False):
        if len(set(alike)) > 1:
            break
        cut += len(alike[0])
    return {value: value[cut:] or value for value in different}
