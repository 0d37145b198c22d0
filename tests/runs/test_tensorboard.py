"""Event files as TensorBoard itself reads them."""

import io
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vec2uage.runs.tensorboard import EventLog

METRICS = ("validation/mae", "best/test/mae")


def _read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    return accumulator


def test_scalars_read_back_in_float32(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 2))
    log = EventLog(tmp_path)
    for step, (loss, lr) in enumerate(rows):
        log.scalars(step, {"train/loss": float(loss), "lr": float(lr)})
    log.close("completed")
    read = _read(tmp_path)
    assert set(read.Tags()["scalars"]) == {"train/loss", "lr"}
    for tag, column in zip(("train/loss", "lr"), rows.T, strict=True):
        assert [event.step for event in read.Scalars(tag)] == list(range(50))
        assert [event.value for event in read.Scalars(tag)] == list(column.astype(np.float32))


def test_images_are_shown_with_their_size(tmp_path: Path) -> None:
    drawn = io.BytesIO()
    Image.new("RGB", (30, 20), (200, 10, 10)).save(drawn, "PNG")
    log = EventLog(tmp_path)
    log.image("report/summary", drawn.getvalue())
    log.close("completed")
    (image,) = _read(tmp_path).Images("report/summary")
    assert (image.width, image.height) == (30, 20)
    assert image.encoded_image_string == drawn.getvalue()


def test_a_running_training_can_be_watched(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.scalars(1, {"validation/mae": 2.5})
    assert _read(tmp_path).Scalars("validation/mae")[0].value == 2.5
    log.scalars(2, {"validation/mae": float("nan")})
    log.close("diverged")
    assert len(_read(tmp_path).Scalars("validation/mae")) == 2


def test_a_resumed_run_continues_its_curves(tmp_path: Path) -> None:
    for step in (1, 2):
        log = EventLog(tmp_path)
        log.scalars(step, {"validation/mae": float(step)})
        log.close("interrupted")
    assert [event.step for event in _read(tmp_path).Scalars("validation/mae")] == [1, 2]


def _hparams_tab(root: Path) -> tuple[Any, Any]:
    """What the HPARAMS tab gets from TensorBoard's own backend: the experiment and its rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorBoard's own
        from tensorboard import context
        from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
        from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
        from tensorboard.plugins import base_plugin
        from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(root))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(root))
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=1000,
        allowed_statuses=[
            api_pb2.STATUS_UNKNOWN,
            api_pb2.STATUS_SUCCESS,
            api_pb2.STATUS_FAILURE,
            api_pb2.STATUS_RUNNING,
        ],
    )
    ctx = context.RequestContext()
    experiment = get_experiment.Handler(ctx, backend, "", api_pb2.GetExperimentRequest()).run()
    rows = list_session_groups.Handler(ctx, backend, "", request).run()
    return experiment, SimpleNamespace(groups=list(rows.session_groups), runs=sorted(multiplexer.Runs()))


def test_runs_show_in_the_hparams_tab_each_in_its_own_folder(tmp_path: Path) -> None:
    for seed, optimizer in enumerate(["sgd", "sgd", "swa"]):
        log = EventLog(tmp_path / f"{seed}")
        log.hparams(
            {"optimizer": optimizer, "lr": 0.1, "nesterov": True, "swa_start": None, "age_range": (1, 18)},
            METRICS,
        )
        log.scalars(1, {"validation/mae": 9.0, "lr": 0.1})
        log.scalars(2, {"validation/mae": 2.0 + seed, "best/test/mae": 3.0 + seed, "lr": 0.1})
        log.close("completed")

    experiment, rows = _hparams_tab(tmp_path)
    kinds = {info.name: info.type for info in experiment.hparam_infos}
    from tensorboard.plugins.hparams import api_pb2

    assert kinds == {
        "optimizer": api_pb2.DATA_TYPE_STRING,
        "lr": api_pb2.DATA_TYPE_FLOAT64,
        "nesterov": api_pb2.DATA_TYPE_BOOL,
        "swa_start": api_pb2.DATA_TYPE_STRING,
        "age_range": api_pb2.DATA_TYPE_STRING,
    }
    assert tuple(info.name.tag for info in experiment.metric_infos) == METRICS
    assert rows.runs == ["0", "1", "2"], "hyperparameters must not make runs of their own"
    assert [group.name for group in rows.groups] == ["0", "1", "2"], "equal hyperparameters must stay apart"
    assert [group.hparams["optimizer"].string_value for group in rows.groups] == ["sgd", "sgd", "swa"]
    assert rows.groups[0].hparams["lr"].number_value == 0.1
    assert rows.groups[0].hparams["nesterov"].bool_value is True
    assert rows.groups[0].hparams["swa_start"].string_value == "none"
    assert rows.groups[0].hparams["age_range"].string_value == "[1, 18]"
    last = [{value.name.tag: value.value for value in group.metric_values} for group in rows.groups]
    assert last == [{"validation/mae": 2.0 + seed, "best/test/mae": 3.0 + seed} for seed in range(3)]


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("completed", "STATUS_SUCCESS"),
        ("diverged", "STATUS_FAILURE"),
        ("running", "STATUS_UNKNOWN"),
    ],
)
def test_the_tab_shows_how_a_run_ended(tmp_path: Path, status: Any, shown: str) -> None:
    log = EventLog(tmp_path / "run")
    log.hparams({"lr": 0.1}, METRICS)
    log.close(status)
    _, rows = _hparams_tab(tmp_path)
    from tensorboard.plugins.hparams import api_pb2

    (session,) = rows.groups[0].sessions
    assert api_pb2.Status.Name(session.status) == shown


def test_importing_and_writing_needs_no_heavy_library(tmp_path: Path) -> None:
    code = f"""
import sys, pathlib
from vec2uage.runs.tensorboard import EventLog
assert not [name for name in sys.modules if name.startswith("tensorboard.")], "imported before it is needed"
log = EventLog(pathlib.Path({str(tmp_path)!r}))
log.hparams({{"lr": 0.1}}, ("validation/mae",))
log.scalars(1, {{"validation/mae": 2.5}})
log.close("completed")
heavy = {{"torch", "tensorflow", "pandas", "tensorboard.backend", "tensorboard.program", "werkzeug"}}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
