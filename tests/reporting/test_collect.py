"""Sweeps as a report reads them: everything that is whole, and a reason for everything that is not."""

import json

import pytest

from vec2uage.base.digest import without_digest
from vec2uage.base.errors import UserError
from vec2uage.reporting import beware
from vec2uage.reporting.analysis import analyse
from vec2uage.reporting.collect import Sweep, read_sweep
from vec2uage.reporting.pairing import paired
from vec2uage.reporting.tables.provenance_tables import failures

GOOD = {"sgd": [(2.5, 2.6), (2.4, 2.7)], "swa": [(2.3, 2.5), (2.2, 2.4)]}


def test_runs_come_with_what_lies_in_their_folders(write_sweep):
    sweep = read_sweep(write_sweep("d1", GOOD))
    assert sweep.factors == ("optimizer",)
    assert {name: [run.test_mae for run in runs] for name, runs in sweep.variants.items()} == {
        "sgd": [2.6, 2.7],
        "swa": [2.5, 2.4],
    }
    run = sweep.runs[0]
    assert run.curve["validation/mae"].tolist() == [4.5, 3.5, 2.5]
    assert run.range_test is None
    assert run.per_age == pytest.approx(dict.fromkeys(range(1, 19), 2.6), rel=1e-5)
    assert sum(int(row["faces"]) for row in sweep.row_counts) == 180
    assert sweep.config["model"]["hidden"] == [512, 256, 128]


def test_runs_are_called_by_their_numbers_where_these_tell_them_apart(write_sweep):
    folder = write_sweep("grown", GOOD)
    (folder / "002_swa,seed=1").rename(folder / "000_swa,seed=1")
    labels = [run.label for run in read_sweep(folder).runs]
    assert labels == ["000_sgd,seed=1", "000_swa,seed=1", "001", "003"]


def test_a_run_that_repeats_another_is_left_out_with_the_reason(write_sweep):
    folder = write_sweep("again", {"sgd": GOOD["sgd"]}, config_hash="h")
    sweep = read_sweep(folder)
    assert [run.name for run in sweep.runs] == ["000_sgd,seed=1"]
    assert sweep.repeated == {folder / "001_sgd,seed=2": folder / "000_sgd,seed=1"}
    assert not sweep.rejects
    told = beware.warnings(analyse(sweep, 0, 100))
    assert any("1 run left out" in text and "001_sgd,seed=2 is 000_sgd,seed=1 once more" in text for text in told)
    assert not any("did not complete" in text for text in told)
    assert failures(sweep).rows == (("001_sgd,seed=2", "repeated", f"the same run as {folder}/000_sgd,seed=1"),)


def test_range_tests_may_be_longer_than_training(write_sweep):
    folder = write_sweep("e1", GOOD)
    (folder / "000_sgd,seed=1" / "lr_range_test.csv").write_text("lr,loss,smoothed\n" + "0.1,2,3\n" * 50)
    tested = read_sweep(folder).runs[0].range_test
    assert tested is not None
    assert tested["smoothed"].tolist() == [3.0] * 50


def test_a_sweep_whose_data_are_not_described_is_read_all_the_same(write_sweep):
    folder = write_sweep("d1", GOOD)
    path = folder / "000_sgd,seed=1" / "data.csv"
    for content in (
        path.read_text().replace("5", "6"),
        "part,age\ntrain,3\n",
        "part,kind,source,gender,age,faces\na,b,c,d,x,1\n",
        None,
    ):
        path.unlink() if content is None else path.write_text(content)
        assert read_sweep(folder).row_counts == []


def test_runs_are_paired_by_their_seeds(write_sweep):
    sweep = read_sweep(write_sweep("paired", GOOD))
    assert _paired(sweep, "sgd", "swa") == [(2.6, 2.5), (2.7, 2.4)]
    some = read_sweep(write_sweep("some", {"sgd": GOOD["sgd"] * 2, "swa": GOOD["swa"] + GOOD["swa"][:1]}))
    assert _paired(some, "sgd", "swa") == [(2.6, 2.5), (2.7, 2.4), (2.6, 2.5)]
    few = read_sweep(write_sweep("few", {"sgd": GOOD["sgd"], "swa": GOOD["swa"][:1]}))
    assert _paired(few, "sgd", "swa") == []


