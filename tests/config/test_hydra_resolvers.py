"""Names of run folders: readable, safe on any file system, never shared by different options."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vec2uage.config.hydra.resolvers import conf_dir, folder_name, job_name, report_name, sweep_name

WORDS = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)
KEYS = st.builds(
    "{}{}".format, st.sampled_from(["", "+", "~", "++"]), st.lists(WORDS, min_size=1, max_size=3).map(".".join)
)
VALUES = st.text(st.characters(exclude_characters=",=", exclude_categories=["Cs"]), max_size=60)
OVERRIDES = st.lists(st.builds("{}={}".format, KEYS, VALUES), max_size=8)


@given(OVERRIDES, OVERRIDES)
@example(["dataset.path=a/v.npz"], ["dataset.path=b/v.npz"])
@example(["optimizer.lr=1"], ["lr=1"])
@example(["optimizer.weight_decay=1", "seed=2"], ["weight_decay=1", "seed=2"])
@example(["model.hidden=[1,2]"], ["model.hidden=[12]"])
@example(["path=" + "x" * 200], ["path=" + "x" * 201])
def test_different_options_never_share_a_folder(one: list[str], other: list[str]) -> None:
    how = ("overwrite", "resume", "plan", "hydra.", "hydra/")
    named = [[o for o in options if not o.lstrip("+").startswith(how)] for options in (one, other)]
    if named[0] != named[1]:
        assert folder_name(one) != folder_name(other)
    else:
        assert folder_name(one) == folder_name(other)


@given(OVERRIDES, st.integers(0, 9999))
@example(["dataset.path=../" + "äöü漢字" * 60], 3)
def test_names_are_safe_file_names(overrides: list[str], number: int) -> None:
    for name in (folder_name(overrides), job_name(number, ",".join(overrides))):
        assert 0 < len(name) <= 110
        assert name.isascii()
        assert not set(name) & set("/\\:*?\"<>|' \n\0[]{}()$")
        assert name not in (".", "..")


def test_names_are_readable() -> None:
    assert folder_name([]) == "default"
    assert folder_name(["optimizer=sgd", "seed=1"]) == "optimizer=sgd,seed=1"
    assert folder_name(["dataset.path=data/faces.npz"]).startswith("path=faces-")
    assert job_name(3, "optimizer=sgd,seed=1") == "003_optimizer=sgd,seed=1"
    assert job_name(0, "optimizer.lr=0.1") == "000_lr=0.1"
    assert job_name(0, "") == "000"


def test_keys_that_would_be_alike_keep_their_group() -> None:
    assert job_name(0, "augmentation.seed=1,dataset.seed=2") == "000_augmentation.seed=1,dataset.seed=2"
    assert job_name(0, "split.seed=1") == "000_split.seed=1", "the run's own seed is another one"


def test_how_to_run_takes_no_part_in_the_name() -> None:
    how = ["overwrite=true", "resume=changed", "plan=true", "hydra.verbose=true", "hydra/launcher=joblib"]
    how += ["trainer.threads=2", "trainer.stack_size=8", "trainer.checkpoint_every=5"]
    assert folder_name(["seed=1", *how]) == "seed=1"


def test_conf_lies_where_the_entry_looks_for_it() -> None:
    assert (Path(conf_dir()) / "train.yaml").is_file()


def test_a_sweep_is_named_after_its_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["augment", "-m", "--config-dir", "mine", "path=some/face.jpg", "draws=1,2"])
    assert sweep_name().startswith("path=face,draws=1,2")


def test_reports_on_sweeps_of_one_name_in_different_folders_have_folders_of_their_own() -> None:
    assert report_name(["d1", "outputs/sweeps/e1"]) == report_name(["./d1", "e1"]) == "d1+e1"
    names = [report_name(sweep) for sweep in ("d1", "a/d1", "b/d1", "/a/d1", "../d1", "..", ".")]
    assert len(set(names)) == len(names)
    assert not {"", ".", ".."} & set(names)


def test_reports_that_compare_by_other_options_have_folders_of_their_own() -> None:
    assert report_name(["heads"], "head") == report_name(["heads"], ["head"]) == "heads,by=head"
    assert report_name("d1", ["optimizer", "head"]) == "d1,by=optimizer+head"
    assert report_name(["d1"], []) == report_name(["d1"], None) == "d1"
    assert len({report_name("d1", "loss.a/b"), report_name("d1", "loss.ab"), report_name("d1", 3)}) == 3
