"""The options of a search, those of conf/hydra/sweeper/optuna.yaml."""

from collections.abc import Mapping
from typing import Annotated, Any

from omegaconf import DictConfig, OmegaConf
from pydantic import BeforeValidator, Field, model_validator

from vec2uage.config.settings import PositiveInt, settings
from vec2uage.config.validate import check_settings, refuse
from vec2uage.predictions.metrics import METRICS
from vec2uage.sweep.search.pruners import Pruner

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
    pruner: Pruner
    study: Annotated[str, Field(min_length=1)] | None
    search: dict[str, str]
    params: Any

    @model_validator(mode="after")
    def _pruner_fits(self) -> "SearchOptions":
        names = [name.removeprefix(_PART) for name in self.objective]
        if not self.pruner.after:
            return self
        if len(names) > 1:
            raise ValueError(
                f"pruner={self.pruner.name} compares trials by one objective: name one, or take pruner=none"
            )
        if not METRICS[names[0]].every_epoch:
            known = ", ".join(_PART + name for name, metric in METRICS.items() if metric.every_epoch)
            raise ValueError(f"pruner={self.pruner.name} needs an objective that every epoch has: {known}")
        if self.pruner.compares_batch and self.trials % self.batch:
            raise ValueError(
                f"pruner={self.pruner.name} compares whole batches: trials should be a multiple of batch={self.batch}"
            )
        return self

    def badness(self, scores: Mapping[str, float]) -> list[float] | None:
        """Return for each objective a number that is lower the better a run's score is; None where it lacks one."""
        if any(name not in scores for name in self.objective):
            return None
        return [METRICS[name.removeprefix(_PART)].badness(scores[name]) for name in self.objective]


def search_options(master: DictConfig) -> SearchOptions:
    """Read the options of a search from the configuration of a sweep; UserError for all that is wrong with them."""
    problems: list[str] = []
    plain: Any = OmegaConf.to_container(master.hydra.sweeper, resolve=True)
    own = {name: value for name, value in plain.items() if name != "_recursive_"}  # which is for Hydra
    found: SearchOptions = check_settings(SearchOptions, own, "hydra.sweeper", problems)
    refuse(problems)
    return found
