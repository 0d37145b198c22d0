"""Batch norm that is not folded, in the blocks of an encoder that learn (Ioffe and Szegedy 2015, arXiv:1502.03167)."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vec2uage.base.cores import threads
from vec2uage.base.errors import UserError
from vec2uage.faces.embedders.facenet import FaceNet
from vec2uage.faces.embedders.facenet_weights import load_unfolded
from vec2uage.faces.embedders.inception import EPSILON, Convolution, InceptionResnetV1
from vec2uage.training.precision import Precision, products
from vec2uage.training.run_settings import RunSettings

_MOMENTUM = 0.1  # share of a batch in the running averages, as in facenet-pytorch

# Mean and variance of what layers give before their batch norm, by the layer's name.
Averages = Mapping[str, Float[Tensor, "2 o"]]


class BatchNorm(nn.Module):
    """Batch norm whose averages stand still, or with `updated` are those of the batch while it trains.

    A gamma that is 1 throughout does not learn: FaceNet was trained without, and its files hold ones in its place.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        gamma: Float[Tensor, " o"],
        beta: Float[Tensor, " o"],
        mean: Float[Tensor, " o"],
        variance: Float[Tensor, " o"],
        updated: bool,
    ) -> None:
        super().__init__()
        if bool((gamma == 1).all()):
            self.register_buffer("weight", gamma.clone())
        else:
            self.weight = nn.Parameter(gamma.clone())
        self.bias = nn.Parameter(beta.clone())
        self.register_buffer("running_mean", mean.clone())
        self.register_buffer("running_var", variance.clone())
        self.updated = updated

    def forward(self, x: Float[Tensor, "B o ..."]) -> Float[Tensor, "B o ..."]:
        of_batch = self.updated and self.training
        averages = self.running_mean, self.running_var
        return F.batch_norm(x.float(), *averages, self.weight, self.bias, of_batch, _MOMENTUM, EPSILON)


class Normalized(nn.Module):
    """A layer without bias and its batch norm, named as in facenet-pytorch, so that `inception.fold` folds them."""

    def __init__(self, layer: nn.Conv2d | nn.Linear, weight: Float[Tensor, "o ..."], bn: BatchNorm) -> None:
        super().__init__()
        self.conv: nn.Conv2d | nn.Linear
        if isinstance(layer, nn.Conv2d):
            kinds: dict[str, Any] = {name: getattr(layer, name) for name in ("kernel_size", "stride", "padding")}
            self.conv = nn.Conv2d(layer.in_channels, layer.out_channels, **kinds, bias=False, device="meta")
        else:
            self.conv = nn.Linear(layer.in_features, layer.out_features, bias=False, device="meta")
        self.conv.weight = nn.Parameter(weight.clone())
        self.bn = bn
        self.relu = isinstance(layer, Convolution)

    def forward(self, x: Float[Tensor, "B i ..."]) -> Float[Tensor, "B o ..."]:
        x = self.bn(self.conv(x.to(self.conv.weight.dtype)))
        return x.relu_() if self.relu else x


def unfold(network: InceptionResnetV1, face_net: FaceNet, averages: Averages, updated: bool) -> None:
    """Give the layers of `face_net`'s network, or of some of its blocks, their batch norms; it computes what it did.

    They are those of the file of the weights. Of a layer whose norm was folded before the file was written, nobody
    knows its averages any more: they are `averages`, else 0 and 1, and gamma and beta such that they change nothing.
    """
    held = _held(face_net)
    layers = [(n, m) for n, m in network.named_modules() if isinstance(m, Convolution) or n == "last_linear"]
    for name, layer in layers:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        if f"{name}.conv.weight" in held:
            weight = held[f"{name}.conv.weight"]
            parts = "weight", "bias", "running_mean", "running_var"
            gamma, beta, mean, variance = (held[f"{name}.bn.{part}"] for part in parts)
        else:
            weight, bias = layer.weight.detach(), layer.bias.detach()  # type: ignore[union-attr]  # each has a bias
            neutral = torch.stack([torch.zeros_like(bias), torch.ones_like(bias)])
            mean, variance = averages.get(name, neutral)
            gamma, beta = (variance + EPSILON).sqrt(), bias + mean
        norm = BatchNorm(gamma, beta, mean, variance, updated)
        parent, _, own = name.rpartition(".")
        setattr(network.get_submodule(parent), own, Normalized(layer, weight, norm))


def measured(
    network: nn.Module,
    encoder: nn.Module,
    face_net: FaceNet,
    pictures: Iterable[Float[Tensor, "_ ..."]],
    precision: Precision,
) -> Averages:
    """Return averages of the layers of `encoder` whose own are not known, over pictures that go through `network`.

    The encoder has been unfolded, and the network is in evaluation mode. With the same kernels in every call, on one
    thread, and in the `precision` that runs beside it have, too: a run that goes on finds the same bits.
    """
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def watch(name: str, norm: BatchNorm) -> None:
        def add(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            (x,) = given
            variance, mean = torch.var_mean(x, (0, *range(2, x.ndim)), correction=0)
            moments = torch.stack([mean, variance]).double().cpu()
            moments[1] += moments[0] ** 2
            count = x.numel() // x.shape[1]
            sums[name] = sums.get(name, torch.zeros_like(moments)) + count * moments
            counts[name] = counts.get(name, 0) + count

        norm.register_forward_pre_hook(add)

    unknown = {
        name: module.bn
        for name, module in encoder.named_modules()
        if isinstance(module, Normalized) and f"{name}.conv.weight" not in _held(face_net)
    }
    for name, norm in unknown.items():
        watch(name, norm)
    with torch.no_grad(), threads(1), torch.backends.cudnn.flags(deterministic=True, benchmark=False, allow_tf32=False):
        for x in pictures if unknown else ():
            with products(precision):
                network(x)
    found = {name: total / counts[name] for name, total in sums.items()}
    return {name: torch.stack([mean, square - mean**2]).float() for name, (mean, square) in found.items()}


def check(batch_norm: str, run: RunSettings, rows: int) -> None:
    """Raise UserError where batch norms are updated, and averages that weights do not have, or none can be taken."""
    if batch_norm != "updated":
        return
    if run.averaging.averages:
        raise UserError(
            f"averaging={run.choice('averaging')}: the running averages of model.batch_norm=updated belong to the "
            "weights that train, not to averaged ones: set averaging=none, or model.batch_norm=frozen or folded"
        )
    size = min(run.trainer.batch_size, rows)
    if size == 1 or rows % size == 1:
        raise UserError(
            f"trainer.batch_size = {run.trainer.batch_size}: the last batch of {rows:,} faces is one face, of which "
            "model.batch_norm=updated can take no variance: set another size"
        )


@lru_cache(maxsize=1)
def _held(face_net: FaceNet) -> dict[str, Tensor]:
    """Return the layers whose batch norm the file of the weights has, read once; they must not be changed."""
    return load_unfolded(face_net.weights, face_net.path)
