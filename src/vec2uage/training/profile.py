"""A profile of training, written next to the run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from vec2uage.base.atomic import replacing, write_text


@contextmanager
def profiled(folder: Path) -> Iterator[None]:
    """Profile the block: `profile.txt`, operations by their own time, and `profile.json` for chrome://tracing."""
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
    with profile(activities=activities) as recorded:
        yield
    table = recorded.key_averages().table(sort_by="self_cpu_time_total", row_limit=30)
    write_text(folder / "profile.txt", table)
    with replacing(folder / "profile.json") as temporary:
        recorded.export_chrome_trace(str(temporary))
