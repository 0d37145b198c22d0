"""What IPED's items get from vec2uage by the task script that is exported for it."""

import ast
import json
import os
import shlex
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
from iped_host import Host, Item, read_properties
from made_case import face, file, info, results
from PIL import Image

import vec2uage
from vec2uage.base.errors import UserError
from vec2uage.case.exports.iped import SCRIPT, IpedExport
from vec2uage.case.serve import answer
from vec2uage.config.component import Component
from vec2uage.faces.records import Face
from vec2uage.training.heads.gaussian import Gaussian
from vec2uage.training.model_file import NetworkModel
from vec2uage.training.models import MLP
from vec2uage.training.normalization import Normalization

SERVICE = """
import json, os, sys
answers = json.load(open("answers.json"))
print(json.dumps({"ready": {}}), flush=True)
for line in sys.stdin:
    with open("asked.jsonl", "a") as log:
        log.write(line)
    names = [os.path.basename(question["path"]) for question in json.loads(line)]
    if "deadly.jpg" in names:
        print("it is all over", file=sys.stderr, flush=True)
        os._exit(3)
    told = [answers.get(name, answers["other"]) for name in names]
    print(json.dumps([{**answer, "path": asked["path"]} for answer, asked in zip(told, json.loads(line))]), flush=True)
    if "loud.jpg" in names:
        print("a line of another program, or the answer to another question", flush=True)
    if "late.jpg" in names:
        print(json.dumps([{**answer, "path": "another.jpg"} for answer in told]), flush=True)
    if "last.jpg" in names:
        os._exit(4)
"""
"""In the place of `vec2uage.predict serve=stdio`: gives answers by the names of files, and ends at, or after, some."""

LEFT, RIGHT = Face(0, 0, 40, 50, 0.9, "yunet"), Face(60, 0, 100, 50, 0.9, "yunet", seconds=1.5)
YOUNG, OLD = face(1, 9.5, at=LEFT), face(2, 40.0, at=RIGHT, p_minor=0.01, flagged=False, doubts=("small",))
LOCATIONS = [[200, 300, 300, 200], [0, 41, 50, 1]]  # nobody, LEFT


def asked_about(question: dict[str, Any], *faces: Any) -> Any:
    return answer(json.dumps(question), lambda paths: [file("a", *faces)])


@pytest.fixture
def iped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Host]:
    """Make an IPED with the exported task, whose service gives these answers."""
    monkeypatch.chdir(tmp_path)

    def make(command: str = f"{shlex.quote(sys.executable)} service.py", **answers: Any) -> Host:
        Path("service.py").write_text(SERVICE)
        Path("answers.json").write_text(json.dumps({"other": asked_about({"path": "other"}), **answers}))
        export = IpedExport(batch_size=2, skip_hash_db_files=True)
        script, config = export.write(tmp_path, results(), info())
        lines = config.read_text().splitlines()
        given = [f"command = {command}" if line.startswith("command =") else line for line in lines]
        config.write_text("\n".join(given))
        return Host(script, config, monkeypatch)

    return make


def told(item: Item) -> dict[str, Any]:
    """Return what an item got, without the prefix of the names."""
    return {name.removeprefix("vec2uage:"): v for name, v in item.attributes.items() if name.startswith("vec2uage:")}


def asked() -> list[list[dict[str, Any]]]:
    return [json.loads(line) for line in Path("asked.jsonl").read_text().splitlines()]


def test_items_get_ages_of_all_faces_in_one_order(iped: Callable[..., Host]) -> None:
    two = asked_about({"path": "two.jpg", "face_locations": LOCATIONS}, YOUNG, OLD)
    item = Item(Path("two.jpg"), face_locations=LOCATIONS)
    iped(**{"two.jpg": two}).process([item])
    assert asked() == [[{"path": str(Path("two.jpg").absolute()), "face_locations": LOCATIONS}]]
    got = told(item)
    assert got["ages"] == [9.5, 40.0]
    assert (got["low90"], got["high90"]) == ([7.5, 38.0], [11.5, 42.0])
    assert (got["pMinor"], got["reliability"], got["seconds"]) == ([0.9, 0.01], ["ok", "small"], [None, 1.5])
    assert got["face_locations"] == [[0, 40, 50, 0], [0, 100, 50, 60]]
    assert (got["face_count"], got["count:notFound"], got["count:flagged"]) == (2, 1, 1)
    assert (got["lowestAge"], got["maxPMinor"], got["estimationStatus"]) == (9.5, 0.9, "ok")


