"""What can be done with a question and its answer: laid out, copied, asked again, edited, saved as a row."""

import json

from engine.chat_prompt import ChatPrompt
from engine.training.checkpoint_folders import checkpoint_name
from tests.support.fake_chat import FakeSession, ask, open_chat
from tests.support.fake_engine import sees, sees_no_more, shown, wait_for
from tests.support.fake_run import write_run
from tui.app.app import MqloraApp
from tui.app.jobs.adapters import WEIGHTS, ChatAdapter
from tui.app.screens.chat.markdown import MOST_CHARACTERS, MOST_CODE, LaidOut, blocks_of, laid_out
from tui.app.screens.chat.prompt import Prompt
from tui.app.screens.chat.text_field import TextField
from tui.app.screens.chat.turn import ChatTurn

import pytest
from rich.console import Console
from textual.content import Content

MARKDOWN = (
    "# Fru",
    "tas\n\n* um",
    "a **pera**\n* [aqui](http://mal",
    "/)\n* `fim`\n\n```py\nx = '&#27;'\n",
    "```\nAdeus",
)


def plain(text: str) -> str:
    """Return a Markdown text as it is laid out, 60 columns wide, without colours."""
    console = Console(width=60, force_terminal=True)
    blocks = [laid for block in blocks_of(text) if isinstance(laid := laid_out(block), LaidOut)]
    lines = [line for block in blocks for line in console.render_lines(block, pad=False)]
    assert not any(part.style and part.style.link for line in lines for part in line)
    return "\n".join("".join(part.text for part in line).rstrip() for line in lines)


def test_markdown_is_laid_out_and_what_could_do_harm_is_shown() -> None:
    """Links with their address, HTML, character codes and images as they were written; no block is lost."""
    text = "".join(MARKDOWN)
    assert plain(text).split() == [
        "Frutas",
        "•",
        "uma",
        "pera",
        "•",
        "[aqui](http://mal/)",
        "•",
        "fim",
        "x",
        "=",
        "'&#27;'",
        "Adeus",
    ]
    for hostile in ("<b>x</b>", "<http://x.pt>", "![x](y)", "[x]: http://y", "&#27;[2J", "[red]x[/red]"):
        assert plain(hostile) == hostile
    assert plain("a\x1b]8;;http://x\x07b") == "a\\x1b]8;;http://x\\x07b"


def test_blocks_make_up_the_text_and_only_the_last_one_changes_when_it_grows() -> None:
    """At every character; a list that never ends is cut between lines; a line as long is not laid out."""
    text = "".join(MARKDOWN) + "\n\n1. a\n\n   b\n\n> c\nd\n\n|a|b|\n|-|-|\n|c|d|\n\ne\n===\n"
    before: list[str] = [""]
    for end in range(len(text) + 1):
        blocks = blocks_of(text[:end])
        assert "".join(blocks) == text[:end]
        assert blocks[: len(before) - 1] == before[:-1]
        before = blocks
    parts = blocks_of("- a b c d\n" * 1000)
    assert {part[-1:] for part in parts} == {"\n"} and max(map(len, parts)) <= MOST_CHARACTERS
    assert isinstance(laid_out("**a** " * MOST_CHARACTERS), Content)
    code = "```\n" + "a\n" * MOST_CHARACTERS
    assert len(blocks_of(code)) == 1 and isinstance(laid_out(code), LaidOut)
    assert isinstance(laid_out("```\n" + "a\n" * MOST_CODE), Content)


