"""A leaderboard from its entries to the table: the story of `hydra/sweeper=leaderboard`, told in `run_leaderboard`."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from vec2uage.base.csv_file import read_csv
from vec2uage.base.formatting import counted
from vec2uage.config.command import refuse_chdir, typed_line
from vec2uage.config.hydra.composer import Composer
from vec2uage.config.hydra.entries import Repeats, parse_entries, parse_repeats
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.leaderboard import Entry, Leaderboard, write_leaderboard
from vec2uage.runs.result import RunResult
from vec2uage.sweep.compose import compose_jobs
from vec2uage.sweep.job_returns import raise_failure
from vec2uage.sweep.leaderboard import tables
from vec2uage.sweep.leaderboard.checks import check_same_faces, checked_trials, distinct
from vec2uage.sweep.leaderboard.contest import Contest, arrange, choose
from vec2uage.sweep.leaderboard.cost import measure
from vec2uage.sweep.leaderboard.forecast import forecast
from vec2uage.sweep.leaderboard.options import LeaderboardOptions, leaderboard_options
from vec2uage.sweep.options import command_options
from vec2uage.sweep.session import SweepSession

log = logging.getLogger(__name__)


def run_leaderboard(
    context: HydraContext,
    master: DictConfig,
    task_function: TaskFunction,
    launcher: Launcher | None,
    arguments: Sequence[str],
) -> list[JobReturn]:
    """Train what all entries try on all splits, choose by validation, and compare the chosen; return Hydra's returns.

    Entry by entry, those last that are made of others. leaderboard.json and leaderboard.csv are written after each one.
    Raises UserError for all that is wrong with options, entries or jobs, and at the end where runs have failed.
    """
    refuse_chdir(master.hydra)
    options = leaderboard_options(master)
    repeats = parse_repeats(context.config_loader, master, arguments)
    entries = parse_entries(context.config_loader, options.entries)
    composer = Composer(context.config_loader, master)
    trials = checked_trials(composer, entries, options, repeats)
    done: dict[str, Entry] = {}
    results: list[RunResult] = []
    with SweepSession(context, master, task_function, launcher, with_table=False) as sweep:
        command = command_options(master)
        if command.plan:
            own, later = [e for e in entries if not e.needs], [e for e in entries if e.needs]
            contests = [arrange(e, trials[e.name], repeats, {}, sweep.folder) for e in own]
            print(forecast(contests, later, composer, command.resume))
            print("\nOf the first split:")
            first = replace(repeats, splits=repeats.splits[:1])
            jobs = [job for e in own for job in arrange(e, trials[e.name], first, {}, sweep.folder).overrides]
            sweep.run([jobs[place] for place in distinct(composer, jobs)])
        for number, entry in enumerate(entries, 1):
            contest = arrange(entry, trials[entry.name], repeats, done, sweep.folder)
            log.info("entry %d of %d, %s: %s", number, len(entries), entry.name, _size(contest))
            began = time.perf_counter()
            ended = sweep.run(contest.overrides) if contest.jobs else []
            of_jobs = dict(zip(contest.overrides, ended, strict=True))
            results += ended
            chosen = choose(contest, of_jobs, sweep.folder)
            check_same_faces(chosen, done, sweep.folder)
            done[entry.name] = _with_cost(chosen, of_jobs, composer)
            board = _board(done, options, repeats, sweep.folder)
            write_leaderboard(board, sweep.folder)
            tables.write(board, sweep.folder)
            log.info("%s", tables.line(board, entry.name, time.perf_counter() - began))
    print(tables.text(board))
    print(f"leaderboard: {sweep.folder / 'leaderboard.csv'}")
    finished = [pair for pair in zip(sweep.job_returns, results, strict=True) if pair[1].status != "diverged"]
    raise_failure([job_return for job_return, _ in finished], [result for _, result in finished])
    return sweep.job_returns


def _size(contest: Contest) -> str:
    trials = len({number for _, number in contest.jobs})
    return f"{counted(trials, 'trial')}, {counted(len(contest.overrides), 'run')}"


def _with_cost(entry: Entry, results: Mapping[tuple[str, ...], RunResult], composer: Composer) -> Entry:
    """Measure what the model of the first run that was chosen costs to use."""
    if not entry.chosen:
        return entry
    name = next(iter(entry.chosen.values())).runs[0]
    [overrides] = [job for job, result in results.items() if result.name == name]
    [composed] = compose_jobs(composer, [overrides], 0)
    return replace(entry, cost=measure(replace(composed.job, folder=composer.folder / name)))


def _board(done: Mapping[str, Entry], options: LeaderboardOptions, repeats: Repeats, sweep: Path) -> Leaderboard:
    training, test = faces_of(done, sweep)
    splits = tuple(split.partition("=")[2] for split in repeats.splits)
    return Leaderboard(typed_line("train"), options.reference, splits, training, test, tuple(done.values()))


def faces_of(done: Mapping[str, Entry], sweep: Path) -> tuple[int, int]:
    """Return the fewest distinct faces that any split and entry trains on, and how many one tests.

    1 each where no run can tell.
    """
    names = [of.runs[0] for entry in done.values() for of in entry.chosen.values()]
    if not names:
        return 1, 1
    of_runs = [read_csv(RunFolder(sweep / name).data) for name in names]
    return (
        min(sum(int(row["faces"]) for row in rows if _is_distinct(row)) for rows in of_runs),
        sum(int(row["faces"]) for row in of_runs[0] if row["part"] == "test"),
    )


def _is_distinct(row: Mapping[str, str]) -> bool:
    """Tell whether faces of a data.csv were trained on and are none over again, neither as they are nor augmented."""
    return row["part"] == "train" and row["kind"] == "photographed"
