"""Where the cache lies, also for a user without a home."""

import pwd
from pathlib import Path

import pytest

from vec2uage.base.cache import cache_folder
from vec2uage.base.errors import UserError


def test_the_variable_comes_before_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/one")
    monkeypatch.delenv("VEC2UAGE_CACHE", raising=False)
    assert cache_folder() == Path("/home/one/.cache/vec2uage")
    monkeypatch.setenv("VEC2UAGE_CACHE", "~/kept")
    assert cache_folder() == Path("/home/one/kept")


def test_a_user_without_a_home_is_told_how_to_name_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)  # as for the users of many containers

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("VEC2UAGE_CACHE", raising=False)
    with pytest.raises(UserError, match="VEC2UAGE_CACHE"):
        cache_folder()
    monkeypatch.setenv("VEC2UAGE_CACHE", "/scratch/cache")
    assert cache_folder() == Path("/scratch/cache")
