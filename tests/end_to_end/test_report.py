"""The paper's experiments in miniature, and the report on them, as typed."""

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from terminal import Terminal

MINIATURE = [
    "budget=small",
    "dataset.size=small",
    "split.heldout_per_age=20",
    "augmentation.train_per_age=50",
    "trainer.max_epochs=3",
    "trainer.threads=1",
    "model.hidden=[32,16]",
    "seed=1,2",
]
TABLES = {"summary", "estimates", "differences", "per_age", "runtimes", "runs", "provenance"}


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A folder with the sweeps `d1` and `e1` of eight runs each."""
    made = Terminal(tmp_path_factory.mktemp("home"))
    for experiment in ("d1", "e1"):
        done = made.run("train", f"experiment={experiment}", *MINIATURE, f"hydra.sweep.dir={experiment}")
        assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def both(terminal: Terminal) -> subprocess.CompletedProcess[str]:
    done = terminal.run("report", "sweep=d1", "sweep=e1", "tensorboard=true")
    assert done.returncode == 0, done.stderr
    return done


def test_one_command_makes_page_tables_and_figures(terminal: Terminal, both: subprocess.CompletedProcess[str]) -> None:
    assert "page:    outputs/reports/d1+e1/index.html" in both.stdout
    assert "is best by validation" in both.stdout
    assert "The vectors are generated: these numbers say nothing about faces." in both.stdout
    written = files(terminal.folder / "outputs/reports/d1+e1")
    for sweep in ("d1", "e1"):
        for table in TABLES:
            assert {f"tables/{sweep}_{table}.{kind}" for kind in ("md", "csv", "tex")} <= written.keys()
        for figure in ("maes", "selection", "best_runs", "learning", "runtime", "source", "gender", "network"):
            assert written[f"figures/{sweep}_{figure}.png"].startswith(b"\x89PNG")
            assert b"<svg" in written[f"figures/{sweep}_{figure}.svg"]
    assert "figures/e1_range_tests.png" in written
    assert "figures/d1_range_tests.png" not in written
    page = written["index.html"].decode()
    assert "VEC-382" in page
    assert "The paper's own tables" in page.replace("&#39;", "'")


def test_nobody_else_can_read_what_commands_have_written(
    terminal: Terminal, both: subprocess.CompletedProcess[str]
) -> None:
    assert terminal.open_to_others("d1", "e1", "outputs", "cache") == []


def test_every_run_is_listed_with_what_it_reached(terminal: Terminal, both: subprocess.CompletedProcess[str]) -> None:
    with (terminal.folder / "outputs/reports/d1+e1/tables/d1_runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (terminal.folder / "d1/sweep.csv").open(newline="") as file:
        expected = list(csv.DictReader(file))
    assert [(row["run"], float(row["val MAE"]), float(row["test MAE"])) for row in rows] == [
        (row["name"], float(row["validation/mae"]), float(row["test/mae"])) for row in expected
    ]


@pytest.mark.slow
def test_a_model_without_epochs_is_trained_judged_and_reported_beside_a_network(terminal: Terminal) -> None:
    options = ["dataset=synthetic", "dataset.size=small", "split.heldout_per_age=20"]
    train = [*options, "augmentation.train_per_age=50", "trainer.max_epochs=2", "model=ridge,vec2uage"]
    done = terminal.run("train", "-m", *train, "hydra.sweep.dir=both")
    assert done.returncode == 0, done.stderr
    with (terminal.folder / "both/sweep.csv").open(newline="") as file:
        ridge, network = csv.DictReader(file)
    assert (ridge["optimizer"], ridge["lr"], ridge["epochs"]) == ("", "", "0")
    assert float(ridge["test/mae"]) < float(network["test/mae"])
    done = terminal.run("evaluate", f"checkpoint=both/{ridge['name']}", *options, "part=test", "hydra.run.dir=judged")
    assert done.returncode == 0, done.stderr
    written = [terminal.folder / folder / "predictions.csv" for folder in ("judged", f"both/{ridge['name']}")]
    assert written[0].read_bytes() == written[1].read_bytes()
    done = terminal.run("report", "sweep=both", "formats=[]")
    assert "ridge is best by validation" in done.stdout, done.stderr


@pytest.mark.slow
def test_the_same_sweeps_give_the_same_report(terminal: Terminal, both: subprocess.CompletedProcess[str]) -> None:
    process = terminal.start("report", "sweep=d1", "sweep=e1", "hydra.run.dir=again")  # with a hash seed of its own
    process.communicate()
    assert process.returncode == 0
    first, again = files(terminal.folder / "outputs/reports/d1+e1"), files(terminal.folder / "again")
    assert first.keys() == again.keys()
    assert not {name for name in first if first[name] != again[name] and not name.endswith(".log")}


def test_tensorboard_shows_the_figures(terminal: Terminal, both: subprocess.CompletedProcess[str]) -> None:
    events = EventAccumulator(str(terminal.folder / "d1" / "report"))
    events.Reload()
    assert {"d1_maes", "d1_learning"} <= set(events.Tags()["images"])
    assert not events.Tags()["scalars"]


@pytest.mark.slow
def test_damaged_and_foreign_folders_are_listed_and_left_out(terminal: Terminal) -> None:
    subprocess.run(["cp", "-r", "d1", "damaged"], cwd=terminal.folder, check=True)
    runs = sorted(path for path in (terminal.folder / "damaged").iterdir() if path.is_dir() and path.name[0].isdigit())
    (runs[0] / "result.json").write_text("{")
    (runs[1] / "metrics.csv").unlink()
    (terminal.folder / "damaged" / "other").mkdir()
    (terminal.folder / "damaged" / "other" / "result.json").write_text('{"loss": 1}')
    done = terminal.run("report", "sweep=damaged", "formats=[png]")
    assert done.returncode == 0, done.stderr
    assert "3 of 9 runs did not complete and are left out" in done.stdout
    failures = (terminal.folder / "outputs/reports/damaged/tables/failures.csv").read_text()
    assert runs[0].name in failures
    assert "metrics.csv" in failures
    assert "other" in failures
    assert not [name for name in files(terminal.folder / "outputs/reports/damaged") if name.endswith(".svg")]


@pytest.mark.slow
def test_a_report_replaces_an_earlier_one_and_nothing_else(terminal: Terminal) -> None:
    def report(*sweeps: str) -> set[str]:
        named = [f"sweep={sweep}" for sweep in sweeps]
        done = terminal.run("report", *named, "formats=[png]", "hydra.run.dir=replaced")
        assert done.returncode == 0, done.stderr
        return set(files(terminal.folder / "replaced"))

    first = report("d1", "e1")
    for other in ("tables/thesis.tex", "figures/photo.png"):
        (terminal.folder / "replaced" / other).write_text("mine")
    second = report("e1")
    assert {"tables/thesis.tex", "figures/photo.png"} < second
    assert "tables/d1_runs.csv" in first
    assert not [name for name in second if "d1_" in name]


@pytest.mark.slow
def test_sweeps_of_one_name_and_a_single_run_are_reported(terminal: Terminal) -> None:
    (terminal.folder / "old").mkdir()
    (terminal.folder / "old" / "d1").symlink_to(terminal.folder / "e1")
    done = terminal.run("report", "sweep=d1", "sweep=old/d1", "sweep=./d1", "hydra.run.dir=twins")
    assert done.returncode == 0, done.stderr
    assert {"tables/d1_runs.csv", "tables/old_d1_runs.csv"} <= files(terminal.folder / "twins").keys()
    assert (
        files(terminal.folder / "twins")["tables/d1_runs.csv"]
        != files(terminal.folder / "twins")["tables/old_d1_runs.csv"]
    )
    (run,) = sorted(terminal.folder.glob("d1/000_*"))
    done = terminal.run("report", f"sweep={run}", "hydra.run.dir=single")
    assert done.returncode == 0, done.stderr
    assert "over one run" in done.stdout


@pytest.mark.slow
def test_the_audit_tells_the_effect_of_each_method(terminal: Terminal) -> None:
    done = terminal.run("train", "experiment=audit", *MINIATURE, "hydra.sweep.dir=audit")
    assert done.returncode == 0, done.stderr
    assert terminal.run("report", "sweep=audit").returncode == 0
    with (terminal.folder / "outputs/reports/audit/tables/effects.csv").open(newline="") as file:
        effects = {(row["option"], row["optimizers"]): float(row["effect"]) for row in csv.DictReader(file)}
    optimizers = ("all", "adagrad", "adam", "sgd", "swa", "swa_published")
    assert list(effects) == [(f"method={m}", among) for m in ("paper", "published") for among in optimizers]
    # an untrained network predicts too young: cutting held-out ages to whole years takes half a year off that error
    assert effects["method=paper", "sgd"] == pytest.approx(-0.5, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "sweep is missing: set sweep=..."),
        (["sweep=nowhere"], "nowhere is not a folder"),
        (["sweep=cache"], "no completed run to report on"),
        (["sweep=d1", "formats=[gif]"], "formats = 'gif': should be 'png', 'svg' or 'pdf'"),
        (["sweep=d1", "hydra.run.dir=d1"], "holds runs: set hydra.run.dir to another folder"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    terminal: Terminal, here: Callable[..., subprocess.CompletedProcess[str]], arguments: list[str], sentence: str
) -> None:
    done = here(terminal.folder, "report", *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.splitlines()[-1].startswith(("error: ", "  "))


@pytest.mark.slow
def test_a_folder_whose_name_hydra_cannot_read_is_read(terminal: Terminal) -> None:
    (terminal.folder / "experiment=d1,budget=small it's").symlink_to(terminal.folder / "d1")
    done = terminal.run("report", "sweep=experiment=d1,budget=small it's", "formats=[]")
    assert done.returncode == 0, done.stderr
    assert "is best by validation" in done.stdout
