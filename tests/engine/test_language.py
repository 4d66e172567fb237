"""Which language texts and numbers are in."""

from collections.abc import Generator

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import language, numbers
from engine.i18n.numbers import number
from engine.i18n.texts import LocalText
from engine.setting_words import value_text
from engine.training.selected_config import differences
from engine.units import rate, sizes_apart, typed_rate

import pytest

VARIABLES = ("MQLORA_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


@pytest.fixture
def portuguese(monkeypatch: pytest.MonkeyPatch) -> Generator[None, None, None]:
    monkeypatch.setattr(numbers, "language", lambda: "pt")
    numbers._replaced.cache_clear()
    yield
    numbers._replaced.cache_clear()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, "en"),
        ({"LANG": "pt_PT.UTF-8"}, "pt"),
        ({"LANG": "pt"}, "pt"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "pt_PT@euro"}, "pt"),
        ({"LC_ALL": "C.UTF-8", "LANG": "pt_PT.UTF-8"}, "en"),
        ({"LC_ALL": "", "LANG": "pt_PT.UTF-8"}, "pt"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"MQLORA_LANG": "en", "LC_ALL": "pt_PT.UTF-8"}, "en"),
        ({"MQLORA_LANG": "pt", "LC_ALL": "C"}, "pt"),
        ({"MQLORA_LANG": "xx", "LANG": "pt_PT"}, "pt"),
    ],
)
def test_the_language(said: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for, else the locale's, else English."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert language.__wrapped__() == expected


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        (12345, ",", "12\N{NO-BREAK SPACE}345"),
        (999, ",", "999"),
        (1234.5, ",.2f", "1\N{NO-BREAK SPACE}234,50"),
        (-0.5, "+.1f", "-0,5"),
        (0.256, ".1%", "25,6\N{NO-BREAK SPACE}%"),
        (3.4e38, ".2e", "3,40e+38"),
        (float("nan"), ".2f", "nan"),
    ],
)
@pytest.mark.usefixtures("portuguese")
def test_a_number_in_portuguese(value: float, form: str, expected: str) -> None:
    """Decimal comma, thousands apart."""
    assert number(value, form) == expected


def test_a_number_in_english() -> None:
    """As Python writes it."""
    assert number(1234.5, ",.2f") == "1,234.50"


@pytest.mark.usefixtures("portuguese")
def test_only_numbers_that_are_formatted_take_the_form() -> None:
    """What is filled in as it is may be a file's name, or be typed."""
    text = LocalText("{path} {n:,} {share:.0%} {0} {key!r} {{}}")
    filled = text.format(0.5, path="a,b.c", n=12345, share=0.5, key="x.y")
    assert filled == "a,b.c 12\N{NO-BREAK SPACE}345 50\N{NO-BREAK SPACE}% 0.5 'x.y' {}"


@pytest.mark.usefixtures("portuguese")
@pytest.mark.parametrize(("typed", "expected"), [("0,0005", 5e-4), (" 5,5e-4 ", 5.5e-4), ("0.0005", 5e-4)])
def test_decimals_may_be_typed_with_a_comma(typed: str, expected: float) -> None:
    """In the form and after `--set`, where no comma stands between thousands."""
    assert TrainingConfig().updated({"learning_rate": typed}).learning_rate == expected


@pytest.mark.usefixtures("portuguese")
@pytest.mark.parametrize(
    "values",
    [
        {"learning_rate": "1.000,5"},
        {"learning_rate": "0,0,5"},
        {"learning_rate": "0,5"},
        {"batch_size": "1,000"},
    ],
)
def test_another_comma_is_refused(values: dict[str, str]) -> None:
    """Two signs, a value out of range, and a whole number; what was typed is quoted as it was."""
    with pytest.raises(UserError, match=next(iter(values.values()))):
        TrainingConfig().updated(values)


@pytest.mark.usefixtures("portuguese")
def test_a_file_has_points() -> None:
    """It may have come from elsewhere; a text that is no number keeps its comma."""
    with pytest.raises(UserError, match="has a comma"):
        TrainingConfig.parse({"learning_rate": "0,0005"}, "config.json")
    assert TrainingConfig().updated({"model": "0,5"}).model == "0,5"


@pytest.mark.usefixtures("portuguese")
def test_a_value_is_shown_as_it_may_be_typed() -> None:
    """By a form, and where two runs differ."""
    assert (value_text(2e-4), value_text(1e-5), value_text(8), value_text("a.b")) == (
        "0,0002",
        "1e-05",
        "8",
        "a.b",
    )
    assert rate(1.5e-4) == "1,5e-4" and typed_rate(1.5e-4) == "1.5e-4"
    assert differences(TrainingConfig(), TrainingConfig(learning_rate=1e-4)) == ["learning_rate 2e-4 -> 1e-4"]


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (2_300_001, 2_260_000, ("2.30 MB", "2.26 MB")),
        (4_000_000_000, 3_000_000_000, ("4.0 GB", "3.0 GB")),
        (150_400_000, 150_300_000, ("150.40 MB", "150.30 MB")),
        (1_000_000_001, 1_000_000_000, ("1.0 GB", "1.0 GB")),  # nobody frees a byte
        (7, 7, ("7 B", "7 B")),
    ],
)
def test_sizes_that_are_compared_differ_as_they_are_written(
    one: int, other: int, said: tuple[str, str]
) -> None:
    """A refusal does not say that 2.3 MB are needed and 2.3 MB are free."""
    assert tuple(text.replace("\xa0", " ") for text in sizes_apart(one, other)) == said
