"""What a model costs to use: the time to tell ages, measured, and the size of its file."""

import time

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from vec2uage.base.cores import threads
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.leaderboard import Cost
from vec2uage.sweep.grouping import Job
from vec2uage.training.data import load
from vec2uage.training.learners.registry import READERS
from vec2uage.training.readers import open_file

_FACES = 1000
_TIMES = 3


def measure(job: Job) -> Cost:
    """Return what the model of a run that has completed costs, on one core: the least of three times for 1,000 faces.

    Raises UserError where its file cannot be read.
    """
    path = RunFolder(job.folder).model
    model = open_file(READERS[path.suffix], path, trust_code=True)  # which has just been trained by its name
    known = load(job.settings, torch.device("cpu")).train.x.numpy()
    vectors = known[np.arange(_FACES) % len(known)]
    seconds = []
    with threads(1), threadpool_limits(1):
        for _ in range(_TIMES):
            began = time.perf_counter()
            model.predict(vectors)
            seconds.append(time.perf_counter() - began)
    return Cost(min(seconds), path.stat().st_size)