def test_every_item_goes_on_once_and_none_before_it_has_its_attributes(iped: Callable[..., Host]) -> None:
    queues = [[Item(Path(f"{queue}-{n}.jpg")) for n in range(5)] for queue in range(3)]
    queues[0].insert(1, Item(Path("text.txt"), "text/plain"))
    host = iped()
    done = host.process(*queues)
    assert sorted(item.getPath() for item in done) == sorted(item.getPath() for queue in queues for item in queue)
    for item in done:
        assert told(item).get("estimationStatus") == (None if item.kind == "text/plain" else "no_face")
    assert max(map(len, asked())) == 2
    assert sum(map(len, asked())) == 15
    assert host.module.Vec2uageTask.service.process is None  # it ends with the last thread


def test_a_file_that_ends_the_service_costs_no_other_item(iped: Callable[..., Host]) -> None:
    host = iped(**{"one.jpg": asked_about({"path": "one.jpg"}, YOUNG)})
    one, deadly, after = (Item(Path(name)) for name in ("one.jpg", "deadly.jpg", "after.jpg"))
    assert host.process([one, deadly, after]) == [one, deadly, after]
    assert [told(item)["estimationStatus"] for item in (one, deadly, after)] == ["ok", "failed", "no_face"]
    assert "exit code 3" in told(deadly)["estimationReason"]
    assert ("info", "[Vec2uageTask] it is all over") in host.log


def test_a_service_that_ended_between_two_questions_is_started_again(iped: Callable[..., Host]) -> None:
    items = [Item(Path(name)) for name in ("last.jpg", "other.jpg", "a.jpg", "b.jpg", "c.jpg")]
    assert iped().process(items) == items
    assert [told(item)["estimationStatus"] for item in items] == ["no_face"] * 5


def test_what_iped_sees_of_an_item_decides_which_file_is_asked_about(iped: Callable[..., Host]) -> None:
    Path("view.jpg").touch()
    image = Item(Path("photo.heic"), "image/heic", view=Path("view.jpg"))
    video = Item(Path("film.mp4"), "video/mp4", view=Path("view.jpg"), face_locations=LOCATIONS)
    known = Item(Path("known.jpg"), **{"hashDb:status": "known"})
    iped().process([image, video, known])
    [[of_image, of_video]] = asked()
    assert Path(of_image["path"]).name == "view.jpg"
    assert {**of_video, "path": Path(of_video["path"]).name} == {"path": "film.mp4"}
    assert told(known) == {"estimationStatus": "skipped_hashdb"}


@pytest.mark.parametrize("odd", ["loud.jpg", "late.jpg"])
def test_no_item_gets_an_answer_about_another_one(iped: Callable[..., Host], odd: str) -> None:
    host = iped(**{odd: asked_about({"path": odd}, YOUNG, OLD), "young.jpg": asked_about({"path": "young.jpg"}, YOUNG)})
    items = [Item(Path(name)) for name in ("a.jpg", odd, "b.jpg", "young.jpg", "c.jpg")]
    assert host.process(items) == items
    assert [told(item)["face_count"] for item in items] == [0, 2, 0, 1, 0]
    assert any(level == "warn" for level, _ in host.log)


