"""Whether two versions of the code give the same numbers on one machine: `python -m benchmarks.same_numbers`.

    python -m benchmarks.same_numbers --out before.txt       in one checkout
    python -m benchmarks.same_numbers --compare before.txt   in another: exit code 1 if a line differs

Trains small sweeps as stacks, on the command line of the checkout that this file lies in, and some of their runs once
more alone, which must change nothing either. Each run has three lines: its weights, its losses, and its mean absolute
errors (MAE, in years), which are all that may differ, by up to `--mae-tolerance`.
"""

import argparse
import hashlib
import json
import math
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
REAL = Path(os.environ.get("VEC2UAGE_SHARED", ROOT.parent / "shared")).resolve() / "data" / "utkface_vectors.npz"

# Options as they are typed.
RAW = "trainer.device=cpu dataset.size=small split.heldout_per_age=20"
DATA = f"{RAW} augmentation.train_per_age=100"
SHORT = f"{DATA} trainer.max_epochs=4"
SGD = f"{SHORT} optimizer=sgd optimizer.lr=5e-3"  # learns much in few steps
LONG_SGD = f"{DATA} trainer.max_epochs=8 optimizer=sgd optimizer.lr=5e-2"  # overshoots: some epochs are worse
FOREIGN = "optimizer=sgd ~optimizer.momentum ~optimizer.weight_decay optimizer._target_="

# Runs that differ only in `seed` and in numbers of optimiser, schedule and early stopping train as one stack.
SWEEPS = {
    "optimizers": f"{DATA} trainer.max_epochs=7 optimizer=adagrad,adam,sgd,swa,swa_published seed=1,2",
    "adagrad": f"{SHORT} optimizer=adagrad optimizer.lr=1e-2 optimizer.initial_accumulator=0.0,0.1 "
    "optimizer.lr_decay=0.01 optimizer.weight_decay=1e-3",
    "adam": f"{SHORT} optimizer=adam optimizer.lr=1e-3 optimizer.weight_decay=0.0,0.01",
    "momentum": f"{SHORT} optimizer=sgd optimizer.lr=1e-4,1e-3 optimizer.momentum=0.0,0.9 optimizer.weight_decay=1e-3",
    "swa_steps": f"{SHORT} optimizer=swa averaging.unit=step averaging.start=40 averaging.freq=3 averaging.anneal=30 "
    "averaging.anneal_strategy=cosine,linear optimizer.momentum=0.5 seed=1,2",
    "torch_optim": f"{SHORT} {FOREIGN}torch.optim.RMSprop,torch.optim.NAdam optimizer.lr=1e-3 seed=1,2",
    "losses": f"{SGD} loss=mse,l1,huber seed=1,2",
    "schedules": f"{SGD} lr_schedule=constant,cosine,one_cycle,cyclic,plateau seed=1,2",
    "plateau": f"{LONG_SGD} lr_schedule.patience=0 lr_schedule.threshold=0.3 lr_schedule.factor=0.1,0.5 "
    "lr_schedule.min_lr=1e-3",
    "cyclic": f"{SGD} lr_schedule=cyclic lr_schedule.mode=constant,halving lr_schedule.epochs_up=0.5",
    "range_test": f"{DATA} trainer.max_epochs=7 optimizer=sgd,swa lr_finder=range_test seed=1,2",
    "rules": f"{SHORT} optimizer=adam lr_finder=range_test lr_finder.rule=valley,minimum_over_10 seed=1,2",
    "normalization": f"{SHORT} optimizer=sgd normalization=l2,none,standardize seed=1,2",
    "bf16": f"{SHORT} optimizer=sgd,adam trainer.precision=bf16 seed=1,2",
    "linear": f"{SGD} model=linear seed=1,2",
    "hidden": f"{SGD} model.hidden=[32] seed=1,2",
    "own_model": f"{SGD} ~model.hidden model._target_=benchmarks.same_numbers.Own +model.noisy=false,true seed=1,2",
    "patience": f"{LONG_SGD} early_stopping.patience=1,2 early_stopping.min_delta=0.1 seed=1,2",
    "no_stopping": f"{LONG_SGD} early_stopping=none seed=1,2",
    "labels": f"{SGD} dataset.label=floor,whole seed=1,2",
    "batches": f"{SGD} trainer.mean_over=batches trainer.batch_size=100 split.age_range=[3,17] seed=1,2",
    "run_split": f"{SGD} split.seed=run split.group=none seed=1,2",
    "unpaired": f"{SHORT} seeds=unpaired optimizer=adam,sgd seed=1,2",
    "methods": f"{SGD} method=paper,published seed=1,2",
    "no_augmentation": f"{RAW} trainer.max_epochs=4 augmentation=none optimizer=sgd optimizer.lr=5e-3 seed=1,2",
    "noise": f"{SGD} augmentation=balance augmentation.noise=0.1 augmentation.seed=3 seed=1,2",
    "overfit": f"{LONG_SGD} trainer.overfit=true seed=1,2",
    "utkface": f"experiment=utkface dataset.path='{REAL}' augmentation.train_per_age=100 trainer.device=cpu "
    "trainer.max_epochs=7 optimizer=sgd,swa seed=1,2,3",
}
ALONE = {
    "optimizers": "optimizer=swa,seed=2",
    "momentum": "optimizer.lr=0.001,optimizer.momentum=0.9",
    "torch_optim": "optimizer._target_=torch.optim.RMSprop,seed=2",
    "bf16": "optimizer=adam,seed=2",
    "own_model": "+model.noisy=False,seed=2",
    "patience": "early_stopping.patience=2,seed=1",
    "utkface": "optimizer=sgd,seed=3",
}

