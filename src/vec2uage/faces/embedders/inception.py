"""Inception-ResNet-v1 as FaceNet uses it, for inference: batch norm is folded into the convolutions.

Layers carry the names that they have in facenet-pytorch, whose weights fit after `fold` (there a layer `x` is `x.conv`
and `x.bn`). The network is that of Szegedy et al. 2016 (arXiv:1602.07261, figure 10), with the changes of
D. Sandberg's FaceNet: 160x160 inputs, 512 outputs.
"""

import copy
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vec2uage.faces.embedders.blocks import BLOCKS, Block

EPSILON = 1e-3  # of every batch norm, unless a graph says otherwise
_STEM = ("conv2d_1a", "conv2d_2a", "conv2d_2b", "conv2d_3b", "conv2d_4a", "conv2d_4b")


class Convolution(nn.Conv2d):
    """A convolution with bias, computed in the dtype of its weights, and a ReLU."""

    def forward(self, x: Float[Tensor, "B i h w"]) -> Float[Tensor, "B o H W"]:
        return super().forward(x.to(self.weight.dtype)).relu_()


class Branches(nn.Module):
    """Branches side by side, named as facenet-pytorch names them, in the dtype of their weights."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.names = [f"branch{number}" for number in range(len(branches))]
        for name, branch in zip(self.names, branches, strict=True):
            self.add_module(name, branch)

    def all(self, x: Float[Tensor, "B i h w"]) -> list[Float[Tensor, "B _ H W"]]:
        """Return what each branch makes of `x`."""
        return [self.get_submodule(name)(x) for name in self.names]


class Residual(Branches):
    """`x + scale * conv2d(branches)`; the sum is kept in float32, whatever the branches compute in."""

    def __init__(self, channels: int, *branches: nn.Module, joined: int, scale: float, relu: bool = True) -> None:
        super().__init__(*branches)
        self.conv2d = nn.Conv2d(joined, channels, 1)
        self.scale, self.relu = scale, relu

    def forward(self, x: Float[Tensor, "B c h w"]) -> Float[Tensor, "B c h w"]:
        change = self.conv2d(torch.cat(self.all(x.to(self.conv2d.weight.dtype)), dim=1))
        x = torch.add(x.float(), change, alpha=self.scale)
        return x.relu_() if self.relu else x


class Reduction(Branches):
    """Halves the picture: convolutions of stride 2, and a maximum beside them."""

    def forward(self, x: Float[Tensor, "B i h w"]) -> Float[Tensor, "B o H W"]:
        x = x.to(next(self.parameters()).dtype)
        return torch.cat([*self.all(x), F.max_pool2d(x, 3, stride=2)], dim=1)


def block35() -> Residual:
    """Return one of the blocks of the 17x17 pictures."""
    return Residual(
        256,
        Convolution(256, 32, 1),
        nn.Sequential(Convolution(256, 32, 1), Convolution(32, 32, 3, padding=1)),
        nn.Sequential(Convolution(256, 32, 1), Convolution(32, 32, 3, padding=1), Convolution(32, 32, 3, padding=1)),
        joined=96,
        scale=0.17,
    )


def block17() -> Residual:
    """Return one of the blocks of the 8x8 pictures."""
    return _crossed(896, 128, length=7, scale=0.10)


def block8(scale: float = 0.20, relu: bool = True) -> Residual:
    """Return one of the blocks of the 3x3 pictures."""
    return _crossed(1792, 192, length=3, scale=scale, relu=relu)


def _crossed(channels: int, width: int, length: int, scale: float, relu: bool = True) -> Residual:
    """Return a block whose second branch convolves along rows, then along columns."""
    pad = length // 2
    return Residual(
        channels,
        Convolution(channels, width, 1),
        nn.Sequential(
            Convolution(channels, width, 1),
            Convolution(width, width, (1, length), padding=(0, pad)),
            Convolution(width, width, (length, 1), padding=(pad, 0)),
        ),
        joined=2 * width,
        scale=scale,
        relu=relu,
    )


class InceptionResnetV1(nn.Module):
    """RGB pictures `[B, 3, 160, 160] float32` to vectors `[B, 512] float32`, not scaled to length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2d_1a = Convolution(3, 32, 3, stride=2)
        self.conv2d_2a = Convolution(32, 32, 3)
        self.conv2d_2b = Convolution(32, 64, 3, padding=1)
        self.conv2d_3b = Convolution(64, 80, 1)
        self.conv2d_4a = Convolution(80, 192, 3)
        self.conv2d_4b = Convolution(192, 256, 3, stride=2)
        self.repeat_1 = nn.Sequential(*(block35() for _ in range(5)))
        self.mixed_6a = Reduction(
            Convolution(256, 384, 3, stride=2),
            nn.Sequential(
                Convolution(256, 192, 1), Convolution(192, 192, 3, padding=1), Convolution(192, 256, 3, stride=2)
            ),
        )
        self.repeat_2 = nn.Sequential(*(block17() for _ in range(10)))
        self.mixed_7a = Reduction(
            nn.Sequential(Convolution(896, 256, 1), Convolution(256, 384, 3, stride=2)),
            nn.Sequential(Convolution(896, 256, 1), Convolution(256, 256, 3, stride=2)),
            nn.Sequential(
                Convolution(896, 256, 1), Convolution(256, 256, 3, padding=1), Convolution(256, 256, 3, stride=2)
            ),
        )
        self.repeat_3 = nn.Sequential(*(block8() for _ in range(5)))
        self.block8 = block8(scale=1.0, relu=False)
        self.last_linear = nn.Linear(1792, 512)

    def forward(self, x: Float[Tensor, "B 3 160 160"]) -> Float[Tensor, "B 512"]:
        return self.through(x, BLOCKS)

    def through(self, x: Float[Tensor, "B ..."], blocks: Sequence[Block]) -> Float[Tensor, "B ..."]:
        """Return what consecutive blocks make of `x`, the output of the block before them, or pixels.

        `last_linear` takes the picture that block8 gives, or its mean over the picture.
        """
        for block in blocks:
            if block == "stem":
                x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x)))
                x = F.max_pool2d(x, 3, stride=2)
                x = self.conv2d_4b(self.conv2d_4a(self.conv2d_3b(x)))
            elif block == "last_linear":
                x = self.last_linear(pooled(x))
            else:
                x = self.get_submodule(block)(x)
        return x

    def without(self, blocks: Sequence[Block]) -> "InceptionResnetV1":
        """Return a network of the other blocks alone, with copies of their weights under the names that they have."""
        kept = copy.deepcopy(self)
        for name in [name for block in blocks for name in (_STEM if block == "stem" else (block,))]:
            delattr(kept, name)
        return kept

    def narrow(self) -> "InceptionResnetV1":
        """Compute in bfloat16 from the third convolution on, which halves the time where the processor has it.

        Every pixel goes through the first two convolutions, so their rounding costs the most precision and, with so
        few channels, they the least time: they stay in float32, like the sums of the residual blocks.
        """
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and name not in ("conv2d_1a", "conv2d_2a"):
                module.to(torch.bfloat16)
        return self


