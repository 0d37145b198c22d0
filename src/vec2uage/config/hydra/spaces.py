"""What a search may choose of each option, as Hydra writes it, as Optuna's distributions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from vec2uage.base.errors import UserError
from vec2uage.config.hydra.arguments import with_log
from vec2uage.config.hydra.composer import is_single, parse_grid
from vec2uage.config.settings import EXECUTION_OPTIONS
from vec2uage.config.validate import refuse

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_SWEEPER = "hydra.sweeper."
_GROUPS = ("search", "pruner")  # whose files are read into hydra.sweeper, and are no options of a run
_Number = int | float
_LARGEST = {int: 2**53, float: 1e300}  # beyond these, samplers skip numbers or overflow


@dataclass(frozen=True)
class SearchSpace:
    """What is searched, and the options of the runs that every trial consists of.

    `repeats` holds the overrides of each of a trial's runs, but for what is searched; `typed` are the same options as
    one types them, all runs in one line.
    """

    distributions: "dict[str, BaseDistribution]"
    repeats: tuple[tuple[str, ...], ...]
    typed: tuple[str, ...]

    def ends(self) -> list[tuple[str, ...]]:
        """Return the overrides of runs that show, before any is trained, whether a space holds what is not allowed.

        They have both ends of every range, beside each choice of every option that has choices.
        """
        ends = {key: _ends(distribution) for key, distribution in self.distributions.items()}
        first = {key: of_key[0] for key, of_key in ends.items()}
        choices = [key for key, distribution in self.distributions.items() if hasattr(distribution, "choices")]
        chosen = [first, *(first | {key: choice} for key in choices for choice in ends[key])]
        trials = [beside | {key: end} for beside in chosen for key, of_key in ends.items() for end in of_key]
        return list(dict.fromkeys((*self.repeats[0], *(f"{k}={v}" for k, v in trial.items())) for trial in trials))


def parse_search(
    loader: ConfigLoader, master: DictConfig, search: Mapping[str, str], arguments: Sequence[str]
) -> SearchSpace:
    """Return the space of a search: that of the configuration, `search`, and what the arguments say.

    What is given as a range or a choice is searched, but for seeds: these make the runs of a trial. A value of an
    argument takes its option out of `search`, another range takes its place. Names the sweep's folders as `parse_grid`
    does. Raises UserError for a space that is empty, of which an option has one value or none, or which would choose
    what trials are judged by.
    """
    given = [*(f"{key}={with_log(text)}" for key, text in search.items()), *arguments]
    parsed = parse_grid(loader, master, given)
    swept = [o.key_or_group for o in parsed if o.key_or_group in _GROUPS and o.is_sweep_override()]
    refuse([f"{key}: it is of the sweep as a whole, and nothing to choose" for key in swept])
    of_jobs = master.hydra.overrides.hydra
    of_jobs[:] = [o for o in of_jobs if not o.lstrip("+~").startswith(_SWEEPER)]  # which can be of the groups below
    options = {o.get_key_element(): o for o in parsed if o.key_or_group not in _GROUPS}
    searched = {key: o for key, o in options.items() if o.is_sweep_override() and _is_searched(key, o, search)}
    of_configuration = [key for key, o in zip(search, parsed, strict=False) if options.get(key) is o]
    refuse(_not_to_search(of_configuration, options, searched))
    if not searched:
        raise UserError(
            f"hydra/sweeper=optuna has nothing to search{_unread(options)}: give an option several values, as in "
            "'optimizer.lr=log(1e-5,1e-1)', or choose a space, as search=network"
        )
    problems: list[str] = []
    distributions = {key: d for key, o in searched.items() if (d := distribution(o, problems))}
    refuse(problems)
    others = [o for key, o in options.items() if key not in searched]
    [repeats] = BasicSweeper.split_arguments(others, None)
    if not repeats:
        raise UserError("a trial has no runs: an option has no values, such as seed=range(0)")
    typed = tuple(str(o.input_line) for o in others)
    return SearchSpace(distributions, tuple(dict.fromkeys(map(tuple, repeats))), typed)


def _is_seed(key: str) -> bool:
    return key.rpartition(".")[2] == "seed"


def _is_searched(key: str, override: Override, search: Mapping[str, str]) -> bool:
    """Tell whether an override is to be searched: a choice of one value is a value (see `leave_to_jobs`)."""
    return not _is_seed(key) and (key in search or not is_single(override))


def _not_to_search(
    of_configuration: Sequence[str], options: Mapping[str, Override], searched: Mapping[str, Override]
) -> list[str]:
    """Say which options are given in a way in which there is nothing to choose."""
    names = {key: f"hydra.sweeper.search.{key}" if key in of_configuration else key for key in options}
    drawn = [key for key, o in options.items() if _is_seed(key) and (key in of_configuration or o.is_interval_sweep())]
    fixed = [key for key in of_configuration if not _is_seed(key) and key not in searched]
    judged = [key for key in searched if key.partition(".")[0] == "split" and key != "split.train_ages"]
    how = [key for key in searched if key in EXECUTION_OPTIONS or key.lstrip("+").startswith("hydra.")]
    return [
        *(f"{names[key]}: a seed is nothing to choose: set {key}=range(5)" for key in drawn),
        *(f"{names[key]} = {options[key].value()}: a space has ranges and choices: set {key}=..." for key in fixed),
        *(f"{names[key]}: it decides which faces trials are judged by, so it is nothing to choose" for key in judged),
        *(f"{names[key]}: it changes no number of a run, so it is nothing to choose" for key in how),
    ]


def _unread(options: Mapping[str, Override]) -> str:
    """Name an option whose value looks like a range, but is text."""
    texts = [f"{key}={value}" for key, o in options.items() if isinstance(value := o.value(), str) and "(" in value]
    return f" ({texts[0]} is no range that can be read)" if texts else ""


def _ends(distribution: "BaseDistribution") -> tuple[Any, ...]:
    known: Any = distribution
    return known.choices if hasattr(known, "choices") else (known.low, known.high)


def distribution(override: Override, problems: list[str]) -> "BaseDistribution | None":
    """Return what the values of an option are drawn from, or None with a line in `problems`."""
    key = override.get_key_element()
    try:
        found = _of_values(override)
    except ValueError as error:
        problems.append(f"{key}: {' '.join(str(error).split())}")
        return None
    if found.single():
        problems.append(f"{key} has one value, so there is nothing to search: set {key}=...")
    return found


def _of_values(override: Override) -> "BaseDistribution":
    """Return what the values of an option are drawn from; ValueError where there are none."""
    from optuna.distributions import CategoricalDistribution

    value: Any = override.value()
    tags: set[str] = getattr(value, "tags", set())  # which a glob lacks
    if tags - {"log"}:
        raise ValueError(f"the tag {', '.join(sorted(tags - {'log'}))} is not known: log is the only one")
    if override.is_interval_sweep():
        return _numbers(value.start, value.end, log="log" in tags)
    if tags:
        raise ValueError("only an interval can be uniform in its logarithm, as log(1,100) or int(log(1,100))")
    if override.is_range_sweep():
        return _steps(value.start, value.stop, value.step)
    choices = tuple(dict.fromkeys(override.sweep_string_iterator()))
    if not choices:
        raise ValueError("there is no such choice")
    return CategoricalDistribution(choices)


def _steps(start: _Number, stop: _Number, step: _Number) -> "BaseDistribution":
    """Return what the numbers of a range are drawn from, which may fall as well as rise."""
    _check_size(start, stop, step)
    if step == 0:
        raise ValueError("the step of a range should not be 0")
    exact = [Decimal(str(number)) for number in (start, stop, step)]  # as Hydra counts them
    last = exact[0] + (math.ceil((exact[1] - exact[0]) / exact[2]) - 1) * exact[2]
    if (last - exact[0]) / exact[2] < 0:
        raise ValueError("the range has no value")
    low, high = sorted(map(type(start + step), (start, last)))
    return _numbers(low, high, step=abs(step))


def _numbers(low: _Number, high: _Number, **options: Any) -> "BaseDistribution":
    """Return what numbers, whole if the first is, are drawn from evenly; ValueError where there are none."""
    from optuna.distributions import FloatDistribution, IntDistribution

    _check_size(low, high)
    if low > high:
        raise ValueError("the first number of an interval should be below the second")
    if low <= 0 and options.get("log"):
        raise ValueError("only numbers above 0 have a logarithm")
    kind: Any = IntDistribution if isinstance(low, int) else FloatDistribution
    found: BaseDistribution = kind(low, high, **options)
    return found


def _check_size(*numbers: _Number) -> None:
    for number in numbers:
        if not abs(number) <= (largest := _LARGEST[type(number)]):  # nor is NaN
            raise ValueError(f"a range should be of numbers between {-largest:g} and {largest:g}")
