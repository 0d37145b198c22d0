"""For IPED, an open tool of digital forensics: a task script and its configuration to ask the model of this case."""

import shlex
import sys
from importlib import resources
from pathlib import Path

from vec2uage.base.atomic import write_text
from vec2uage.base.errors import UserError
from vec2uage.base.foreign_text import sentence
from vec2uage.case.exports.base import Export
from vec2uage.case.info import CaseInfo
from vec2uage.case.records import Results
from vec2uage.case.sources.base import CaseSource
from vec2uage.config.settings import PositiveInt, settings

SCRIPT, CONFIG = "Vec2uageTask.py", "Vec2uageConfig.txt"
_TEXT = """\
# Configuration of {script}, which asks vec2uage how old faces are. What is set here is documented in docs/serve.md.

# Starts vec2uage, in this folder. Words are quoted as in a shell. That Python needs to have vec2uage.
command = {command}
folder = {folder}

# Items that each thread of IPED collects before it asks about all of them at once.
batchSize = {batch_size}

# true: files that IPED's hash database knows are not looked into.
skipHashDBFiles = {skip_hash_db}
"""


@settings
class IpedExport(Export):
    """The script and its configuration; nothing of the case is in them."""

    batch_size: PositiveInt
    """Items that each thread of IPED collects before it asks about all of them at once."""
    skip_hash_db_files: bool
    """Whether files that IPED's hash database knows are not looked into."""

    def check(self, source: CaseSource) -> None:
        pass

    def write(self, folder: Path, results: Results, info: CaseInfo) -> list[Path]:
        """Write both; raises UserError where IPED could not read what starts the service."""
        script, config = folder / SCRIPT, folder / CONFIG
        command, place = _command(info.line), str(Path.cwd())
        for text in (command, place):
            if not text.isprintable():
                raise UserError(f"export=iped: IPED's configuration cannot hold such a name: {sentence(text)}")
        write_text(script, resources.files("vec2uage.case.exports").joinpath(SCRIPT).read_text(encoding="utf-8"))
        write_text(
            config,
            _TEXT.format(
                script=SCRIPT,
                command=command,
                folder=place,
                batch_size=self.batch_size,
                skip_hash_db=str(self.skip_hash_db_files).lower(),
            ),
        )
        return [script, config]


def _command(line: str) -> str:
    """Return what starts the service: the command of this case, by the Python that does it now."""
    _, *arguments = shlex.split(line)
    return shlex.join([sys.executable, *arguments, "serve=stdio", "output=outputs/served"])
