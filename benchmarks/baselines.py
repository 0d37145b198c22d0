"""What simple models reach on the same splits: `python -m benchmarks.baselines faces.npz --heldout 20 --train 500`.

Ridge regression is trained on the balanced training rows of each split, its strength chosen on the validation rows, and
its error measured on the test rows, as for the network; next to it the error of always guessing the training median.
"""

import argparse

import numpy as np
from sklearn.linear_model import Ridge

from vec2uage.data.balance import Balance
from vec2uage.data.dataset import Vectors
from vec2uage.data.loading import load_split
from vec2uage.data.splits import Split
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
        dataset = Vectors(
            path=arguments.path,
            heldout_per_age=arguments.heldout,
            missing_ages=arguments.missing_ages,
            split=Split(seed=seed),
        )
        parts = load_split(dataset, Balance(train_per_age=arguments.train), run_seed=0)
        x, val_x, test_x = (unit(side.vectors) for side in (parts.train, parts.validation, parts.test))
        models = [Ridge(alpha=alpha).fit(x, parts.train.ages) for alpha in ALPHAS]
        best = min(models, key=lambda model: mae(parts.validation.ages, Point(model.predict(val_x))))
        val, test = (
            mae(part.ages, Point(best.predict(x))) for part, x in ((parts.validation, val_x), (parts.test, test_x))
        )
        median = mae(parts.test.ages, Point(np.full(len(parts.test), np.median(parts.train.ages))))
        print(f"{seed:5d}{best.alpha:14.3g}{val:12.3f}{test:13.3f}{median:14.3f}", flush=True)


if __name__ == "__main__":
    main()
