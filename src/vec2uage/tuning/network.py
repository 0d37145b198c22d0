"""The network that is tuned: the last blocks of FaceNet with a run's regressor on top."""

import copy
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vec2uage.faces.embedders.blocks import BLOCKS, CHANNELS
from vec2uage.faces.embedders.facenet import FaceNet
from vec2uage.faces.embedders.inception import InceptionResnetV1, block_of, pooled
from vec2uage.training import model_file
from vec2uage.training.normalization import Normalization
from vec2uage.training.optimizers.base import StackedOptimizer
from vec2uage.training.optimizers.grouped import Group, Grouped, Pull
from vec2uage.tuning.batch_norm import Averages, unfold
from vec2uage.tuning.options import TuningOptions

ENCODER, REGRESSOR = "encoder.", "regressor."
"""Prefixes of the names of their weights."""


@lru_cache(maxsize=1)
def base_network(face_net: FaceNet) -> InceptionResnetV1:
    """Return the network that is tuned, read once; it must not be changed."""
    return face_net.network()


class EndToEnd(nn.Module):
    """From activations, or pixels, to what a head makes ages of; at first what the run with the model `start` does.

    Batch norm that is folded into the convolutions (see `inception`) has its scales and averages learnt as part of
    their weights and biases: none are updated, and a small batch does no harm. Else it is as `batch_norm.unfold` says,
    with `averages` where the weights' file has none.
    """

    def __init__(
        self,
        options: TuningOptions,
        face_net: FaceNet,
        start: Path,
        out_features: int,
        tied_outputs: bool = False,
        averages: Averages | None = None,
    ) -> None:
        super().__init__()
        model = model_file.load(start)
        assert (model.head.outputs, model.head.tied_outputs) == (out_features, tied_outputs), "compared before"
        self.options = options
        self.face_net = face_net
        self.learning = options.learning(face_net.layer)
        self.encoder = base_network(face_net).without([block for block in BLOCKS if block not in self.learning])
        if options.batch_norm != "folded":
            unfold(self.encoder, face_net, averages or {}, updated=options.batch_norm == "updated")
        self.fixed_buffers = options.batch_norm != "updated"
        self.regressor = copy.deepcopy(model.network)
        self.requires_grad_(True)
        self.normalization = model.normalization
        last_picture = "block8" if face_net.layer == "last_linear" else face_net.layer
        self.hidden_widths = (CHANNELS[last_picture], *getattr(self.regressor, "hidden_widths", ()))

    def forward(self, x: Float[Tensor, "B ..."], *masks: Float[Tensor, "_ B"]) -> Float[Tensor, "B O"]:
        """Return outputs; `masks` leave out means over the last picture, and then the regressor's hidden units."""
        pictures = [block for block in self.learning if block != "last_linear"]
        if pictures:
            x = pooled(self.encoder.through(x.contiguous(memory_format=torch.channels_last), pictures))
        if masks:
            x = x * masks[0].mT
        with torch.autocast(x.device.type, enabled=False):  # it would round ages to eight bits
            vectors = self.face_net.finished(self.encoder.through(x, self.learning[len(pictures) :]))
            raw: Tensor = self.regressor(self._on(x.device)(vectors), *masks[1:])
        return raw

    def grouped(self, optimizer: StackedOptimizer) -> Grouped:
        """Return an optimiser whose learning rates are those of each block, and which pulls to the first weights."""
        options, rate, groups = self.options, self.options.encoder_lr, []
        parameters = dict(self.named_parameters())
        encoder = [name for name in parameters if name.startswith(ENCODER)]
        for block in reversed(self.learning):
            names = tuple(name for name in encoder if block_of(name.removeprefix(ENCODER)) == block)
            groups.append(Group(names, rate, options.encoder_weight_decay))
            rate *= options.depth_decay
        regressor = tuple(name for name in parameters if name not in encoder)
        first = {name: parameters[name].detach().clone() for name in encoder}
        return Grouped(optimizer, [*groups, Group(regressor)], Pull(options.l2_sp, first))

    def _on(self, device: torch.device) -> Normalization:
        kept = self.normalization
        mean, std = (None if tensor is None else tensor.to(device) for tensor in (kept.mean, kept.std))
        return Normalization(kept.kind, mean, std)
