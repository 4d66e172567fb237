"""Pictures of screens in characters: drawn, compared with those that a person has looked at, renewed.

`pytest tests/tui/test_pictures.py -m "" --update-pictures` renews all of them; then look at what
`git diff tests/tui/pictures` shows.
"""

from collections.abc import Callable
from difflib import unified_diff
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.style import Style

if TYPE_CHECKING:  # every test loads this as a plugin, also those of the engine
    from textual.app import App

OPTION = "--update-pictures"
FOLDER = Path(__file__).parents[1] / "tui" / "pictures"
_COLOURED = 80
"""Columns of the pictures that tell of colours, which are the same at every size."""
_SIGNS = ".abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare how pictures are renewed."""
    parser.addoption(OPTION, action="store_true", help="write the pictures of the screens as they are now")


@pytest.fixture
def differences(request: pytest.FixtureRequest) -> Callable[["App[Any]", str], str]:
    """Return what compares the screen with the picture of a name, or renews that; it tells the difference."""
    renews: bool = request.config.getoption(OPTION)

    def compare(app: "App[Any]", name: str) -> str:
        from engine.i18n import language

        path, drawn = picture_file(name, *app.size, language()), _drawn(app)
        if renews:
            path.parent.mkdir(exist_ok=True)
            path.write_text(drawn, encoding="utf-8")
        known = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = (known.splitlines(), drawn.splitlines())
        return "\n".join(unified_diff(*lines, path.name, "now", lineterm=""))

    return compare


def picture_file(name: str, width: int, height: int, of_language: str) -> Path:
    """Return where a picture is."""
    return FOLDER / f"{name}-{width}x{height}-{of_language}.txt"


def _drawn(app: "App[Any]") -> str:
    """Return the characters of the screen, and below them, if it is narrow, a sign for the style of each."""
    from tests.support.fake_engine import shown

    text = shown(app).splitlines()
    if app.size.width == _COLOURED:
        text += ["", "styles:", *_styles(app)]
    return "".join(f"{line.rstrip()}\n" for line in text)


def _styles(app: "App[Any]") -> list[str]:
    known: dict[str, str] = {}

    def sign(style: Style | None) -> str:
        return known.setdefault(_name(style), _SIGNS[min(len(known), len(_SIGNS) - 1)])

    rows = [
        "".join(chain.from_iterable(repeat(sign(style), len(text)) for text, style, _control in strip))
        for strip in app.screen._compositor.render_strips()
    ]
    return [*rows, "", *(f"{sign_of} {name}" for name, sign_of in known.items())]


def _name(style: Style | None) -> str:
    """Return colours and looks of a style, without what is attached to it."""
    return (
        str(Style.combine([style]).without_color + Style(color=style.color, bgcolor=style.bgcolor))
        if style
        else ""
    )
