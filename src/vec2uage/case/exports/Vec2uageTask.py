"""Asks vec2uage how old the faces in images and videos are: a script of IPED's tasks.

It keeps one process of vec2uage for all of IPED's threads and asks it about several items at once. docs/serve.md says
how to install it, and which attributes items get. It needs nothing but Python's own library, of 3.8 or newer:
IPED's Python and that of vec2uage may be different ones.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import threading
from typing import Any, TextIO

logger: Any  # set by IPED, as are the next ones
javaTask: Any
numThreads: int

ENABLE = "enableVec2uage"  # in IPEDConfig.txt
CONFIG = "Vec2uageConfig.txt"
PREFIX = "vec2uage:"
FAILED = (OSError, RuntimeError, ValueError)


class Service:
    """A process of vec2uage that answers questions; it is started again where a file has ended it."""

    def __init__(self, command: str, folder: str) -> None:
        self.command = shlex.split(command)
        self.folder = folder
        self.lock = threading.Lock()
        self.process: Any = None
        self.log: Any = None

    def start(self) -> None:
        """Start the process and wait until it has its model; OSError or RuntimeError where it does not get so far."""
        self.process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        self.log = threading.Thread(target=hand_on, args=(self.process.stderr,), daemon=True)
        self.log.start()
        logger.info("[Vec2uageTask] " + json.dumps(self.read()))

    def ask(self, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the answers to questions, in order; OSError or RuntimeError where the process does not give them."""
        with self.lock:
            if self.process is None:
                self.start()
            with contextlib.suppress(OSError):  # where the process has ended since it gave the last answers
                self.process.stdin.write(json.dumps(questions) + "\n")
                self.process.stdin.flush()
            answers = self.read()
            if not isinstance(answers, list):
                raise RuntimeError(answers["reason"])
            if [answer["path"] for answer in answers] != [question["path"] for question in questions]:
                self.end()  # as what it says next would be about other items, too
                raise RuntimeError("vec2uage has answered other questions and was ended")
        return answers

    def read(self) -> Any:
        """Return what the next line says; RuntimeError where there is none, or no JSON, and the process has ended."""
        line = self.process.stdout.readline()
        if not line.endswith("\n"):
            raise RuntimeError("vec2uage has ended, exit code " + str(self.end()) + ": the log says why")
        try:
            return json.loads(line)
        except ValueError:
            self.end()
            raise RuntimeError("the command writes other lines than those of vec2uage: " + line[:200]) from None

    def end(self) -> int | None:
        """Let the process end, if there is one, and return its exit code."""
        process, self.process = self.process, None
        if process is None:
            return None
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.wait()
        self.log.join()
        process.stdout.close()
        return process.returncode


def hand_on(stream: TextIO) -> None:
    """Write to IPED's log what the process says beside its answers."""
    with stream:
        for line in stream:
            logger.info("[Vec2uageTask] " + line.rstrip())


