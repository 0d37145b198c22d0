"""The options of a leaderboard, those of conf/hydra/sweeper/leaderboard.yaml."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from omegaconf import DictConfig, OmegaConf
from pydantic import BeforeValidator, Field

from vec2uage.config.settings import PositiveInt, settings
from vec2uage.config.validate import check_settings, refuse

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def _entries(given: Any) -> Any:
    if not isinstance(given, Mapping) or not given:
        raise ValueError("should name at least one entry, as {ridge: {model: ridge}}")
    wrong = [str(name) for name in given if not _NAME.fullmatch(str(name))]
    if wrong:
        raise ValueError(f"the name {wrong[0]!r} should consist of letters, digits, - and _")
    if lacking := [name for name, options in given.items() if not isinstance(options, Mapping)]:
        raise ValueError(f"{lacking[0]} should be a mapping of options, as {{model: ridge}}")
    return {str(name): {str(key): _text(value) for key, value in own.items()} for name, own in given.items()}


def _text(value: Any) -> str:
    """Return a value of YAML as it is typed on a command line."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_text(item)}" for key, item in value.items()) + "}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


@settings
class LeaderboardOptions:
    """What is compared, how much each entry may try, and with what (see conf/hydra/sweeper/leaderboard.yaml)."""

    trials: PositiveInt
    seed: Annotated[int, Field(ge=0)]
    reference: str
    entries: Annotated[dict[str, dict[str, str]], BeforeValidator(_entries)]
    params: Any


def leaderboard_options(master: DictConfig) -> LeaderboardOptions:
    """Read the options of a leaderboard from a sweep's configuration; UserError for all that is wrong with them."""
    problems: list[str] = []
    plain: Any = OmegaConf.to_container(master.hydra.sweeper, resolve=True)
    plain.pop("max_batch_size", None)  # of the grid, whose place an experiment gives to the leaderboard
    found: LeaderboardOptions = check_settings(LeaderboardOptions, plain, "hydra.sweeper", problems)
    refuse(problems)
    if found.reference not in found.entries:
        refuse([f"hydra.sweeper.reference = {found.reference}: no such entry: choose of {', '.join(found.entries)}"])
    return found
