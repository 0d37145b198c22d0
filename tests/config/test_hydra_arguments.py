"""Arguments that shells complete and Hydra cannot read, and those that it would read as something else."""

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from vec2uage.base.arguments import option
from vec2uage.base.errors import UserError
from vec2uage.config.hydra.arguments import as_text, gather_repeated, readable, refuse_undecodable

# a list or a quoted value is left to Hydra, and so is an interpolation
PATHS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1).filter(
    lambda path: path[0] not in "['\"$" and "${" not in path
)
TYPED = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.lists(
    st.sampled_from(
        ["2024", "1_000", "null", "Jänner", "кот", "e\u0301", "🙂", " ", "\n", *"'\"\\$${}[]()=,%#:;~&!*|.-/"]
    )
).map("".join)


def value(argument: str) -> object:
    """What an argument gives an option, once Hydra and OmegaConf have read it."""
    [argument] = readable([argument])
    override = OverridesParser.create().parse_override(argument)
    config = OmegaConf.create({"x": None})
    OmegaConf.update(config, "x", override.value())
    return OmegaConf.to_container(config, resolve=True)["x"]


@example("back\\\n")
@given(TYPED.filter(lambda text: text != "???"))  # stands for a missing value, whatever its quotes
def test_an_option_as_we_print_it_is_read_as_what_it_was(text):
    [argument] = shlex.split(option("dataset.path", text))
    assert value(argument) == text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Jänner/faces.npz",
            "кот",
            "e\u0301.npz",
            "顔/🙂.npz",
            "a b.npz",
            "it's",
            'a"b',
            "#1",
            "a;b",
            "~",
            "~me/x",
            "a&b!",
        ),
        *("C:\\x", "100%", "a:b", "faces(1).npz", "a=b", "[1]b", "{a", "(", "a]", "'a'b", "$", "a${", "-5x", "0x10"),
        *("2024-01-01", "007", "yes"),
    ],
)
def test_letters_that_hydra_gives_no_meaning_are_taken_as_they_are(text):
    assert value(f"x={text}") == text


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("[Jänner,'a, ü',3]", ["Jänner", "a, ü", 3]),
        ("{a:ü,b:[ö,1]}", {"a": "ü", "b": ["ö", 1]}),
        ("'ü'", "ü"),
        ("null", None),
        ("[]", []),
        ("a\\,b", "a,b"),
    ],
)
def test_what_hydra_gives_a_meaning_keeps_it(typed, read):
    assert value(f"x={typed}") == read


@pytest.mark.parametrize(
    ("typed", "read"),
    [("Jänner,1", ["Jänner", 1]), ("choice(ü, 'b,c')", ["ü", "b,c"]), ("'ü,a',a", ["ü,a", "a"])],
)
def test_a_sweep_over_any_letters_is_a_sweep(typed, read):
    [argument] = readable([f"x={typed}"])
    items = OverridesParser.create().parse_override(argument).sweep_iterator()
    assert [getattr(item, "text", item) for item in items] == read


@pytest.mark.parametrize("typed", ["2024", "1_000", "1e5", ".5", "nan", "true", "-3"])
def test_numbers_that_are_meant_as_text_keep_their_spelling(typed):
    assert value(as_text(f"x={typed}")) == typed
    assert value(as_text(f"+x=[{typed},'5',a]")) == [typed, "5", "a"]
    assert value(f"hydra.run.dir={typed}") == typed
    assert as_text("x=null") == "x=null"
    assert as_text(f"x={typed},b") == f"x='{typed}',b"


def test_a_name_that_is_no_text_is_refused_with_what_can_be_read_of_it():
    with pytest.raises(UserError, match=r"path=f\\xe4ces.npz: its bytes"):
        refuse_undecodable(["path=ok", "path=f\udce4ces.npz"])
    refuse_undecodable(["path=fäces.npz"])


@given(st.lists(PATHS, min_size=1, max_size=3))
def test_any_paths_are_read_as_they_are(paths):
    arguments = gather_repeated("sweep", [*(f"sweep={path}" for path in paths), "seed=1"])
    assert arguments[0] == "seed=1"
    assert OverridesParser.create().parse_override(arguments[1]).value() == paths


def test_quoted_paths_are_gathered_with_the_others():
    arguments = gather_repeated("sweep", ["sweep='a=1,b'", "sweep=c=2", 'sweep="d, e"'])
    assert OverridesParser.create().parse_override(arguments[0]).value() == ["a=1,b", "c=2", "d, e"]


@pytest.mark.parametrize("arguments", [["sweep=[a,b]"], ["sweep=${x}", "seed=1"], ["sweep=", "--help"]])
def test_what_hydra_can_read_is_left_to_it(arguments):
    assert gather_repeated("sweep", arguments) == arguments


@pytest.mark.parametrize("name", ["runs,a=1 (2)", "it's", "back\\"])
def test_what_exists_is_read_as_it_is(name, tmp_path):
    (tmp_path / name).mkdir()
    (argument,) = readable([f"checkpoint={tmp_path / name}"])
    assert OverridesParser.create().parse_override(argument).value() == str(tmp_path / name)


def test_a_sweep_over_what_exists_has_each_of_them(tmp_path):
    runs = [str(tmp_path / name) for name in ("0_optimizer=sgd,seed=1", "1_optimizer=adam,seed=1")]
    for run in runs:
        Path(run).mkdir()
    (argument,) = readable([f"checkpoint={','.join(runs)}"])
    assert [run.text for run in OverridesParser.create().parse_override(argument).sweep_iterator()] == runs
    gone = f"{runs[0]},{runs[1]}0"
    assert value(f"checkpoint={gone}") == gone


def test_what_names_no_path_or_needs_no_quotes_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("1,2", "my confs"):
        (tmp_path / name).mkdir()
    arguments = ["seed=range(3)", "-m", "dataset.path=.", "~trainer", "--config-dir=my confs", "seed=1,2", "x=${y}"]
    assert readable(arguments) == arguments
