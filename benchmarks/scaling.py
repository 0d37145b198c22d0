"""What grows with the number of runs, and how: `python -m benchmarks.scaling`.

The cost of a step at 1 to 160 runs, the memory of one more run in a stack, and what a sweep of many tiny jobs costs
besides training.
"""

import argparse
import math
import re
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.overheads import TINY
from benchmarks.setting import BATCH, CPU, DIMENSION, ROWS, Silent, fastest, machine, random_data, runs
from benchmarks.training import ours
from vec2uage.training.memory import run_bytes
from vec2uage.training.trainer import first_weights, train_epoch

COUNTS = (1, 2, 8, 40, 160)
STACKS = (8, 40)  # runs of the stacks whose difference is the memory of one run
JOBS = (400, 1600)
STEPS = 40
SGD = ("optimizer=sgd", "optimizer.lr=1e-4")


def speed(repeats: int) -> float:
    """Print the cost of a step for some numbers of runs; return the milliseconds per run of the most."""
    data = random_data(STEPS * BATCH)
    settings = {count: runs(count, *SGD) for count in COUNTS}
    seconds = fastest({str(count): partial(ours, given, data) for count, given in settings.items()}, repeats)
    for count in COUNTS:
        print(f"{count:4} runs {1e3 * seconds[str(count)] / STEPS / count:8.3f} ms per run and step")
    return 1e3 * seconds[str(COUNTS[-1])] / STEPS / COUNTS[-1]


def python(*given: str) -> str:
    """Return what a Python process prints."""
    return subprocess.run([sys.executable, *given], check=True, capture_output=True, text=True).stdout


def peak_of_a_stack(count: int) -> int:
    """Return the most memory (bytes) that this process has had after a few steps of `count` runs as one stack."""
    data = random_data(4 * BATCH)
    settings = runs(count, *SGD)
    train_epoch(first_weights(settings, data, CPU), settings, data, 0, Silent())
    # not getrusage: its peak is inherited from the process that started this one
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])  # type: ignore[index]


def memory() -> None:
    """Print what one more run in a stack takes, each size in a process of its own."""
    few, many = (int(python("-m", "benchmarks.scaling", "--stack", str(count))) for count in STACKS)
    (run,) = runs(1, *SGD)
    planned = run_bytes(run, DIMENSION, 4 * BATCH)
    print(
        f"one more run in a stack: {(many - few) / (STACKS[1] - STACKS[0]) / 2**20:.1f} MiB "
        f"({planned / 2**20:.1f} are planned for, the best weights and what passes by included)"
    )


def jobs() -> None:
    """Print what a sweep of tiny jobs costs: planning alone, all of it, and once more when all have ended."""
    for count in JOBS:
        with tempfile.TemporaryDirectory() as folder:
            given = ["-m", "vec2uage.train", "-m", *TINY, f"seed=range({count})", f"hydra.sweep.dir={folder}/sweep"]
            seconds = []
            for more in (["plan=true"], [], []):
                began = time.perf_counter()
                python(*given, *more)
                seconds.append(time.perf_counter() - began)
        plan, whole, again = seconds
        print(
            f"{count:5} tiny jobs: composed and planned in {plan:.1f} s, trained in {whole:.1f} s "
            f"({1e3 * whole / count:.1f} ms a job), again, to find all done and sum them up: {again:.1f} s"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="rounds to take the fastest of")
    parser.add_argument("--stack", type=int, help="print only the peak memory of one stack of so many runs")
    given = parser.parse_args()
    if given.stack:
        print(peak_of_a_stack(given.stack))
        return
    print(f"What grows with the number of runs; SGD, batch {BATCH}, fastest of {given.repeats}\n{machine()}\n")
    per_step = speed(given.repeats)
    steps = 80 * 100 * math.ceil(ROWS / BATCH)
    print(f"the paper's D1 (80 runs, 100 epochs, {ROWS:,} rows) at that speed: {per_step * steps / 3.6e6:.1f} hours\n")
    memory()
    print()
    jobs()


if __name__ == "__main__":
    main()