async def test_a_reply_is_laid_out_while_it_is_written_and_shown_as_it_was_written_with_m(
    app: MqloraApp, session: type[FakeSession]
) -> None:
    """Every line of it, in both; c copies it as the model wrote it."""
    session.words = MARKDOWN
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await ask(pilot, screen, "um")
        await sees(pilot, "Frutas", "• uma pera", "• [aqui](http://mal/)", "• fim", "x = '&#27;'", "Adeus")
        assert "**" not in shown(app) and "```" not in shown(app)
        await pilot.press("escape", "m")
        await sees(pilot, "# Frutas", "* uma **pera**", "```py", "Adeus")
        await pilot.press("c")
        assert app.clipboard == "".join(MARKDOWN)
        await pilot.press("C")
        assert app.clipboard == f"You: um\n\nTuned: {''.join(MARKDOWN)}"
        await pilot.press("m")
        await sees_no_more(pilot, "# Frutas")
        await sees(pilot, "• uma pera")


async def test_earlier_questions_come_back_with_up_and_what_was_being_written_with_down(
    app: MqloraApp, session: type[FakeSession]
) -> None:
    """From the first and the last line only: in between they move the cursor."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        prompt = screen.query_one(Prompt)
        assert not prompt.cursor_blink, "nothing is sent while nothing happens"
        for question in ("um", "dois\nlinhas"):
            await ask(pilot, screen, question)
        await pilot.press("x", "up")
        assert prompt.text == "dois\nlinhas"
        await pilot.press("up")
        assert prompt.text == "dois\nlinhas" and prompt.cursor_location[0] == 0
        await pilot.press("up", "up")
        assert prompt.text == "um", "there is none before the first"
        await pilot.press("down")
        assert prompt.text == "dois\nlinhas"
        await pilot.press("down")
        assert prompt.text == "x"


async def test_a_question_is_asked_again_with_another_seed_and_edited(
    app: MqloraApp, session: type[FakeSession]
) -> None:
    """What was answered before is left out of the conversation; at temperature 0 nothing would change."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await ask(pilot, screen, "um")
        await ask(pilot, screen, "dois")
        await pilot.press("ctrl+g")
        await sees(pilot, "At temperature 0")
        assert len(session.asked) == 2
        screen.settings = type(screen.settings)(12, 0.7, 4)
        await pilot.press("ctrl+g")
        await wait_for(pilot, lambda: len(session.asked) == 3 and not screen.is_replying)
        assert session.asked[2] == session.asked[1] and session.settings[2].seed == 5
        await sees(pilot, "again, with seed 5", "left out from here on")
        await pilot.press("ctrl+o")
        prompt = screen.query_one(Prompt)
        await wait_for(pilot, lambda: prompt.text == "dois")
        await pilot.press("s", "enter")
        await wait_for(pilot, lambda: len(session.asked) == 4 and not screen.is_replying)
        assert [turn["content"] for turn in session.asked[3]] == ["um", "A moeda é o iene.", "doiss"]


