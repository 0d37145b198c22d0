"""Fitted regressors of scikit-learn: saved by skops, which runs nothing when it loads."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from pydantic import TypeAdapter, ValidationError

from vec2uage.base.atomic import replacing
from vec2uage.base.errors import UserError
from vec2uage.config.component import Component, locate
from vec2uage.config.settings import PositiveInt
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.mixture import mix
from vec2uage.predictions.point import Point
from vec2uage.training.config_groups import is_regressor
from vec2uage.training.learners import skops_file
from vec2uage.training.normalization import Normalization, NormalizationKind
from vec2uage.training.outcome import Model
from vec2uage.training.regressors.base import DistributionRegressor

_FORMAT = "vec2uage-sklearn-1"
_REGRESSORS = "vec2uage.training.regressors"
"""Where the classes lie that are trusted as skops trusts scikit-learn's: they hold numbers and arrays."""


@dataclass(frozen=True)
class SklearnModel:
    """A fitted regressor for vectors of `dimension` numbers, with the normalisation it expects."""

    estimator: Any
    dimension: int
    normalization: Normalization
    encoder: str
    calibration: Mapping[str, Any] | None = None
    suffix: ClassVar[str] = ".skops"

    def predict(self, vectors: Float[np.ndarray, "N D"]) -> Prediction:
        x = self.normalization(torch.from_numpy(np.array(vectors, dtype=np.float32)))
        return self.predict_normalized(x)

    def predict_normalized(self, x: Float[torch.Tensor, "N D"]) -> Prediction:
        """Return the ages of vectors that are normalised already: the same bits whatever the threads of a BLAS."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, user_api="blas"):
            if isinstance(self.estimator, DistributionRegressor):
                return self.estimator.predict_distribution(in_double(x))
            ages = self.estimator.predict(in_double(x))
        return Point(np.asarray(ages, dtype=np.float32).reshape(len(x)))

    def traits(self) -> dict[str, str]:
        cls = type(self.estimator)
        return {
            "model": f"{cls.__module__}.{cls.__qualname__}",
            "vectors": f"{self.dimension} numbers",
            "encoder": self.encoder,
        }

    def joined(self, others: Sequence[Model]) -> "SklearnEnsemble":
        return SklearnEnsemble((self, *others))

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(skops_file.to_bytes(self._content())).hexdigest()

    def _content(self) -> dict[str, Any]:
        mean, std = (None if t is None else t.numpy() for t in (self.normalization.mean, self.normalization.std))
        return {
            "format": _FORMAT,
            "estimator": self.estimator,
            "dimension": self.dimension,
            "normalization": self.normalization.kind,
            "mean": mean,
            "std": std,
            "encoder": self.encoder,
        }

    def save(self, path: Path, calibration: Mapping[str, Any] | None = None) -> None:
        content = self._content()
        if calibration is not None:
            content["calibration"] = dict(calibration)
        with replacing(path) as temporary:
            temporary.write_bytes(skops_file.to_bytes(content))


@dataclass(frozen=True)
class SklearnEnsemble:
    """Fitted regressors of one class as one model, in memory only."""

    members: tuple[Model, ...]
    calibration: Mapping[str, Any] | None = None
    suffix: ClassVar[str] = ".skops"

    @property
    def dimension(self) -> int:
        return self.members[0].dimension

    @property
    def encoder(self) -> str:
        return self.members[0].encoder

    def predict(self, vectors: Float[np.ndarray, "N D"]) -> Prediction:
        return mix([member.predict(vectors) for member in self.members])

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256("".join(member.digest for member in self.members).encode()).hexdigest()

    def traits(self) -> Mapping[str, str]:
        return self.members[0].traits()

    def joined(self, others: Sequence[Model]) -> "SklearnEnsemble":
        return SklearnEnsemble((*self.members, *others))

    def save(self, path: Path, calibration: Mapping[str, Any] | None = None) -> None:
        raise UserError(
            f"{path}: an ensemble of models of scikit-learn is not saved as one file: keep the folders of its runs"
        )


def untrusted_classes(path: Traversable) -> dict[str, str]:
    """Return the model's class, or one within it, as `{"model": name}` if it needs more than its name to be trusted.

    Nothing is run. Raises UserError for a missing or damaged file.
    """
    foreign = [name for name in _untrusted_names(path) if not _is_of(_REGRESSORS, name)]
    return {"model": foreign[0]} if foreign else {}


def load(path: Traversable, model: Component | None = None) -> SklearnModel:
    """Read a model that `SklearnModel.save` wrote; nothing in the file is run.

    It may hold what skops trusts, the classes of `training.regressors` and, with the `model` that the configuration of
    its run describes, this one's class and all of scikit-learn's. Skops does not trust some of these, such as trees:
    numbers of a crafted file could crash them. Raises UserError for a missing, damaged or foreign file, or one that
    holds another class.
    """
    from skops import io as skops

    untrusted = _untrusted_names(path)
    allowed = [name for name in untrusted if _is_of(_REGRESSORS, name) or _comes_with(model, name)]
    if refused := sorted(set(untrusted) - set(allowed)):
        raise UserError(
            f"{path} holds a {refused[0]}, which is not loaded on the word of a file alone: it can be loaded in "
            "its run folder only, where config.yaml names the model's class"
        )
    with _errors_of_users(path):
        found = skops.loads(path.read_bytes(), trusted=allowed)
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise UserError(f"{path} is no model written by this version of vec2uage (it does not say {_FORMAT})")
    try:
        known = TypeAdapter(_Content).validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path} is damaged or of another version ({where}: {first['msg']})") from None
    if not _can_standardize(known):
        raise UserError(f"{path}: its mean and deviation do not fit its normalization, {known.normalization}")
    if not is_regressor(type(known.estimator)):
        raise UserError(f"{path} holds a {type(known.estimator).__name__}, which is no regressor")
    mean, std = (None if values is None else torch.from_numpy(values) for values in (known.mean, known.std))
    normalization = Normalization(known.normalization, mean, std)
    loaded = SklearnModel(known.estimator, known.dimension, normalization, known.encoder, known.calibration)
    _check_predicts(loaded, path)
    return loaded


@dataclass(frozen=True)
class _Content:
    """What a file holds; from a file, so checked before it is used."""

    estimator: Any
    dimension: PositiveInt
    normalization: NormalizationKind
    mean: Any
    std: Any
    encoder: str
    calibration: dict[str, Any] | None = None


def _check_predicts(model: SklearnModel, path: Traversable) -> None:
    """Raise UserError where a regressor is none for such vectors, or was never fitted, by asking it once."""
    try:
        model.predict(np.ones((1, model.dimension), dtype=np.float32))
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path} is damaged: it gives no age for {model.dimension} numbers ({reason[:200]})") from None


def _can_standardize(known: _Content) -> bool:
    """Tell whether mean and deviation are those that a normalization needs, if it needs any."""
    if known.normalization != "standardize":
        return known.mean is None and known.std is None
    arrays = [values for values in (known.mean, known.std) if isinstance(values, np.ndarray)]
    whole = [values.dtype == np.float32 and values.shape == (known.dimension,) for values in arrays]
    return whole == [True, True] and bool(np.isfinite(arrays).all() and (known.std > 0).all())


def _untrusted_names(path: Traversable) -> list[str]:
    from skops import io as skops

    with _errors_of_users(path):
        data = path.read_bytes()
        skops_file.check_size(data)
        return sorted(skops.get_untrusted_types(data=data))


@contextmanager
def _errors_of_users(path: Traversable) -> Iterator[None]:
    """Raise UserError for all that goes wrong with a file: skops raises whatever its readers meet in a damaged one."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path} is no readable skops file: {reason[:200]}") from None


def own_name(model: Component) -> str:
    """Return the name under which a file knows a model's class: where it is defined, not where it was imported from."""
    found = locate(model.target)
    return f"{found.__module__}.{found.__qualname__}"


def _comes_with(model: Component | None, name: str) -> bool:
    """Tell whether a file may hold a class as a configuration names its model: that class, or one of scikit-learn."""
    return model is not None and (name == own_name(model) or _is_of("sklearn", name))


def _is_of(package: str, name: str) -> bool:
    """Tell whether a name is that of a class where a package defines it, not where it imports one."""
    if not name.startswith(f"{package}."):
        return False
    try:
        found = locate(name)
    except LookupError:
        return False
    return isinstance(found, type) and f"{found.__module__}.{found.__qualname__}" == name


def in_double(x: Float[torch.Tensor, "N D"]) -> Float[np.ndarray, "N D"]:
    """Return vectors as scikit-learn computes best: ridge regression loses digits in single precision."""
    return x.double().cpu().numpy()
