"""The unpickler: what is allowed comes back, nothing else runs, every damage ends in one sentence."""

import copyreg
import io
import os
import pickle
import sys
import tracemalloc
from collections import OrderedDict
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.errors import UserError
from vec2uage.importers import pickle_check
from vec2uage.importers.unpickle import Inert, load

ALLOWED = {("collections", "OrderedDict"): OrderedDict, ("some.module", "Thing"): Inert, ("some", "VALUE"): 7}
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
EVIL = "vec2uage_evil_module"  # is a module in the test, which leaves a file when it is imported


def read(content, allowed=ALLOWED, **options):
    return load(io.BytesIO(content), allowed, "x.pkl", **options)


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path_factory, monkeypatch):
    """Fail a test in which a hostile pickle left a file or got a module imported."""
    folder, modules = tmp_path_factory.mktemp("evil"), tmp_path_factory.mktemp("modules")
    (modules / f"{EVIL}.py").write_text(f"open({str(folder / 'imported')!r}, 'w').close()\ndef run(*a): pass\n")
    monkeypatch.syspath_prepend(modules)
    monkeypatch.chdir(folder)
    yield
    assert not list(folder.iterdir())
    assert EVIL not in sys.modules


class Reducing:
    """Pickles as a call of what it is given."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_allowed_comes_back(protocol):
    made = OrderedDict(a=1, b=[2.5, "x", (None, b"bytes")])
    plain = made["b"][:2]  # bytes of protocols 0 to 2 need a constructor
    content = pickle.dumps(OrderedDict(a=1, b=plain), protocol)
    assert read(content) == {"a": 1, "b": plain}
    if protocol > 2:
        assert read(pickle.dumps(made, protocol)) == made


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(json_like, st.sampled_from(PROTOCOLS))
def test_plain_data_comes_back(data, protocol):
    assert read(pickle.dumps(data, protocol), {}) == data


CALLS = {
    "os.system": (os.system, ("touch evil",)),
    "exec": (exec, ("open('evil', 'w')",)),
    "open": (open, ("evil", "w")),
    "getattr": (getattr, (OrderedDict, "__init__")),
    "import": (__import__, (EVIL,)),
    "reconstructor": (copyreg._reconstructor, (OrderedDict, object, None)),
    "nested": (OrderedDict, ([("a", Reducing(os.system, ("touch evil",)))],)),
    "in state": (OrderedDict, (), {"a": Reducing(os.system, ("touch evil",))}),
    "slots state": (OrderedDict, (), (None, {"a": Reducing(os.system, ("touch evil",))})),
}


@pytest.mark.parametrize("case", CALLS)
def test_calls_of_anything_else_are_refused(case):
    for protocol in PROTOCOLS:
        with pytest.raises(UserError, match=r"x\.pkl: refused, this pickle asks for '"):
            read(pickle.dumps(Reducing(*CALLS[case]), protocol))


NAMES = [
    ("os", "system"),
    ("posix", "system"),
    ("builtins", "eval"),
    ("__builtin__", "eval"),
    ("builtins", "getattr"),
    ("builtins", "object"),
    ("collections", "OrderedDict.__init__.__globals__"),
    ("collections", "_sys.modules"),
    ("collections.OrderedDict", "fromkeys"),
    ("some.module", "Thing.__setstate__"),
    ("some", "module.Thing"),
    ("pandas", "core.frame.DataFrame"),
    ("pandas", "io.common.os.system"),
    ("pandas", "read_pickle"),
    ("numpy.f2py", "compile"),
    ("operator", "attrgetter"),
    ("copyreg", "_reconstructor"),
    ("copy_reg", "__newobj__"),
    ("importlib", "import_module"),
    ("vec2uage.importers.unpickle", "pickle.loads"),
    ("sys", "modules"),
    (EVIL, "run"),
]


def ways_to_call(module, name):
    """Write a call of module.name("touch evil") in each of the ways that pickles have."""
    glob = b"c" + module.encode() + b"\n" + name.encode() + b"\n"
    stacked = b"".join(b"X" + len(text.encode()).to_bytes(4, "little") + text.encode() for text in (module, name))
    argument = b"X\x0a\x00\x00\x00touch evil"
    yield b"\x80\x02" + glob + argument + b"\x85R."
    yield b"\x80\x04" + stacked + b"\x93" + argument + b"\x85R."
    yield b"\x80\x02" + glob + argument + b"\x85\x81."  # NEWOBJ
    yield b"\x80\x04" + stacked + b"\x93" + argument + b"\x85}\x92."  # NEWOBJ_EX
    yield b"\x80\x02(" + glob + argument + b"o."  # OBJ
    yield b"(" + argument + b"i" + module.encode() + b"\n" + name.encode() + b"\n."  # INST
    yield b"\x80\x02]" + glob + b"a."  # only named
    yield b"\x80\x02csome.module\nThing\n" + glob + argument + b"\x85Rb."  # no matter what comes around it


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_names_that_are_not_allowed_are_refused_however_they_are_called(module, name):
    for content in ways_to_call(module, name):
        with pytest.raises(UserError, match=r"^x\.pkl: refused, this pickle asks for '") as refusal:
            read(content)
        assert "\n" not in str(refusal.value)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n")), st.text(st.characters(codec="utf-8")))
def test_any_name_outside_the_list_is_refused(module, name):
    stacked = b"".join(b"X" + len(text.encode()).to_bytes(4, "little") + text.encode() for text in (module, name))
    with pytest.raises(UserError, match="refused, this pickle asks for"):
        read(b"\x80\x04" + stacked + b"\x93.", {})


def test_every_way_to_call_reaches_what_is_allowed_instead():
    *calling, _, _ = ways_to_call("some.module", "Thing")
    for content in calling:
        thing = read(content)
        assert isinstance(thing, Inert)
        assert thing.args == ("touch evil",)


def test_values_come_as_they_are():
    assert read(b"\x80\x02csome\nVALUE\n.") == 7


THING = b"csome.module\nThing\n"


@pytest.mark.parametrize(
    "change",
    [
        b"}X\x01\x00\x00\x00aK\x01sb",  # BUILD with a dictionary
        b"N}X\x01\x00\x00\x00aK\x01s\x86b",  # BUILD with attributes
        b"N}X\x0c\x00\x00\x00__setstate__K\x01s\x86b",
        b"N}X\x07\x00\x00\x00__new__K\x01s\x86b",
        b"K\x01a",  # APPEND
        b"(K\x01K\x02u",  # SETITEMS
        b"(K\x01\x90",  # ADDITEMS
    ],
)
def test_what_is_allowed_cannot_be_changed_by_a_pickle(change):
    with pytest.raises(UserError, match=r"x\.pkl: not a readable pickle"):
        read(b"\x80\x04" + THING + change + b".")
    assert isinstance(read(b"\x80\x02" + THING + b")R."), Inert)
    assert not hasattr(Inert, "a")


def test_state_is_only_recorded():
    thing = read(b"\x80\x02" + THING + b")R}X\x04\x00\x00\x00argsK\x01sb.")
    assert (thing.args, thing.state) == ((), {"args": 1})


def test_extension_codes_are_looked_up_in_the_list_like_names():
    copyreg.add_extension("os", "getcwd", 240)
    try:
        assert pickle.loads(b"\x80\x02\x82\xf0.") is os.getcwd  # now it lies in the cache of copyreg
        with pytest.raises(UserError, match=r"refused, this pickle asks for 'os\.getcwd'"):
            read(b"\x80\x02\x82\xf0.")
    finally:
        copyreg.remove_extension("os", "getcwd", 240)
    for unknown in (b"\x82\xf0.", b"\x83\xf0\xf0.", b"\x84\xf0\xf0\x00\x00."):
        with pytest.raises(UserError, match="unregistered extension code"):
            read(b"\x80\x02" + unknown)


@pytest.mark.parametrize("content", [b"Pname\n.", b"\x80\x02X\x04\x00\x00\x00nameQ."])
def test_persistent_ids_are_refused_or_resolved(content):
    with pytest.raises(UserError, match="asks for an object outside the file"):
        read(content)
    assert read(content, persistent=str.upper) == "NAME"


DAMAGED = {
    "empty": b"",
    "text": b"This is no pickle, it is a letter.",
    "no end": b"\x80\x04]",
    "newer": b"\x80\x09N.",
    "stack empty": b"\x80\x04.",
    "mark missing": b"\x80\x04e.",
    "memo missing": b"\x80\x04h\x07.",
    "out of band": b"\x80\x05\x97.",
    "unhashable": b"\x80\x04}]K\x01s.",
    "not UTF-8": b"\x80\x04\x8c\x02\xff\xff.",
    "long number": b"I" + b"9" * 10_000 + b"\n.",
    "promises a frame": b"\x80\x04\x95" + (2**62).to_bytes(8, "little") + b"N.",
    "promises bytes": b"\x80\x04\x8e" + (2**62).to_bytes(8, "little") + b"N.",
    "promises text": b"\x80\x04\x8d" + (2**63 - 1).to_bytes(8, "little") + b"N.",
    "promises a bytearray": b"\x80\x05\x96" + (2**62).to_bytes(8, "little") + b"N.",
    "callable of the list fails": b"\x80\x04ccollections\nOrderedDict\nK\x01\x85R.",
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_pickles_end_in_one_sentence(case):
    with pytest.raises(UserError, match=r"^x\.pkl: not a readable pickle \(") as error:
        read(DAMAGED[case])
    assert "\n" not in str(error.value)


def test_deep_nesting_is_read_or_refused_but_does_not_end_the_program():
    content = b"\x80\x04" + b"]" * 200_000 + b"a" * 199_999 + b"."
    assert len(read(content)) == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_truncated_pickle_is_refused(protocol):
    whole = pickle.dumps(OrderedDict(a=[1.5, "text"], b=("x" * 300, 10**30)), protocol)
    for size in range(len(whole)):
        with pytest.raises(UserError, match=r"x\.pkl: "):
            read(whole[:size])


def data_or_refused(content):
    with suppress(UserError):  # any other error fails
        read(content)


@given(st.binary(max_size=200))
def test_random_bytes_are_data_or_refused(content):
    data_or_refused(content)


@given(st.data())
def test_a_pickle_with_a_changed_byte_is_data_or_refused(data):
    content = bytearray(
        pickle.dumps([OrderedDict(a=Inert), 1.5, "text", {1: (2, 3)}], 4).replace(b"vec2uage", b"nobodys!")
    )
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte not in b"rj\x8d\x8e\x95\x96"))
    data_or_refused(bytes(content))


DOUBLED = b")" + b"2\x86" * 60  # a tuple of twice the same tuple, and so on: 2**60 are hashed with it
SHARED = b")" + b"".join(b"\x94h%c\x86" % k for k in range(60))
HUGE = (2**40).to_bytes(8, "little")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04Nr\xff\xff\xff\x0f.",
        b"\x80\x04Np0x10000000\n.",
        b"Np2147483647\n.",
        *(b"\x80\x05" + code + HUGE for code in (b"\x8e", b"\x96", b"\x8d", b"\x95")),
        *(b"\x80\x04" + code + b"\xff\xff\xff\x7f" for code in (b"B", b"X", b"T", b"\x8b")),
        b"\x80\x04}" + DOUBLED + b"Ns.",
        b"\x80\x04}" + SHARED + b"Ns.",
        b"\x80\x04}(" + DOUBLED + b"Nu.",
        b"\x80\x04(" + DOUBLED + b"Nd.",
        b"\x80\x04\x8f(" + DOUBLED + b"\x90.",
        b"\x80\x04(" + DOUBLED + b"\x91.",
        b"\x80\x04}csome.module\nsame\n" + DOUBLED + b"\x85RNs.",
        b"\x80\x04}\x8a\x20" + b"\x01" * 32 + b"Ns.",
        b"\x80\x04" + b"]0" * 300,
        b"\x80\x04" + b"csome.module\nThing\n)R0" * 300,
    ],
    ids=lambda content: repr(content[2:9]),
)
def test_what_would_take_gigabytes_or_for_ever_is_refused_at_once(content, monkeypatch):
    monkeypatch.setattr(pickle_check, "MOST_OBJECTS", 200)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"x\.pkl: not a readable pickle"):
            read(content, ALLOWED | {("some.module", "same"): lambda value: value})
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_many_objects_are_read(protocol):
    made = [["a" * k, float(k), (k, str(k))] for k in range(1000)]
    assert read(pickle.dumps(made, protocol)) == made


@given(st.binary(max_size=60), st.integers(0, 5))
def test_whatever_the_check_lets_through_the_unpickler_can_read_or_refuse(content, protocol):
    """Random instructions: nothing but a sentence comes of them."""
    with suppress(UserError):
        read(pickle.PROTO + bytes([protocol]) + content)
