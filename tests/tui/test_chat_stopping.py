"""A reply can always be stopped, what comes late is not mixed up with what is new, and every end is told."""

import threading

from engine.chat import ReplyEnd
from engine.chat_prompt import ContextFull
from tests.support.fake_chat import FakeSession, ask, open_chat, send
from tests.support.fake_engine import EACH_SIZE, sees, sees_no_more, shown, wait_for
from tui.app.app import MqloraApp
from tui.app.screens.chat.prompt import Prompt
from tui.app.screens.chat.turn import ChatTurn

import pytest


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_a_key_stops_a_reply(app: MqloraApp, session: type[FakeSession], key: str) -> None:
    """An endless reply ends and is marked; what was said goes on in the conversation."""
    session.endless = True
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await send(pilot, screen, "um")
        await sees(pilot, "A ")
        await pilot.press(key)
        await wait_for(pilot, lambda: not screen.is_replying)
        await sees(pilot, "stopped")
        said = screen.query(ChatTurn).last().text
        assert said and not app.notice
        session.endless = False
        await ask(pilot, screen, "dois")
        assert [turn["content"] for turn in session.asked[1]] == ["um", said, "dois"]


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_the_reading_of_a_question_is_shown_and_can_be_stopped(
    app: MqloraApp, session: type[FakeSession], size: tuple[int, int]
) -> None:
    """How far it is stands where the answer will; a question without answer is left out afterwards."""
    session.reads = 34
    async with app.run_test(size=size) as pilot:
        screen = await open_chat(pilot)
        await send(pilot, screen, "um")
        await sees(pilot, "reading the question: 34%")
        await pilot.press("escape")
        await sees(pilot, "stopped; the question is left out from here on")
        await sees_no_more(pilot, "reading the question", "at work")
        session.reads = None
        await ask(pilot, screen, "dois")
        await sees(pilot, "A moeda é o iene.")
        assert session.asked[1] == [{"role": "user", "content": "dois"}]
        session.reads = 34
        await send(pilot, screen, "três")
        await sees(pilot, "reading the conversation: 34%")
        await pilot.press("escape")


async def test_escape_does_not_wait_for_a_model_that_is_being_loaded(
    app: MqloraApp, session: type[FakeSession]
) -> None:
    """The next question may be written at once; of the one before nothing is heard any more."""
    session.loading = threading.Event()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await send(pilot, screen, "um")
        await wait_for(pilot, lambda: session.made)
        await pilot.press("escape")
        await wait_for(pilot, lambda: not screen.is_replying)
        await send(pilot, screen, "dois")
        await wait_for(pilot, lambda: screen.is_replying)
        session.loading.set()
        await wait_for(pilot, lambda: not screen.is_replying)
        assert session.asked[-1] == [{"role": "user", "content": "dois"}]
        turns = [(turn.speaker, turn.text) for turn in screen.query(ChatTurn)]
        assert turns == [("user", "um"), ("user", "dois"), ("tuned", "A moeda é o iene.")]


async def test_a_question_during_an_answer_stays_in_the_line(
    app: MqloraApp, session: type[FakeSession]
) -> None:
    """Enter says that the model is still answering; nothing is lost and nothing waits in a queue."""
    session.endless = True
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await send(pilot, screen, "um")
        await sees(pilot, "A ")
        await send(pilot, screen, "dois")
        await sees(pilot, "still answering")
        assert screen.query_one(Prompt).text == "dois"
        await pilot.press("escape")
        await wait_for(pilot, lambda: app.engine.idle.is_set() and not screen.is_replying)
        assert len(session.asked) == 1


@pytest.mark.parametrize("blank", ["", "   "])
async def test_an_empty_question_is_reported(app: MqloraApp, session: type[FakeSession], blank: str) -> None:
    """Enter on an empty line is not ignored."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        screen.query_one(Prompt).text = blank
        await pilot.press("enter")
        await sees(pilot, "no question")
        assert not screen.is_replying and not session.asked


async def test_a_new_conversation_does_not_wait_for_the_answer(
    app: MqloraApp, session: type[FakeSession]
) -> None:
    """Ctrl+N stops the reply and takes the conversation away."""
    session.endless = True
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await send(pilot, screen, "um")
        await sees(pilot, "A ")
        await pilot.press("ctrl+n")
        await wait_for(pilot, lambda: not screen.query(ChatTurn) and not screen.is_replying)
        session.endless = False
        await ask(pilot, screen, "dois")
        assert session.asked[1] == [{"role": "user", "content": "dois"}]


@pytest.mark.parametrize(
    ("end", "said"),
    [("length", "cut at 4 tokens; Ctrl+T allows more"), ("context", "Ctrl+N begins a new conversation")],
)
async def test_a_reply_that_was_cut_says_so(
    app: MqloraApp, session: type[FakeSession], end: ReplyEnd, said: str
) -> None:
    """With the key that helps; a reply that is whole has no mark."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await ask(pilot, screen, "um")
        assert "cut" not in shown(app)
        session.end = end
        await ask(pilot, screen, "dois")
        await sees(pilot, said)


async def test_a_reply_without_a_word_says_so(app: MqloraApp, session: type[FakeSession]) -> None:
    """An empty turn would be sent along for nothing."""
    session.words = ()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await ask(pilot, screen, "um")
        await sees(pilot, "the model wrote nothing")
        await ask(pilot, screen, "dois")
        assert session.asked[1] == [{"role": "user", "content": "dois"}]


@pytest.mark.parametrize(
    ("is_grown", "fix"), [(True, "new conversation with Ctrl+N"), (False, "something shorter")]
)
async def test_what_the_model_cannot_take_is_refused_and_stays_in_the_line(
    app: MqloraApp,
    session: type[FakeSession],
    monkeypatch: pytest.MonkeyPatch,
    is_grown: bool,
    fix: str,
) -> None:
    """The numbers, the way out, and the question as it was."""

    def refuse(*_arguments: object) -> None:
        raise ContextFull(9000, 8192, is_grown)

    monkeypatch.setattr(session, "reply", refuse)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_chat(pilot)
        await ask(pilot, screen, "um")
        await sees(pilot, "9,000 tokens", "8,192", fix)
        line = screen.query_one(Prompt)
        assert line.text == "um" and line.cursor_location == (0, 2)


async def test_an_interrupt_from_outside_stops_a_reply(app: MqloraApp, session: type[FakeSession]) -> None:
    """SIGINT asks the engine's job to stop, whatever it is."""
    session.endless = True
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await send(pilot, screen, "um")
        await sees(pilot, "A ")
        app.engine.stop_event.set()
        await sees(pilot, "stopped")
        assert not screen.is_replying
