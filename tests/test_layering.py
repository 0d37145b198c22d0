"""Who may import whom, and that the training path stays light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import vec2uage

SOURCE = Path(vec2uage.__file__).parent
PLUGINS = sorted(SOURCE.parent.glob("hydra_plugins/*/__init__.py"))
# A package may import those of lower layers, and none of its own layer or above, at no time.
LAYERS = (
    {"base", "statistics"},
    {"predictions", "config", "importers"},
    {"data", "runs", "calibration"},
    {"faces", "training"},
    {"augmentation", "tuning", "sweep", "evaluation", "reporting"},
    {"case"},
)
# Nor these, though they lie below: faces know nothing of training, training nothing of photographs, reports read runs.
KNOWS_NOTHING_OF = {
    "faces": {"predictions", "runs"},
    "augmentation": {"runs", "training"},
    "sweep": {"faces"},
    "evaluation": {"faces"},
    "reporting": {"data", "faces", "training"},
}
ENTRIES = {path.stem for path in SOURCE.glob("*.py")} - {"__init__"}
MODULES = {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in SOURCE.rglob("*.py")}


def imported(path: Path, early: bool = False) -> Iterator[str]:
    """Yield the dotted name of all that a file imports; with `early`, at its top level alone."""
    tree = ast.parse(path.read_text())
    for node in tree.body if early else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_modules(path: Path, early: bool = False) -> set[str]:
    """The modules of vec2uage that a file imports: `base.seeds` for that itself and for what is in it."""
    names = {name.removeprefix("vec2uage.") for name in imported(path, early) if name.startswith("vec2uage.")}
    return {name if name in MODULES else name.rpartition(".")[0] for name in names} - {""}  # "": vec2uage.__version__


def test_packages_import_only_what_lies_below_them() -> None:
    wrong = []
    for layer, packages in enumerate(LAYERS):
        for package in packages:
            allowed = {package}.union(*LAYERS[:layer]) - KNOWS_NOTHING_OF.get(package, set())
            for path in (SOURCE / package).rglob("*.py"):
                above = [module for module in own_modules(path) if module.split(".")[0] not in allowed]
                wrong += [f"{path.relative_to(SOURCE)}: {module}" for module in above]
    assert wrong == []


def test_every_package_has_a_place_in_the_order() -> None:
    assert {path.parent.name for path in SOURCE.glob("*/__init__.py")} == set().union(*LAYERS)


def test_no_modules_import_each_other_in_a_circle() -> None:
    TopologicalSorter({name: own_modules(path) for name, path in MODULES.items()}).prepare()  # raises with the circle


def test_only_config_knows_how_hydra_parses() -> None:
    insides = ("hydra._internal", "hydra.core.override_parser", "hydra.core.config_loader", "hydra.errors")
    assert {name for name, path in MODULES.items() for used in imported(path) if used.startswith(insides)} == {
        "config.hydra.arguments",
        "config.hydra.composer",
        "config.hydra.entries",
        "config.hydra.errors",
        "config.hydra.flags",
        "config.hydra.read_again",
        "config.hydra.spaces",
    }


def test_entries_and_plugins_import_what_is_heavy_late() -> None:
    assert len(PLUGINS) == 3
    for plugin in PLUGINS:
        assert len(plugin.read_text().splitlines()) <= 65
        assert own_modules(plugin, early=True) == set()
    for entry in ENTRIES:
        assert own_modules(SOURCE / f"{entry}.py", early=True) <= {
            "base.arguments",
            "base.foreign_text",
            "config.command",
        }


def shown_and_loaded(arguments: list[str], folder: Path, entry: str = "train") -> tuple[str, set[str]]:
    """Run the command line; return what it printed and the names of the top-level packages that it imported."""
    code = (
        "import atexit, sys, runpy; atexit.register(lambda: print('MODULES', *{m.split('.')[0] for m in sys.modules}));"
        f"sys.argv[1:] = {arguments!r}; runpy.run_module('vec2uage.{entry}', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    shown, _, modules = done.stdout.rpartition("MODULES")
    return shown, set(modules.split())


@pytest.mark.parametrize(
    ("entry", "arguments"),
    [*((entry, ["--help"]) for entry in sorted(ENTRIES)), ("train", ["--cfg", "job"]), ("prepare", ["--cfg", "job"])],
)
def test_help_and_configuration_are_shown_without_torch(entry: str, arguments: list[str], tmp_path: Path) -> None:
    shown, loaded = shown_and_loaded(arguments, tmp_path, entry)
    assert f"python -m vec2uage.{entry}" in shown or "detector:" in shown or "optimizer:" in shown
    heavy = {"torch", "pandas", "sklearn", "scipy", "matplotlib", "tensorboard", "pyarrow", "numpy"}
    assert loaded.isdisjoint(heavy)
    assert list(tmp_path.iterdir()) == []


def test_training_imports_no_image_libraries(tmp_path: Path) -> None:
    _, loaded = shown_and_loaded(["debug=fast", "trainer.max_epochs=1", "model=linear"], tmp_path)
    assert "torch" in loaded
    assert loaded.isdisjoint({"dlib", "torchvision", "facenet_pytorch", "Augmentor", "PIL", "matplotlib"})


def test_training_on_augmented_faces_imports_none_either() -> None:
    code = "import sys, vec2uage.augmentation.balance; print(*{module.split('.')[0] for module in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"Augmentor", "PIL", "torch", "matplotlib"}.isdisjoint(done.stdout.split())
