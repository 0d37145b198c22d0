"""A run goes on from a checkpoint as if it had never stopped."""

import dataclasses

import pytest
import torch
from safetensors.torch import save as to_bytes

from vec2uage.base.errors import UserError
from vec2uage.training import checkpoint
from vec2uage.training.trainer import train_stack

HEADER = checkpoint.Header(config_hash="c", code="k", data_fingerprint="f", started="2026-01-01", epochs=0)
FOREIGN = ("~optimizer.beta1", "~optimizer.beta2", "~optimizer.eps", "~optimizer.weight_decay")
RECIPES = [
    ("optimizer=sgd", "optimizer.momentum=0.9", "optimizer.lr=0.02"),
    ("optimizer=sgd", "lr_schedule=plateau", "lr_schedule.patience=0", "optimizer.lr=0.3"),
    ("optimizer=adam", "lr_finder=range_test", "optimizer.weight_decay=0.01"),
    ("optimizer=adagrad", "lr_schedule=one_cycle"),
    ("optimizer=sgd", *(f"regularization.{name}=0.1" for name in ("mixup", "input_noise", "label_noise", "dropout"))),
    ("optimizer=swa", "averaging.start=2", "lr_schedule=cyclic"),
    ("optimizer=adam", "averaging=swa", "averaging.start=2", "averaging.freq=2", "trainer.monitor=validation/mae"),
    ("optimizer=swa_published", "averaging.start=9"),
    ("optimizer=adam", "averaging=ema", "averaging.decay=0.9"),
    ("optimizer=sgd", "optimizer.lr=0.02", "averaging=swag", "averaging.start=1", "averaging.rank=2"),
    (*FOREIGN, "optimizer._target_=torch.optim.AdamW", "+optimizer.amsgrad=true"),
    (*FOREIGN, "optimizer._target_=torch.optim.ASGD"),
]
CPU = torch.device("cpu")


@pytest.fixture
def save(recording, tmp_path):
    """Train runs as one stack and write every checkpoint to `RUN-EPOCHS.safetensors`, as run folders would."""

    class Saving(recording):
        def checkpoint(self, run, checkpoint_):
            epochs = checkpoint_.outcome.epochs
            checkpoint.save(
                tmp_path / f"{run}-{epochs}.safetensors", checkpoint_, dataclasses.replace(HEADER, epochs=epochs)
            )

    def go(runs, data):
        seen = Saving()
        train_stack(runs, data, CPU, seen)
        return seen

    return go


@pytest.mark.parametrize("overrides", RECIPES, ids=lambda overrides: ",".join(overrides[-2:]))
def test_going_on_from_any_epoch_changes_no_bit(overrides, make_run, make_data, save, recording, tmp_path):
    data = make_data()
    run = make_run(*overrides, trainer={"max_epochs": 6})
    runs = [run, dataclasses.replace(run, seed=7)]
    whole = save(runs, data)
    assert [whole.outcomes[k].status for k in range(2)] == ["completed"] * 2
    assert len(whole.epochs[0]) == 6, "the test needs runs of six epochs"
    for epochs in (1, 3, 5):
        rest = recording()
        checkpoints = [checkpoint.load(tmp_path / f"{k}-{epochs}.safetensors") for k in (1, 0)]  # in another order, too
        train_stack(runs[::-1], data, CPU, rest, checkpoints)
        for position, k in enumerate((1, 0)):
            assert rest.epochs[position] == whole.epochs[k][epochs:]
            rest.epochs[position] = whole.epochs[k]
            assert rest.everything(position) == whole.everything(k)


def test_a_run_may_go_on_alone_or_beside_others(make_run, make_data, save, recording, tmp_path):
    runs = [make_run("optimizer=sgd", optimizer={"momentum": m, "lr": 0.02}) for m in (0.5, 0.9)]
    whole = save(runs, make_data())
    for k in range(2):
        rest = recording()
        train_stack([runs[k]], make_data(), CPU, rest, [checkpoint.load(tmp_path / f"{k}-2.safetensors")])
        rest.epochs[0] = whole.epochs[k]
        assert rest.everything(0) == whole.everything(k)


def test_the_checkpoint_of_another_network_is_refused(make_run, make_data, save, recording, tmp_path):
    save([make_run()], make_data())
    other = make_run("model.hidden=[16,16]")
    with pytest.raises(UserError, match=r"not of this model and optimizer.*resume=false"):
        train_stack([other], make_data(), CPU, recording(), [checkpoint.load(tmp_path / "0-2.safetensors")])


def test_a_damaged_checkpoint_says_so_and_a_whole_one_whose_it_is(make_run, make_data, save, tmp_path):
    save([make_run()], make_data())
    path = tmp_path / "0-3.safetensors"
    assert checkpoint.read_header(path) == dataclasses.replace(HEADER, epochs=3)
    content = path.read_bytes()
    foreign = to_bytes({"a": torch.zeros(2)})
    flipped = bytearray(content)
    flipped[-5] ^= 4  # in a number of the last tensor: nothing but a digest can tell
    for damaged in (b"", content[: len(content) // 2], b"no tensors", foreign, bytes(flipped)):
        path.write_bytes(damaged)
        for read in (checkpoint.load, checkpoint.read_header):
            with pytest.raises(UserError, match=r"0-3\.safetensors"):
                read(path)


def test_checkpoints_are_only_written_when_asked(make_run, make_data, save, tmp_path):
    save([make_run(trainer={"checkpoint_every": 0})], make_data())
    assert not list(tmp_path.iterdir())
    save([make_run(trainer={"checkpoint_every": 2, "max_epochs": 6})], make_data())
    assert {path.name for path in tmp_path.iterdir()} == {"0-2.safetensors", "0-4.safetensors"}


def test_a_checkpoint_holds_no_more_than_one_run_needs(make_run, make_data, save, tmp_path):
    """The file of a run in a large stack must not carry its neighbours."""
    seen = save([make_run("optimizer=sgd", seed=seed) for seed in range(8)], make_data())
    weights = sum(weight.nbytes for weight in seen.outcomes[0].weights.values())
    sizes = {path.stat().st_size for path in tmp_path.glob("*-1.safetensors")}
    assert weights < min(sizes)
    assert max(sizes) < 2 * weights + 10_000
