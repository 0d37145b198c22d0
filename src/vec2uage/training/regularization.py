"""What keeps a network from learning its faces by heart: mixed faces, noise on vectors and ages, units left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from vec2uage.base import seeds
from vec2uage.config.settings import settings
from vec2uage.training.inputs import Batch, Inputs
from vec2uage.training.optimizers.base import Tensors, expand_per_run

Strength = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@settings
class Regularization:
    """What is done to the batches of training and of a range test, and never to what is validated or predicted.

    Runs of one stack may differ in all options, but not in which of them are on: 0 is off.
    """

    mixup: Strength
    """a of the Beta(a, a) that mixes every face with another of its batch, vector and age (Zhang et al. 2018)."""
    input_noise: Strength
    """Deviation of Gaussian noise on every number of a normalised vector (Bishop 1995), as a share of the root mean
    square of those of the training part: where all vectors are of one length, the noise is that share of it long."""
    label_noise: Strength
    """Deviation in years of Gaussian noise on ages (An 1996), which stay within those of the training part."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
    """Probability that a hidden unit is left out for a face; the others count for it (Srivastava et al. 2014)."""
    per_run: ClassVar[tuple[str, ...]] = ("mixup", "input_noise", "label_noise", "dropout")

    @property
    def in_use(self) -> tuple[str, ...]:
        """The names of the options that are on."""
        return tuple(name for name in self.per_run if getattr(self, name))

    def bytes_of_batch(self, dimension: int, widths: Sequence[int], batch: int) -> int:
        """Return the bytes that one run needs to draw and to apply it, for vectors and hidden layers of such widths."""
        copies = 3 * bool(self.mixup) + bool(self.input_noise)  # of the vectors: the partners and two products; noise
        masks = 2 * bool(self.dropout)  # what is drawn, and what is made of it
        return 4 * batch * (copies * dimension + masks * sum(widths))


@dataclass(frozen=True)
class Perturbation:
    """What is done to the batches of one epoch; every run draws for each option from a generator of its own."""

    strengths: Tensors = field(default_factory=dict)
    """The options that are on, by name: `[K] float32`."""
    generators: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Those of the runs, by option: of NumPy for `mixup`, otherwise of torch and where the batches are."""
    scale: float = 0.0
    """Root mean square of the numbers of the inputs."""
    ages: tuple[float, float] = (0.0, 0.0)
    """The lowest and the highest of training."""

    def of_batch(self, batch: Batch) -> Batch:
        """Return what is trained on instead of a batch: mixed first, then with noise."""
        x, age, weight = self._mixed(batch) if "mixup" in self.strengths else batch
        if "input_noise" in self.strengths:
            x = self._normal("input_noise", x).mul_(self.scale).add_(x)
        if "label_noise" in self.strengths:
            age = self._normal("label_noise", age).add_(age).clamp_(*self.ages)
        return x, age, weight

    def masks(self, widths: Sequence[int], batch: int) -> tuple[Float[Tensor, "K _ B"], ...]:
        """Return what the outputs of each hidden layer, of so many units, are multiplied by; nothing without dropout.

        0 with the probability `dropout`, else what leaves their mean as it is.
        """
        if "dropout" not in self.strengths:
            return ()
        dropout = self.strengths["dropout"][:, None, None]
        drawn = dropout.new_empty(len(dropout), sum(widths), batch)
        for own, generator in zip(drawn, self.generators["dropout"], strict=True):
            own.uniform_(generator=generator)
        return tuple((drawn >= dropout).float().mul_(1 / (1 - dropout)).split(list(widths), dim=1))

    def _normal(self, option: str, like: Float[Tensor, "K ..."]) -> Float[Tensor, "K ..."]:
        """Draw noise for every number of `like`."""
        drawn = torch.empty_like(like)
        for own, generator in zip(drawn, self.generators[option], strict=True):
            own.normal_(generator=generator)
        return drawn.mul_(expand_per_run(self.strengths[option], like))

    def _mixed(self, batch: Batch) -> Batch:
        size = batch[1].shape[1]
        pairs = list(zip(self.strengths["mixup"].tolist(), self.generators["mixup"], strict=True))
        device = batch[1].device
        other = torch.tensor([generator.permutation(size).tolist() for _, generator in pairs], device=device)
        share = torch.tensor([generator.beta(a, a, size).tolist() for a, generator in pairs], device=device)

        def mixed(of_faces: Float[Tensor, "K B ..."]) -> Float[Tensor, "K B ..."]:
            shape = *other.shape, *[1] * (of_faces.ndim - 2)
            partner = torch.take_along_dim(of_faces, other.view(shape), dim=1)
            # Products and their sum one by one: a fused operation has other bits at the end of a tensor than within it.
            return of_faces * share.view(shape) + partner * (1 - share).view(shape)

        x, age, weight = batch
        return mixed(x), mixed(age), mixed(weight)


@runtime_checkable
class Regularized(Protocol):
    """What is asked of the settings of a run."""

    @property
    def seed(self) -> int: ...

    @property
    def regularization(self) -> Regularization: ...


def perturbation(runs: Sequence[Regularized], train: Inputs, *purpose: str) -> Perturbation:
    """Return what is done to the batches of K runs, which have the same options in use, for one purpose.

    All draws are those of a seed and a purpose, such as an epoch: a run that goes on needs no state of theirs.
    """
    in_use, device = runs[0].regularization.in_use, train.age.device
    if not in_use:
        return Perturbation()

    def generators(name: str) -> list[Any]:
        if name == "mixup":
            return [seeds.numpy_generator(run.seed, "regularization", name, *purpose) for run in runs]
        derived = [seeds.derive(run.seed, "regularization", name, *purpose) for run in runs]
        return [torch.Generator(device).manual_seed(seed) for seed in derived]

    return Perturbation(
        strengths={
            name: torch.tensor([getattr(run.regularization, name) for run in runs], device=device) for name in in_use
        },
        generators={name: generators(name) for name in in_use},
        scale=train.root_mean_square() if "input_noise" in in_use else 0.0,
        ages=(float(train.age.min()), float(train.age.max())),
    )
