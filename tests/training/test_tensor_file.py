"""A file of tensors is read as it was written, or refused: after damage, and whatever somebody made of it."""

import json
import math
import struct

import pytest
import torch
from safetensors.torch import save

from vec2uage.base.errors import UserError
from vec2uage.training import tensor_file

TENSORS = {
    "weight": torch.arange(6.0).reshape(2, 3),
    "bias": torch.tensor([1.5, -2], dtype=torch.bfloat16),
    "state": torch.tensor([7, 8], dtype=torch.uint8),
    "step": torch.tensor(3),
    "none": torch.empty(0, 4),
}
DESCRIPTION = {
    "format": "f",
    "scores": {"test/mae": 2.36, "test/loss": math.inf, "a": 0},
    "hidden": [5, 12],
    "to": None,
}


def _equal(one, other):
    same = (one.dtype, one.shape) == (other.dtype, other.shape)
    return same and torch.equal(one, other)


@pytest.fixture
def written(tmp_path):
    tensor_file.write(tmp_path / "t.safetensors", TENSORS, DESCRIPTION)
    return tmp_path / "t.safetensors"


def test_what_is_written_is_read_and_equal_content_makes_equal_bytes(written, tmp_path):
    tensors, description = tensor_file.read(written)
    assert (description, list(description["scores"])) == (DESCRIPTION, ["test/mae", "test/loss", "a"])
    assert all(_equal(tensors.pop(name), tensor) for name, tensor in TENSORS.items())
    assert not tensors
    tensor_file.write(tmp_path / "again", dict(reversed(TENSORS.items())), DESCRIPTION)
    assert (tmp_path / "again").read_bytes() == written.read_bytes()


def test_a_flipped_bit_anywhere_is_told_or_changes_nothing(written):
    """What changes nothing are the names under which the description and the digest are found: then they are not."""
    whole, unnoticed = written.read_bytes(), 0
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        written.write_bytes(flipped)
        try:
            tensors, description = tensor_file.read(written)
        except UserError as error:
            assert "no readable safetensors file" in str(error)  # noqa: PT017
            continue
        unnoticed += 1
        assert description == {} or description.items() >= DESCRIPTION.items()
        assert all(_equal(tensors[name], tensor) for name, tensor in TENSORS.items())
    assert unnoticed < 20


def _file(header: bytes, content: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + content


def _described(text: str) -> bytes:
    return save({"a": torch.ones(1)}, {"vec2uage": text})


ENTRY = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        struct.pack("<Q", 2**62) + b"{}",
        _file(b"[" * 100_000),
        _file(b'{"a":' * 100_000),
        _file(b"[1]"),
        _file(b"\xff"),
        _file(b'{"__metadata__": 3}'),
        _file(b'{"__metadata__": {"vec2uage": 3}}'),
        _file(f'{{"a":{ENTRY},"a":{ENTRY}}}'.encode(), bytes(4)),
        _file(f'{{"a":{ENTRY}}}'.encode(), bytes(3)),
        _file(b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}', bytes(4)),
        _file(b'{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}', bytes(1)),
        _file(b'{"a":{"dtype":"X9","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
        _described("[" * 100_000),
        _described('{"a":' * 900 + "1" + "}" * 900),
        _described("[]"),
        _described("nothing"),
        _described('{"hidden": ' + "9" * 5000 + "}"),
        _described('{"hidden": [5], "hidden": [6]}'),
        _described(json.dumps(DESCRIPTION | {"digest": 3})),
        _described(json.dumps(DESCRIPTION | {"digest": "0" * 16})),
    ],
    ids=lambda content: repr(content[8:40]),
)
def test_what_somebody_made_is_refused_in_one_sentence(content, tmp_path):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(UserError, match="m is no readable safetensors file") as refusal:
        tensor_file.read(tmp_path / "m")
    assert len(str(refusal.value)) < 500
    assert "\n" not in str(refusal.value)


def test_a_file_without_digest_is_taken_as_it_is(tmp_path):
    (tmp_path / "m").write_bytes(_described(json.dumps({"format": "f"})))
    assert tensor_file.read(tmp_path / "m")[1] == {"format": "f"}
    (tmp_path / "m").write_bytes(save({"a": torch.ones(1)}))
    assert tensor_file.read(tmp_path / "m")[1] == {}
    with pytest.raises(UserError, match="no such file"):
        tensor_file.read(tmp_path)
