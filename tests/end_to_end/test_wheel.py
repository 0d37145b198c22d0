"""A built wheel, installed far from the repository, trains: code, conf/ and the launcher all come from it."""

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]

Python = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is installed into."""
    wheels, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, REPOSITORY)
    (wheel,) = wheels.glob("*.whl")
    _run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", target, wheel)
    return target


@pytest.fixture
def python(installed: Path, tmp_path: Path) -> Python:
    """Run Python in an empty folder, with the wheel's vec2uage and this environment's libraries.

    `-S` leaves out the .pth file through which the repository itself would be found.
    """
    path = os.pathsep.join([str(installed), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return _run(sys.executable, "-S", *arguments, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path})

    return run


def test_the_package_and_its_configs_are_those_of_the_wheel(installed: Path, python: Python) -> None:
    show = "import vec2uage; from vec2uage.config.hydra.resolvers import conf_dir; print(vec2uage.__file__, conf_dir())"
    package = installed / "vec2uage"
    assert python("-c", show).stdout.split() == [str(package / "__init__.py"), str(package / "conf")]
    shipped = {p.relative_to(package / "conf") for p in (package / "conf").rglob("*.yaml")}
    assert shipped == {p.relative_to(REPOSITORY / "conf") for p in (REPOSITORY / "conf").rglob("*.yaml")}


def test_one_run(python: Python, tmp_path: Path) -> None:
    python("-m", "vec2uage.train", "debug=fast")
    (path,) = (tmp_path / "outputs").rglob("result.json")
    result = json.loads(path.read_text())
    assert result["status"] == "completed"
    assert result["epochs"] == 2
    assert result["provenance"]["git_commit"] is None


def test_a_grid_trains_as_stacks(python: Python, tmp_path: Path) -> None:
    done = python("-m", "vec2uage.train", "-m", "debug=fast", "seed=1,2")
    assert "2 runs of synthetic vec2uage adam: stacks of" in done.stderr
    results = [json.loads(path.read_text()) for path in (tmp_path / "outputs").rglob("result.json")]
    assert sorted(result["seed"] for result in results) == [1, 2]
    assert {result["status"] for result in results} == {"completed"}


def _run(
    *command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done
