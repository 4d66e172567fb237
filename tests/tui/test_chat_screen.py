"""Talking to the result: streaming, comparing, stopping, and what is in the way."""

import os
import threading
from pathlib import Path

from engine.chat import ChatSettings
from engine.errors import UserError
from engine.project import Project
from engine.training.selected_config import adapter_model
from tests.support.fake_chat import FakeSession, ask, open_chat
from tests.support.fake_engine import EACH_SIZE, HOSTILE, ready, sees, shown, wait_for
from tests.support.fake_run import FakeTrainer, write_run
from tui.app.app import MqloraApp
from tui.app.screens.chat.chat import ChatScreen
from tui.app.screens.chat.prompt import Prompt
from tui.app.screens.chat.turn import ChatTurn
from tui.run.controller import TrainingController
from tui.shell import complete

import pytest
from textual.widgets import Input


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_question_and_answer(app: MqloraApp, session: type[FakeSession], size: tuple[int, int]) -> None:
    """The answer arrives whole, with its length and speed, and the input line is free again."""
    write_run(app.project, "finished")
    async with app.run_test(size=size) as pilot:
        screen = await open_chat(pilot)
        await sees(pilot, "adapters/ (step 60)")
        await ask(pilot, screen, "Qual é a moeda do Japão?")
        text = shown(app)
        assert "You" in text and "Qual é a moeda do Japão?" in text
        assert "Tuned" in text and "A moeda é o iene." in text
        assert "4 tok, 31 tok/s" in text
        assert screen.query_one(Prompt).text == ""


async def test_the_conversation_is_sent_along_until_begun_anew(
    app: MqloraApp, session: type[FakeSession]
) -> None:
    """The second question carries the first exchange; after Ctrl+N nothing is left of it."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await ask(pilot, screen, "um")
        await ask(pilot, screen, "dois")
        assert [turn["role"] for turn in session.asked[1]] == ["user", "assistant", "user"]
        assert session.asked[1][1]["content"] == "A moeda é o iene."
        await pilot.press("ctrl+n")
        await wait_for(pilot, lambda: not screen.query(ChatTurn))
        await ask(pilot, screen, "três")
        assert session.asked[2] == [{"role": "user", "content": "três"}]
        assert session.made == 1, "the model is loaded once"


async def test_base_beside_answers_the_same_question(app: MqloraApp, session: type[FakeSession]) -> None:
    """With the base model beside there are two answers; only the tuned one goes on in the conversation."""
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_chat(pilot)
        await pilot.press("ctrl+b")
        await wait_for(pilot, lambda: "base beside: on" in shown(app))
        await ask(pilot, screen, "um")
        await sees(pilot, "A moeda é o iene.", "A MOEDA É O IENE.")
        await ask(pilot, screen, "dois")
        assert session.asked[2][1]["content"] == "A moeda é o iene."


async def test_without_an_adapter_the_base_model_answers(app: MqloraApp, session: type[FakeSession]) -> None:
    """Before any training the chat says so and talks to the base model."""
    session.has_adapter = False
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await wait_for(pilot, lambda: "No adapter yet" in shown(app))
        await ask(pilot, screen, "um")
        await sees(pilot, "Base", "A MOEDA É O IENE.")


async def test_a_peft_adapter_that_lies_there_is_the_adapter(
    app: MqloraApp, session: type[FakeSession]
) -> None:
    """It is named as such, loaded anew where it was replaced, and a doubt about it is told."""
    app.project.adapters_dir.mkdir(parents=True)
    weights = app.project.adapters_dir / "adapter_model.safetensors"
    weights.write_bytes(b"")
    session.warning = "made for another base model"
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await sees(pilot, "adapters/ (PEFT)")
        await ask(pilot, screen, "um")
        await sees(pilot, "made for another base model")
        await ask(pilot, screen, "dois")
        assert session.made == 1
        os.utime(weights, (1, 1))
        await ask(pilot, screen, "três")
        assert session.made == 2


async def test_hostile_text_is_shown_as_text(app: MqloraApp, session: type[FakeSession]) -> None:
    """Neither question nor answer is parsed as markup or reaches the terminal as control codes."""
    session.words = (HOSTILE,)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_chat(pilot)
        await ask(pilot, screen, "[/bold] [red]")
        await sees(pilot, "[/INST] [bold]\\x1b[2J\\u202e")
        await sees(pilot, "[/bold] [red]")


async def test_escape_leaves_the_line_so_that_single_keys_work(
    app: MqloraApp, session: type[FakeSession]
) -> None:
    """In the line a digit is typed; outside it leads to its place."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await pilot.press("6")
        assert screen.query_one(Prompt).text == "6"
        await pilot.press("escape", "4")
        await wait_for(pilot, lambda: app.current_mode == "train")
        await pilot.press("5")
        await wait_for(pilot, lambda: isinstance(screen.focused, Prompt))
        await pilot.press("t")
        assert (screen.query_one(Prompt).text, app.screen) == ("6t", screen), "who comes back types"


