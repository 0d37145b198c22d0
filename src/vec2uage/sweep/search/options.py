"""The options of a search, those of conf/hydra/sweeper/optuna.yaml."""

from collections.abc import Mapping
from typing import Annotated, Any

from omegaconf import DictConfig, OmegaConf
from pydantic import BeforeValidator, Field

from vec2uage.config.settings import PositiveInt, settings
from vec2uage.config.validate import check_settings, refuse
from vec2uage.predictions.metrics import METRICS

_PART = "validation/"


def _objectives(given: Any) -> Any:
    names = (given,) if isinstance(given, str) else given
    allowed = [_PART + name for name in METRICS]
    if not isinstance(names, tuple) or not names or any(name not in allowed for name in names):
        raise ValueError(f"should be one or several of {', '.join(allowed)}")
    if len(set(names)) < len(names):
        raise ValueError("should name each score once")
    return names


@settings
class SearchOptions:
    """How many trials are asked for, how, and what is to be best (see conf/hydra/sweeper/optuna.yaml)."""

    trials: PositiveInt
    startup: Annotated[int, Field(ge=0)]
    batch: PositiveInt
    objective: Annotated[tuple[str, ...], BeforeValidator(_objectives)]
    seed: Annotated[int, Field(ge=0)]
    search: dict[str, str]
    params: Any

    def badness(self, scores: Mapping[str, float]) -> list[float] | None:
        """Return for each objective a number that is lower the better a run's score is; None where it lacks one."""
        if any(name not in scores for name in self.objective):
            return None
        return [METRICS[name.removeprefix(_PART)].badness(scores[name]) for name in self.objective]


def search_options(master: DictConfig) -> SearchOptions:
    """Read the options of a search from the configuration of a sweep; UserError for all that is wrong with them."""
    problems: list[str] = []
    plain = OmegaConf.to_container(master.hydra.sweeper, resolve=True)
    found: SearchOptions = check_settings(SearchOptions, plain, "hydra.sweeper", problems)
    refuse(problems)
    return found
