"""Who may import whom, and that the training path stays light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import vec2uage

SOURCE = Path(vec2uage.__file__).parent
PLUGIN = SOURCE.parent / "hydra_plugins" / "vec2uage_fused" / "__init__.py"
MAY_IMPORT = {
    "base": set[str](),
    "statistics": set(),
    "predictions": {"base"},
    "importers": {"base"},
    "config": {"base"},
    "data": {"base", "config.settings", "importers"},
    "runs": {"base", "config.settings"},
    "faces": {"base", "config", "data", "importers"},
    "training": {"base", "config", "data", "importers", "predictions", "runs"},
    "augmentation": {"base", "config", "data", "faces"},
    "sweep": {"base", "config", "data", "runs", "training"},
    "evaluation": {"base", "config", "data", "predictions", "runs", "training"},
    "reporting": {"base", "config", "predictions", "runs", "statistics"},
}
ENTRIES = ("train", "prepare", "augment", "evaluate", "report")
# Words a configuration error as `config` does, and asks it where the groups are; imported when that is needed.
LATE = {("base/cli.py", "config.error_messages"), ("base/cli.py", "config.register")}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield each module of vec2uage that a file imports, and whether at its top level."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""] if node.module != "vec2uage" else [f"vec2uage.{a.name}" for a in node.names]
            names = [f"{n}.{node.names[0].name}" if n.count(".") == 1 else n for n in names]
        for imported in names:
            if imported.startswith("vec2uage."):
                yield imported.removeprefix("vec2uage."), node in tree.body


@pytest.mark.parametrize("box", MAY_IMPORT)
def test_boxes_import_only_what_lies_below_them(box: str) -> None:
    for path in (SOURCE / box).rglob("*.py"):
        file = path.relative_to(SOURCE).as_posix()
        for module, early in imports(path):
            own = module.split(".")[0]
            if own in (box, "__version__"):
                continue
            if (file, module) in LATE and not early:
                continue
            assert any(f"{module}.".startswith(f"{allowed}.") for allowed in MAY_IMPORT[box]), f"{file}: {module}"


def test_every_package_has_a_place_in_the_order() -> None:
    assert {p.name for p in SOURCE.iterdir() if (p / "__init__.py").is_file()} == MAY_IMPORT.keys()


def test_entry_and_plugin_import_what_is_heavy_late() -> None:
    assert len(PLUGIN.read_text().splitlines()) <= 65
    assert {m for m, early in imports(PLUGIN) if early} == set()
    for entry in ENTRIES:
        light = {"base.arguments", "base.cli", "config.register"}
        assert {m for m, early in imports(SOURCE / f"{entry}.py") if early} <= light


def modules_after(arguments: list[str], folder: Path, entry: str = "train") -> set[str]:
    """Run the command line and return the names of the top-level packages it imported."""
    code = (
        "import atexit, sys, runpy; atexit.register(lambda: print('MODULES', *{m.split('.')[0] for m in sys.modules}));"
        f"sys.argv[1:] = {arguments!r}; runpy.run_module('vec2uage.{entry}', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("MODULES")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--cfg", "job"]])
@pytest.mark.parametrize("entry", ENTRIES)
def test_help_and_configuration_are_shown_without_torch(entry: str, arguments: list[str], tmp_path: Path) -> None:
    heavy = {"torch", "pandas", "sklearn", "scipy", "matplotlib", "tensorboard", "pyarrow", "numpy"}
    needed = ["source=utkface", "source.path=photos"] if entry == "prepare" else []
    assert modules_after([*arguments, *needed], tmp_path, entry).isdisjoint(heavy)


def test_training_imports_no_image_libraries(tmp_path: Path) -> None:
    loaded = modules_after(["debug=fast", "trainer.max_epochs=1", "model=linear"], tmp_path)
    assert "torch" in loaded
    assert loaded.isdisjoint({"dlib", "torchvision", "facenet_pytorch", "Augmentor", "PIL", "matplotlib"})
