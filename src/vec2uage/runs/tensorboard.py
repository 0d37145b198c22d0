"""TensorBoard's event files, written without threads, torch or TensorFlow."""

import itertools
import os
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vec2uage.base.access import make_folder, open_to_write
from vec2uage.base.atomic import name_in_errors
from vec2uage.base.foreign_text import visible
from vec2uage.runs.result import Status

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

HParam = str | int | float | bool | None | Sequence[Any]

_SERIAL = itertools.count()


class EventLog:
    """One event file in a run's folder, shown by TensorBoard under SCALARS and HPARAMS.

    Every record is on disk when the call that wrote it returns, so that a run can be watched while it trains.
    Hyperparameters make no second run beside the first, as they do with torch's `SummaryWriter.add_hparams`.

    TensorBoard (2.21) takes the columns of HPARAMS from any one run: all runs to be shown together must
    declare the same hyperparameters and metrics, whatever their values. It shows the last value of a metric.
    """

    def __init__(self, folder: Path, resumed_at: int | None = None) -> None:
        """Open a new file; what the files of before hold of steps after `resumed_at` is no longer shown."""
        # TensorBoard's modules take 0.2 s to import; nobody should pay for them who writes no events
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog, SourceMetadata
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event = Event
        # the names sort by time, the order in which TensorBoard reads the files of one folder
        name = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_SERIAL):06d}"
        make_folder(folder)
        self._path = folder / f"events.out.tfevents.{name}"
        self._writer = RecordWriter(open_to_write(self._path, "xb"))
        self._has_session = resumed_at is not None
        self._write(
            Event(
                wall_time=time.time(),
                file_version="brain.Event:2",
                source_metadata=SourceMetadata(writer="vec2uage.runs.tensorboard"),
            )
        )
        if resumed_at is not None:
            restart = SessionLog(status=SessionLog.START)
            self._write(Event(wall_time=time.time(), step=resumed_at, session_log=restart))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record `values` (tag -> value, kept as float32) at `step`."""
        event = self._event(wall_time=time.time(), step=step)
        for tag, value in values.items():
            event.summary.value.add(tag=tag, simple_value=value)
        self._write(event)

    def image(self, tag: str, png: bytes) -> None:
        """Record a PNG image, shown by TensorBoard under IMAGES."""
        event = self._event(wall_time=time.time(), step=0)
        width, height = struct.unpack(">II", png[16:24])  # where every PNG file has its size
        event.summary.value.add(tag=tag).image.MergeFrom(
            event.summary.Image(encoded_image_string=png, width=width, height=height, colorspace=4)
        )
        self._write(event)

    def hparams(self, hparams: Mapping[str, HParam], metrics: Sequence[str], shown: Sequence[str] = ()) -> None:
        """Declare the run's hyperparameters and the scalar tags to show beside them; call it once.

        TensorBoard shows five hyperparameters until asked for more: those named in `shown` come first. It knows
        neither None nor lists: they become "none" and their text.
        """
        from tensorboard.plugins.hparams import api_pb2, metadata
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        values = {name: _shown(value) for name, value in hparams.items()}
        kinds = {bool: api_pb2.DATA_TYPE_BOOL, str: api_pb2.DATA_TYPE_STRING}
        experiment = api_pb2.Experiment(
            hparam_infos=[
                api_pb2.HParamInfo(
                    name=name, type=kinds.get(type(value), api_pb2.DATA_TYPE_FLOAT64), differs=name in shown
                )
                for name, value in values.items()
            ],
            metric_infos=[api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in metrics],
            time_created_secs=time.time(),
        )
        self._summary(_plugin_summary(metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=experiment)))
        # without an id of its own, runs of equal hyperparameters would be averaged into one row
        self._summary(hparams_pb(values, trial_id=""))
        self._has_session = True

    def close(self, status: Status) -> None:
        """Record how the run ended and close the file; a run that has not ended goes on in another file."""
        if self._has_session and status not in ("interrupted", "running"):
            from tensorboard.plugins.hparams import api_pb2, metadata
            from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

            outcome = api_pb2.STATUS_SUCCESS if status == "completed" else api_pb2.STATUS_FAILURE
            end = SessionEndInfo(status=outcome, end_time_secs=time.time())
            self._summary(_plugin_summary(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=end)))
        self._writer.close()

    def _summary(self, summary: "Summary") -> None:
        self._write(self._event(wall_time=time.time(), summary=summary))

    def _write(self, event: Any) -> None:
        with name_in_errors(self._path):
            self._writer.write(event.SerializeToString())
            self._writer.flush()


def _shown(value: HParam) -> str | int | float | bool:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, int | float):
        return value
    return "none" if value is None else visible(str(list(value)))


def _plugin_summary(tag: str, content: "HParamsPluginData") -> "Summary":
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata

    return Summary(
        value=[Summary.Value(tag=tag, metadata=metadata.create_summary_metadata(content), tensor=metadata.NULL_TENSOR)]
    )
