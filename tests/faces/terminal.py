"""A folder to type commands in, and drawn photographs to type them about."""

import csv
import subprocess
import sys
from pathlib import Path

from drawn_face import draw_face, save

AGES = (1, 2, 3)
SPLIT = ["split.age_range=[1,3]", "split.heldout_per_age=2"]


class Terminal:
    """A folder to type commands in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, command: str, *arguments: str, own_group: bool = False) -> subprocess.Popen[str]:
        """Start a command; with `own_group`, one that Ctrl-C can be sent to with all its processes, as a shell does."""
        return subprocess.Popen(
            [sys.executable, "-m", f"vec2uage.{command}", *arguments],
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0 if own_group else None,
        )

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(command, *arguments)
        out, err = process.communicate(timeout=240)
        assert "Traceback" not in out + err, err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def prepared(self, name: str = "visage") -> Path:
        return self.folder / "outputs" / "prepared" / name

    def rows(self, name: str = "visage") -> list[dict[str, str]]:
        return table(self.prepared(name) / "faces.csv")


def draw_people(folder: Path, per_age: int = 5) -> None:
    """Draw `per_age` persons of each age, no two alike."""
    for seed in range(per_age * len(AGES)):
        age = AGES[seed % len(AGES)]
        save(folder / str(age) / f"person_{seed}.png", draw_face(120, seed + 1))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
