"""Faces a second from prepared inputs to vectors: `python -m benchmarks.embedding`.

facenet-pytorch used in the obvious way (its `InceptionResnetV1` as it comes, float32, batches of 64, `torch.no_grad`)
takes turns with `embedder=facenet`, on the same weights and the same pictures. Pictures are generated; `--faces` takes
a folder of photographs of faces instead, which is what the cosine to float32 is about.
"""

import argparse
import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import yaml
from facenet_pytorch import InceptionResnetV1
from PIL import Image
from torch import Tensor

from benchmarks.setting import fastest, machine
from vec2uage.base import seeds
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.faces.embedders.facenet import FaceNet
from vec2uage.faces.embedders.facenet_weights import load
from vec2uage.faces.embedders.inception import EPSILON

OBVIOUS_BATCH, GOAL, COSINE = 64, 1.3, 0.9999
Precision = Literal["auto", "float32", "bf16"]


def facenet(precision: Precision) -> FaceNet:
    """Return the embedder of conf/embedder/facenet.yaml at one precision."""
    options = yaml.safe_load((Path(conf_dir()) / "embedder" / "facenet.yaml").read_text())
    del options["_target_"]
    return FaceNet(**options | {"precision": precision})


def obvious() -> InceptionResnetV1:
    """Return facenet-pytorch's network with the default weights, under batch norms that change nothing but the offset.

    Its weights fit no other way: batch norm is folded into the embedded graph. To the clock it makes no difference.
    """
    network = InceptionResnetV1().eval()
    state = network.state_dict()
    for name, tensor in load("frozen_graph", None).state_dict().items():
        layer, _, part = name.rpartition(".")
        norm = "last_bn" if layer == "last_linear" else f"{layer}.bn"
        if part == "bias" and f"{norm}.bias" in state:
            state[f"{norm}.bias"] = tensor
            state[f"{norm}.running_var"] = torch.full_like(tensor, 1 - EPSILON)
        else:
            state[name if name in state else f"{layer}.conv.weight"] = tensor
    network.load_state_dict(state)
    return network


def pictures(count: int, folder: Path | None) -> list[np.ndarray]:
    """Return `count` RGB pictures: of `folder`, repeated as needed, or noise."""
    if folder is None:
        shape = (count, 200, 200, 3)
        return list(seeds.numpy_generator(0, "benchmarks").integers(0, 256, shape, dtype=np.uint8))
    files = sorted(folder.glob("*.jpg"))
    return [np.asarray(Image.open(files[k * len(files) // count]).convert("RGB")) for k in range(count)]


def clock(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=128, help="pictures embedded in a turn")
    parser.add_argument("--repeats", type=int, default=5, help="turns to take the fastest of")
    parser.add_argument("--faces", type=Path, help="a folder of .jpg photographs of faces")
    given = parser.parse_args()
    chosen = facenet("auto").resolved_precision()
    inputs = np.stack([facenet("auto").prepare(picture) for picture in pictures(given.count, given.faces)])
    theirs = obvious()

    @torch.no_grad()
    def embed_obviously() -> Tensor:
        return torch.cat([theirs(batch) for batch in torch.from_numpy(inputs).split(OBVIOUS_BATCH)])

    precisions: list[Precision] = list(dict.fromkeys(["float32", chosen]))
    ours = {precision: facenet(precision).open("cpu") for precision in precisions}
    turns = {"obvious": partial(clock, embed_obviously)}
    turns |= {precision: partial(clock, partial(embed, inputs)) for precision, embed in ours.items()}
    seconds = fastest(turns, given.repeats)
    wanted = embed_obviously().numpy()

    def line(name: str, what: str, remark: str = "") -> str:
        return (
            f"{what:44}{given.count / seconds[name]:8.1f} faces/s{seconds['obvious'] / seconds[name]:7.2f}x   {remark}"
        )

    def agreement(precision: Precision) -> str:
        cosines = np.einsum("nd,nd->n", ours[precision](inputs), wanted)
        return f"cosine to float32 at least {cosines.min():.6f}"

    print(
        f"Embedding {given.count} pictures ({given.faces or 'noise'}), fastest of {given.repeats}\n{machine()}\n",
        line("obvious", f"facenet-pytorch, float32, batches of {OBVIOUS_BATCH}"),
        *(line(precision, f"embedder=facenet, {precision}", agreement(precision)) for precision in ours),
        f"goal with precision=auto, here {chosen}: {GOAL}x, cosine {COSINE}; "
        f"largest memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB",
        sep="\n",
    )


if __name__ == "__main__":
    main()
