"""Text that wants to steer the terminal, at the app's last gate and on its input lines."""

import shutil
from pathlib import Path

from engine.project import Project
from tests.support.fake_engine import FakeEngine, ready, shown, wait_for
from tui.app.app import MqloraApp
from tui.app.screens.chat.prompt import Prompt
from tui.app.screens.shared.line_input import LineInput
from tui.terminal.filter import HARMLESS

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.events import Paste
from textual.widgets import Input

RAW = "a\x1b]52;c;QQ==\x07\x9b2J\x7f\u202e\xad\U000e0041é 👩‍👩‍👧 [red]$x$[/INST]"
SHOWN = "a\\x1b]52;c;QQ==\\x07\\x9b2J\\x7f\\u202e\\xad\\U000e0041é 👩‍👩‍👧 [red]$x$[/INST]"


def is_clean(app: MqloraApp) -> bool:
    return not set("\x1b\x07\x9b\x7f\u202e\xad\U000e0041") & set(shown(app))


def test_the_gate_keeps_the_width_of_a_line() -> None:
    """Whatever a widget draws, no control code passes, and no cell moves."""
    [segment] = HARMLESS.apply([Segment(RAW, Style(bold=True))], Color(0, 0, 0))
    assert segment.text == "a]52;c;QQ==2J?é 👩‍👩‍👧 [red]$x$[/INST]"
    assert cell_len(segment.text) == cell_len(RAW) and segment.style == Style(bold=True)


async def test_a_librarys_widget_gets_no_control_code_out(app: MqloraApp) -> None:
    """A field of Textual's own takes what is pasted as it is."""
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        line = Input()
        await app.screen.mount(line, before=0)
        line.post_message(Paste(RAW))
        await wait_for(pilot, lambda: "[/INST]" in shown(app))
        assert line.value == RAW and is_clean(app)


async def test_what_is_pasted_into_the_palette_is_seen(app: MqloraApp) -> None:
    """Its field is Textual's, but for what is pasted."""
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+p")
        await wait_for(pilot, lambda: isinstance(app.focused, LineInput))
        line = app.focused
        assert isinstance(line, LineInput)
        line.post_message(Paste(RAW))
        await wait_for(pilot, lambda: line.value)
        assert line.value == SHOWN and line.cursor_position == len(SHOWN)
        await wait_for(pilot, lambda: "[/INST]" in shown(app))
        assert is_clean(app)


async def test_what_is_pasted_into_a_question_is_seen_and_sent_as_seen(app: MqloraApp) -> None:
    """Hidden characters become visible in the field, the cursor stands behind them."""
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("5")
        await wait_for(pilot, lambda: isinstance(app.focused, Prompt))
        prompt = app.screen.query_one(Prompt)
        prompt.post_message(Paste(f"{RAW}\nsecond line"))
        await wait_for(pilot, lambda: prompt.text)
        assert prompt.text == f"{SHOWN}\nsecond line" and prompt.cursor_location == (1, len("second line"))
        await wait_for(pilot, lambda: "[/INST]" in shown(app))
        assert is_clean(app)


@pytest.mark.parametrize("name", ["[INST][red]", "\x1b[2J\u202e", "[@click=app.quit]x[]", "a\nb", "$x$"])
async def test_hostile_model_names_in_every_list(project: Project, engine: FakeEngine, name: str) -> None:
    """A model folder's name in the header, the form and its list: shown as text, and the app lives."""
    shutil.copytree(project.models_dir / "toy", project.models_dir / name)
    app = MqloraApp(Project(Path(project.root)))
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("2", "e")
        await wait_for(pilot, lambda: "Every value" in shown(app))
        await pilot.press("enter")
        visible = name.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e").replace("\n", "⏎")
        await wait_for(pilot, lambda: visible in shown(app))
        assert is_clean(app) and app.is_running
    app.engine.close()
