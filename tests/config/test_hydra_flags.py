"""Flags are taken wherever they are typed; what is no flag is refused in one sentence."""

import pytest

from vec2uage.base.errors import UserError
from vec2uage.config.hydra.flags import flags_last


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (["a=1", "-m", "b=2"], ["a=1", "b=2", "-m"]),
        (["--config-dir", "a=1", "a=1", "--cfg=job", "b=2"], ["a=1", "b=2", "--config-dir", "a=1", "--cfg=job"]),
        (["-c", "job", "~a", "-p", "x"], ["~a", "-c", "job", "-p", "x"]),
        (["a=1", "--info"], ["a=1", "--info"]),
        ([], []),
    ],
)
def test_flags_stand_behind_the_options(typed, read):
    assert flags_last(typed) == read


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        (["--optimizer=sgd"], "without dashes: optimizer=sgd"),
        (["-plan=true"], "without dashes: plan=true"),
        (["a=1", "--optimizer", "sgd"], "--optimizer: no such flag"),
        (["-c", "nothing"], "job"),
        (["--config-name"], "--config-name"),
        (["--experimental-rerun", "nowhere.pickle"], "nowhere.pickle"),
        (["--package", "x"], "--cfg"),
    ],
)
def test_what_is_no_flag_is_refused_in_one_sentence(typed, word, capsys):
    with pytest.raises(UserError) as caught:
        flags_last(typed)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().err == ""
