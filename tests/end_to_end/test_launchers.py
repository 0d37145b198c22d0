"""Sweeps in other processes and on a cluster: the same bits, and nothing lost when a worker ends early."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from vec2uage.runs.folder import RunFolder
from vec2uage.runs.index import read_sweep

pytestmark = pytest.mark.usefixtures("all_cores")

SMALL = ["dataset.size=small", "split.heldout_per_age=20", "augmentation.train_per_age=60", "model.hidden=[32]"]
SWEEP = ["-m", *SMALL, "optimizer=sgd,adam", "seed=range(3)", "trainer.max_epochs=4"]
BY_TWOS = ["hydra.launcher.executor.runs_per_job=2", "hydra.launcher.executor.cpus_per_task=1"]
DEADLY = """
import os
import torch


class Deadly(torch.nn.Module):
    def __init__(self, in_features: int, deadly: bool = False):
        super().__init__()
        self.out, self.deadly = torch.nn.Linear(in_features, 1), deadly

    def forward(self, x):
        if self.deadly:
            os._exit(3)
        return self.out(x)
"""


class Home:
    """A folder in which commands are typed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "vec2uage.train", *arguments],
            cwd=self.folder,
            env={**os.environ, "VEC2UAGE_CACHE": str(self.folder / "cache"), **environment},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def train(self, *arguments: str, code: int = 0, **environment: str) -> str:
        process = self.start(*arguments, **environment)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == code, output
        assert "Traceback" not in output
        return output


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def fused(home: Home) -> Path:
    home.train(*SWEEP, "hydra.sweep.dir=fused")
    return home.folder / "fused"


def check_equal(one: Path, other: Path) -> None:
    runs = sorted(path.parent.name for path in one.glob("*/result.json"))
    assert runs == sorted(path.parent.name for path in other.glob("*/result.json"))
    assert {result.status for result in read_sweep(other)} == {"completed"}
    for run in runs:
        for file in ("best.safetensors", "predictions.csv", "metrics.csv"):
            assert (one / run / file).read_bytes() == (other / run / file).read_bytes(), f"{run}/{file}"


@pytest.mark.slow
def test_processes_give_the_same_bits(home: Home, fused: Path) -> None:
    output = home.train(*SWEEP, "hydra/launcher=joblib", "hydra.sweep.dir=joblib")
    check_equal(fused, home.folder / "joblib")
    assert "[6/6]" in output


@pytest.mark.slow
def test_jobs_of_submitit_give_the_same_bits(home: Home, fused: Path) -> None:
    home.train(*SWEEP, "hydra/launcher=submitit_local", *BY_TWOS, "hydra.sweep.dir=submitit")
    check_equal(fused, home.folder / "submitit")


@pytest.mark.slow
def test_tasks_of_ray_give_the_same_bits(home: Home, fused: Path) -> None:
    if find_spec("ray") is None:
        pytest.skip("ray is not installed: pip install 'vec2uage[ray]'")
    home.train(*SWEEP, "hydra/launcher=ray", BY_TWOS[0], "hydra.sweep.dir=ray", RAY_AUTH_MODE="disabled")
    check_equal(fused, home.folder / "ray")


@pytest.mark.slow
def test_a_worker_that_dies_takes_only_its_own_runs_with_it(home: Home) -> None:
    (home.folder / "own.py").write_text(DEADLY)
    model = ["~model.hidden", "model._target_=own.Deadly", "+model.deadly=false,true"]
    output = home.train(
        "-m", *SMALL[:3], "trainer.max_epochs=1", *model, "seed=1,2", "hydra/launcher=joblib",
        "hydra.sweep.dir=deadly", code=1,
    )  # fmt: skip
    results = read_sweep(home.folder / "deadly")
    assert [result.status for result in results] == ["completed", "completed", "failed", "failed"]
    assert all("its worker broke off" in (result.reason or "") for result in results[2:])
    assert "2 of 4 runs did not complete" in output


