"""What each operation does to the embedding: the cosine similarity of a face with its augmented selves.

Equation 1 of the paper, whose Table 1 has one number per operation; here it is a distribution.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from vec2uage.augmentation.augmenter import FaceAugmenter
from vec2uage.augmentation.drawing import AugmentedFace
from vec2uage.augmentation.image_augmentation import ImageAugmentation
from vec2uage.augmentation.keep_rule import KeepRule
from vec2uage.augmentation.ops import Op
from vec2uage.augmentation.recipe import Ops, Recipe
from vec2uage.augmentation.source_faces import SourceFace
from vec2uage.base.seeds import numpy_generator
from vec2uage.data.balance import in_turn
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
WHOLE_RECIPE = {"all": "all in order", "one": "one of them"}
ALL_AGES = "all"
Bands = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class OperationDraws:
    """Augmentations by one operation, or by the whole recipe: of which faces, and how similar they are."""

    operation: str
    options: str
    faces: tuple[AugmentedFace, ...]
    cosines: Float64[np.ndarray, " N"]
    """Of each face's embedding with that of its source."""


@dataclass(frozen=True)
class CosineSummary:
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
    augmentation: ImageAugmentation,
    sources: Sequence[SourceFace],
    draws: int,
    augmenter: FaceAugmenter,
    *,
    whole_recipe: bool,
) -> list[OperationDraws]:
    """Draw `draws` augmentations by each operation alone, whatever its probability; `whole_recipe`: and by all of them.

    Raises Interrupted and UserError as `FaceAugmenter.vectors_of` does.
    """
    chosen = spread_draws(sources, draws, augmentation.seed)
    recipes = [(name, op.text(), alone(name, op, augmentation.seed)) for name, op in augmentation.op]
    if whole_recipe and len(augmentation.op) > 1:
        recipes.append((WHOLE_RECIPE[augmentation.combine], "", augmentation.recipe))
    faces = [tuple(AugmentedFace(source, recipe, number) for source, number in chosen) for _, _, recipe in recipes]
    vectors = augmenter.vectors_of([face for of_recipe in faces for face in of_recipe])
    before = np.stack([source.vector for source, _ in chosen])
    return [
        OperationDraws(name, options, of_recipe, cosine(before, after))
        for (name, options, _), of_recipe, after in zip(recipes, faces, np.split(vectors, len(recipes)), strict=True)
    ]


def spread_draws(sources: Sequence[SourceFace], draws: int, seed: int) -> list[tuple[SourceFace, int]]:
    """Spread `draws` augmentations over faces: as many different ones as possible, all ages as evenly as possible.

    Returns each source face with the number of its augmentation.
    """
    floors = np.array([-1 if np.isnan(source.age) else int(source.age) for source in sources])
    rank = np.empty(len(sources), dtype=np.int64)
    for age in np.unique(floors).tolist():
        rows = in_turn(floors, age, seed)
        rank[rows] = np.arange(len(rows))
    among_equals = numpy_generator(seed, "order of ages").permutation(len(sources))
    order = np.lexsort((among_equals, rank))[:draws].tolist()
    return [(sources[order[turn % len(order)]], turn // len(order)) for turn in range(draws)]


def alone(name: str, op: Op, seed: int) -> Recipe:
    """Return the recipe that does one operation and nothing else."""
    return Recipe(((name, replace(op, probability=1.0)),), "all", seed)


def summarise(draws: Sequence[OperationDraws], keep_rule: KeepRule, bands: Bands) -> list[CosineSummary]:
    """Return the distribution of each operation's cosines, over all faces and over each band of ages that has any."""
    rows = []
    for each in draws:
        ages = np.array([face.source.age for face in each.faces])
        masks = {ALL_AGES: np.ones(len(ages), dtype=bool)}
        masks |= {f"{first}-{last}": (ages >= first) & (ages < last + 1) for first, last in bands}
        rows += [_summary(each, name, each.cosines[mask], keep_rule) for name, mask in masks.items() if mask.any()]
    return rows


def kept_ops(ops: Ops, rows: Sequence[CosineSummary]) -> set[str]:
    """Return the names of the operations whose mean cosine over all faces the rule keeps."""
    kept = {row.operation for row in rows if row.ages == ALL_AGES and row.kept}
    return kept & set(dict(ops))


def _summary(
    draws: OperationDraws, ages: str, cosines: Float64[np.ndarray, " N"], keep_rule: KeepRule
) -> CosineSummary:
    low, high = np.quantile(cosines, [0.025, 0.975])
    mean = cosines.mean()
    return CosineSummary(
        operation=draws.operation,
        options=draws.options,
        ages=ages,
        n=len(cosines),
        mean=float(mean),
        std=float(cosines.std(ddof=1)) if len(cosines) > 1 else 0.0,
        low=float(low),
        high=float(high),
        above=float(replace(keep_rule, rule="above").keeps(cosines).mean()),
        below=float(replace(keep_rule, rule="below").keeps(cosines).mean()),
        band=float(replace(keep_rule, rule="band").keeps(cosines).mean()),
        kept=bool(keep_rule.keeps(np.array([mean]))[0]),
    )
