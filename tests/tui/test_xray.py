"""The token X-ray: each token visible to the last character, and what becomes of it."""

from engine.dataset.inspect.preview import PreviewToken
from engine.errors import UserError
from engine.project import Project
from tests.support.fake_engine import (
    EACH_SIZE,
    HOSTILE,
    FakeEngine,
    ready,
    sees,
    sees_no_more,
    shown,
    wait_for,
)
from tui.app.app import MqloraApp
from tui.app.screens.data.data import DataScreen
from tui.app.screens.data.token_cells import cells, packed, pieces
from tui.app.screens.data.token_view import TokenView
from tui.app.screens.data.xray import MOST_TOKENS, XrayScreen

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot


def token(
    text: str, trained: bool = False, cut: bool = False, special: bool = False, ids: tuple[int, ...] = (5,)
) -> PreviewToken:
    """Return a token of a prompt unless told otherwise."""
    return PreviewToken(text, trained, cut, special, ids)


ROW = (
    token("<s>", special=True, ids=(1,)),
    token("Olá", ids=(300, 41)),
    token("\n", ids=(13,)),
    token("Bom", trained=True, ids=(77,)),
    token(" dia", trained=True, ids=(78,)),
    token("</s>", trained=True, special=True, ids=(2,)),
)


async def opened(pilot: Pilot[int]) -> XrayScreen:
    """Go to the data, wait for the first row and look at it."""
    app = await ready(pilot)
    await pilot.press("3")
    await wait_for(pilot, lambda: isinstance(app.screen, DataScreen) and "X-ray" in shown(app))
    await pilot.press("x")
    await wait_for(pilot, lambda: isinstance(app.screen, XrayScreen) and "tokens:" in shown(app))
    assert isinstance(app.screen, XrayScreen)
    return app.screen


async def asked(pilot: Pilot[int], engine: FakeEngine, row: tuple[str, int]) -> None:
    """Wait until the engine is asked for a row."""
    await wait_for(pilot, lambda: engine.rows[-1] == row)


def text_of(*tokens: PreviewToken) -> list[str]:
    """Return what is drawn of each token."""
    return ["".join(piece.text for piece in pieces(each)) for each in tokens]


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_each_token_stands_behind_a_mark_of_its_sort(
    app: MqloraApp, engine: FakeEngine, size: tuple[int, int]
) -> None:
    """Trained, not trained, cut and control tokens differ in text, not only in colour."""
    engine.tokens = (*ROW, token(" fim", trained=True, cut=True, ids=(9,)))
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        text = shown(app)
        assert "│◆<s>│Olá│⏎" in text
        assert "┃Bom┃·dia┃◆</s>┊·fim" in text
        assert "8 tokens: 4 prompt, 3 trained, 1 cut at 384" in " ".join(text.split())
        assert "Esc Back" in text and "? Help" in text.splitlines()[-1]


async def test_trained_tokens_are_underlined_and_cut_ones_struck_out(
    app: MqloraApp, engine: FakeEngine
) -> None:
    """As in the preview of the data screen; neighbours have different shades."""
    engine.tokens = (*ROW, token("fim", trained=True, cut=True))
    async with app.run_test() as pilot:
        screen = await opened(pilot)
        strips = [screen.query_one(TokenView).render_line(y) for y in (0, 1)]
        looks = {segment.text: segment.style for strip in strips for segment in strip if segment.style}
        assert looks["Bom"].underline and looks["Bom"].bold and not looks["Olá"].underline
        assert looks["fim"].strike and not looks["fim"].underline
        assert looks["<s>"].color != looks["Olá"].color
        assert looks["<s>"].bgcolor != looks["Olá"].bgcolor


async def test_t_shows_the_ids_below_the_tokens(app: MqloraApp, engine: FakeEngine) -> None:
    """Each below its token; of tokens that share a character all of them."""
    engine.tokens = ROW
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await sees_no_more(pilot, "300+41")
        await pilot.press("t")
        await wait_for(pilot, lambda: "300+41" in shown(app))
        lines = shown(app).splitlines()
        row = next(index for index, line in enumerate(lines) if "Olá" in line)
        assert lines[row].index("Olá") == lines[row + 1].index("300+41")
        assert lines[row + 2].index("Bom") == lines[row + 3].index("77")
        await pilot.press("t")
        await wait_for(pilot, lambda: "300+41" not in shown(app))


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (ROW, "✓ The answer begins at token 5 and ends with an end token that is learned."),
        (ROW[:5], "! The answer begins at token 5 but has no end token"),
        (
            (*ROW[:5], token("</s>", trained=True, cut=True, special=True)),
            "! The answer begins at token 5 but its end is cut off",
        ),
        ((*ROW, *ROW), "✓ 2 answers, the first begins at token 5 and ends with an end token"),
        (ROW[:3], "✗ No token is learned: the row is left out."),
    ],
)
async def test_it_is_said_where_the_answer_begins_and_how_it_ends(
    app: MqloraApp, engine: FakeEngine, tokens: tuple[PreviewToken, ...], words: str
) -> None:
    """A model that never sees an end does not learn to stop."""
    engine.tokens = tokens
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: words in " ".join(shown(app).split()))


