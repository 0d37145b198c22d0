"""The entries of a leaderboard as Hydra writes options and ranges: what each tries, on what splits, with what seeds."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig

from vec2uage.base.errors import UserError
from vec2uage.config.hydra.arguments import with_log
from vec2uage.config.hydra.composer import is_single, parse_grid
from vec2uage.config.hydra.spaces import distribution
from vec2uage.config.validate import refuse

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_OF_ALL = ("dataset", "split", "experiment", "method", "budget", "debug", "few_rows", "resume", "plan", "hydra")
"""What decides which faces are judged, or what becomes of the whole: nothing of it is an entry's own."""
_OWN = ("dataset.path", "split.train_ages")
"""What an entry may have of its own nevertheless: other vectors of the same faces, and which of them it learns from."""
SEED, SPLIT, MEMBERS, LIKE = "seed", "split.seed", "model.members", "options_of"


@dataclass(frozen=True)
class Repeats:
    """What all entries share: options of one value, splits, and seeds; each as overrides."""

    common: Mapping[str, str]
    splits: tuple[str, ...]
    seeds: tuple[str, ...]


@dataclass(frozen=True)
class ParsedEntry:
    """What is set for an entry and what is drawn; overrides by option."""

    name: str
    fixed: Mapping[str, str]
    distributions: "Mapping[str, BaseDistribution]"
    searched: Mapping[str, str]
    """What is drawn, as it was written."""
    seeds: tuple[str, ...]
    like: str | None
    """The entry whose chosen options it takes in every split."""
    members: tuple[str, ...]
    """The entries whose chosen runs its model is made of."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The entries that must have been trained before."""
        return (*([self.like] if self.like else []), *self.members)


def parse_repeats(loader: ConfigLoader, master: DictConfig, arguments: Sequence[str]) -> Repeats:
    """Return what all entries share; names the sweep's folder as `parse_grid` does.

    Raises UserError where no splits are named, or anything else than seeds has several values.
    """
    options = {o.get_key_element(): o for o in parse_grid(loader, master, arguments)}
    several = {key: o for key, o in options.items() if o.is_sweep_override() and not is_single(o)}
    refuse(
        [
            f"{o.input_line}: several values are an entry's own: set them in hydra.sweeper.entries"
            for key, o in several.items()
            if key not in (SEED, SPLIT)
        ]
    )
    if SPLIT not in options:
        raise UserError("a leaderboard is of several splits: set 'split.seed=range(25)'")
    repeated = {key: _values(options.pop(key)) for key in (SEED, SPLIT) if key in options}
    common = {key: str(o.input_line) for key, o in options.items()}
    return Repeats(common, repeated[SPLIT], repeated.get(SEED, ()))


def parse_entries(loader: ConfigLoader, entries: Mapping[str, Mapping[str, str]]) -> list[ParsedEntry]:
    """Return the entries, those after others that are made of these; UserError for all that is wrong with them."""
    parser = OverridesParser.create(config_loader=loader)
    problems: list[str] = []
    parsed = [_entry(parser, name, options, problems) for name, options in entries.items()]
    borrowing = [entry.name for entry in parsed if entry.needs]
    stacks = [entry.name for entry in parsed if entry.members]
    for entry in parsed:
        wrong = [f"{name} is no entry" for name in entry.needs if name not in entries]
        wrong += [f"{name} is a stack itself: give what it is made of" for name in entry.members if name in stacks]
        if entry.like in borrowing:
            wrong.append(f"{LIKE} = {entry.like}: that one has no options of its own")
        problems += [f"hydra.sweeper.entries.{entry.name}: {problem}" for problem in wrong]
    refuse(problems)
    return _in_order(parsed)


def _entry(parser: OverridesParser, name: str, options: Mapping[str, str], problems: list[str]) -> ParsedEntry:
    where = f"hydra.sweeper.entries.{name}"
    given = dict(options)
    like, members = given.pop(LIKE, None), _names(given.pop(MEMBERS, ""))
    found: dict[str, Override] = {}
    for key, text in given.items():
        try:
            found[key] = parser.parse_override(f"{key}={with_log(text)}")
        except HydraException:
            problems.append(f"{where}.{key} = {text}: neither a value nor a range that can be read")
    seeds = _values(found.pop(SEED)) if SEED in found else ()
    problems += [
        f"{where}.{key}: it is of all entries, which are judged on the same faces: set it for all of them"
        for key, o in found.items()
        if re.split("[./@]", o.key_or_group)[0] in _OF_ALL and o.key_or_group not in _OWN
    ]
    searched = {key: o for key, o in found.items() if o.is_sweep_override()}
    own: list[str] = []
    drawn = {key: distribution(o, own) for key, o in searched.items()}
    problems += [f"{where}.{problem}" for problem in own]
    if searched and (like or members):
        problems.append(
            f"{where}: {LIKE if like else MEMBERS} leaves nothing to draw: give {', '.join(searched)} a value"
        )
    fixed = {key: str(o.input_line) for key, o in found.items() if key not in searched}
    written = {key: given[key] for key in searched}
    return ParsedEntry(name, fixed, {key: d for key, d in drawn.items() if d}, written, seeds, like, members)


def _names(text: str) -> tuple[str, ...]:
    """Return the names of entries in `[a,b]` or `a`."""
    return tuple(name.strip() for name in text.strip("[]").split(",") if name.strip())


def _values(override: Override) -> tuple[str, ...]:
    """Return each value of an override as an override of its own."""
    key = override.get_key_element()
    if override.is_interval_sweep():
        raise UserError(f"{override.input_line}: an interval has no end of values: give a range, as {key}=range(5)")
    if not override.is_sweep_override():
        return (f"{key}={override.get_value_element_as_str()}",)
    values = tuple(override.sweep_string_iterator())
    if len(set(values)) < len(values):
        raise UserError(f"{override.input_line}: a value for the second time, which would count twice")
    return tuple(f"{key}={text}" for text in values)


def _in_order(parsed: Sequence[ParsedEntry]) -> list[ParsedEntry]:
    """Put entries that need others behind these, and leave the order as it is otherwise."""
    left: list[ParsedEntry] = list(parsed)
    ordered: list[ParsedEntry] = []
    while left:
        known = {entry.name for entry in ordered}
        ready = next(entry for entry in left if known.issuperset(entry.needs))  # none is made of one that is made of it
        left.remove(ready)
        ordered.append(ready)
    return ordered
