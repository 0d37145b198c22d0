"""The one skeleton of all commands: what is typed becomes an `Invocation`, what comes of it an exit code.

One sentence for the user's errors, a traceback only for our own.
"""

import functools
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from vec2uage.base.access import Access, grant, refuse_link
from vec2uage.base.errors import UserError
from vec2uage.base.foreign_text import VisibleStream
from vec2uage.base.foreign_text import sentence as as_sentence
from vec2uage.base.interrupt import INTERRUPTED
from vec2uage.base.lock import Busy, only_user_of
from vec2uage.config.hydra.arguments import gather_repeated, readable, refuse_undecodable
from vec2uage.config.hydra.errors import error_sentence, is_user_error
from vec2uage.config.hydra.flags import flags_last
from vec2uage.config.hydra.read_again import ReadAgain, compose_and_call, with_texts
from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers
from vec2uage.config.validate import check_value, from_config, options_of, refuse, to_container

# As the user set it; a command sets it for Hydra, which then hands exceptions on instead of printing its own traceback.
_WANTS_TRACEBACK = os.environ.get("HYDRA_FULL_ERROR") == "1"

T = TypeVar("T")


@dataclass(frozen=True)
class Invocation:
    """What is asked of a command once: the composed options, and the folder to write to.

    `line` is the command line as one could type it again, `sweep` the folder of the sweep that this is a job of (None
    for no sweep), `overrides` the options that were set, and `choices` the files chosen for the config groups.
    """

    line: str
    cfg: DictConfig
    folder: Path
    sweep: Path | None
    overrides: tuple[str, ...]
    choices: dict[str, str]

    @property
    def options(self) -> dict[str, Any]:
        """All options as plain containers; UserError names one that is missing or cannot be resolved."""
        return to_container(self.cfg)

    def settings(self, cls: type[T]) -> T:
        """Return the options as the command's settings class; UserError names all that is wrong with them."""
        return from_config(self.cfg, cls)

    def settings_alone(self, cls: type[T]) -> T:
        """Return those of the options that `cls` has, whatever the others are; raises what `settings` does."""
        return from_config(OmegaConf.masked_copy(self.cfg, list(options_of(cls))), cls)


Work = Callable[[Invocation], int | None]


def command(name: str, repeatable: str = "", for_help: str = "") -> Callable[[Work], Callable[[], None]]:
    """Make a function the work of the command `python -m vec2uage.<name>`, whose options are those of conf/<name>.yaml.

    The decorated function takes no arguments: it reads the command line, does the work, and ends the program with the
    exit code that the work returns (None: 0). A user's error is told in one sentence, and the output folder goes if
    nothing was written to it. A job of a sweep (`-m`) ends nothing but by Ctrl-C; the sweep ends with the highest code
    of its jobs. `repeatable` names an option that may be typed several times, `for_help` is an option (`key=value`)
    without which not even help can be composed.
    """
    register_resolvers()

    def decorate(work: Work) -> Callable[[], None]:
        @hydra.main(version_base="1.3", config_path=conf_dir(), config_name=name)
        @functools.wraps(work)  # Hydra names its job after the module
        def entry(cfg: DictConfig) -> None:
            _do_work(work, name, cfg)

        def main() -> None:
            """Run the command line."""
            if for_help and _asks_for_help(without=for_help.partition("=")[0]):
                sys.argv.append(for_help)
            if repeatable:
                sys.argv[1:] = gather_repeated(repeatable, sys.argv[1:])
            execute(entry)

        return main

    return decorate


def execute(entry: Callable[[], Any]) -> None:
    """Call a Hydra entry point on what was typed; a user's error ends the program with code 1 and one sentence.

    What is written is its owner's alone until the option `access` is known.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"
    grant("owner")
    _prepare_streams()
    _remember(sys.argv[1:])
    try:
        refuse_undecodable(sys.argv[1:])
        sys.argv[1:] = readable(flags_last(sys.argv[1:]))
        compose_and_call(entry)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        _end(error)
    if any(_typed.exit_codes):
        sys.exit(max(_typed.exit_codes))


class GrantAccess(Callback):
    """Hydra's callback before a command writes anything: its option `access` says who may read that."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Grant the access of a run."""
        try:
            grant(_access_of(config))
        except UserError as error:
            _end(error)  # here, as Hydra makes a warning of what a callback raises

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Grant the access of a sweep, into whose folder Hydra writes a file by itself."""
        self.on_run_start(config)
        try:
            refuse_link(Path(config.hydra.sweep.dir) / "multirun.yaml")
        except UserError as error:
            _end(error)


def _typed_options(composed: Any) -> tuple[str, ...]:
    """Return the options as they were typed: a `${...}` in one is not for this list to resolve."""
    typed: Any = OmegaConf.to_container(composed.overrides.task)
    return tuple(typed)


def _access_of(config: DictConfig) -> Access:
    """Return the option `access`, which is one for all jobs of a sweep; UserError where it is wrong."""
    value = config.get("access")
    typed = [override for override in _typed_options(config.hydra) if override.startswith("access=")]
    problems: list[str] = []
    access: Access = check_value(Access, typed[-1].partition("=")[2] if typed else value, "access", problems)
    refuse(problems)
    return access


def _prepare_streams() -> None:
    """Let any text be printed: made visible, where the terminal lacks its letters, and where an output is closed.

    A closed input is an empty one.
    """
    sys.stdin = sys.stdin or Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - until the end
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, VisibleStream(stream))  # to the end: of our own errors, Python prints a traceback


def refuse_chdir(composed: Any) -> None:
    """Raise UserError where Hydra's own options would have work done in the output folder: paths would not be found."""
    if composed.job.chdir:
        os.chdir(composed.runtime.cwd)  # where Hydra left, so that the folder, which is unused, can be removed
        raise UserError(
            "hydra.job.chdir = true: paths are those of the folder in which a command is typed: leave it out"
        )


