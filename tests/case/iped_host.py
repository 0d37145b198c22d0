"""Stands in for IPED where its script tasks are tried: what a script sees of it, as its sources have it.

Packages of Java's are modules here, and Java's objects plain ones with the methods that the script calls.
"""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class Item:
    """A file of an evidence."""

    def __init__(self, path: Path, kind: str = "image/jpeg", view: Path | None = None, **attributes: Any) -> None:
        self.path, self.kind, self.view = path, kind, view
        self.attributes: dict[str, Any] = attributes

    def isQueueEnd(self) -> bool:
        return False

    def isToAddToCase(self) -> bool:
        return True

    def getHash(self) -> str:
        return "AB" * 16

    def getPath(self) -> str:
        return f"/evidence/{self.path.name}"

    def getMediaType(self) -> Any:
        return SimpleNamespace(toString=lambda: self.kind)

    def getViewFile(self) -> Any:
        return None if self.view is None else java_file(self.view)

    def getTempFile(self) -> Any:
        return java_file(self.path)

    def getExtraAttribute(self, name: str) -> Any:
        return self.attributes.get(name)

    def setExtraAttribute(self, name: str, value: Any) -> None:
        self.attributes[name] = value


class QueueEnd(Item):
    """Tells the tasks of a thread that no item follows."""

    def isQueueEnd(self) -> bool:
        return True


def java_file(path: Path) -> Any:
    return SimpleNamespace(exists=path.exists, getAbsolutePath=lambda: str(path.absolute()))


def read_properties(path: Path) -> dict[str, str]:
    """Read a configuration as IPED's UTF8Properties does."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    pairs = [line.partition("=") for line in lines]
    return {key.strip(): value.replace("\\=", "=").replace("\\:", ":").strip() for key, _, value in pairs}


class Host:
    """IPED with one script task."""

    def __init__(self, script: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[tuple[str, str]] = []
        self.done: list[Item] = []
        properties = read_properties(config)
        configuration = SimpleNamespace(getProperty=properties.get)
        configurable = SimpleNamespace(isEnabled=lambda: True, getConfiguration=lambda: configuration)
        self.manager = SimpleNamespace(getTaskConfigurable={config.name: configurable}.__getitem__)
        packages = {
            "iped.engine.config": {"DefaultTaskPropertiesConfig": lambda enable, file: (enable, file)},
            "iped.engine.task": {"HashDBLookupTask": SimpleNamespace(STATUS_ATTRIBUTE="hashDb:status")},
            "iped.properties": {"ExtraProperties": SimpleNamespace(FACE_LOCATIONS="face_locations")},
        }
        for name, classes in {"iped": {}, "iped.engine": {}, **packages}.items():
            module = ModuleType(name)
            vars(module).update(classes)
            monkeypatch.setitem(sys.modules, name, module)
        spec = importlib.util.spec_from_file_location(script.stem, script)
        assert spec is not None
        assert spec.loader is not None
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)

        def level(name: str) -> Any:
            return lambda text: self.log.append((name, text))

        given = {
            "logger": SimpleNamespace(**{name: level(name) for name in ("info", "warn", "error")}),
            "javaTask": SimpleNamespace(get=lambda: SimpleNamespace(sendToNextTaskSuper=self.done.append)),
        }
        vars(self.module).update(given)

    def process(self, *queues: Sequence[Item]) -> list[Item]:
        """Process the items of each queue in a thread of its own; return those that came through, in order."""
        self.module.numThreads = len(queues)
        for _ in queues:
            self._started()  # in the thread that has made all others; each of these loads the script again
        threads = [Thread(target=self._work, args=(queue,)) for queue in queues]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [item for item in self.done if not item.isQueueEnd()]

    def _work(self, queue: Sequence[Item]) -> None:
        task = self._started()
        for item in (*queue, QueueEnd(Path("end"))):
            if task.isEnabled() and (not item.isQueueEnd() or task.processQueueEnd()):
                try:
                    task.process(item)
                except Exception as error:  # as IPED does
                    self.log.append(("exception", repr(error)))
                task.sendToNextTask(item)
            else:
                self.done.append(item)
        if task.isEnabled():
            task.finish()

    def _started(self) -> Any:
        task = getattr(self.module, self.module.__name__)()
        assert task.getConfigurables() == [(self.module.ENABLE, self.module.CONFIG)]
        task.init(self.manager)
        return task
