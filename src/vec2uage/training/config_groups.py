"""The config groups `model`, `head` and `optimizer`, which take classes of others, too: what each may name, checked.

The other groups of a run name settings classes of one base, which `config.validate` checks by itself.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeGuard

import torch
from pydantic import Field

from vec2uage.config.component import Component, locate
from vec2uage.config.validate import check_call, check_group, check_settings, check_value, target_of
from vec2uage.data.loading import Augmentation, Weighting
from vec2uage.training.heads.base import Head
from vec2uage.training.losses import Loss
from vec2uage.training.models import MLP
from vec2uage.training.optimizers.base import StackedOptimizer
from vec2uage.training.optimizers.torch_optim import TorchOptim
from vec2uage.training.own_learner import OwnLearner
from vec2uage.training.regressors.base import takes_weights
from vec2uage.training.regularization import Regularization
from vec2uage.training.stacking.options import Stacking

_OF_NETWORKS = (
    "head",
    "loss",
    "optimizer",
    "averaging",
    "lr_schedule",
    "lr_finder",
    "early_stopping",
    "regularization",
)


def unused_groups(model: Component) -> dict[str, str]:
    """Return the options that a model has no use for, and why.

    They are those that say how a network is trained, if it is none, and of a stack also `normalization`.
    """
    target = locate(model.target)
    if has_own_learner(target):
        return dict(target.unused)
    if is_network(target):
        return {}
    unused = dict.fromkeys(_OF_NETWORKS, f"{model.target} is no network")
    if is_stacking(target):
        unused["normalization"] = "each member of a stack has its own"
    return unused


def execution_options(model: Component) -> tuple[str, ...]:
    """Return the options of a model that change no number of its runs."""
    target = locate(model.target)
    return tuple(target.execution) if has_own_learner(target) else ()


def is_network(target: Any) -> bool:
    """Tell whether a model's class is a network."""
    return isinstance(target, type) and issubclass(target, torch.nn.Module | OwnLearner)


def has_own_learner(target: Any) -> TypeGuard[type[OwnLearner]]:
    """Tell whether a model's class describes a network that brings a learner of its own."""
    return isinstance(target, type) and issubclass(target, OwnLearner)


def is_regressor(target: Any) -> bool:
    """Tell whether a model's class is a regressor of scikit-learn, or one made to its rules."""
    if not (isinstance(target, type) and hasattr(target, "fit") and hasattr(target, "predict")):
        return False
    from sklearn.base import BaseEstimator, RegressorMixin

    return issubclass(target, BaseEstimator) and issubclass(target, RegressorMixin)


def is_stacking(target: Any) -> bool:
    """Tell whether a model is a stack of completed runs."""
    return isinstance(target, type) and issubclass(target, Stacking)


def check_model(values: Any, key: str, problems: list[str]) -> Component | None:
    """Return the network, the regressor or the stack that a group describes, or None with lines in `problems`.

    Its options are bound to the signature of its class; both sizes of a network are filled in when it is built.
    """
    target = target_of(values, key, problems)
    if target is None:
        return None
    if has_own_learner(target) or is_stacking(target):
        made = check_settings(target, values, key, problems)
        return None if made is None else Component(values["_target_"], tuple(sorted(vars(made).items())))
    if is_network(target):
        return check_call(values["_target_"], values, key, {"in_features", "out_features", "tied_outputs"}, problems)
    if not is_regressor(target):
        problems.append(
            f"{key}._target_ = {values['_target_']}: must be a subclass of torch.nn.Module, or a regressor of "
            "scikit-learn"
        )
        return None
    before = len(problems)
    regressor = check_call(values["_target_"], values, key, set(), problems)
    if len(problems) == before:
        problems += [f"{key}: {problem}" for problem in _problems_of_sklearn(regressor)]
    return regressor


def _problems_of_sklearn(regressor: Component) -> list[str]:
    """Return what scikit-learn has against the options of a regressor, which it would say only when that is fitted."""
    from sklearn.utils._param_validation import InvalidParameterError

    estimator = regressor.build()
    if not hasattr(estimator, "_parameter_constraints"):  # as a class of a user's own
        return []
    try:
        estimator._validate_params()
    except InvalidParameterError as error:
        return [str(error).splitlines()[0]]
    return []


def check_weights(model: Component, augmentation: Augmentation) -> list[str]:
    """Return what is wrong where training rows count by weights, and the regressor knows of none."""
    target: Any = locate(model.target)
    if not isinstance(augmentation, Weighting) or not is_regressor(target):
        return []
    if takes_weights(target):
        return []
    return [
        f"augmentation: {model.target} is fitted without weights of rows (sample_weight): take augmentation=balance, "
        "which repeats rows instead"
    ]


def check_dropout(model: Component, regularization: Regularization) -> list[str]:
    """Return what is wrong where units are to be left out of a network that has none, or does not let them."""
    target: Any = locate(model.target)
    has_hidden = issubclass(target, MLP) and dict(model.options).get("hidden", True)
    if not regularization.dropout or has_hidden or has_own_learner(target):
        return []
    return [
        f"regularization.dropout = {regularization.dropout:g}: {model.target} has no hidden layers whose units "
        "could be left out: set it to 0, or give a network of your own torch's nn.Dropout"
    ]


def check_head(values: Any, key: str, problems: list[str]) -> Head | None:
    """Build the head that a group describes, or return None with lines in `problems`.

    A head with a loss has that of the config group `loss`, under whose name a mistake in it is reported.
    """
    if not isinstance(values, Mapping) or "loss" not in values:
        head: Head | None = check_group(values, key, Head, problems)
        return head
    loss = check_group(values["loss"], "loss", Loss, problems)
    return None if loss is None else check_group({**values, "loss": loss}, key, Head, problems)


def check_optimizer(values: Any, key: str, problems: list[str]) -> StackedOptimizer | None:
    """Build the optimiser that a group describes, around any class of torch.optim; or None with lines in `problems`."""
    target = target_of(values, key, problems)
    if target is None:
        return None
    if isinstance(target, type) and issubclass(target, torch.optim.LBFGS):
        problems.append(f"{key}._target_ = torch.optim.LBFGS: it re-evaluates the loss within a step (closure)")
        return None
    if not (isinstance(target, type) and issubclass(target, torch.optim.Optimizer)):
        optimizer: StackedOptimizer | None = check_group(values, key, StackedOptimizer, problems)
        return optimizer
    component = check_call(values["_target_"], values, key, {"params"}, problems)
    lr = check_value(Annotated[float, Field(gt=0)], values.get("lr"), f"{key}.lr", problems)
    others = tuple((name, value) for name, value in component.options if name != "lr")
    return None if lr is None else TorchOptim(lr=lr, component=Component(component.target, others))
