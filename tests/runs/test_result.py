"""result.json: read back exactly, forgiving of newer versions, plain about damage."""

import json
import math
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.digest import with_digest, without_digest
from vec2uage.base.errors import UserError
from vec2uage.runs.result import RunResult

numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["completed", "diverged", "failed", "interrupted"]),
        "reason": st.none() | st.text(),
        "name": st.text(),
        "seed": st.integers(0, 2**63 - 1),
        "optimizer": st.none() | st.text(),
        **dict.fromkeys(("model", "dataset"), st.text()),
        **dict.fromkeys(("lr", "seconds"), st.none() | numbers),
        "scores": st.dictionaries(st.text(), numbers),
        "files": st.dictionaries(st.text(), st.text()),
        "overrides": st.lists(st.text()),
        "provenance": st.dictionaries(st.text(), st.none() | st.text()),
    }
)
MINIMAL = RunResult(status="failed", name="0", seed=0, optimizer="sgd", model="vec2uage", dataset="synthetic")


@given(values)
def test_a_result_reads_back_exactly(values: dict[str, Any]) -> None:
    result = RunResult(**values)
    assert RunResult.from_json(result.to_json()) == result


def test_every_promised_key_is_in_the_file_even_of_a_failed_run() -> None:
    promised = ("status", "seed", "optimizer", "model", "dataset", "lr", "epochs", "best_epoch", "scores", "seconds")
    assert {*promised, "data_fingerprint", "encoder", "files", "provenance"} <= json.loads(MINIMAL.to_json()).keys()


def test_numbers_of_a_diverged_run_become_none() -> None:
    diverged = replace(MINIMAL, status="diverged", lr=math.nan)
    assert RunResult.from_json(diverged.to_json()).lr is None


def test_an_ending_has_a_reason_only_where_there_is_one() -> None:
    assert replace(MINIMAL, status="interrupted", reason=None).ending == "interrupted"
    assert replace(MINIMAL, status="failed", reason="no such device").ending == "failed, no such device"


def test_keys_of_a_later_version_are_ignored() -> None:
    content = without_digest(json.loads(MINIMAL.to_json())) | {"co2": 12}
    assert RunResult.from_json(json.dumps(content)) == MINIMAL
    assert RunResult.from_json(json.dumps(with_digest(content))) == MINIMAL


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"status": "done"}, "status: .*'completed'"),
        ({"scores": {"test/mae": "low"}}, r"scores\.test/mae: .*number"),
        ({"optimizer": ...}, "optimizer: Field required"),
        ({"scores": ...}, "earlier version of vec2uage wrote it, so train this run again"),
    ],
)
def test_a_wrong_or_missing_value_is_named(change: dict[str, Any], complaint: str) -> None:
    content = without_digest(json.loads(MINIMAL.to_json())) | change
    with pytest.raises(UserError, match=complaint):
        RunResult.from_json(json.dumps({key: value for key, value in content.items() if value is not ...}))


@given(st.integers(0, len(MINIMAL.to_json()) - 3))
def test_half_a_file_is_no_result(length: int) -> None:
    with pytest.raises(UserError, match="no valid result"):
        RunResult.from_json(MINIMAL.to_json()[:length])


SCORED = replace(MINIMAL, scores={"test/mae": 2.36}, files={"predictions.csv": "ab12"}).to_json().encode()


@given(st.integers(0, len(SCORED) - 1), st.integers(0, 6))
def test_a_flipped_bit_never_changes_a_result(place: int, bit: int) -> None:
    flipped = bytearray(SCORED)
    flipped[place] ^= 1 << bit  # the seventh bit would make it no UTF-8, which is told where the file is read
    with suppress(UserError):
        assert RunResult.from_json(flipped.decode()) == RunResult.from_json(SCORED.decode())
