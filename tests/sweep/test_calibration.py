"""Layouts that are measured: what is chosen, what is kept, and what a plan says before anything starts."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sweeps import Sweep

from vec2uage.sweep import calibration, layout
from vec2uage.sweep.calibration import Speed, fastest, measured_speeds
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import group
from vec2uage.sweep.plan import Plan
from vec2uage.sweep.preview import at_a_time, preview
from vec2uage.training.data import load

CPU = torch.device("cpu")
QUICK = ["trainer.max_epochs=2", "model.hidden=[16]", "trainer.device=cpu"]
CALIBRATED = [*QUICK, "trainer.calibrate=true"]


def hasten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure less, and less exactly."""
    for name, value in {"_SECONDS": 0.01, "_ROUNDS": 1, "_STACK_SIZES": (1, 2)}.items():
        monkeypatch.setattr(calibration, name, value)


@given(st.integers(1, 300), st.integers(1, 8), st.integers(1, 9), st.integers(1, 1000))
def test_an_estimate_counts_every_run_and_the_last_stacks_waited_for(
    runs: int, workers: int, size: int, steps: int
) -> None:
    seconds = Speed(workers, 1, size, 0.001).estimate(runs, steps)
    assert seconds >= runs * steps * 0.001 * (1 - 1e-9)
    assert seconds <= (runs + workers * size) * steps * 0.001 * (1 + 1e-9)


def test_few_runs_are_not_given_to_many_workers() -> None:
    speeds = [Speed(8, 1, 1, 0.001), Speed(1, 8, 2, 0.002)]
    assert fastest(speeds, 80).workers == 8
    assert fastest(speeds, 2).workers == 1


@pytest.mark.slow
def test_speeds_are_kept_and_what_is_kept_says_so(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("VEC2UAGE_CACHE", str(tmp_path))
    hasten(monkeypatch)
    settings = sweep.jobs(tmp_path, [QUICK])[0].settings
    data = load(settings, CPU)
    first = measured_speeds(settings, data, 2, True)
    assert {(s.workers, s.threads) for s in first} == {(2, 1), (1, 2)}
    assert {s.stack_size for s in first} == {1, 2}
    assert all(s.seconds > 0 for s in first)
    (file,) = tmp_path.glob("speed/*.json")
    with caplog.at_level("INFO", logger=calibration.__name__):
        assert measured_speeds(settings, data, 2, True) == first
        assert measured_speeds(settings, data, 2, True) == first
    (told,) = (message for message in caplog.messages if "delete" in message)
    assert json.loads(file.read_text())["measured"][:10] in told or "measured on" in told
    assert f"delete {file}" in told
    assert {s.stack_size for s in measured_speeds(settings, data, 2, False)} == {1}, "of what cannot be stacked"
    wrong = {"measured": "2026-01-01T00:00:00+00:00", "speeds": [{**asdict(first[0]), "workers": 0}]}
    flipped = file.read_text().replace('"seconds": ', '"seconds": 9')
    for damaged in ("[{", "[]", json.dumps(wrong), flipped):
        file.write_text(damaged)
        assert len(measured_speeds(settings, data, 2, True)) == len(first), "a damaged file is measured again"
        assert max(speed.seconds for speed in measured_speeds(settings, data, 2, True)) < 9


def test_nothing_is_measured_unasked(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "measured_speeds", lambda *_: pytest.fail("measured"))
    jobs = sweep.jobs(tmp_path, [[*QUICK, f"seed={seed}"] for seed in range(20)])
    laid_out = layout.lay_out(jobs, layout.sweep_plan([jobs], 2), 2)
    assert [len(stack) for stack in laid_out.stacks] == [3, 3, 4, 3, 3, 4], "four runs a core"
    assert "not estimated: trainer.calibrate=true" in preview(jobs, True)


def test_a_measured_layout_changes_no_number(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [[*QUICK, f"seed={seed}"] for seed in range(5)]
    train_jobs(sweep.jobs(tmp_path / "plain", runs), "")
    monkeypatch.setattr(calibration, "measured_speeds", lambda *_: [Speed(1, 2, 5, 1.0), Speed(2, 1, 1, 9.0)])
    train_jobs(sweep.jobs(tmp_path / "measured", [[*run, "trainer.calibrate=true"] for run in runs]), "")
    for number in range(5):
        one, other = (tmp_path / name / str(number) / "best.safetensors" for name in ("plain", "measured"))
        assert one.read_bytes() == other.read_bytes()


def test_a_plan_tells_all_and_touches_nothing(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    lines = [[*CALIBRATED, f"optimizer={name}", f"seed={seed}"] for name in ("sgd", "adam") for seed in range(3)]
    jobs = sweep.jobs(tmp_path, lines)
    train_jobs(jobs[:1], "")
    before = sorted(tmp_path.rglob("*"))
    text = preview(jobs, True)
    assert "5 of 6 runs to train (1 have ended)" in text
    assert "synthetic vec2uage sgd" in text
    assert "synthetic vec2uage adam" in text
    assert "if every run trains to its last epoch" in text
    assert sorted(tmp_path.rglob("*")) == before
    assert "6 of 6 runs to train" in preview(jobs, False)


def test_a_plan_tells_groups_apart_by_what_is_swept(sweep: Sweep, tmp_path: Path) -> None:
    swept = [[*QUICK, f"loss={loss}", f"seed={seed}"] for loss in ("l1", "mse") for seed in (1, 2)]
    whats = [
        line.partition("synthetic vec2uage adam")[2] for line in preview(sweep.jobs(tmp_path, swept), True).splitlines()
    ]
    assert [what.split()[-1] for what in whats if what] == ["loss=l1", "loss=mse"]
    without_optimizer = preview(sweep.jobs(tmp_path / "ridge", [["model=ridge", "trainer.device=cpu"]]), True)
    assert "synthetic ridge dataset.size=small" in without_optimizer
    assert "trainer.calibrate" not in without_optimizer, "there is nothing to measure"


def test_models_without_epochs_hide_no_time(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "measured_speeds", lambda *_: [Speed(1, 2, 2, 1.0)])
    lines = [[*CALIBRATED, "seed=1"], [*CALIBRATED, "seed=2"], ["model=ridge", "trainer.device=cpu"]]
    time = preview(sweep.jobs(tmp_path, lines), True).splitlines()[-1]
    assert "time:   about" in time
    assert "not estimated for 1 run of models without epochs" in time


def test_a_plan_counts_the_largest_stacks_that_train_together(sweep: Sweep, tmp_path: Path) -> None:
    lines = [
        [*QUICK, "trainer.stack_size=2", f"optimizer={name}", f"seed={s}"] for name in ("sgd", "adam") for s in (1, 2)
    ]
    groups = group(sweep.jobs(tmp_path, lines))
    for plan in (Plan((CPU,), 1, 2), Plan((CPU,), 1, 2, groups=2)):
        layouts = [layout.lay_out(same, plan, 1) for same in groups]
        data = sum(inputs.x.nbytes for inputs in layouts[0].data.parts.values())
        sgd, adam = (2 * each.run_bytes for each in layouts)
        assert at_a_time(layouts, plan) == adam + data + (sgd if plan.groups == 2 else 0)
