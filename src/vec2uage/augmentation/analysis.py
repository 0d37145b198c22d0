"""What each operation does to the embedding: the cosine similarity of a face with its augmented selves.

Equation 1 of the paper, whose Table 1 has one number per operation; here it is a distribution.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from vec2uage.augmentation.augmenter import Child, Parent, Studio, vectors_of
from vec2uage.augmentation.keep_rule import Keep
from vec2uage.augmentation.ops import Op
from vec2uage.augmentation.parents import spread
from vec2uage.augmentation.recipe import Ops, Recipe
from vec2uage.augmentation.settings import ImageAugmentation
from vec2uage.data.similarity import cosine

# Table 1 of the paper: FaceNet's cosine between FG-NET's 082A21 and one augmentation of it, by operation and options.
TABLE_1 = {
    ("flip", "direction=horizontal"): 0.8599,
    ("brightness", "min_factor=2 max_factor=2"): 0.6845,
    ("rotation", "angle=25"): 0.6656,
    ("random_zoom", "min_factor=1 max_factor=2"): 0.7856,
    ("random_distortion", "grid_width=10 grid_height=10 magnitude=8"): 0.8728,
    ("random_colour", "min_factor=2 max_factor=2"): 0.5609,
    ("random_contrast", "min_factor=5 max_factor=5"): 0.3341,
    ("random_erasing", "rectangle_area=0.2"): 0.9837,
}
TOGETHER = {"all": "all in order", "one": "one of them"}
ALL_AGES = "all"
Bands = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Draws:
    """Augmentations by one operation, or by the whole recipe: of which faces, and how similar they are."""

    operation: str
    options: str
    recipe: Recipe
    children: tuple[Child, ...]
    cosines: Float64[np.ndarray, " N"]


@dataclass(frozen=True)
class Similarity:
    """The cosines of one operation over the faces of some ages."""

    operation: str
    options: str
    ages: str
    """`all`, or the first and last whole age, as in `1-6`."""
    n: int
    mean: float
    std: float
    low: float
    """95% of the cosines lie between `low` and `high`."""
    high: float
    above: float
    """Share of the cosines that the rule `above` keeps; `below` and `band` likewise."""
    below: float
    band: float
    kept: bool
    """Whether the rule that was chosen keeps the mean, and so the operation as a whole."""


def analyse(
    augmentation: ImageAugmentation, parents: Sequence[Parent], draws: int, studio: Studio, together: bool
) -> list[Draws]:
    """Draw `draws` augmentations by each operation alone, whatever its probability; `together`: and by all of them.

    Raises Interrupted and UserError as `vectors_of` does.
    """
    chosen = spread(parents, draws, augmentation.seed)
    recipes: list[tuple[str, str, Recipe]] = [
        (name, op.text(), alone(name, op, augmentation.seed)) for name, op in augmentation.op
    ]
    if together and len(augmentation.op) > 1:
        recipes.append((TOGETHER[augmentation.combine], "", augmentation.recipe))
    children = [[Child(parent, recipe, number) for parent, number in chosen] for _, _, recipe in recipes]
    vectors = vectors_of([child for of_recipe in children for child in of_recipe], studio)
    before = np.stack([parent.vector for parent, _ in chosen])
    found = []
    for row, ((name, options, recipe), of_recipe) in enumerate(zip(recipes, children, strict=True)):
        cosines = cosine(before, vectors[row * draws : (row + 1) * draws])
        found.append(Draws(name, options, recipe, tuple(of_recipe), cosines))
    return found


def alone(name: str, op: Op, seed: int) -> Recipe:
    """Return the recipe that does one operation and nothing else."""
    return Recipe(((name, replace(op, probability=1.0)),), "all", seed)


def summarise(draws: Sequence[Draws], keep: Keep, bands: Bands) -> list[Similarity]:
    """Return the distribution of each operation's cosines, over all faces and over each band of ages that has any."""
    rows = []
    for each in draws:
        ages = np.array([child.parent.age for child in each.children])
        parts = {ALL_AGES: np.ones(len(ages), dtype=bool)}
        parts |= {f"{first}-{last}": (ages >= first) & (ages < last + 1) for first, last in bands}
        rows += [_similarity(each, name, each.cosines[mask], keep) for name, mask in parts.items() if mask.any()]
    return rows


def kept_ops(ops: Ops, rows: Sequence[Similarity]) -> set[str]:
    """Return the names of the operations whose mean cosine over all faces the rule keeps."""
    kept = {row.operation for row in rows if row.ages == ALL_AGES and row.kept}
    return kept & set(dict(ops))


def _similarity(draws: Draws, ages: str, cosines: Float64[np.ndarray, " N"], keep: Keep) -> Similarity:
    low, high = np.quantile(cosines, [0.025, 0.975])
    mean = cosines.mean()
    return Similarity(
        operation=draws.operation,
        options=draws.options,
        ages=ages,
        n=len(cosines),
        mean=float(mean),
        std=float(cosines.std(ddof=1)) if len(cosines) > 1 else 0.0,
        low=float(low),
        high=float(high),
        above=float(replace(keep, rule="above").kept(cosines).mean()),
        below=float(replace(keep, rule="below").kept(cosines).mean()),
        band=float(replace(keep, rule="band").kept(cosines).mean()),
        kept=bool(keep.kept(np.array([mean]))[0]),
    )