def pooled(x: Float[Tensor, "B c ..."]) -> Float[Tensor, "B c"]:
    """Return the mean over the picture, in float32; a vector, such as `last_linear` makes, as it is."""
    return x.float().mean((2, 3)) if x.ndim == 4 else x


def block_of(weight: str) -> str:
    """Return the block that a weight of `InceptionResnetV1` belongs to, by its name."""
    layer = weight.partition(".")[0]
    return "stem" if layer in _STEM else layer


def fold_batch_norm(
    weight: Float[Tensor, "o ..."],
    gamma: Float[Tensor, " o"],
    beta: Float[Tensor, " o"],
    mean: Float[Tensor, " o"],
    variance: Float[Tensor, " o"],
    epsilon: float = EPSILON,
) -> tuple[Float[Tensor, "o ..."], Float[Tensor, " o"]]:
    """Return weight and bias, float32, of the layer that does what `weight` followed by batch norm does."""
    factor = gamma.double() / (variance.double() + epsilon).sqrt()
    folded = weight.double() * factor.view(-1, *[1] * (weight.ndim - 1))
    return folded.float(), (beta.double() - mean.double() * factor).float()


def fold(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of `InceptionResnetV1` here, given that of facenet-pytorch's; `logits.*` is left out.

    Raises KeyError where a batch norm is incomplete.
    """
    folded: dict[str, Tensor] = {}
    for name, tensor in state.items():
        layer = name.rpartition(".")[0]
        if layer == "last_linear" or layer.endswith(".conv"):
            own = layer.removesuffix(".conv")
            norm = "last_bn" if layer == "last_linear" else f"{own}.bn"
            gamma, beta = state[f"{norm}.weight"], state[f"{norm}.bias"]
            mean, variance = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
            folded[f"{own}.weight"], folded[f"{own}.bias"] = fold_batch_norm(tensor, gamma, beta, mean, variance)
        elif layer not in ("logits", "last_bn") and not layer.endswith(".bn"):
            folded[name] = tensor
    return folded
