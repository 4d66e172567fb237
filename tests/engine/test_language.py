"""Which language texts and numbers are in."""

from collections.abc import Generator

from engine.i18n import language, numbers
from engine.i18n.numbers import number
from engine.i18n.texts import LocalText

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
