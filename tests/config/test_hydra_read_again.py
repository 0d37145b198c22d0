"""Options that only the jobs of a multirun have, and numbers that are meant as text: what the second reading makes."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from vec2uage.base.errors import UserError
from vec2uage.config.hydra.read_again import leave_to_jobs, with_texts


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer.momentum", "0.9"),
        ("optimizer", "[32,16]"),
        ("optimizer", "'a=b, c'"),
        ("optimizer.momentum", "${seed}"),
        ("optimizer", "{a:1}"),
    ],
)
def test_an_option_is_left_to_the_jobs_as_a_sweep_of_its_value(key, value):
    given = ["-m", "optimizer=sgd,swa", f"optimizer.momentum={value}", "model.hidden=[8]", "hydra.sweep.dir=here"]
    [option, *others] = [argument for argument in leave_to_jobs(given, key) if argument not in given]
    assert not others
    parser = OverridesParser.create()
    override, typed = parser.parse_override(option), parser.parse_override(f"optimizer.momentum={value}")
    [of_job] = override.sweep_string_iterator()
    assert parser.parse_override(f"optimizer.momentum={of_job}").value() == typed.value()


def test_what_cannot_be_a_sweep_of_its_value_stays_as_it_is():
    arguments = ["x=", "x=null", "x='5'", "x=1,2", "x=choice(1)", "+x=1", "~x", "y=1", "xx=1", "x@y=1", "x=(", "-x"]
    assert leave_to_jobs(arguments, "x") == arguments


@pytest.mark.parametrize(
    "error",
    [
        UserError("dataset.path = 1000: should be text; as text it needs quotes"),
        UserError(
            "several",
            [
                "seed = 'x': should be a whole number",
                "2 of 3 jobs, such as seed=1: dataset.path = 1000: should be text",
            ],
        ),
    ],
)
def test_only_what_should_be_text_is_read_as_it_is_spelled(error):
    arguments = ["seed=3", "dataset.path=1_000", "+dataset.path=1e3", "other.dataset.path=5", "-m"]
    assert with_texts(arguments, error) == ["seed=3", "dataset.path='1_000'", "+dataset.path='1e3'", *arguments[3:]]
    assert with_texts(arguments, ValueError("dataset.path = 1000: should be text")) == arguments
