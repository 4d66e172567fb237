"""Look and signals of the app: chosen, kept, and not lost where their file is damaged."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from engine.errors import UserError
from tests.support.fake_engine import ready, sees, shown
from tui.app.app import MqloraApp
from tui.app.keys import PLACES
from tui.app.settings import AppSettings, load_settings, save_settings, settings_file
from tui.app.theme import THEME_WORDS, THEMES

import msgspec
import pytest
from textual.color import Color
from textual.theme import Theme

DAMAGED = (
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b'{"theme": "pink"}',
    b'{"bell": "yes"}',
    b'{"bel": true}',
    b"[" * 50_000,
    b'{"format": "new"}',
)


def written(content: bytes) -> Path:
    path = settings_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_what_is_chosen_is_kept() -> None:
    """And fields that are left out have their first value."""
    assert load_settings() == AppSettings()
    save_settings(AppSettings(theme="light", bell=False))
    assert load_settings() == AppSettings(theme="light", bell=False)
    written(b'{"title": false}')
    assert load_settings() == AppSettings(title=False)


@pytest.mark.parametrize("content", DAMAGED, ids=lambda content: repr(content[:20]))
def test_a_damaged_file_is_told_and_not_lost(content: bytes) -> None:
    """The next choice puts a new one beside it; a second damaged one does not take its place."""
    for number in (1, 2):
        path = written(content)
        with pytest.raises(UserError, match=r"cannot be used"):
            load_settings()
        save_settings(AppSettings(theme="contrast"))
        assert load_settings().theme == "contrast"
        assert path.with_name(f"settings.damaged-{number}.json").read_bytes() == content


def test_what_is_not_ours_stays_as_it_is(tmp_path: Path) -> None:
    """A later version's file, a link and a pipe are neither read nor written over."""
    later = json.dumps({"format": 9, "colour": "blue"}).encode()
    path = written(later)
    for use in (load_settings, lambda: save_settings(AppSettings())):
        with pytest.raises(UserError, match="later version"):
            use()
    assert path.read_bytes() == later
    secret = tmp_path / "secret"
    secret.write_text("{}")
    makes: tuple[Callable[[], None], ...] = (
        lambda: path.symlink_to(secret),
        lambda: os.mkfifo(path),
        path.mkdir,
    )
    for make in makes:
        path.unlink()
        make()
        for use in (load_settings, lambda: save_settings(AppSettings())):
            with pytest.raises(UserError, match="is a "):
                use()
        if path.is_dir():
            path.rmdir()
    assert secret.read_text() == "{}"


async def test_a_look_is_chosen_in_the_app(app: MqloraApp) -> None:
    """Each of them, in every place; a dialog in the terminal's own colours leaves what is behind it faint."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("comma")
        for name in (*list(THEMES)[1:], "mqlora"):
            await pilot.press("enter")
            await sees(pilot, "Look and signals", THEME_WORDS[name])
            assert app.theme == load_settings().theme == name
        await pilot.press("down", "down", "space", "escape")
        assert load_settings() == AppSettings(bell=False)
        app.change_settings(theme="terminal")
        for number, (mode, name) in enumerate(PLACES.items(), start=1):
            app.switch_mode(mode)
            await sees(pilot, f"{number} {name}")
        await pilot.press("comma")
        await sees(pilot, "Look and signals", f"{number} {name}")
        lines = app.screen._compositor.render_strips()
        assert all(part.style and part.style.dim for part in lines[0] if part.text.strip())
        box = next(line for line in lines if "Look and signals" in line.text)
        assert any(part.style and not part.style.dim for part in box if "Look and signals" in part.text)


async def test_a_damaged_file_is_told_in_the_app(app: MqloraApp) -> None:
    """The app starts all the same."""
    written(b'{"theme": 3}')
    again = MqloraApp(app.project)
    async with again.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "The app's settings in", "cannot be used: Expected `str`")
        assert "Fix:" in shown(again)
    again.engine.close(timeout=10)


def _luminance(colour: Color) -> float:
    """Return the relative luminance (WCAG 2.2)."""
    parts = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize(("name", "least"), [("mqlora", 3.0), ("light", 4.5), ("contrast", 7.0)])
def test_everything_can_be_read(name: str, least: float) -> None:
    """The contrast of each colour of text with all it may stand on; those of ours are xterm's."""
    theme: Theme = THEMES[name]
    colours = {**theme.to_color_system().generate(), **theme.variables}
    grounds = ("background", "surface", "panel", "block-cursor-background", "block-cursor-blurred-background")
    for text in ("foreground", "muted", "accent", "success", "warning", "error"):
        for ground in grounds:
            one, other = (_luminance(Color.parse(colours[key])) for key in (text, ground))
            contrast = (max(one, other) + 0.05) / (min(one, other) + 0.05)
            assert contrast >= least, f"{text} on {ground}: {contrast:.1f}"
    levels = (0, 95, 135, 175, 215, 255)
    for key, value in colours.items():
        if key in theme.variables and value.startswith("#") and " " not in value:
            red, green, blue, *_rest = Color.parse(value)
            is_grey = red == green == blue and (red - 8) % 10 == 0
            assert is_grey or {red, green, blue} <= set(levels), key


def test_the_file_names_every_setting() -> None:
    """So that it can be read by people."""
    save_settings(AppSettings())
    assert json.loads(settings_file().read_text()) == msgspec.to_builtins(AppSettings())
