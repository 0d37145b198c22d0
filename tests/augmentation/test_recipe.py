"""A recipe decides everything by the seed, the face and the number, and happens as often as it says."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vec2uage.augmentation import ops
from vec2uage.augmentation.image_augmentation import ImageAugmentation
from vec2uage.augmentation.recipe import Recipe
from vec2uage.base.errors import UserError


def flip(probability: float) -> ops.Flip:
    return ops.Flip(direction="horizontal", probability=probability)


def recipe(*probabilities: float, combine: str = "all", seed: int = 0) -> Recipe:
    return Recipe(tuple((f"op{k}", flip(p)) for k, p in enumerate(probabilities)), combine, seed)


@pytest.fixture(scope="module", params=["published", "table1"])
def real(request: pytest.FixtureRequest, composed: Callable[..., ImageAugmentation]) -> Recipe:
    return composed(request.param).recipe


def test_a_picture_depends_on_seed_face_and_number_alone(real: Recipe, face: np.ndarray) -> None:
    first = [real.draw(face, "a", number) for number in range(12)]
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002 - what Augmentor draws from
    anew = Recipe(real.ops, real.combine, real.seed)
    for number in reversed(range(12)):
        assert (anew.draw(face, "a", number) == first[number]).all()
    others = [replace(real, seed=1).draw(face, "a", 0), real.draw(face, "b", 0)]
    if real.combine == "all":  # one of eight operations may be the flip twice, eight in turn are never the same
        others += first[1:]
        assert len({picture.tobytes() for picture in [first[0], *others]}) == len(others) + 1
    drawn = [
        tuple(made.drawn_ops(name, number) for number in range(12))
        for made, name in ((real, "a"), (real, "b"), (replace(real, seed=1), "a"))
    ]
    assert len({repr(happened) for happened in drawn}) == 3


def test_global_generators_are_left_as_they_were(real: Recipe, face: np.ndarray) -> None:
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    for number in range(5):  # which operations happen is checked by beartype, which draws from `random` itself
        real.drawn_ops("a", number)
    undisturbed = random.random(), np.random.random()  # noqa: NPY002
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    for number in range(5):
        real.draw(face, "a", number)
    assert (random.random(), np.random.random()) == undisturbed  # noqa: NPY002


def test_half_is_half_and_operations_are_independent() -> None:
    made, draws = recipe(0.5, 0.5, 0.2, seed=4), 8000
    happened = Counter(tuple(made.drawn_ops("face", number)) for number in range(draws))
    for combination, count in happened.items():
        share = np.prod([0.5, 0.5, 0.2 if "op2" in combination else 0.8])
        # four deviations of a binomial; Augmentor's own p = 0.5 happens in 0.55, far outside
        assert abs(count - share * draws) < 4 * np.sqrt(draws * share * (1 - share)), combination
    assert len(happened) == 8


def test_exactly_one_happens_by_its_weight() -> None:
    made, draws = recipe(0.3, 0.9, 0.0, combine="one"), 4000
    happened = [made.drawn_ops("face", number) for number in range(draws)]
    assert {len(names) for names in happened} == {1}
    counts = Counter(names[0] for names in happened)
    assert set(counts) == {"op0", "op1"}
    assert abs(counts["op0"] - 0.25 * draws) < 4 * np.sqrt(draws * 0.25 * 0.75)


@given(
    probabilities=st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=1, max_size=6),
    seed=st.integers(0, 2**40),
    number=st.integers(0, 10**6),
)
def test_order_is_kept_never_is_never_and_always_is_always(probabilities: list[float], seed: int, number: int) -> None:
    happened = recipe(*probabilities, seed=seed).drawn_ops("face", number)
    assert happened == sorted(set(happened))
    chance = {f"op{k}": p for k, p in enumerate(probabilities)}
    assert {name for name, p in chance.items() if p == 1} <= set(happened)
    assert not {name for name, p in chance.items() if p == 0} & set(happened)


def test_operations_are_done_in_their_order(face: np.ndarray) -> None:
    factors = {"probability": 1.0, "min_factor": 3.0, "max_factor": 3.0}
    bright, contrast = ("bright", ops.Brightness(**factors)), ("contrast", ops.RandomContrast(**factors))

    def drawn(*names: tuple[str, ops.Op]) -> np.ndarray:
        return Recipe(names, "all", 0).draw(face, "a", 0)

    def after(image: np.ndarray, op: tuple[str, ops.Op]) -> np.ndarray:
        return Recipe((op,), "all", 0).draw(image, "a", 0)

    assert (drawn(bright, contrast) == after(after(face, bright), contrast)).all()
    assert (drawn(contrast, bright) == after(after(face, contrast), bright)).all()
    assert (drawn(bright, contrast) != drawn(contrast, bright)).any()


def test_an_operation_that_does_not_happen_changes_nothing(face: np.ndarray) -> None:
    assert (recipe(0.0, 0.0).draw(face, "a", 0) == face).all()


class Rotation(ops.Rotation):
    """An operation of one's own, named like one of ours."""


def test_the_fingerprint_changes_with_whatever_changes_a_face() -> None:
    made = recipe(0.5, 1.0)
    (one, first), (two, second) = made.ops
    others = [
        replace(made, seed=1),
        replace(made, combine="one"),
        replace(made, ops=((two, second), (one, first))),
        replace(made, ops=((one, first),)),
        replace(made, ops=(("other", first), (two, second))),
        replace(made, ops=((one, replace(first, direction="vertical")), (two, second))),
        replace(made, ops=((one, replace(first, probability=0.6)), (two, second))),
        replace(made, ops=((one, first), (two, ops.Rotation(angle=1, probability=1.0)))),
        replace(made, ops=((one, first), (two, ops.Rotation(angle=2, probability=1.0)))),
    ]
    # of equal options: a class of one's own named like ours, and three that differ in nothing but the class
    factors = {"probability": 1.0, "min_factor": 1.0, "max_factor": 2.0}
    alike = [cls(**factors) for cls in (ops.Brightness, ops.RandomColour, ops.RandomContrast)]
    alike.append(Rotation(angle=1, probability=1.0))
    others += [replace(made, ops=((one, first), (two, op))) for op in alike]
    assert made.fingerprint == recipe(0.5, 1.0).fingerprint
    assert len({made.fingerprint, *(other.fingerprint for other in others)}) == len(others) + 1


def test_an_operation_that_fails_is_named(face: np.ndarray) -> None:
    options = {"width": 200, "height": 200, "centre": False}
    broken = ops.AugmentorOperation(operation_class="Crop", options=options, probability=1.0)
    with pytest.raises(UserError, match=r"augmentation\.op\.cut fails on a face of 80x100 pixels \(ValueError: "):
        Recipe((("flip", flip(1.0)), ("cut", broken)), "all", 0).draw(face[:, :80], "a", 0)


@given(seed=st.integers(0, 2**40), number=st.integers(0, 1000))
@settings(max_examples=25)
def test_every_seed_draws_a_face(real: Recipe, face: np.ndarray, seed: int, number: int) -> None:
    made = replace(real, seed=seed)
    assert made.draw(face, "a", number).shape == face.shape