async def test_a_right_answer_is_corrected_and_saved_as_a_row(
    app: MqloraApp, session: type[FakeSession]
) -> None:
    """An empty one is refused; how the next run gets it is told."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await ask(pilot, screen, "um")
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: app.screen is not screen and app.screen.query(TextField))
        field = app.screen.query_one(TextField)
        assert field.text == "A moeda é o iene."
        field.text = " "
        await pilot.press("ctrl+s")
        await sees(pilot, "'completion' is empty")
        await pilot.press("ctrl+j")
        await wait_for(pilot, lambda: "\n" in field.text)
        field.text = "O iene."
        await pilot.press("ctrl+s")
        await sees(pilot, "Saved as row 1 of data/additions.jsonl", "The next run trains on it after")
        await pilot.press("ctrl+l")
        assert app.clipboard.endswith(">> data/train.jsonl && rm data/additions.jsonl)")
        row = json.loads(app.project.additions_file.read_text())
        assert row == {"prompt": "um", "completion": "O iene."}


async def test_any_checkpoint_can_be_talked_to(app: MqloraApp, session: type[FakeSession]) -> None:
    """Also one of an archived run; the model is loaded anew with it."""
    write_run(app.project, "finished")
    old = app.project.run_dir / "archive" / "2026-01-01" / checkpoint_name(0, 9)
    old.mkdir(parents=True)
    (old / "adapters.safetensors").write_bytes(b"")
    (old / "adapter_config.json").write_text("{}")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await ask(pilot, screen, "um")
        await pilot.press("escape", "k")
        await sees(pilot, "adapters/, the best of the run", "step 9, epoch 1, archive/2026-01-01")
        await pilot.press("end", "enter")
        await wait_for(pilot, lambda: app.screen is screen)
        await sees(pilot, "✓ step 9, epoch 1")
        await pilot.press("enter")
        await ask(pilot, screen, "dois")
        assert session.adapters == [None, old]
        assert shown(app).count("step 9, epoch 1") == 2, "the state, and the question that it answered"


@pytest.mark.parametrize("size", [(120, 40), pytest.param((80, 24), marks=pytest.mark.slow)])
async def test_the_two_answers_stand_beside_each_other_where_there_is_room(
    app: MqloraApp, session: type[FakeSession], size: tuple[int, int]
) -> None:
    """At 80 columns they are below each other."""
    async with app.run_test(size=size) as pilot:
        screen = await open_chat(pilot)
        await pilot.press("ctrl+b")
        await ask(pilot, screen, "um")
        await sees(pilot, "A moeda é o iene.", "A MOEDA É O IENE.")
        tuned, base = list(screen.query(ChatTurn))[1:]
        assert (tuned.speaker, base.speaker) == ("tuned", "base")
        assert (tuned.region.y == base.region.y) == (size[0] == 120)
        assert session.settings[0] == session.settings[1], "one seed"
        await pilot.press("escape", "c")
        assert app.clipboard == "A moeda é o iene.", "not that of the base model"


async def test_what_the_model_cannot_take_is_told_before_it_is_sent(
    app: MqloraApp, session: type[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens are counted in a thread, and only of what may be too long, and anew for another adapter."""
    counted: list[int] = []

    class Tokens:
        def encode(self, text: str, add_special_tokens: bool) -> range:
            counted.append(len(text) - 1)  # and a line break
            return range(9000)

    config = app.project.models_dir / "toy" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "max_position_embeddings": 8192}))
    monkeypatch.setattr(
        "tui.app.screens.chat.length_line._prompt_of", lambda _folder: ChatPrompt(Tokens(), None, (), 8192)
    )
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        screen.query_one(Prompt).text = "x" * 8000
        await sees(pilot, "9,000 tokens, and this model takes 8,192", "ask something shorter")
        await pilot.press("enter")
        await sees(pilot, "✗ The question has 9,000 tokens")
        wide = config.parents[1] / "wide" / "config.json"
        wide.parent.mkdir()
        wide.write_text(config.read_text().replace("8192", "32768"))
        monkeypatch.setattr("tui.app.screens.chat.length_line.base_for", lambda *_arguments: "wide")
        screen._use_adapter(ChatAdapter(app.project.adapters_dir))
        await sees_no_more(pilot, "! The question has 9,000 tokens")
        screen._use_adapter(ChatAdapter(None))
        await sees(pilot, "! The question has 9,000 tokens")
        await ask(pilot, screen, "um")
        assert counted == [8000, 8000] and [len(turns[-1]["content"]) for turns in session.asked] == [2]


@pytest.mark.usefixtures("session")
async def test_an_adapter_that_came_since_the_last_question_is_told(app: MqloraApp) -> None:
    """What stands above was answered by another one, whose answers are sent along."""
    app.project.adapters_dir.mkdir(parents=True, exist_ok=True)
    weights = app.project.adapters_dir / WEIGHTS
    weights.write_bytes(b"first")
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await open_chat(pilot)
        await ask(pilot, screen, "Eins?")
        await ask(pilot, screen, "Zwei?")
        await sees_no_more(pilot, "another adapter")
        weights.write_bytes(b"of a later run")
        await ask(pilot, screen, "Drei?")
        await sees(pilot, "from here on another adapter answers: adapters/, the best of the run")
