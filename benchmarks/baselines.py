"""What simple models reach on the same splits: `python -m benchmarks.baselines faces.npz --heldout 20 --train 500`.

Ridge regression is trained on the balanced training rows of each split, its strength chosen on the validation rows, and
its error measured on the test rows, as for the network; next to it the error of always guessing the training median.
"""

import argparse

import numpy as np
from sklearn.linear_model import Ridge

from vec2uage.data.balance import Balance
from vec2uage.data.dataset import VectorFile
from vec2uage.data.loading import load_parts
from vec2uage.data.paper_split import PaperSplit
from vec2uage.data.parts import PARTS
from vec2uage.data.vectorset import needed_ages
from vec2uage.predictions.metrics import mae
from vec2uage.predictions.point import Point

ALPHAS = np.logspace(-6, 2, 17)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors `[N, D]` to length 1, the network's default normalisation; float64, or small alphas lose rank."""
    wide = vectors.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def main() -> None:
    """Print a line per split seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="face vectors, .npz or .arrow")
    parser.add_argument("--heldout", type=int, default=500, help="rows per age held out")
    parser.add_argument("--train", type=int, default=5000, help="training rows per age")
    parser.add_argument("--splits", type=int, default=5, help="split seeds 0, 1, ...")
    parser.add_argument("--missing-ages", choices=("refuse", "allow"), default="refuse")
    arguments = parser.parse_args()
    print("split   ridge alpha   ridge val   ridge test   median test   (MAE, years)")
    for seed in range(arguments.splits):
        split = PaperSplit(heldout_per_age=arguments.heldout, missing_ages=arguments.missing_ages, seed=seed)
        balance = Balance(train_per_age=arguments.train)
        parts = load_parts(VectorFile(path=arguments.path), split, balance, run_seed=0)
        (x, age), (val_x, val_age), (test_x, test_age) = (
            (unit(parts[name].vectors), needed_ages(parts[name], "ridge regression")) for name in PARTS
        )
        models = [Ridge(alpha=alpha).fit(x, age) for alpha in ALPHAS]
        best = min(models, key=lambda model: mae(val_age, Point(model.predict(val_x))))
        val, test = mae(val_age, Point(best.predict(val_x))), mae(test_age, Point(best.predict(test_x)))
        median = mae(test_age, Point(np.full(len(test_age), np.median(age))))
        print(f"{seed:5d}{best.alpha:14.3g}{val:12.3f}{test:13.3f}{median:14.3f}", flush=True)


if __name__ == "__main__":
    main()
