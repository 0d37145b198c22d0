"""The synthetic dataset: the paper's shape, made once, and as hard to learn as it says."""

import csv
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.linear_model import Ridge

from vec2uage.data.balance import Balance
from vec2uage.data.paper_split import PaperSplit
from vec2uage.data.parts import UNDIVIDED, Parts
from vec2uage.data.synthetic import ENCODER, Synthetic, generate


@pytest.fixture(scope="module")
def paper():
    return generate("paper", seed=0)


@pytest.fixture(scope="module")
def small():
    return generate("small", seed=0)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("VEC2UAGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.slow
def test_visage_like_faces_are_as_many_as_visage_has(paper):
    default = Path(__file__).parents[3] / "shared"
    facts = Path(os.environ.get("VEC2UAGE_SHARED", default)) / "reference" / "visage_counts.csv"
    if not facts.is_file():
        pytest.skip(f"no published counts in {facts} (set VEC2UAGE_SHARED)")
    with facts.open(encoding="utf-8-sig") as file:
        published = {(int(r["AGE"]), r["GENDER"].strip()): int(r["COUNT"]) for r in csv.DictReader(file)}
    visage = paper.take(paper.source == "visage-like")
    pairs = list(zip(np.floor(visage.ages).astype(int).tolist(), visage.gender, strict=True))
    assert {pair: pairs.count(pair) for pair in published} == published
    assert len(pairs) == sum(published.values()) == 21_796


def test_every_age_has_enough_faces_to_hold_out_500_and_train(paper):
    parts = PaperSplit().divide({UNDIVIDED: paper}, 0)
    for part, rows in ((parts["validation"], 250), (parts["test"], 250)):
        assert np.bincount(np.floor(part.ages).astype(int)).tolist() == [0] + [rows] * 18
    assert np.bincount(np.floor(parts["train"].ages).astype(int))[1:].min() >= 300
    assert len(Balance(train_per_age=5000).apply(parts["train"])) == 90_000


def test_selfie_like_faces_fill_only_the_ages_that_visage_lacks(paper):
    selfie = np.floor(paper.ages[paper.source == "selfie-like"])
    assert set(selfie) == set(range(8, 19))
    assert len(paper) == pytest.approx(30_000, rel=0.1)


def test_rows_are_described_like_real_ones(small):
    assert small.vectors.shape == (len(small), 512)
    assert small.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(small.vectors, axis=1), 1, atol=1e-6)
    assert small.encoder == ENCODER == "synthetic-v1"
    counts = np.bincount(np.floor(small.ages).astype(int))
    assert counts[0] == 0
    assert counts[1:].tolist() == [80] * 7 + [90] * 11
    assert (small.ages % 1 > 0).mean() > 0.9, "ages are years with decimals"
    assert set(small.gender) == {"female", "male"}
    assert set(small.source) == {"visage-like", "selfie-like"}
    assert len(set(small.names)) == len(small)


def test_a_person_has_one_gender_and_pictures_of_nearby_ages(paper):
    persons = {}
    for row, person in enumerate(paper.subjects):
        persons.setdefault(person, []).append(row)
    several = [rows for rows in persons.values() if len(rows) > 1]
    assert len(several) > len(persons) / 4
    assert all(len(set(paper.gender[rows])) == 1 for rows in several)
    spans = np.array([np.ptp(np.floor(paper.ages[rows])) for rows in several])
    assert 0.2 < (spans > 0).mean() < 0.9, "some at different ages, some at the same"
    assert np.quantile(spans, 0.95) <= 5


def test_pictures_of_one_person_are_alike_and_persons_are_not(paper):
    same = paper.subjects[:-1] == paper.subjects[1:]
    cosine = (paper.vectors[:-1] * paper.vectors[1:]).sum(axis=1)[same]
    other = (paper.vectors * np.roll(paper.vectors, 1_000, axis=0)).sum(axis=1)
    assert cosine.mean() == pytest.approx(0.77, abs=0.03)
    assert other.mean() < 0.3
    assert np.quantile(other, 0.99) < np.quantile(cosine, 0.01)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**31))
def test_the_seed_and_nothing_else_decides(seed):
    state = np.random.get_state()[1].tolist()  # noqa: NPY002 (global state must stay as it was)
    made = generate("small", seed)
    assert generate("small", seed).fingerprint() == made.fingerprint()
    rows, others = ({row.tobytes() for row in generate("small", s).vectors} for s in (seed, seed + 1))
    assert rows.isdisjoint(others)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


def test_a_changed_generator_needs_a_new_version(small):
    # The files in people's caches carry ENCODER in their name: whoever changes these numbers raises it.
    assert ENCODER == "synthetic-v1"
    golden = [[-0.0634546, -0.0314346, -0.0476965], [0.0180306, 0.0223572, -0.0217928]]
    np.testing.assert_allclose(small.vectors[[0, -1], :3], golden, atol=1e-5)


