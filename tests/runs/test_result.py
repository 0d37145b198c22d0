"""result.json: read back exactly, forgiving of newer versions, plain about damage."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.errors import UserError
from vec2uage.runs.result import RunResult

numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
values = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["completed", "diverged", "failed", "interrupted"]),
        "reason": st.none() | st.text(),
        "name": st.text(),
        "seed": st.integers(0, 2**63 - 1),
        **dict.fromkeys(("optimizer", "model", "dataset"), st.text()),
        **dict.fromkeys(("lr", "val_mae", "test_loss"), numbers),
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
    promised = {
        *(
            "status",
            "seed",
            "optimizer",
            "model",
            "dataset",
            "lr",
            "epochs",
            "best_epoch",
            "train_mae",
            "val_mae",
        ),
        *("test_mae", "val_loss", "seconds", "data_fingerprint", "encoder", "provenance"),
    }
    assert promised <= json.loads(MINIMAL.to_json()).keys()


def test_numbers_of_a_diverged_run_become_none() -> None:
    diverged = RunResult(
        status="diverged", name="0", seed=0, optimizer="sgd", model="m", dataset="d", val_loss=math.nan
    )
    assert RunResult.from_json(diverged.to_json()).val_loss is None


def test_keys_of_a_later_version_are_ignored() -> None:
    content = json.loads(MINIMAL.to_json()) | {"co2": 12}
    assert RunResult.from_json(json.dumps(content)) == MINIMAL


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"status": "done"}, "status: .*'completed'"),
        ({"seed": "many"}, "seed: .*integer"),
        ({"test_mae": "low"}, "test_mae: .*number"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        RunResult.from_json(json.dumps(json.loads(MINIMAL.to_json()) | change))


@given(st.integers(0, len(MINIMAL.to_json()) - 3))
def test_half_a_file_is_no_result(length: int) -> None:
    with pytest.raises(UserError, match="no valid result"):
        RunResult.from_json(MINIMAL.to_json()[:length])


def test_a_missing_key_is_named() -> None:
    content = json.loads(MINIMAL.to_json())
    del content["optimizer"]
    with pytest.raises(UserError, match="optimizer: Field required"):
        RunResult.from_json(json.dumps(content))
