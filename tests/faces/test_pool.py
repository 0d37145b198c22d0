"""Worker processes: every task has its result, also next to one that kills its process, and none outlives a kill."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import tasks

from vec2uage.base.errors import UserError
from vec2uage.faces import pool


def doubled(numbers: list[int], ahead: int, seconds: float = 0.0) -> list[tuple[int, int | None]]:
    """Double numbers, taking each result after some seconds; return both by number."""
    taken = []
    for task, result in pool.run(tasks.double, [(n,) for n in numbers], 2, tasks.nothing, (), ahead, threading.Event()):
        taken.append((task[0], result))
        time.sleep(seconds)
    return sorted(taken, key=lambda pair: pair[0])


def test_every_task_has_its_result_and_one_that_kills_its_process_costs_only_itself():
    assert doubled(list(range(12)), 4) == [(n, 2 * n) for n in range(12)]
    assert doubled([*range(20), 13], 4) == [(n, 2 * n if n != 13 else None) for n in sorted([*range(20), 13])]


def test_a_slow_taker_loses_no_task_to_a_killed_process():
    assert doubled(list(range(16)), 6, 0.1) == [(n, 2 * n if n != 13 else None) for n in range(16)]


def test_processes_that_cannot_start_are_no_fault_of_the_tasks():
    with pytest.raises(UserError, match="worker processes cannot start"):
        list(pool.run(tasks.double, [(1,), (2,)], 2, tasks.fail, (), 4, threading.Event()))


def test_stop_ends_early_and_keeps_what_is_under_way():
    stop = threading.Event()
    taken = []
    tasks_given = [(n,) for n in range(50) if n != 13]
    for task, result in pool.run(tasks.double, tasks_given, 1, tasks.nothing, (), 4, stop):
        taken.append((task[0], result))
        stop.set()
    assert 1 <= len(taken) <= 5
    assert all(result == 2 * number for number, result in taken)


def test_no_worker_outlives_a_killed_command(tmp_path: Path):
    code = (
        "import sys, threading; sys.path.insert(0, sys.argv[2]); import tasks\n"
        "from vec2uage.faces import pool, worker\n"
        "if __name__ == '__main__':\n"
        "    given = [(sys.argv[1],)] * 2\n"
        "    list(pool.run(tasks.mark_and_wait, given, 2, worker.start, (None,), 2, threading.Event()))\n"
    )
    script = tmp_path / "command.py"
    script.write_text(code)
    marks = tmp_path / "marks"
    marks.mkdir()
    command = subprocess.Popen([sys.executable, str(script), str(marks), str(Path(tasks.__file__).parent)])
    wait_until(lambda: len(list(marks.iterdir())) == 2)
    command.send_signal(signal.SIGKILL)
    command.wait()
    wait_until(lambda: not any(alive(int(mark.name)) for mark in marks.iterdir()))


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{number}/status").read_text()


def wait_until(condition) -> None:
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("waited 30 s in vain")
