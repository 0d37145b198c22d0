"""In which precision matrix products are computed, and that nobody else is affected."""

import threading

import pytest
import torch

from vec2uage.base.errors import UserError
from vec2uage.training import models, precision
from vec2uage.training.models import MLP
from vec2uage.training.precision import products

PAPER = "model.hidden=[512,256,128]"


def product():
    a, b = torch.randn(2, 4, 256, 256, generator=torch.Generator().manual_seed(0))
    return torch.bmm(a, b)


@pytest.mark.bf16
def test_products_are_rounded_within_the_block_alone():
    before = product()
    with products("bf16"):
        within = product()
        with products("bf16"):
            assert torch.equal(product(), within)
        assert torch.equal(product(), within)
    assert torch.equal(product(), before)
    assert not torch.equal(within, before)
    torch.testing.assert_close(within, before, rtol=0.1, atol=0.5)
    with pytest.raises(ZeroDivisionError), products("bf16"):
        raise ZeroDivisionError
    assert torch.equal(product(), before)


def test_what_the_user_had_set_holds_again_after_the_block():
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    try:
        with products("float32"):
            assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = "none"


def test_tf32_is_that_of_gpus_alone(make_run, make_data, train):
    with products("tf32"):
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
        assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "none"
    precision.check("tf32", torch.device("cuda"))
    with pytest.raises(UserError, match=r"^trainer.precision = tf32: a processor has no TF32 products; [^\n]+$"):
        train([make_run("trainer.precision=tf32")], make_data())


@pytest.mark.bf16
def test_threads_of_different_precisions_wait_for_each_other():
    wanted = {}
    for kind in ("float32", "bf16"):
        with products(kind):
            wanted[kind] = product()
    wrong = []

    def work(kind):
        for _ in range(50):
            with products(kind):
                if not torch.equal(product(), wanted[kind]):
                    wrong.append(kind)

    threads = [threading.Thread(target=work, args=(kind,)) for kind in ("float32", "bf16", "float32", "bf16")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.bf16
@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_in_bf16_too_a_run_depends_on_no_neighbours_and_no_threads(kind, make_run, make_data, train):
    data = make_data(512)
    runs = [
        make_run(PAPER, "trainer.batch_size=64", "trainer.precision=bf16", f"optimizer={kind}", seed=seed)
        for seed in range(5)
    ]
    torch.set_num_threads(2)
    together = train(runs, data)
    torch.set_num_threads(1)
    exact = train([make_run(PAPER, "trainer.batch_size=64", f"optimizer={kind}", seed=0)], data)
    assert together.everything(0) != exact.everything(0)
    assert together.outcomes[0].scores == pytest.approx(exact.outcomes[0].scores, rel=0.1)
    assert all(weight.dtype == torch.float32 for weight in together.outcomes[0].weights.values())
    for position in (0, 3):
        assert together.everything(position) == train([runs[position]], data).everything(0)


@pytest.mark.bf16
def test_bf16_predicts_nearly_as_float32_does():
    networks = [MLP(512, (512, 256)) for _ in range(2)]  # small ones may be exact all the same
    x = torch.randn(2, 64, 512, generator=torch.Generator().manual_seed(0))
    stacks = (models.stack(networks, 1, precision_) for precision_ in ("float32", "bf16"))
    exact, rounded = (forward(params, x) for forward, params, _ in stacks)
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(exact, rounded, rtol=0.05, atol=0.02)
