"""Text fields: long lines, pasted lines and what is hidden in them, wherever text may be typed."""

from engine.lora_targets import DEFAULT_TARGETS
from tests.support.fake_chat import FakeSession, open_chat
from tests.support.fake_engine import EACH_SIZE, ready, sees, shown, wait_for
from tests.support.form import field, form
from tui.app.app import MqloraApp
from tui.app.screens.chat.prompt import Prompt
from tui.app.screens.data.line_number import LineNumberScreen
from tui.app.screens.import_table.import_table import ImportDialog
from tui.app.screens.shared.line_input import LONGEST, LineInput
from tui.app.screens.shared.note_line import NoteLine

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input

LONG = "/" + "/".join(f"folder{number}" for number in range(40)) + "/the_end"


async def importing(pilot: Pilot[int]) -> LineInput:
    """Open the import dialog."""
    app = await ready(pilot)
    await pilot.press("3")
    await wait_for(pilot, lambda: app.data is not None)
    await pilot.press("i")
    await wait_for(pilot, lambda: isinstance(app.screen, ImportDialog) and isinstance(app.focused, LineInput))
    assert isinstance(app.focused, LineInput)
    return app.focused


async def hears(pilot: Pilot[int], text: str) -> None:
    """Wait until the app says something, on however many lines."""
    await wait_for(pilot, lambda: text in " ".join(shown(pilot.app).split()))