async def test_keys_walk_through_the_file(app: MqloraApp, engine: FakeEngine) -> None:
    """n, b, o and g go to other rows; Escape goes back to the data."""
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        for keys, expected in (
            ("n", ("train.jsonl", 2)),
            ("b", ("train.jsonl", 1)),
            ("b", ("train.jsonl", 1)),
            ("g120\r", ("train.jsonl", 120)),
            ("g0\r", ("train.jsonl", 120)),
            ("o", ("valid.jsonl", 1)),
            ("o", ("train.jsonl", 1)),
        ):
            await pilot.press(*("enter" if key == "\r" else key for key in keys))
            await asked(pilot, engine, expected)
            await sees(pilot, f"line {expected[1]}. 3 tokens")
        await pilot.press("g", "escape")
        assert isinstance(app.screen, XrayScreen)
        await pilot.press("escape")
        assert isinstance(app.screen, DataScreen)


@pytest.mark.parametrize("key", ["x", ""])
async def test_nobody_is_led_behind_the_end_of_a_file(
    app: MqloraApp, engine: FakeEngine, project: Project, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """One stays where one was, and is told; a blank line is there, though it is no row."""
    project.train_file.write_text("{}\n\n{}\n")

    def preview_row(_project: Project, _config: object, file: str, line: int) -> tuple[PreviewToken, ...]:
        engine.rows.append((file, line))
        if line in (1, 3):
            return ROW
        raise UserError(f"{file} has no row on line {line}", "choose another line")

    monkeypatch.setattr("engine.dataset.inspect.preview.preview_row", preview_row)
    monkeypatch.setattr("tui.app.notes.MOMENT_S", 600)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        if not key:
            await pilot.press("x")
            await wait_for(pilot, lambda: isinstance(app.screen, DataScreen))
        await pilot.press("n")
        await sees(pilot, "train.jsonl has no row on line 2")
        await pilot.press("n")
        await sees(pilot, "train.jsonl line 3")
        await pilot.press("n")
        await sees(pilot, "There is no line 4 in train.jsonl.", "train.jsonl line 3")
        await pilot.press("b")
        await sees(pilot, "train.jsonl has no row on line 2")
        if key:
            await pilot.press("b", "g", *"99999", "enter")
            await sees(pilot, "There is no line 99,999 in train.jsonl.", "train.jsonl line 1. 7 tokens")
        assert "line 99,999:" not in shown(app)


async def test_a_row_that_cannot_be_used_is_shown_as_it_stands(
    app: MqloraApp, engine: FakeEngine, project: Project
) -> None:
    """Why, and the raw line, harmless; the next row is drawn as tokens again."""
    project.train_file.write_text('{"prompt": "[/INST] [bold]\x1b[2J')
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        usable, engine.tokens = engine.tokens, UserError("Line 1 of train.jsonl: not JSON", "mend it")
        await pilot.press("o", "o")
        await wait_for(pilot, lambda: '{"prompt": "[/INST] [bold]\\x1b[2J' in shown(app))
        await sees(pilot, "✗ Line 1 of train.jsonl: not JSON; mend it.")
        engine.tokens = usable
        await pilot.press("n")
        await wait_for(pilot, lambda: "┃Olá" in shown(app))
        await sees_no_more(pilot, "INST")


async def test_hostile_tokens_neither_break_nor_reach_the_terminal(
    app: MqloraApp, engine: FakeEngine
) -> None:
    """Markup is text, control codes are escapes."""
    engine.tokens = (token(HOSTILE, trained=True), token("\x1b]0;x\x07"))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await sees(pilot, "[/INST]·[bold]\\x1b[2J\\u202e│\\x1b]0;x\\x07")


async def test_of_a_very_long_row_the_first_tokens_are_shown(app: MqloraApp, engine: FakeEngine) -> None:
    """And all of them counted."""
    engine.tokens = tuple(token(f"w{index}") for index in range(MOST_TOKENS + 345))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await sees(pilot, "5,345 tokens: 5,345 prompt, 0 trained")
        await sees(pilot, "the first 5,000 are shown")
        await pilot.press("end")
        await wait_for(pilot, lambda: "w4999" in shown(app))
        await sees_no_more(pilot, "w5000")


def test_everything_in_a_token_is_visible() -> None:
    """White space, zero-width and other hidden characters, also where they join an emoji."""
    assert text_of(token(" a\tb\n")) == ["·a⇥b⏎"]
    assert text_of(token("\u200b\xa0\u3000")) == ["\\u200b\\xa0\\u3000"]
    assert text_of(token("👩\u200d👧\ufe0f")) == ["👩\\u200d👧\\ufe0f"]
    assert text_of(token("\u0301"), token("e\u0301")) == ["◌\u0301", "e\u0301"]
    assert text_of(token("\U000e0041")) == ["\\U000e0041"]
    assert text_of(token("</s>", special=True), token("</s>")) == ["◆</s>", "</s>"]
    assert text_of(token("")) == [""]


@pytest.mark.parametrize("room", [2, 7, 20, 80])
@pytest.mark.parametrize("with_ids", [False, True])
def test_lines_are_never_wider_than_there_is_room(room: int, with_ids: bool) -> None:
    """Not even with long tokens and wide characters; no token is lost."""
    tokens = [token("palavra" * 5, ids=(1,)), token("日本語" * 4), token("a\n"), token("b"), token("👩")]
    made = list(cells(tokens, with_ids, room))
    lines = packed(made, room)
    fitting = max(2, room - 1)  # a wide character takes two cells
    for line in lines:
        widths = [sum(cell_len(piece.text) for piece in cell.pieces) for cell in line]
        assert all(width <= fitting for width in widths)
        assert len(line) == 1 or sum(cell.width + 1 for cell in line) <= room
    drawn = "".join(piece.text for line in lines for cell in line for piece in cell.pieces)
    assert drawn == "palavra" * 5 + "日本語" * 4 + "a⏎b👩"
    broken = next(index for index, line in enumerate(lines) if line[-1].ends_line)
    assert lines[broken + 1][0].token.text == "b"