def test_adults_are_other_people_in_the_same_space_and_move_no_minor(small):
    vs = generate("small", 0, adults=True)
    adult = vs.ages >= 19
    assert vs.take(~adult).fingerprint() == small.fingerprint()
    counts = np.bincount(np.floor(vs.ages[adult]).astype(int))
    assert counts[19:].tolist() == [90] * 22
    assert set(vs.gender[adult]) == {"female", "male"}
    assert set(vs.subjects[adult]).isdisjoint(small.subjects)
    assert len(set(vs.names)) == len(vs)
    # Years can be read off them, as off the minors, and go on where those end.
    told = Ridge(alpha=0.1).fit(vs.vectors[::2], vs.ages[::2]).predict(vs.vectors[1::2])
    ages = vs.ages[1::2]
    bands = [told[(ages >= first) & (ages < last)].mean() for first, last in ((1, 9), (9, 18), (19, 30), (30, 41))]
    assert (np.diff(bands) > 3).all()


def test_read_makes_the_vectors_once_and_maps_them_then(cache, small, monkeypatch):
    first = Synthetic(size="small").read()
    assert [path.name for path in cache.iterdir()] == [f"{ENCODER}-small-seed0.arrow"]
    assert first.fingerprint() == small.fingerprint()
    monkeypatch.setattr("vec2uage.data.synthetic.generate", None)  # would fail if it were needed
    again = Synthetic(size="small", label="floor").read()
    assert again.fingerprint() == first.fingerprint()
    assert not again.vectors.flags.writeable
    assert not again.vectors.flags.owndata


def test_size_and_seed_have_files_of_their_own(cache):
    fingerprints = {Synthetic(size="small", seed=seed).read().fingerprint() for seed in (0, 1, 0)}
    assert len(fingerprints) == len(list(cache.iterdir())) == 2
    assert len(Synthetic(size="small", adults=True).read()) > len(Synthetic(size="small").read())


def test_a_damaged_file_in_the_cache_is_replaced(cache, small, caplog):
    Synthetic(size="small").read()
    (file,) = cache.iterdir()
    file.write_bytes(b"not arrow")
    assert Synthetic(size="small").read().fingerprint() == small.fingerprint()
    assert "made anew" in caplog.text
    caplog.clear()
    Synthetic(size="small").read()
    assert not caplog.records


def test_a_cache_that_cannot_be_written_only_warns(tmp_path, monkeypatch, small, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VEC2UAGE_CACHE", str(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.WARNING):
        assert Synthetic(size="small").read().fingerprint() == small.fingerprint()
    assert "cannot be written" in caplog.text


@pytest.mark.parametrize("option", [{"size": "huge"}, {"seed": -1}, {"seed": "run"}])
def test_values_that_make_no_sense_are_refused(option):
    with pytest.raises(ValidationError):
        Synthetic(**option)


def test_a_network_learns_from_the_small_set_in_seconds(small):
    parts = PaperSplit(heldout_per_age=20).divide({UNDIVIDED: small}, 0)
    predictions = train(parts, train_per_age=100, epochs=6, optimizer=torch.optim.Adam, lr=1e-3)
    median = np.abs(np.median(parts["train"].ages) - parts["test"].ages).mean()
    assert median == pytest.approx(4.5, abs=0.1)
    assert np.abs(predictions - parts["test"].ages).mean() < 0.85 * median


@pytest.mark.slow
def test_ridge_is_clearly_worse_than_the_papers_network(paper):
    parts = PaperSplit().divide({UNDIVIDED: paper}, 0)
    balanced = Balance(train_per_age=5000).apply(parts["train"])
    ridges = [Ridge(alpha).fit(balanced.vectors, balanced.ages) for alpha in (0.1, 1, 10, 100)]
    best = min(np.abs(ridge.predict(parts["test"].vectors) - parts["test"].ages).mean() for ridge in ridges)
    assert best >= 2.8, "the network's error is 2.2 to 2.8 years (tests/end_to_end/test_train.py)"


def train(parts: Parts, train_per_age: int, epochs: int, optimizer: type, lr: float) -> np.ndarray:
    """Train the paper's network in plain PyTorch; return the predictions for the test rows."""
    rows = Balance(train_per_age=train_per_age).apply(parts["train"])
    vectors, ages = torch.from_numpy(rows.vectors), torch.from_numpy(rows.ages)
    generator = torch.Generator().manual_seed(1)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(1)
        layers = [torch.nn.Linear(i, o) for i, o in ((512, 512), (512, 256), (256, 128), (128, 1))]
    relu = torch.nn.ReLU()
    model = torch.nn.Sequential(layers[0], relu, layers[1], relu, layers[2], relu, layers[3])
    step = optimizer(model.parameters(), lr=lr)
    for _ in range(epochs):
        for batch in torch.randperm(len(ages), generator=generator).split(64):
            step.zero_grad()
            torch.nn.functional.mse_loss(model(vectors[batch])[:, 0], ages[batch]).backward()
            step.step()
    with torch.no_grad():
        return model(torch.from_numpy(parts["test"].vectors))[:, 0].numpy()
