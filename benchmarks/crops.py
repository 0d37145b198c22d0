"""What vectors of other faces cost a model: `python -m benchmarks.crops <folder of UTKFace chips> --folder <folder>`.

Some faces of each age are prepared with the default options and again with each of `CHANGES`. For each change a line
gives the mean cosine of a face's two vectors, and errors of ridge regression on faces that it has not seen: trained and
tested on changed vectors; trained on the default ones and tested on the changed; the other way round; trained on one
half of each, and tested on both. Faces that one of the detectors misses are left out.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import StratifiedKFold

from vec2uage.data.storage import load
from vec2uage.data.vectorset import VectorSet, needed_ages

Folds = list[tuple[np.ndarray, np.ndarray]]
CHANGES = (
    "crop.margin=0.05",
    "crop.margin=0.1",
    "crop.margin=0.2",
    "crop.margin=0.4",
    "detector=none",
    "detector=mtcnn",
    "crop.size=160",
    "crop.size=112",
    "crop.size=null",
    "detector.upsample=0 detector.max_side=80",  # so small that HOG finds nothing, and all boxes are the CNN's
    "detector.upsample=0",
    "detector.fallback=none",
    "embedder.adapter=center_crop",
    "embedder.normalize=prewhiten",
    "embedder.output=raw",
    "embedder.precision=float32",
)
ALPHA = 0.3  # of the ridge regression; chosen for the default options
DLIB = "embedder=dlib_resnet"
CHANGES_OF_DLIB = ("embedder.align=none", "crop.margin=0.2", "detector=mtcnn", "detector=none")


def prepared(options: str, photographs: Path, folder: Path) -> VectorSet:
    """Prepare photographs with some options of `vec2uage.prepare`; their boxes and vectors stay in `folder`."""
    output = folder / (re.sub(r"\W+", "-", options) or "default")
    command = ["vec2uage.prepare", "source=utkface", f"source.path={photographs}", "split=none", "leakage=report"]
    places = [f"store={folder / 'store.sqlite'}", f"output={output}"]
    subprocess.run([sys.executable, "-m", *command, *places, *options.split()], check=True, stdout=subprocess.DEVNULL)
    return load(output / "vectors.arrow")


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors `[N, D]` to length 1, as training does by default; float64, which ridge regression needs."""
    wide = vectors.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def mae(train: np.ndarray, tests: Sequence[np.ndarray], ages: np.ndarray, folds: Folds) -> float:
    """Return the mean error in years over all faces, each predicted from its vectors in `tests`, not trained on."""
    errors = [
        np.abs(model.predict(test[unseen]) - ages[unseen])
        for seen, unseen in folds
        for model in [Ridge(alpha=ALPHA).fit(train[seen], ages[seen])]
        for test in tests
    ]
    return float(np.concatenate(errors).mean())


def table(default: str, changes: Sequence[str], photographs: Path, folder: Path) -> None:
    """Print a line for each change of some default options."""
    sets = {change: prepared(f"{default} {change}".strip(), photographs, folder) for change in ("", *changes)}
    names = sorted(set.intersection(*(set(vs.names) for vs in sets.values())))
    common = {
        change: vs.take(np.array([vs.names.tolist().index(name) for name in names])) for change, vs in sets.items()
    }
    vectors = {change: unit(vs.vectors) for change, vs in common.items()}
    usual, ages = vectors.pop(""), needed_ages(common[""], "this benchmark")
    folds: Folds = list(StratifiedKFold(10, shuffle=True, random_state=0).split(usual, np.floor(ages)))
    print(f"\n{len(names)} faces, {default or 'default options'}: MAE {mae(usual, [usual], ages, folds):.2f} years\n")
    print(f"{'change':44}{'cosine':>8}{'own':>8}{'default->it':>13}{'it->default':>13}{'mixed':>8}")
    is_odd = (np.arange(len(names)) % 2 == 1)[:, None]
    for change, other in vectors.items():
        cosine = np.einsum("nd,nd->n", usual, other).mean()
        own, to_it, back = (mae(*pair, ages, folds) for pair in ((other, [other]), (usual, [other]), (other, [usual])))
        mixed = mae(np.where(is_odd, other, usual), [usual, other], ages, folds)
        print(f"{change:44}{cosine:8.4f}{own:8.2f}{to_it:13.2f}{back:13.2f}{mixed:8.2f}", flush=True)


def main() -> None:
    """Prepare all sets and print a table for each embedder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path, help="a folder of UTKFace chips")
    parser.add_argument("--per-age", type=int, default=20, help="chips of each age from 1 to 18")
    parser.add_argument("--folder", type=Path, required=True, help="where the sets are prepared; kept for a rerun")
    given = parser.parse_args()
    photographs = given.folder / "photographs"
    photographs.mkdir(parents=True, exist_ok=True)
    for age in range(1, 19):
        for file in sorted(given.faces.glob(f"{age}_*.jpg"))[: given.per_age]:
            link = photographs / file.name
            if not link.is_symlink():
                link.symlink_to(file.resolve())
    table("", CHANGES, photographs, given.folder)
    table(DLIB, CHANGES_OF_DLIB, photographs, given.folder)


if __name__ == "__main__":
    main()
