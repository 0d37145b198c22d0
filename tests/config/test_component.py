"""Naming classes in a configuration: found, called with options, or refused with the reason."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.config.component import Component, frozen, locate


def test_a_name_is_found_at_any_depth() -> None:
    assert locate("math.sqrt") is math.sqrt
    assert locate("collections.OrderedDict.fromkeys")("ab") == {"a": None, "b": None}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere_at_all.Net", "no module named 'nowhere_at_all'"),
        ("math.cubic_root", "math has no 'cubic_root'"),
        ("math.pi", "no class or function"),
        ("Net", "no module named 'Net'"),
    ],
)
def test_a_name_that_is_not_there_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(LookupError, match=reason):
        locate(name)


def test_a_module_that_cannot_be_imported_says_what_it_lacks(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("own")
    (folder / "needs_more.py").write_text("import a_library_nobody_has\n")
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(LookupError, match="importing needs_more failed: No module named 'a_library_nobody_has'"):
        locate("needs_more.Net")


def test_a_component_calls_its_target_with_its_options() -> None:
    component = Component("fractions.Fraction", (("numerator", 3),))
    assert component.build(denominator=4) == 0.75
    assert component.accepts("denominator")
    assert not component.accepts("in_features")


def test_options_reach_their_target_as_mappings_and_tuples() -> None:
    options = {"a": 1, "b": [2, {"c": ()}], "d": [["e", 3]]}
    component = Component("builtins.dict", (("given", frozen(options)), ("empty", frozen({}))))
    assert component.build() == {"given": {"a": 1, "b": (2, {"c": ()}), "d": (("e", 3),)}, "empty": {}}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(PLAIN)
def test_options_of_any_shape_can_be_hashed(value: object) -> None:
    assert hash(frozen(value)) == hash(frozen(value))