@pytest.mark.slow
def test_ctrl_c_ends_the_workers_too(home: Home) -> None:
    endless = ["-m", *SMALL, "trainer.threads=1", "trainer.max_epochs=1000000", "early_stopping=none", "seed=1,2"]
    folder = home.folder / "stopped"
    process = home.start(*endless, "hydra/launcher=submitit_local", f"hydra.sweep.dir={folder.name}")
    wait_for_epochs(folder, 2, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert {result.status for result in read_sweep(folder)} == {"interrupted"}
    time.sleep(2)
    left = sorted(folder.glob("*/metrics.csv"))
    before = [path.read_bytes() for path in left]
    time.sleep(1)
    assert [path.read_bytes() for path in left] == before, "a worker goes on"


def wait_for_epochs(folder: Path, epochs: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while not any(path.read_text().count("\n") > epochs for path in folder.glob("*/metrics.csv")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers_of(folder: Path) -> list[int]:
    """The processes of submitit whose files lie in `folder`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().split("\0")
        except OSError:
            continue
        if "submitit.core._submit" in words and any(str(folder) in word for word in words):
            found.append(int(path.parent.name))
    return found


@pytest.mark.slow
def test_a_job_whose_time_is_over_goes_on_in_the_next(home: Home) -> None:
    """What a cluster sends before it takes a job away is SIGUSR2; submitit's local jobs are told in the same way."""
    longer = [*SWEEP[:-3], "optimizer=adam", "seed=1,2", "trainer.max_epochs=150", "early_stopping=none"]
    home.train(*longer, "hydra.sweep.dir=undisturbed")
    folder = home.folder / "requeued"
    process = home.start(*longer, "hydra/launcher=submitit_local", "hydra.sweep.dir=requeued")
    wait_for_epochs(folder, 5, process)
    workers = workers_of(folder)
    assert workers
    for worker in workers:
        os.kill(worker, signal.SIGUSR2)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    logs = "".join(path.read_text() for path in (folder / ".submitit").glob("*.err"))
    logs += "".join(path.read_text() for path in (folder / ".submitit").glob("*.out"))
    assert "equeu" in logs
    check_equal(home.folder / "undisturbed", folder)


# a real cluster of one node


CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={port1}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/linear
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 Sockets=1 CoresPerSocket={cores} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start Slurm from Debian's packages slurmctld, slurmd and munge; gives the path of its configuration."""
    missing = [name for name in ("munged", "slurmctld", "slurmd", "srun") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"no Slurm can be started here: {', '.join(missing) or 'that needs root'}")
    folder = tmp_path_factory.mktemp("slurm")
    for path in [folder, *folder.parents][:3]:
        path.chmod(0o755)  # munged refuses a socket in a folder that others cannot enter
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(mode=0o700)
    key = folder / "munge" / "key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    conf = folder / "slurm.conf"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    host = socket.gethostname().split(".")[0]
    known = {"host": host, "port": port, "port1": port + 1, "folder": folder, "cores": os.cpu_count()}
    conf.write_text(CONF.format(**known))
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    environment = {**os.environ, "SLURM_CONF": str(conf)}
    daemons = [
        ["munged", "-F", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket",
         f"--pid-file={folder}/munge/pid", f"--log-file={folder}/munge/log", f"--seed-file={folder}/munge/seed"],
        ["slurmctld", "-D", "-f", str(conf)],
        ["slurmd", "-D", "-f", str(conf), "-N", host],
    ]  # fmt: skip
    running = []
    try:
        for command in daemons:
            running.append(
                subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            time.sleep(2)
        try:
            subprocess.run(["srun", "-n1", "true"], env=environment, timeout=30, check=True, capture_output=True)
        except subprocess.SubprocessError:
            log = folder / "slurmd.log"
            pytest.skip(f"Slurm does not run here: {log.read_text().splitlines()[-1] if log.exists() else 'no log'}")
        yield str(conf)
    finally:
        for process in running[::-1]:
            process.terminate()
            process.wait(30)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("sbatch") is None, reason="no Slurm here")
def test_a_cluster_that_cannot_be_reached_is_told_in_a_sentence(home: Home, tmp_path: Path) -> None:
    conf = tmp_path / "slurm.conf"
    conf.write_text("ClusterName=none\nSlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort=1\n")
    submit = ("hydra/launcher=submitit_slurm", "hydra.sweep.dir=lost")
    assert "error: the cluster does not take the jobs: " in home.train(*SWEEP, *submit, code=1, SLURM_CONF=str(conf))


@pytest.mark.slow
def test_a_real_cluster_gives_the_same_bits(home: Home, fused: Path, slurm: str) -> None:
    home.train(*SWEEP, "hydra/launcher=submitit_slurm", *BY_TWOS, "hydra.sweep.dir=slurm", SLURM_CONF=slurm)
    check_equal(fused, home.folder / "slurm")
    scripts = [path.read_text() for path in (home.folder / "slurm" / ".submitit").glob("*_submission.sh")]
    assert [script.count("--array=0-2") for script in scripts] == [1], "not one array"


@pytest.mark.slow
def test_a_job_that_the_cluster_takes_away_goes_on(home: Home, slurm: str) -> None:
    longer = [*SWEEP[:-3], "optimizer=adam", "seed=1,2", "trainer.max_epochs=151", "early_stopping=none"]
    home.train(*longer, "hydra.sweep.dir=undisturbed_on_slurm")
    folder = home.folder / "taken"
    process = home.start(
        *longer, "hydra/launcher=submitit_slurm", BY_TWOS[1], "hydra.sweep.dir=taken", SLURM_CONF=slurm
    )
    wait_for_epochs(folder, 5, process)
    environment = {**os.environ, "SLURM_CONF": slurm}
    job = subprocess.run(["squeue", "-h", "-o", "%A"], env=environment, capture_output=True, text=True, check=True)
    subprocess.run(["scontrol", "requeue", job.stdout.split()[0]], env=environment, check=True)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    check_equal(home.folder / "undisturbed_on_slurm", folder)
    assert RunFolder(folder / "000_seed=1").read_result().epochs == 151


@pytest.mark.slow
def test_why_the_cluster_lets_jobs_wait_is_told(home: Home, slurm: str) -> None:
    process = home.start(
        *SWEEP, "hydra/launcher=submitit_slurm", *BY_TWOS, "hydra.launcher.executor.cpus_per_task=1000",
        "hydra.sweep.dir=waiting", SLURM_CONF=slurm,
    )  # fmt: skip
    assert process.stdout is not None
    no_longer = threading.Timer(60, process.kill)
    no_longer.start()
    said = next((line for line in process.stdout if "lets jobs wait" in line), "nothing")
    no_longer.cancel()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert said == "Slurm lets jobs wait: PartitionConfig\n"
    assert "lets jobs wait" not in output
    assert process.returncode == 130