Lines = dict[str, str]  # "sweep/run weights", "sweep/run losses" or "sweep/run mae": what they are


class Own(nn.Module):
    """A user's own network: one that can be stacked, or `noisy`, with buffers and random numbers."""

    def __init__(self, noisy: bool) -> None:
        super().__init__()
        between = [nn.BatchNorm1d(32), nn.Dropout(0.2)] if noisy else []
        self.layers = nn.Sequential(nn.Linear(64, 32), *between, nn.Tanh(), nn.Linear(32, 1))

    def forward(self, x: Tensor) -> Tensor:
        predicted: Tensor = self.layers(x[:, :64])
        return predicted


def one_a_core() -> Executor:
    """Return what runs one command at a time on each core: where one sees more, it cuts its stacks to fill them."""
    cores = os.sched_getaffinity(0)
    free: SimpleQueue[int] = SimpleQueue()
    for core in cores:
        free.put(core)
    return ThreadPoolExecutor(len(cores), initializer=lambda: os.sched_setaffinity(0, {free.get()}))


def impossible() -> dict[str, str]:
    """Return the sweeps that cannot be trained here, and why."""
    reasons = {}
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        reasons["bf16"] = "this processor has no bfloat16 products"
    if not REAL.is_file():
        reasons["utkface"] = f"there is no {REAL} (set VEC2UAGE_SHARED)"
    return reasons


