"""What networks see, and the order in which runs see it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.training.inputs import VectorInputs, batches, epoch_order


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@given(rows=st.integers(1, 60), batch_size=st.integers(1, 70))
def test_an_epoch_shows_every_row_once_to_every_run(rows, batch_size):
    order = epoch_order(generators(0, 1), rows)
    parts = list(batches(order, batch_size))
    assert all(part.shape[1] == batch_size for part in parts[:-1])
    assert 1 <= parts[-1].shape[1] <= batch_size
    for run in range(2):
        seen = torch.cat([part[run] for part in parts])
        assert sorted(seen.tolist()) == list(range(rows))


def test_the_order_differs_between_epochs_and_runs_and_repeats_with_the_seed():
    draw, again = generators(0, 1), generators(0)
    first, second = epoch_order(draw, 50), epoch_order(draw, 50)
    assert not torch.equal(first[0], second[0])
    assert not torch.equal(first[0], first[1])
    assert torch.equal(epoch_order(again, 50)[0], first[0])
    assert torch.equal(epoch_order(again, 50)[0], second[0])


def test_faces_are_fetched_by_run_in_blocks_and_from_the_beginning():
    inputs = VectorInputs(torch.arange(12.0).view(6, 2), torch.arange(6.0))
    x, age, weight = inputs.gather(torch.tensor([[5, 0, 3], [1, 1, 4]]))
    assert age.tolist() == [[5.0, 0.0, 3.0], [1.0, 1.0, 4.0]]
    assert x[1].tolist() == [[2.0, 3.0], [2.0, 3.0], [8.0, 9.0]]
    assert [len(block) for block in inputs.blocks(4)] == [4, 2]
    assert torch.equal(torch.cat(list(inputs.blocks(4))), inputs.x)
    assert torch.equal(weight, torch.ones(2, 3))
    weighted = VectorInputs(inputs.x, inputs.age, torch.arange(6.0) / 2.5).first(4)
    assert weighted.gather(torch.tensor([[3, 1]]))[2].tolist() == [[pytest.approx(1.2), pytest.approx(0.4)]]
    assert len(inputs.first(4)) == 4
    assert inputs.first(4).age.tolist() == [0.0, 1.0, 2.0, 3.0]