def _do_work(work: Work, name: str, cfg: DictConfig) -> None:
    """Do the work of one run, which ends the program, or of one job of a sweep."""
    composed = HydraConfig.get()
    in_sweep = composed.mode == RunMode.MULTIRUN
    invocation = Invocation(
        line=typed_line(name),
        cfg=cfg,
        folder=Path(composed.runtime.output_dir),
        sweep=Path(composed.sweep.dir) if in_sweep else None,
        overrides=_typed_options(composed),
        choices={str(group): str(choice) for group, choice in composed.runtime.choices.items()},
    )
    try:
        refuse_chdir(composed)
        code = work(invocation) or 0
    except Exception as error:
        arguments = with_texts(sys.argv[1:], error)
        if arguments != sys.argv[1:]:
            discard_unused(invocation.folder)
            raise ReadAgain(arguments) from error
        if in_sweep:
            raise
        discard_unused(invocation.folder)
        _end(error)  # here, as Hydra would put a line of its own before the sentence
    if not in_sweep:
        sys.exit(code)
    _typed.exit_codes.append(code)
    if code == INTERRUPTED:  # of the sweep, and not of this job alone
        raise KeyboardInterrupt


@dataclass
class _Typed:
    """The command line of this process: its arguments, the folders that they name, and the exit codes of its jobs."""

    arguments: list[str] = field(default_factory=list)
    folders: set[Path] = field(default_factory=set)
    """Those that existed before the command began."""
    exit_codes: list[int] = field(default_factory=list)


_typed = _Typed()


def _remember(arguments: list[str]) -> None:
    values = [argument.partition("=")[2].strip("'\"") for argument in arguments]
    folders = [value for value in values if value and os.path.isdir(value)]  # noqa: PTH112 - that of Path may raise
    _typed.arguments = arguments
    _typed.folders = {Path(folder).resolve() for folder in folders}
    _typed.exit_codes = []


def typed_line(name: str) -> str:
    """Return the command line of the command `name` as one could type it again."""
    return shlex.join(["python", "-m", f"vec2uage.{name}", *_typed.arguments])


def _asks_for_help(without: str) -> bool:
    """Tell whether only help or the configuration is asked for, and neither the option nor a configuration is named."""
    given = {argument.partition("=")[0] for argument in sys.argv}
    return bool(given & {"--help", "-h", "--cfg", "-c"}) and not given & {without, "--config-name", "-cn"}


def _end(error: Exception) -> NoReturn:
    """End the program with one sentence if the user can mend `error`; raise it if it is a defect of ours."""
    if isinstance(error, ValueError) and isinstance(error.__cause__, UserError | OSError):
        error = error.__cause__  # of the log file, as logging hands it on
    if isinstance(error, BrokenPipeError):  # whoever read our output (`| head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    if _WANTS_TRACEBACK or not is_user_error(error):
        raise error
    sentence = error_sentence(error)
    print(f"error: {sentence if isinstance(error, UserError) else as_sentence(sentence)}", file=sys.stderr)
    sys.exit(1)


def discard_unused(output: Path, with_log: bool = False) -> None:
    """Remove the output folder of a command that was refused or only planned, if nothing was written to it.

    It stays where another command is writing to it, where it was there before and an argument names it, and where it
    has a log that says something, unless `with_log`.
    """
    if not output.is_dir() or output.is_symlink() or output.resolve() in {Path.cwd(), *_typed.folders}:
        return
    log_file = output / f"{Path(sys.argv[0]).stem}.log"

    def is_unused() -> bool:
        said = log_file.is_file() and log_file.stat().st_size > 0
        return {path.name for path in output.iterdir()} <= {log_file.name, ".lock"} and (with_log or not said)

    with suppress(OSError, Busy):  # as far as it goes: it only tidies up
        if not is_unused():
            return
        with only_user_of(output):
            if is_unused():
                for path in list(output.iterdir()):
                    path.unlink()
                output.rmdir()