@pytest.mark.parametrize(
    "command",
    [
        "no-such-program",
        shlex.join([sys.executable, "-c", "raise SystemExit(1)"]),
        shlex.join([sys.executable, "-c", "print('hello'); input()"]),
        "quoted 'by half",
        "",
    ],
)
def test_a_service_that_does_not_start_stops_nothing_else(iped: Callable[..., Host], command: str) -> None:
    host = iped(command)
    items = [Item(Path("a.jpg")), Item(Path("b.jpg"))]
    assert host.process(items) == items
    assert [told(item) for item in items] == [{}, {}]
    assert any(level == "error" and "disabled" in text for level, text in host.log)


def test_the_script_runs_in_an_older_python_that_has_nothing_of_ours() -> None:
    text = resources.files("vec2uage.case.exports").joinpath(SCRIPT).read_text()
    nodes = list(ast.walk(ast.parse(text, feature_version=(3, 8))))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module).partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
    assert imported - {"iped"} <= sys.stdlib_module_names


def test_what_a_configuration_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "two\nlines"
    odd.mkdir()
    monkeypatch.chdir(odd)
    with pytest.raises(UserError, match="cannot hold such a name"):
        IpedExport(batch_size=2, skip_hash_db_files=True).write(tmp_path, results(), info())
    assert [path.name for path in tmp_path.iterdir()] == [odd.name]


def test_the_configuration_asks_the_model_of_the_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = shlex.join(["python", "-m", "vec2uage.predict", "checkpoint=it's = a model.safetensors", "export=iped"])
    _, config = IpedExport(batch_size=32, skip_hash_db_files=False).write(tmp_path, results(), info(line=line))
    options = read_properties(config)
    command = shlex.split(options["command"])
    assert command[0] == sys.executable
    assert command[1:4] == ["-m", "vec2uage.predict", "checkpoint=it's = a model.safetensors"]
    assert "serve=stdio" in command
    assert (options["folder"], options["batchSize"], options["skipHashDBFiles"]) == (str(tmp_path), "32", "false")
    assert config.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_the_real_service_gives_iped_the_ages_that_the_model_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    colours = {"red.png": (200, 30, 30), "green.png": (20, 180, 40), "deadly.png": (255, 0, 0), "none.png": (0, 0, 0)}
    for name, colour in colours.items():
        Image.new("RGB", (40, 60), colour).save(tmp_path / name)
    torch.manual_seed(1)
    weights = {name: tensor[None] for name, tensor in MLP(3, (4,), 2).state_dict().items()}
    network = Component("vec2uage.training.models.MLP", (("hidden", (4,)),))
    encoder = "mean-colour/crop.margin:0.0/crop.size:224/detector:halves-1"
    model = NetworkModel(network, weights, 3, Normalization("l2"), encoder, head=Gaussian())
    model.save(tmp_path / "model.safetensors")
    for choice, target in {"detector/toy": "toys.Halves", "embedder/toy": "toys.MeanColour"}.items():
        choices = tmp_path / "choices" / f"{choice}.yaml"
        choices.parent.mkdir(parents=True)
        choices.write_text(f"_target_: {target}\n")
    sources = [str(Path(vec2uage.__file__).parents[1]), str(Path(toys.__file__).parent)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sources))
    monkeypatch.chdir(tmp_path)
    line = (
        "python -m vec2uage.predict --config-dir=choices detector=toy crop=default embedder=toy quality=none "
        "'turns=[]' checkpoint=model.safetensors statement=optional source.path=nowhere workers=1"
    )
    script, config = IpedExport(batch_size=3, skip_hash_db_files=True).write(tmp_path, results(), info(line=line))
    items = [Item(tmp_path / name, "image/png", face_locations=[[0, 40, 60, 0]]) for name in colours]
    assert Host(script, config, monkeypatch).process(items) == items

    assert [told(item)["estimationStatus"] for item in items] == ["ok", "ok", "unreadable", "no_face"]
    expected = model.predict(2 * np.array(list(colours.values())[:2], np.float32)).median
    assert [told(item)["ages"][0] for item in items[:2]] == pytest.approx(expected, rel=1e-6)
    assert [told(item)["count:notFound"] for item in items] == [0, 0, 1, 1]
    assert told(items[0])["reliability"] == ["not measured"]