def _paired(sweep: Sweep, one: str, other: str) -> list[tuple[float, float]]:
    """Return the test MAEs of two variants that are of one seed."""
    found = paired(sweep.variants[one], sweep.variants[other], lambda run: run.test_mae)
    return [] if found is None else list(zip(*(side.tolist() for side in found), strict=True))


def test_options_besides_the_optimiser_make_variants_but_seeds_do_not(write_sweep):
    maes = {f"sgd method={m} split.seed={s}": [(2.0, 2.0)] for m in ("paper", "published") for s in (0, 1)}
    sweep = read_sweep(write_sweep("audit", maes))
    assert sweep.factors == ("method",)
    assert {name: len(runs) for name, runs in sweep.variants.items()} == {
        "sgd method=paper": 2,
        "sgd method=published": 2,
    }
    assert len(_paired(sweep, "sgd method=paper", "sgd method=published")) == 2


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("result.json", b"{}", "result.json: no valid result"),
        ("metrics.csv", b"epoch,lr\n0,0.1\n", "metrics.csv: unreadable"),
        ("metrics.csv", None, "metrics.csv: unreadable"),
        ("metrics.csv", b"epoch,train/mae,validation/mae\n0,3,3\n", "metrics.csv: 1 epochs instead"),
        ("predictions.csv", b"name,subject,age,prediction\nx,,three,2\n", "predictions.csv: unreadable"),
        ("predictions.csv", b"name,subject,age,prediction\n", "predictions.csv: incomplete"),
        ("predictions.csv", b"name,subject,age,prediction\na,,,\n", "predictions.csv: incomplete"),
        ("predictions.csv", b"name,subject,age,prediction\na,,inf,3\n", "that is no number"),
        ("predictions.csv", b"name,subject,age,prediction\na,,3,3\n", "predictions.csv: changed since the run"),
        ("config.yaml", b"seed: 2", "config.yaml: changed since the run"),
        ("lr_range_test.csv", b"\xff\x00", "lr_range_test.csv: unreadable"),
    ],
)
def test_a_damaged_run_is_left_out_with_its_reason(write_sweep, file, content, reason):
    folder = write_sweep("d1", GOOD)
    damaged = folder / "001_sgd,seed=2"
    if content is None:
        (damaged / file).unlink()
    else:
        (damaged / file).write_bytes(content)
    sweep = read_sweep(folder)
    assert len(sweep.runs) == 3
    assert list(sweep.rejects) == [damaged]
    assert reason in sweep.rejects[damaged]


def test_a_run_that_did_not_complete_is_named_and_a_foreign_folder_rejected(write_sweep):
    folder = write_sweep("d1", GOOD)
    path = folder / "002_swa,seed=1" / "result.json"
    changed = without_digest(json.loads(path.read_text())) | {"status": "diverged", "reason": "the loss was nan"}
    path.write_text(json.dumps(changed))
    foreign = folder / "other"
    foreign.mkdir()
    (foreign / "result.json").write_text('{"accuracy": 0.9}')
    sweep = read_sweep(folder)
    assert [(r.name, r.reason) for r in sweep.others] == [("002_swa,seed=1", "the loss was nan")]
    assert list(sweep.rejects) == [foreign]


def test_a_run_without_epochs_lacks_what_these_have(write_sweep):
    sweep = read_sweep(write_sweep("both", GOOD | {"ridge": [(2.6, 2.8), (2.6, 2.8)]}))
    assert not sweep.rejects
    assert list(sweep.variants) == ["sgd", "swa", "ridge"]
    run = sweep.variants["ridge"][0]
    assert (run.curve, run.range_test, run.result.lr) == (None, None, None)
    assert len(_paired(sweep, "ridge", "sgd")) == 2
    assert sweep.compares == "optimizer or model"


def test_a_sweep_without_a_completed_run_is_refused(write_sweep, tmp_path):
    with pytest.raises(UserError, match=r"no completed run to report on \(000_sgd,seed=1: pending\)"):
        read_sweep(write_sweep("begun", {"sgd": [(2.0, 2.0)]}, status="pending"))
    with pytest.raises(UserError, match="nowhere is not a folder"):
        read_sweep(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no run at all"):
        read_sweep(tmp_path / "empty")
