"""How far a long computation is: a live bar on a terminal, plain lines anywhere else."""

import logging
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from vec2uage.base.foreign_text import visible

if TYPE_CHECKING:
    from tqdm import tqdm as Bar


LINE_SECONDS = 15  # between two lines of progress where there is no terminal


class Progress:
    """A bar over `total` units of work (None: nobody knows), on stderr; use it as a context manager.

    Where stderr is no terminal (a log file, CI) there is no bar and only the texts of `line` appear; with `spoken`,
    every 15 seconds also how much is done, how fast it goes and how long the rest takes.
    """

    def __init__(self, total: int | None, unit: str, label: str, spoken: bool = False) -> None:
        self._total, self._unit, self._done, self._spoken = total, unit, 0, spoken
        self._began = self._spoke = time.monotonic()
        self._bar: Bar | None = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit=unit, desc=visible(label), dynamic_ncols=True, file=sys.stderr)

    @property
    def is_terminal(self) -> bool:
        """Whether a bar is shown."""
        return self._bar is not None

    def advance(self, n: int = 1) -> None:
        """Report `n` more units of work as done."""
        self._done += n
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(n)
        elif self._spoken and now - self._spoke > LINE_SECONDS:
            self._spoke = now
            rate = self._done / (now - self._began)
            whole, rest = "", ""
            if self._total is not None:
                whole, rest = f" of {self._total:,}", f", {(self._total - self._done) / rate:.0f} s left"
            self.line(f"{self._done:,}{whole} {self._unit}s, {rate:.1f}/s{rest}")

    def note(self, **values: object) -> None:
        """Show `values` behind the bar, in place of the earlier ones."""
        if self._bar is not None:
            self._bar.set_postfix(values, refresh=False)

    def line(self, text: str) -> None:
        """Print the line `text` for good, above the bar if there is one."""
        text = visible(text)
        if self._bar is None:
            sys.stderr.write(f"{text}\n")  # at once: print writes twice, and a thread's message could come between
            sys.stderr.flush()
        else:
            self._bar.write(text, file=sys.stderr)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


class ConsoleHandler(logging.StreamHandler):
    """Prints log records on its stream without tearing a bar that is shown there, the same warning once."""

    def __init__(self, stream: Any = None) -> None:
        super().__init__(stream)
        self._warned: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record above the bar, if there is one."""
        import tqdm

        if record.levelno >= logging.WARNING:
            if record.getMessage() in self._warned:
                return
            self._warned.add(record.getMessage())
        tqdm.tqdm.write(f"{self.format(record)}\n", file=self.stream, end="")  # at once, as other threads write, too
