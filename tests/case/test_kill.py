"""A command that is killed again and again ends with what one has that is let alone, and does little twice."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from toy_cases import OPTIONS, examine, pictures, video
from toys import Noting

COMMAND = """
import sys
if __name__ == "__main__":  # worker processes import this file, too
    from dataclasses import replace
    from pathlib import Path
    sys.path[:0] = sys.argv[1:3]
    from toy_cases import OPTIONS, CaseFile, examine
    from toys import Noting
    from vec2uage.base.interrupt import interruptible_keeping
    folder, case, notes = map(Path, sys.argv[3:])
    files = [CaseFile(path.name, path) for path in folder.iterdir()]
    with interruptible_keeping("the case") as stop:
        examine(files, case, replace(OPTIONS, detector=Noting(folder=str(notes))), stop=stop)
"""


@pytest.mark.slow
def test_commands_that_were_ended_early_are_gone_on_with_and_all_ends_the_same(tmp_path: Path):
    files, case, notes = tmp_path / "files", tmp_path / "case", tmp_path / "notes"
    notes.mkdir()
    whole = [*pictures(files, 120), video(files / "film.mp4", *range(20, 120, 10))]
    noting = replace(OPTIONS, detector=Noting(folder=str(notes)))
    (tmp_path / "command.py").write_text(COMMAND)
    places = [Path(module.__file__ or "").parent for module in (sys.modules["toys"], sys.modules["toy_cases"])]

    def end_after(count: int, number: int) -> int:
        """Run a command until it has looked at so many more pictures, and send it a signal."""
        before = len(list(notes.iterdir()))
        command = subprocess.Popen([sys.executable, tmp_path / "command.py", *places, files, case, notes])
        while command.poll() is None and len(list(notes.iterdir())) < before + count:
            time.sleep(0.01)
        command.send_signal(number)
        return command.wait(60)

    assert end_after(40, signal.SIGKILL) == -signal.SIGKILL
    assert end_after(30, signal.SIGINT) == -signal.SIGINT
    results = examine(whole, case, noting)
    assert results == examine(whole, tmp_path / "apart")
    assert 130 <= len(list(notes.iterdir())) <= 130 + 30  # all pictures, and those of a batch or two a second time
    examine(whole, case, noting)
    assert len(list(notes.iterdir())) <= 130 + 30