def has_cursor_in_sight(app: MqloraApp, editor: Input) -> bool:
    """Whether the cursor's cell is within the field, and the field on the screen."""
    cell = cell_len(editor.value[: editor.cursor_position]) - editor.scroll_offset.x
    is_within = 0 <= cell < editor.content_size.width
    return is_within and app.screen.region.contains_region(editor.content_region)


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_the_end_of_a_long_path_is_seen(app: MqloraApp, size: tuple[int, int]) -> None:
    """Also at 80 columns; no scrollbar covers the only line, and Home shows the begin."""
    async with app.run_test(size=size) as pilot:
        path = await importing(pilot)
        app.post_message(Paste(LONG))
        await sees(pilot, "the_end")
        await wait_for(pilot, lambda: has_cursor_in_sight(app, path))
        await pilot.press("home")
        await sees(pilot, "/folder0/")
        assert has_cursor_in_sight(app, path)


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_the_form_scrolls_to_the_cursor(app: MqloraApp, size: tuple[int, int]) -> None:
    """The names of all projections are longer than their field at 80 columns."""
    async with app.run_test(size=size) as pilot:
        editor = field(await form(pilot), "lora_targets").editor
        assert isinstance(editor, LineInput)
        editor.focus()
        await pilot.press("end")
        await sees(pilot, DEFAULT_TARGETS[-1])
        await wait_for(pilot, lambda: has_cursor_in_sight(app, editor))
        await pilot.press("home")
        await sees(pilot, f"{DEFAULT_TARGETS[0]}, {DEFAULT_TARGETS[1]}")
        assert has_cursor_in_sight(app, editor)


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_a_long_question_is_wrapped(
    app: MqloraApp,
    session: type[FakeSession],
    size: tuple[int, int],
) -> None:
    """Its begin and its end are seen at once, and the cursor behind it."""
    async with app.run_test(size=size) as pilot:
        screen = await open_chat(pilot)
        app.post_message(Paste("begin " + "palavra " * (size[0] // 4) + "end"))
        await sees(pilot, "begin palavra", "palavra end")
        prompt = screen.query_one(Prompt)
        assert prompt.content_region.contains_point(prompt.cursor_screen_offset)


async def test_pasted_lines_are_one_question(app: MqloraApp, session: type[FakeSession]) -> None:
    """They are shown as lines and sent with their breaks by Enter; Ctrl+J adds another."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        app.post_message(Paste("first\r\n\r  second\rthird"))
        await wait_for(pilot, lambda: "third" in shown(app))
        rows = [row.strip() for row in shown(app).splitlines()]
        at = rows.index("first")
        assert rows[at : at + 4] == ["first", "", "second", "third"]
        await pilot.press("ctrl+j", "4")
        await pilot.press("enter")
        await wait_for(pilot, lambda: session.asked and not screen.is_replying)
        assert session.asked[0][-1]["content"] == "first\n\n  second\nthird\n4"
        assert screen.query_one(Prompt).text == ""


async def test_a_page_of_lines_leaves_room_for_the_conversation(
    app: MqloraApp,
    session: type[FakeSession],
) -> None:
    """A hundred lines scroll in a few; the last, with the cursor, is seen."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        app.post_message(Paste("\r".join(f"line {number}" for number in range(100))))
        await sees(pilot, "line 99")
        await wait_for(pilot, lambda: 4 <= screen.query_one(Prompt).size.height <= 8)
        assert "line 90" not in shown(app)


async def test_a_paste_can_be_taken_back(app: MqloraApp, session: type[FakeSession]) -> None:
    """Undo and redo, over the number of lines that makes the field scroll."""
    page = "\n".join(f"line {number}" for number in range(20))
    async with app.run_test(size=(80, 24)) as pilot:
        prompt = (await open_chat(pilot)).query_one(Prompt)
        await pilot.press("x")
        app.post_message(Paste(page))
        await sees(pilot, "line 19")
        await pilot.press("ctrl+z")
        await wait_for(pilot, lambda: prompt.text == "x")
        await pilot.press("ctrl+y")
        await wait_for(pilot, lambda: prompt.text == f"x{page}")
        await sees(pilot, "line 19")


async def test_hidden_codes_of_a_question_are_seen_before_it_is_sent(
    app: MqloraApp,
    session: type[FakeSession],
) -> None:
    """What would steer a terminal is shown as an escape, and that is what is sent."""
    async with app.run_test(size=(80, 24)) as pilot:
        await open_chat(pilot)
        app.post_message(Paste("a\x1b[2J\x00\u202eb"))
        await sees(pilot, "a\\x1b[2J\\x00\\u202eb")
        await pilot.press("enter")
        await wait_for(pilot, lambda: session.asked)
        assert session.asked[0][-1]["content"] == "a\\x1b[2J\\x00\\u202eb"


async def test_lines_for_a_field_of_one_are_joined_with_a_word_about_it(app: MqloraApp) -> None:
    """A path, a value of the form; a line break at the end is no second line."""
    async with app.run_test(size=(80, 24)) as pilot:
        path = await importing(pilot)
        app.post_message(Paste("rows.csv\r"))
        await wait_for(pilot, lambda: path.value == "rows.csv")
        assert "pasted" not in shown(app)
        app.post_message(Paste(" a\r\x1bb\r"))
        await hears(pilot, "2 lines were pasted")
        assert path.value == "rows.csva \\x1bb"


async def test_a_field_says_why_it_takes_no_letters(app: MqloraApp) -> None:
    """A number of a line: neither letters, nor two lines, nor more digits than any file has lines."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        app.push_screen(LineNumberScreen())
        await wait_for(pilot, lambda: isinstance(app.focused, LineInput))
        for text in ("x", "1\r2", "1" * 13):
            for line in app.screen.query(NoteLine):
                line.show_notice("")
            app.post_message(Paste(text))
            await hears(pilot, "has digits only")
            assert isinstance(app.focused, LineInput) and app.focused.value == ""


@pytest.mark.parametrize("place", ["chat", "palette"])
async def test_a_megabyte_is_refused_in_words(
    app: MqloraApp,
    session: type[FakeSession],
    place: str,
) -> None:
    """What is there stays, and the app answers on."""
    async with app.run_test(size=(80, 24)) as pilot:
        if place == "chat":
            await open_chat(pilot)
        else:
            await ready(pilot)
            await pilot.press("ctrl+p")
            await wait_for(pilot, lambda: isinstance(app.focused, Input))
        app.post_message(Paste("x" * LONGEST + "y"))
        await hears(pilot, "100,001 characters were pasted")
        await pilot.press("o", "k")
        editor = app.focused
        assert isinstance(editor, Prompt | Input)
        await wait_for(pilot, lambda: (editor.text if isinstance(editor, Prompt) else editor.value) == "ok")


async def test_the_most_that_may_be_pasted_is_kept_whole(
    app: MqloraApp,
    session: type[FakeSession],
) -> None:
    """Every character of thirty pages."""
    text = "".join(f"{number:6} palavra\n" for number in range(LONGEST // 15))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        app.post_message(Paste(text))
        await wait_for(pilot, lambda: screen.query_one(Prompt).text == text)


async def test_a_paste_where_nothing_takes_it_is_reported(app: MqloraApp) -> None:
    """Nothing is dropped in silence."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        app.post_message(Paste("text"))
        await hears(pilot, "There is no text field here")


class TwoLines(App[int]):
    """A field whose text is longer than its line, and another."""

    def compose(self) -> ComposeResult:
        yield LineInput("q_proj, k_proj, v_proj, o_proj, gate_proj", compact=True)
        yield LineInput()


async def test_a_field_shows_the_beginning_of_what_it_has_no_room_for() -> None:
    """Unless the cursor is in it, at the end; also when another value was put in."""
    app = TwoLines()
    async with app.run_test(size=(20, 5)) as pilot:
        line, other = app.query(LineInput)
        await wait_for(pilot, lambda: line.has_focus and line.scroll_offset.x > 0)
        other.focus()
        await wait_for(pilot, lambda: line.scroll_offset.x == 0)
        line.value = "up_proj, down_proj, gate_proj, q_proj"
        await sees(pilot, "up_proj, down_proj")
