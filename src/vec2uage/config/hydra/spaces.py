"""What a search may choose of each option, as Hydra writes it, as Optuna's distributions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from vec2uage.base.errors import UserError
from vec2uage.config.hydra.arguments import with_log
from vec2uage.config.hydra.composer import is_single, parse_grid
from vec2uage.config.validate import refuse

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_SWEEPER = "hydra.sweeper."
_GROUPS = ("search", "pruner")  # whose files are read into hydra.sweeper, and are no options of a run


@dataclass(frozen=True)
class SearchSpace:
    """What is searched, and the options of the runs that every trial consists of.

    `repeats` holds the overrides of each of a trial's runs, but for what is searched; `typed` are the same options as
    one types them, all runs in one line.
    """

    distributions: "dict[str, BaseDistribution]"
    repeats: tuple[tuple[str, ...], ...]
    typed: tuple[str, ...]


def parse_search(
    loader: ConfigLoader, master: DictConfig, search: Mapping[str, str], arguments: Sequence[str]
) -> SearchSpace:
    """Return the space of a search: that of the configuration, `search`, and what the arguments say.

    What is given as a range or a choice is searched, but for seeds: these make the runs of a trial. A value of an
    argument takes its option out of `search`, another range takes its place. Names the sweep's folders as `parse_grid`
    does. Raises UserError for a space that is empty, or of which an option has one value or none.
    """
    seeds = [key for key in search if _is_seed(key)]
    refuse([f"hydra.sweeper.search.{key}: a seed is nothing to choose: set {key}=range(5)" for key in seeds])
    given = [*(f"{key}={with_log(text)}" for key, text in search.items()), *arguments]
    parsed = parse_grid(loader, master, given)
    of_jobs = master.hydra.overrides.hydra
    of_jobs[:] = [o for o in of_jobs if not o.lstrip("+~").startswith(_SWEEPER)]  # which can be of the groups below
    options = {o.get_key_element(): o for o in parsed if o.key_or_group not in _GROUPS}
    searched = {key: o for key, o in options.items() if o.is_sweep_override() and _is_searched(key, o, search)}
    if not searched:
        raise UserError(
            "hydra/sweeper=optuna has nothing to search: give an option several values, as in "
            "'optimizer.lr=log(1e-5,1e-1)', or choose a space, as search=network"
        )
    problems: list[str] = []
    distributions = {key: _distribution(o, problems) for key, o in searched.items()}
    refuse(problems)
    others = [o for key, o in options.items() if key not in searched]
    [repeats] = BasicSweeper.split_arguments(others, None)
    typed = tuple(str(o.input_line) for o in others)
    return SearchSpace({k: d for k, d in distributions.items() if d}, tuple(map(tuple, repeats)), typed)


def _is_seed(key: str) -> bool:
    return key.rpartition(".")[2] == "seed"


def _is_searched(key: str, override: Override, search: Mapping[str, str]) -> bool:
    """Tell whether an override is to be searched: a choice of one value is a value (see `leave_to_jobs`)."""
    return not _is_seed(key) and (key in search or not is_single(override))


def _distribution(override: Override, problems: list[str]) -> "BaseDistribution | None":
    """Return what the values of an option are drawn from, or None with a line in `problems`."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    key = override.get_key_element()
    value: Any = override.value()
    numbers: Any = FloatDistribution
    try:
        if override.is_interval_sweep():
            numbers = IntDistribution if isinstance(value.start, int) else FloatDistribution
            found = numbers(value.start, value.end, log=_is_log(value.tags))
        elif override.is_range_sweep():
            last = value.start + (math.ceil((value.stop - value.start) / value.step) - 1) * value.step
            numbers = IntDistribution if isinstance(last, int) else FloatDistribution
            found = numbers(value.start, last, step=value.step)
        else:
            found = CategoricalDistribution(tuple(dict.fromkeys(override.sweep_string_iterator())))
    except ValueError as error:
        problems.append(f"{key}: {' '.join(str(error).split())}")
        return None
    if found.single():
        problems.append(f"{key} has one value, so there is nothing to search: set {key}=...")
    return found


def _is_log(tags: set[str]) -> bool:
    if tags - {"log"}:
        raise ValueError(f"the tag {', '.join(sorted(tags - {'log'}))} is not known: log is the only one")
    return "log" in tags
