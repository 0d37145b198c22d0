"""A bar on a terminal, lines elsewhere."""

import contextlib
import io
import logging
import os
import pty
import re
import termios

import pytest

from vec2uage.base import progress
from vec2uage.base.progress import ConsoleHandler, Progress


def _work() -> bool:
    with Progress(total=2000, unit="samples", label="train") as progress:
        for _ in range(2):
            progress.advance(1000)
            progress.note(best="2.31")
        progress.line("seed=3 failed")
        return progress.is_terminal


def test_without_a_terminal_only_lines_appear(capsys: pytest.CaptureFixture[str]) -> None:
    assert not _work()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "seed=3 failed\n"


def test_a_warning_stands_once_however_many_jobs_give_it() -> None:
    stream = io.StringIO()
    handler = ConsoleHandler(stream)
    for level, text in ((30, "few epochs"), (20, "4 runs"), (30, "few epochs"), (20, "4 runs"), (30, "no GPU")):
        handler.emit(logging.LogRecord("", level, "", 0, text, None, None))
    assert stream.getvalue().split("\n")[:-1] == ["few epochs", "4 runs", "4 runs", "no GPU"]


def _everything(terminal: int) -> str:
    """What a terminal was sent: the kernel hands it over in pieces, and some time after it was written."""
    shown = b""
    with contextlib.suppress(OSError):  # EIO: nobody has the other side open any more, and all was read
        while piece := os.read(terminal, 100_000):
            shown += piece
    return shown.decode()


def test_a_terminal_shows_bar_notes_and_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        assert _work()
    shown = _everything(ours)
    os.close(ours)
    assert "2000/2000" in shown
    assert "samples" in shown
    assert "best=2.31" in shown
    assert "seed=3 failed\r\n" in shown


def test_spoken_progress_says_how_much_is_done_and_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(spoken: bool, total: int | None = 4000) -> str:
        with Progress(total=total, unit="face", label="augmented faces", spoken=spoken) as shown:
            shown.advance(1000)
            shown.advance(500)
        return capsys.readouterr().err

    assert told(spoken=True) == ""  # 15 seconds have not passed
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    assert told(spoken=False) == ""
    lines = told(spoken=True).splitlines()
    assert [re.sub(r"[\d.]+/s, \d+ s", "R/s, L s", line) for line in lines] == [
        "1,000 of 4,000 faces, R/s, L s left",
        "1,500 of 4,000 faces, R/s, L s left",
    ]
    endless = told(spoken=True, total=None).splitlines()
    assert [re.sub(r"[\d.]+/s", "R/s", line) for line in endless] == ["1,000 faces, R/s", "1,500 faces, R/s"]