def train(*arguments: str) -> None:
    """Run the command line of this checkout; end the program if a run does not complete."""
    command = [sys.executable, "-m", "vec2uage.train", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")


def train_sweep(name: str) -> Lines:
    """Train a sweep, and one of its runs again alone; return the lines of all."""
    options = shlex.split(SWEEPS[name])
    with tempfile.TemporaryDirectory() as top:
        named = f"hydra.sweep.dir={top}", "hydra.sweep.subdir=${hydra.job.override_dirname}"
        train("-m", *options, "trainer.stack_size=4", *named)
        if name in ALONE:
            own = ALONE[name].split(",")
            swept = {option.partition("=")[0] for option in own}
            fixed = [option for option in options if option.partition("=")[0] not in swept]
            train(*fixed, *own, f"hydra.run.dir='{top}/alone/{ALONE[name]}'")
        runs = {f"{name}/{file.parent.relative_to(top)}": file.parent for file in Path(top).rglob("result.json")}
        return {key: what for run, folder in sorted(runs.items()) for key, what in lines_of(run, folder).items()}


def read_result(file: Path) -> dict[str, float]:
    """Return the numbers of a result.json."""
    result = json.loads(file.read_text())
    scores = {
        f"{part}/{score}": result["scores"][f"{part}/{score}"]
        for part in ("train", "validation", "test")
        for score in ("loss", "mae")
    }
    return {name: result[name] for name in ("lr", "epochs", "best_epoch")} | scores


def digest(file: Path) -> str:
    """Return the SHA-256 of the tensors in a safetensors file."""
    sha = hashlib.sha256()
    for name, tensor in sorted(load_file(file).items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def lines_of(run: str, folder: Path) -> Lines:
    """Return the three lines of a run."""
    numbers = read_result(folder / "result.json")
    mae = {name: number for name, number in numbers.items() if name.endswith("/mae")}
    losses = {name: number for name, number in numbers.items() if name not in mae}

    def told(what: Mapping[str, float]) -> str:
        return " ".join(f"{name}={number!r}" for name, number in what.items())

    weights = digest(folder / "best.safetensors")
    return {f"{run} weights": weights, f"{run} losses": told(losses), f"{run} mae": told(mae)}


def to_text(lines: Lines) -> str:
    """Write one line each."""
    return "".join(f"{key}  {what}\n" for key, what in lines.items())


def from_text(text: str, sweeps: Iterable[str]) -> Lines:
    """Read the lines of these sweeps, as `to_text` wrote them."""
    pairs = (line.split("  ", 1) for line in text.splitlines())
    return {key: what for key, what in pairs if key.partition("/")[0] in sweeps}


def mae_gap(one: str, other: str) -> float:
    """Return by how much two lines of MAEs differ, in years; infinity if one is of other sets."""
    a, b = (dict(pair.split("=") for pair in line.split()) for line in (one, other))
    return max(abs(float(a[side]) - float(b[side])) for side in a) if a.keys() == b.keys() else math.inf


def same(ours: Lines, theirs: Lines, tolerance: float) -> bool:
    """Print every line that differs; return whether there is none but MAEs that do by at most `tolerance`."""
    real = 0
    for key in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(key, ""), theirs.get(key, "")
        if one == other:
            continue
        gap = mae_gap(one, other) if key.endswith(" mae") else math.inf
        real += gap > tolerance
        verdict = "DIFFERENT" if gap > tolerance else "within the tolerance"
        by = f", by {gap:.1e} years" if gap < math.inf else ""
        print(f"{verdict}{by}: {key}\n  here   {one or 'missing'}\n  there  {other or 'missing'}")
    return not real


def main() -> None:
    """Train, print all lines and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SWEEPS, default=list(SWEEPS), metavar="SWEEP", help="train these")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the lines")
    parser.add_argument(
        "--compare", type=Path, metavar="FILE", help="compare with the lines that --out wrote elsewhere"
    )
    parser.add_argument("--mae-tolerance", type=float, default=0.0, metavar="YEARS", help="let MAEs differ by so much")
    given = parser.parse_args()
    theirs = from_text(given.compare.read_text(), given.only) if given.compare else None
    skipped, ours = impossible(), Lines()
    possible = [name for name in given.only if name not in skipped]
    with one_a_core() as pool:
        for lines in pool.map(train_sweep, possible):
            ours |= lines
            print(to_text(lines), end="", flush=True)
    for name in given.only:
        if name in skipped:
            print(f"{name} is skipped: {skipped[name]}")
    print(f"digest of {len(ours)} lines  {hashlib.sha256(to_text(ours).encode()).hexdigest()}")
    if given.out:
        given.out.write_text(to_text(ours))
    alone = {key.replace("/alone/", "/"): what for key, what in ours.items() if "/alone/" in key}
    print(f"\nalone (here) and stacked (there), {len(alone)} lines:")
    fine = same(alone, {key: ours.get(key, "") for key in alone}, 0.0)
    if theirs is not None:
        print(f"\nthis checkout (here) and {given.compare} (there), {len(theirs)} lines:")
        fine &= same(ours, theirs, given.mae_tolerance)
    print("equal" if fine else "not equal")
    sys.exit(not fine)


if __name__ == "__main__":
    main()
