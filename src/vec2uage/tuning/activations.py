"""What the frozen blocks of an encoder make of crops: computed once into a memory-mapped file, or for every batch."""

import hashlib
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from numpy.lib.format import open_memmap
from torch import Tensor

from vec2uage.base.access import make_folder
from vec2uage.base.atomic import replacing
from vec2uage.base.cores import threads
from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted, size
from vec2uage.base.progress import Progress
from vec2uage.faces.embedders.blocks import BLOCKS, Block
from vec2uage.faces.embedders.facenet import FaceNet
from vec2uage.faces.embedders.inception import InceptionResnetV1, pooled
from vec2uage.training.inputs import Batch, LabelledInputs
from vec2uage.training.precision import products
from vec2uage.tuning.crops import Crops
from vec2uage.tuning.network import base_network

log = logging.getLogger(__name__)

_STEP = 8  # crops that the frozen blocks take at a time; fewer are filled up, so that bits depend on none of them
_BLOCK = 256  # faces at most that are predicted at a time: pictures take more memory than vectors
_building = threading.Lock()

# Of crops by their positions.
Activations = Callable[[np.ndarray], Float32[np.ndarray, "n ..."]]


@dataclass(frozen=True)
class Frozen:
    """The blocks of an encoder that do not learn, on crops."""

    crops: Crops
    blocks: tuple[Block, ...]
    device: torch.device

    @property
    def next(self) -> Block:
        """The first block that learns."""
        return BLOCKS[len(self.blocks)]

    @property
    def face_net(self) -> FaceNet:
        return self.crops.face_net

    @cached_property
    def _network(self) -> InceptionResnetV1:
        network = base_network(self.face_net).without(BLOCKS[len(self.blocks) :])
        if self.face_net.resolved_precision() == "bf16":
            network = network.narrow()
        moved: InceptionResnetV1 = network.to(self.device).to(memory_format=torch.channels_last)
        return moved

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Of the activations of one crop."""
        return tuple(self._through(np.zeros((1, *self.face_net.input_shape), np.float32)).shape[1:])

    def of(self, positions: np.ndarray) -> Float32[np.ndarray, "n ..."]:
        """Return the activations of crops: the same bits whatever the others are, and however many."""
        made = np.empty((len(positions), *self.shape), np.float32)
        batch = np.zeros((_STEP, *self.face_net.input_shape), np.float32)
        for start in range(0, len(positions), _STEP):
            part = positions[start : start + _STEP]
            for row, position in enumerate(part.tolist()):
                batch[row] = self.crops.prepared(position)
            made[start : start + len(part)] = self._through(batch)[: len(part)]
        return made

    @torch.inference_mode()
    def _through(self, batch: Float32[np.ndarray, "B 3 160 160"]) -> Float32[np.ndarray, "B ..."]:
        # On one thread, as training, and in the precision of no run beside it: bits can depend on either.
        flags = torch.backends.cudnn.flags(deterministic=True, benchmark=False, allow_tf32=False)
        with products("float32"), flags, threads(1):
            x = torch.from_numpy(batch).to(self.device).contiguous(memory_format=torch.channels_last)
            x = self._network.through(x, self.blocks).float()
            if self.blocks[-1:] == ("block8",):  # nothing learns before the mean over the picture
                x = pooled(x)
        return x.contiguous().cpu().numpy()


def cached(frozen: Frozen, folder: Path) -> Activations:
    """Return activations from a file in `folder`, which is written first where it is not there.

    The file belongs to the crops, by content and order, and to all that decides about their activations; it holds
    float32 numbers in NumPy's format. UserError where the disk cannot hold it.
    """
    crops, device = frozen.crops, frozen.device.type
    of_encoder = replace(frozen.face_net, layer="last_linear").fingerprint()  # the blocks behind these change nothing
    made_of = (of_encoder, crops.side, frozen.blocks, device, crops.contents())
    name = hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]
    path = folder / f"before-{frozen.next}-{name}.npy"
    shape = len(frozen.crops.files), *frozen.shape
    with _building:
        if not path.is_file():
            _write(frozen, path, shape)
    try:
        mapped = np.load(path, mmap_mode="r")
    except (OSError, EOFError, ValueError):
        mapped = np.empty(0)
    if (mapped.shape, mapped.dtype) != (shape, np.float32):
        raise UserError(f"{path} (model.cache) is damaged: delete it, and it is made again")
    return lambda positions: mapped[positions]


def _write(frozen: Frozen, path: Path, shape: tuple[int, ...]) -> None:
    needed = 4 * int(np.prod(shape, dtype=np.int64))
    make_folder(path.parent)
    free = shutil.disk_usage(path.parent).free
    what = f"activations of {counted(shape[0], 'face')} before {frozen.next}"
    if needed > free:
        raise UserError(
            f"{path.parent} (model.cache): {what} take {size(needed)} and {size(free)} are free: make room, take "
            "another folder, let later blocks alone learn (model.trainable), or compute them for every batch "
            "(model.cache=null)"
        )
    log.info("%s: %s in %s", what, size(needed), path.parent)
    step = 32 * _STEP
    with replacing(path) as temporary, Progress(shape[0], "face", "activations", spoken=True) as progress:
        mapped = open_memmap(temporary, "w+", np.float32, shape)
        for start in range(0, shape[0], step):
            positions = np.arange(start, min(start + step, shape[0]))
            mapped[positions] = frozen.of(positions)
            progress.advance(len(positions))
        mapped.flush()


@dataclass(frozen=True)
class ActivationInputs(LabelledInputs):
    """The faces of a part, each with its age and the position of its crop; see `training.inputs.Inputs`."""

    activations: Activations
    position: Int[Tensor, " N"]
    age: Float[Tensor, " N"]
    weight: Float[Tensor, " N"] | None = None

    def gather(self, index: Int[Tensor, "K B"]) -> Batch:
        x = self._at(self.position[index.reshape(-1).cpu()])
        return x.view(*index.shape, *x.shape[1:]), *self.labels(index)

    def blocks(self, rows: int) -> Iterator[Float[Tensor, "_ ..."]]:
        return map(self._at, self.position.split(min(rows, _BLOCK)))

    def _at(self, positions: Int[Tensor, " n"]) -> Float[Tensor, "n ..."]:
        return torch.from_numpy(self.activations(positions.numpy())).to(self.age.device)
