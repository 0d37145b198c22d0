"""Worker processes: every task has its result, also next to one that kills its process, and none outlives a kill."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
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


def test_a_process_that_is_killed_while_it_answers_holds_nobody_up():
    given = [(12,), (13,), (14,)]
    results = dict(pool.run(tasks.answer, given, 2, tasks.nothing, (), 4, threading.Event()))
    assert {n: result and len(result) for (n,), result in results.items()} == {
        12: 100_000_000,
        13: None,
        14: 100_000_000,
    }


def counted(numbers: list[int], folder: Path, ahead: int, stop: threading.Event) -> Iterator[tuple[int, int | None]]:
    given = [(number, str(folder)) for number in numbers]
    for (number, _), result in pool.stream(tasks.count_to, given, 2, tasks.nothing, (), ahead, stop):
        yield number, result and result[-1]


def test_a_task_of_many_results_gives_them_in_order_and_from_its_beginning_where_its_process_was_killed(tmp_path: Path):
    taken = defaultdict(list)
    for number, result in counted([0, 3, 13, 5, 14], tmp_path, 3, threading.Event()):
        taken[number].append(result)
    until = [*range(7)]
    assert taken == {3: [0, 1, 2], 5: [*range(5)], 13: [*until, *until, None], 14: [*until, *range(14)]}


def test_a_task_of_many_results_is_left_when_told_to_stop(tmp_path: Path):
    stop, taken = threading.Event(), 0
    for _ in counted([1000, 1000, 1000], tmp_path, 3, stop):
        taken += 1
        stop.set()
    assert 1 <= taken <= 6  # those that waited, and one of each process


def test_no_more_tasks_are_taken_than_are_needed_and_all_in_one_thread():
    asked: list[int] = []

    def given() -> Iterator[tuple[int]]:
        for number in range(20, 120):
            asked.append(threading.get_ident())
            yield (number,)

    results = pool.run(tasks.double, given(), 2, tasks.nothing, (), 8, threading.Event())
    assert next(results)[1] in range(40, 240)
    assert len(asked) <= 10
    assert len(list(results)) == 99
    assert set(asked) == {threading.get_ident()}


COMMAND = """
import sys
sys.path.insert(0, sys.argv[3])
import tasks
from vec2uage.base.interrupt import interruptible
from vec2uage.faces import pool, worker
if __name__ == "__main__":
    given, function = [(sys.argv[2],)] * 100_000, getattr(tasks, sys.argv[1])
    with interruptible() as stop:
        for _ in pool.run(function, given, 2, worker.start, (None,), 4, stop):
            pass
    sys.exit(130)
"""


@pytest.mark.parametrize(
    ("function", "send"),
    [
        ("mark_and_wait", lambda command: command.kill()),
        # as a terminal that is closed, `timeout` and batch systems do it; a large answer is under way at any moment
        ("mark", lambda command: os.killpg(command.pid, signal.SIGTERM)),
    ],
)
def test_no_worker_outlives_a_command_however_it_ends(function: str, send, tmp_path: Path):
    (tmp_path / "command.py").write_text(COMMAND)
    marks = tmp_path / "marks"
    marks.mkdir()
    line = [sys.executable, tmp_path / "command.py", function, marks, Path(tasks.__file__).parent]
    command = subprocess.Popen(line, start_new_session=True)
    wait_until(lambda: len(list(marks.iterdir())) == 2)
    send(command)
    assert command.wait(30) in (130, -signal.SIGKILL)
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