@pytest.mark.parametrize("dialog", ["question_mark", "t"])
async def test_a_line_that_was_left_stays_so_below_a_dialog(
    app: MqloraApp, session: type[FakeSession], dialog: str
) -> None:
    """Single keys work after the help as before it; one that was written in is gone on with."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await pilot.press("f1")
        await wait_for(pilot, lambda: app.screen is not screen)
        await pilot.press("escape")
        await wait_for(pilot, lambda: app.screen is screen and isinstance(screen.focused, Prompt))
        await pilot.press("escape")
        await wait_for(pilot, lambda: screen.focused is None)
        await pilot.press(dialog)
        await wait_for(pilot, lambda: app.screen is not screen)
        await pilot.press("escape")
        await wait_for(pilot, lambda: app.screen is screen)
        await pilot.press("4")
        await wait_for(pilot, lambda: app.current_mode == "train")
        assert screen.query_one(Prompt).text == ""


async def test_prompts_are_asked_one_after_another(app: MqloraApp, session: type[FakeSession]) -> None:
    """Every line of prompts.txt is a conversation of its own."""
    app.project.prompts_file.write_text("um\n\ndois\n", encoding="utf-8")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await pilot.press("ctrl+r")
        await wait_for(pilot, lambda: len(session.asked) == 2 and not screen.is_replying)
        assert session.asked == [[{"role": "user", "content": text}] for text in ("um", "dois")]


async def test_missing_prompts_are_explained(app: MqloraApp, session: type[FakeSession]) -> None:
    """Without the file the screen says where to write the questions."""
    async with app.run_test(size=(120, 40)) as pilot:
        await open_chat(pilot)
        await pilot.press("ctrl+r")
        await wait_for(pilot, lambda: "prompts.txt" in shown(app) and "one question a line" in shown(app))


async def test_settings_are_checked_and_used(app: MqloraApp, session: type[FakeSession]) -> None:
    """Bad values are refused in place, good ones go with the next question."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await pilot.press("ctrl+t")
        await wait_for(pilot, lambda: app.screen.query("#max_tokens"))
        app.screen.query_one("#max_tokens", Input).value = "0"
        await pilot.press("enter")
        await sees(pilot, "✗ Value '0' of 'longest reply, tokens' is wrong")
        app.screen.query_one("#max_tokens", Input).value = "40"
        app.screen.query_one("#temperature", Input).value = "0.7"
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.screen is screen)
        await ask(pilot, screen, "um")
        assert session.settings == [ChatSettings(40, 0.7, 0)]


async def test_while_training_the_chat_says_why_it_waits(app: MqloraApp, session: type[FakeSession]) -> None:
    """A question during training is not queued in silence; it stays in the line."""
    gate = threading.Event()
    app.training = TrainingController(
        app.project,
        app.engine,
        lambda project, _config, stop, _mode, _half: FakeTrainer(project, stop, 3, gate),
    )
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        app.training.start(app.config)
        screen.query_one(Prompt).text = "um"
        await pilot.press("enter")
        await wait_for(pilot, lambda: "pause it with Ctrl+C to chat" in shown(app))
        assert session.asked == []
        assert screen.query_one(Prompt).text == "um"
        gate.set()
        await app.training.wait()


async def test_a_refused_reply_shows_its_fix_and_can_be_asked_again(
    app: MqloraApp, session: type[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that cannot be loaded is no dead end."""

    def refuse(_project: Project, _model: str, _adapter: Path | None) -> FakeSession:
        raise UserError("The model is torn", "copy it again")

    monkeypatch.setattr(ChatScreen, "create_session", staticmethod(refuse))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await ask(pilot, screen, "um")
        await wait_for(pilot, lambda: "copy it again" in shown(app))
        assert not screen.is_replying


async def test_without_a_model_the_way_out_is_shown(app: MqloraApp, session: type[FakeSession]) -> None:
    """No base model: the screen says where to put one."""
    (app.project.models_dir / "toy" / "config.json").unlink()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_chat(pilot)
        await wait_for(pilot, lambda: "No base model" in shown(app) and " demo" in shown(app))


async def test_the_way_out_can_be_pasted(app: MqloraApp, session: type[FakeSession]) -> None:
    """The command in the first line is whole, or continued with a backslash, also after the width changes."""
    (app.project.models_dir / "toy" / "config.json").unlink()
    command = complete("mqlora-tui demo")
    async with app.run_test(size=(len(command) + 30, 24)) as pilot:
        await open_chat(pilot)
        await wait_for(pilot, lambda: command in [line.strip() for line in shown(app).splitlines()])
        await pilot.resize_terminal(len(command) + 5, 24)
        program, rest = command.split(" ", 1)
        await sees(pilot, f"{program} \\ {rest}")


async def test_the_footer_promises_no_key_that_would_be_typed(app: MqloraApp) -> None:
    """In the input line F1 opens the help; a question mark and q are part of the question."""
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("5")
        await wait_for(pilot, lambda: "F1 Help" in shown(app).splitlines()[-1])
        assert "q Quit" not in shown(app).splitlines()[-1]
        await pilot.press("escape")
        await wait_for(pilot, lambda: "? Help" in shown(app).splitlines()[-1])


def test_an_adapter_is_put_on_its_own_base_model(project: Project) -> None:
    """Only where there is none yet the chosen model is asked."""
    assert adapter_model(project) == ""
    write_run(project, "finished")
    assert adapter_model(project) == "toy"
