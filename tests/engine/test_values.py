"""Wrong values of every field of the configuration are refused in our own words."""

import re
from typing import Literal, get_origin

from engine.config import TrainingConfig, parse_assignment
from engine.errors import UserError
from engine.lora_targets import ALL_TARGETS
from engine.setting_words import help_text
from engine.values import wanted

import pytest

FIELDS = TrainingConfig.model_fields
WHOLE = [name for name, field in FIELDS.items() if field.annotation is int]
DECIMAL = [name for name, field in FIELDS.items() if field.annotation is float]
LISTED = [name for name, field in FIELDS.items() if get_origin(field.annotation) is Literal]
TEXTS = ("abc", "1 000", "0x10", "²", "1.5.2", "--1", "[bold]", "\x1b[2J", "9" * 5000, "1e999", "nan", "inf")
"""Numbers of no field."""
LIBRARY = re.compile(r"input|should|valid|parse|string|integer|type|greater|less|finite|union|tuple", re.I)
"""Words of pydantic's messages."""


def refused(name: str, value: object) -> str:
    """Return what is said of a wrong value of `--set`."""
    with pytest.raises(UserError) as caught:
        TrainingConfig().updated({name: value}, "--set")
    about = help_text(name).rstrip(".")
    assert caught.value.fix == about[:1].lower() + about[1:]
    said = caught.value.problem
    assert f"'{name}' in --set" in said and "\x1b" not in said and len(said) < 400
    assert not LIBRARY.search(said.replace(name, "").replace(wanted(FIELDS[name]), "")), said
    return said


@pytest.mark.parametrize("name", [*WHOLE, *DECIMAL])
@pytest.mark.parametrize("value", [*TEXTS, None, [1], {}, -5, 10**30])
def test_what_is_no_number_or_out_of_range_names_what_is_taken(name: str, value: object) -> None:
    """Words, signs, too small, too large, and other kinds of JSON."""
    assert refused(name, value).endswith(f"is wrong: it takes {wanted(FIELDS[name])}")


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("value", ["2.5", "1e3", "0,5", "1,00", 2.5])
def test_a_whole_number_is_whole(name: str, value: object) -> None:
    """Neither fractions nor exponents."""
    assert "it takes a whole number" in refused(name, value)


@pytest.mark.parametrize("name", [*WHOLE, *DECIMAL, *LISTED, "lora_targets"])
@pytest.mark.parametrize("value", ["", "  ", []])
def test_an_empty_value_is_called_empty(name: str, value: object) -> None:
    """And what belongs there is said."""
    assert refused(name, value) == f"'{name}' in --set is empty: it takes {wanted(FIELDS[name])}"


@pytest.mark.parametrize("name", DECIMAL)
def test_a_decimal_comma_is_to_be_a_point(name: str) -> None:
    """As numbers are written in Portugal."""
    said = refused(name, " 0,0002")
    assert said.endswith("has a comma: write decimals with a point, as in 0.0002")


@pytest.mark.parametrize("name", WHOLE)
def test_thousands_have_no_comma(name: str) -> None:
    """As numbers are written in English."""
    assert refused(name, "1,000").endswith("has a comma: write thousands without, as in 1000")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("batch_size", "a whole number, at least 1, at most 256"),
        ("seed", "a whole number, at least 0, at most 4294967295"),
        ("eval_every", "a whole number, at least 0, at most 1000000000"),
        ("learning_rate", "a number, above 0, at most 0.1"),
        ("lora_dropout", "a number, at least 0, below 1"),
        ("mask_history", "yes or no"),
        ("prompt_loss_weight", "a number, at least 0, at most 1"),
        ("lr_schedule", "one of: constant, linear, cosine"),
        ("lora_targets", f"names out of: {', '.join(ALL_TARGETS)}"),
        ("model", "a text"),
    ],
)
def test_what_a_field_takes_is_said_in_words(name: str, words: str) -> None:
    """Its kind and both limits."""
    assert wanted(FIELDS[name]) == words


@pytest.mark.parametrize(
    ("assignment", "shown"),
    [
        ("mask_history=maybe", "'maybe'"),
        ("lr_schedule=step", "'step'"),
        ("lora_targets=q_proj, head", "'head'"),
        ("lora_targets=q_proj;v_proj", "'q_proj;v_proj'"),
    ],
)
def test_a_word_that_is_no_choice_is_shown_with_the_choices(assignment: str, shown: str) -> None:
    """Of a list the wrong name is shown, not the whole list."""
    name, value = parse_assignment(assignment)
    said = refused(name, value)
    assert f"Value {shown} of" in said and said.endswith(f"it takes {wanted(FIELDS[name])}")


def test_a_model_is_a_text() -> None:
    """A number in a file is not taken for a name."""
    assert refused("model", 5).endswith("it takes a text")


@pytest.mark.parametrize("name", [*WHOLE, *DECIMAL])
def test_both_limits_are_taken_themselves(name: str) -> None:
    """What a refusal calls allowed is allowed."""
    for rule in FIELDS[name].metadata:
        for limit in (getattr(rule, "ge", None), getattr(rule, "le", None)):
            if limit is not None:
                assert getattr(TrainingConfig().updated({name: f"{limit:.12g}"}), name) == limit
