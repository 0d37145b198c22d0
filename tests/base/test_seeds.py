"""Generators depend on the seed and the purpose, and on nothing else."""

import hashlib
import random
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.seeds import derive, global_rng, global_torch_rng, numpy_generator, torch_generator

seeds = st.integers(min_value=-(2**70), max_value=2**70)
purposes = st.lists(st.text(), max_size=3)


@given(seeds, purposes)
def test_derived_seeds_suit_torch_and_numpy(seed: int, names: list[str]) -> None:
    derived = derive(seed, *names)
    assert 0 <= derived < 2**63
    assert derived == derive(seed, *names)
    assert torch_generator(seed, *names).initial_seed() == derived


def test_the_derivation_never_changes() -> None:
    # results of earlier versions must stay reproducible: first 63 bits of sha256("1 <unit separator> split")
    expected = int(hashlib.sha256(b"1\x1fsplit").hexdigest()[:16], 16) >> 1
    assert derive(1, "split") == expected == 264378535903462345


def test_every_seed_and_purpose_has_its_own_stream() -> None:
    derived = {derive(seed, *names) for seed in range(100) for names in ((), ("a",), ("b",), ("a", "b"), ("ab",))}
    assert len(derived) == 500


def test_numpy_generators_repeat_and_differ() -> None:
    first = numpy_generator(0, "noise").random(8)
    assert np.array_equal(first, numpy_generator(0, "noise").random(8))
    assert not np.array_equal(first, numpy_generator(1, "noise").random(8))
    assert not np.array_equal(first, numpy_generator(0, "order").random(8))


def test_global_state_is_lent_and_given_back() -> None:
    torch.manual_seed(5)
    undisturbed = torch.rand(4)
    torch.manual_seed(5)
    with global_torch_rng(1, "initialisation"):
        first = torch.nn.Linear(3, 2).weight.detach().clone()
    assert torch.equal(torch.rand(4), undisturbed)
    torch.rand(17)
    with global_torch_rng(1, "initialisation"):
        assert torch.equal(torch.nn.Linear(3, 2).weight, first)
    with global_torch_rng(2, "initialisation"):
        assert not torch.equal(torch.nn.Linear(3, 2).weight, first)


def test_threads_do_not_draw_from_each_other() -> None:
    def draw(seed: int) -> torch.Tensor:
        with global_torch_rng(seed, "initialisation"):
            return torch.cat([torch.rand(1) for _ in range(200)])

    expected = [draw(seed) for seed in range(8)]
    drawn: dict[int, torch.Tensor] = {}
    threads = [threading.Thread(target=lambda s=seed: drawn.update({s: draw(s)})) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(drawn[seed], expected[seed]) for seed in range(8))


def test_the_generators_of_random_and_numpy_are_lent_and_given_back() -> None:
    def draw() -> tuple[float, float]:
        return random.random(), float(np.random.random())  # noqa: NPY002 - what libraries draw from

    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    undisturbed = draw()
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    with global_rng(1, "augmentation"):
        first = draw()
    with pytest.raises(ZeroDivisionError), global_rng(1, "augmentation"):
        1 / (draw() != first)  # fails in the block, where the draws are equal
    with global_rng(2, "augmentation"):
        assert draw() != first
    with global_rng(1, "other"):
        outer = draw()
        with global_rng(1, "augmentation"):
            assert draw() == first
        following = draw()
    with global_rng(1, "other"):
        assert (draw(), draw()) == (outer, following)
    assert draw() == undisturbed