class Vec2uageTask:
    """IPED has one object of this class for each of its threads; they share one service."""

    enabled: bool | None = None
    service: Any = None
    batch_size = 1
    skip_hash_db = True
    finished = 0
    lock = threading.Lock()

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.questions: list[dict[str, Any]] = []
        self.queued = False

    def isEnabled(self) -> bool:
        return bool(Vec2uageTask.enabled)

    def getConfigurables(self) -> list[Any]:
        from iped.engine.config import DefaultTaskPropertiesConfig

        return [DefaultTaskPropertiesConfig(ENABLE, CONFIG)]

    def processQueueEnd(self) -> bool:
        return True

    def init(self, configuration: Any) -> None:
        config = configuration.getTaskConfigurable(CONFIG)
        with Vec2uageTask.lock:
            if Vec2uageTask.enabled is None:
                Vec2uageTask.enabled = config.isEnabled() and self.begin(config.getConfiguration())

    def begin(self, options: Any) -> bool:
        """Start vec2uage for all threads; return whether it has started."""
        try:
            Vec2uageTask.batch_size = int(option(options, "batchSize"))
            Vec2uageTask.skip_hash_db = option(options, "skipHashDBFiles").lower() == "true"
            Vec2uageTask.service = Service(option(options, "command"), option(options, "folder"))
            Vec2uageTask.service.start()
        except FAILED as error:
            logger.error("[Vec2uageTask] is disabled, as vec2uage did not start: " + str(error))
            return False
        return True

    def finish(self) -> None:
        """End vec2uage with the last thread; IPED calls this once for each, but `init` more than once."""
        with Vec2uageTask.lock:
            Vec2uageTask.finished += 1
            if Vec2uageTask.finished == numThreads:
                Vec2uageTask.finished = 0
                Vec2uageTask.service.end()

    def process(self, item: Any) -> None:
        self.queued = False
        if not item.isQueueEnd():
            if not is_supported(item, Vec2uageTask.skip_hash_db):
                return
            self.questions.append(question(item))
            self.items.append(item)
            self.queued = True
        if self.is_batch(item):
            for asked, answer in zip(self.items, self.answers()):  # noqa: B905 - `strict` is younger
                set_attributes(asked, answer)

    def is_batch(self, item: Any) -> bool:
        """Tell whether it is time to ask about the items that wait."""
        return len(self.items) >= Vec2uageTask.batch_size or (item.isQueueEnd() and len(self.items) > 0)

    def answers(self) -> list[dict[str, Any]]:
        """Return the answers about the items that wait; where a file ends the process, each is asked about alone."""
        try:
            return Vec2uageTask.service.ask(self.questions)
        except FAILED as error:
            logger.warn("[Vec2uageTask] " + str(error))
            return [self.answer_alone(asked) for asked in self.questions]

    def answer_alone(self, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            return Vec2uageTask.service.ask([asked])[0]
        except FAILED as error:
            logger.warn("[Vec2uageTask] " + asked["path"] + ": " + str(error))
            return {"status": "failed", "reason": str(error), "faces": [], "flagged": None}

    def sendToNextTask(self, item: Any) -> None:
        if not item.isQueueEnd() and not self.queued:
            javaTask.get().sendToNextTaskSuper(item)
            return
        if self.is_batch(item):
            for done in self.items:
                javaTask.get().sendToNextTaskSuper(done)
            self.items.clear()
            self.questions.clear()
        if item.isQueueEnd():
            javaTask.get().sendToNextTaskSuper(item)


def option(options: Any, name: str) -> str:
    """Return an option of the configuration; RuntimeError where it is missing."""
    value = options.getProperty(name)
    if not value:
        raise RuntimeError(name + " is missing in " + CONFIG)
    return str(value)


def is_supported(item: Any, skip_hash_db: bool) -> bool:
    """Tell whether an item is an image or a video that is to be looked into."""
    kind = item.getMediaType().toString()
    if not item.isToAddToCase() or item.getHash() is None or not kind.startswith(("image/", "video/")):
        return False
    if skip_hash_db:
        from iped.engine.task import HashDBLookupTask

        if item.getExtraAttribute(HashDBLookupTask.STATUS_ATTRIBUTE) is not None:
            item.setExtraAttribute(PREFIX + "estimationStatus", "skipped_hashdb")
            return False
    return True


def question(item: Any) -> dict[str, Any]:
    """Return what to ask about an item: the file in which IPED looks for faces, and where it has found some."""
    from iped.properties import ExtraProperties

    if not item.getMediaType().toString().startswith("image/"):
        return {"path": item.getTempFile().getAbsolutePath()}
    view = item.getViewFile()
    file = view if view is not None and view.exists() else item.getTempFile()
    locations = item.getExtraAttribute(ExtraProperties.FACE_LOCATIONS) or []
    return {
        "path": file.getAbsolutePath(),
        "face_locations": [[int(edge) for edge in location] for location in locations],
    }


def set_attributes(item: Any, answer: dict[str, Any]) -> None:
    """Store an answer in an item; all lists have one entry for each face that vec2uage found, in one order."""
    found = [face for face in answer["faces"] if face is not None]
    attributes = {
        "estimationStatus": answer["status"],
        "estimationReason": answer["reason"] or None,
        "face_count": len(found),
        "count:notFound": len(answer["faces"]) - len(found),
        "count:flagged": None if answer["flagged"] is None else sum(face["flagged"] for face in found),
        "lowestAge": answer.get("age"),
        "maxPMinor": answer.get("p_minor"),
        "face_locations": [[face[edge] for edge in ("top", "right", "bottom", "left")] for face in found],
        "ages": [face["age"] for face in found],
        "low90": [face["low_90"] for face in found],
        "high90": [face["high_90"] for face in found],
        "pMinor": [face["p_minor"] for face in found],
        "reliability": [face["reliability"] for face in found],
        "seconds": [face["seconds"] for face in found],
    }
    for name, value in attributes.items():
        if value is not None and value != [None] * len(found):
            item.setExtraAttribute(PREFIX + name, value)
