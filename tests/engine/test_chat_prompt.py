"""Long prompts: read in portions, watched, stopped, and refused where the model takes no more."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.backend import mx
from engine.chat import ChatSession, ChatSettings
from engine.chat_prompt import ContextFull
from engine.dataset.jsonl.turns import Message
from engine.errors import UserError
from engine.model.loading import load_base
from engine.model.prefill import PromptReader, next_portion
from engine.project import Project
from tests.support.fed_model import FedModel
from tests.support.tiny import tiny_project

import pytest
from mlx_lm.models.cache import make_prompt_cache

LONG: list[Message] = [{"role": "user", "content": "Quanto é 3 mais 4? " * 60}]
SHORT = ChatSettings(max_tokens=8)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return tiny_project(tmp_path_factory.mktemp("chat"))


@pytest.fixture(scope="module")
def session(project: Project) -> ChatSession:
    return ChatSession(project)


@pytest.fixture
def portion(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Let every portion have the size in a list, whatever the machine's speed is."""
    size = [16]
    monkeypatch.setattr("engine.model.prefill.FIRST_PORTION", 16)
    monkeypatch.setattr("engine.model.prefill.next_portion", lambda _tokens, _seconds: size[0])
    yield size


def tokens_of(session: ChatSession) -> int:
    """Return how many tokens the long question has for a session."""
    reported: list[int] = []
    list(
        session.reply(LONG, SHORT, stop=lambda: True, on_progress=lambda _read, total: reported.append(total))
    )
    return reported[0]


def limited(project: Project, root: Path, length: int) -> ChatSession:
    """A session of the same model with a context of so many tokens."""
    shutil.copytree(project.models_dir, root / "models")
    path = root / "models" / "tiny" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_position_embeddings": length}))
    return ChatSession(Project(root))


def test_portions_give_what_the_whole_gives(project: Project, portion: list[int]) -> None:
    """The next token's scores are the same to rounding, whatever the portions."""
    base = load_base(project.model_dir("tiny"))
    tokens = base.tokenizer.encode(LONG[0]["content"])
    expected = base.model(mx.array(tokens)[None])[0, -1]
    for portion[0] in (7, 100, len(tokens)):
        reader, cache = PromptReader(base.model), make_prompt_cache(base.model)
        steps = list(reader.read(tokens[:-1], cache))
        assert steps[:2] == [16, 16 + min(portion[0], len(tokens) - 17)] and steps[-1] == len(tokens) - 1
        found = base.model(mx.array(tokens[-1:])[None], cache=cache)[0, -1]
        assert mx.allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_reading_is_told_to_its_end(session: ChatSession, portion: list[int]) -> None:
    """From nothing to all but the token that the answer begins with."""
    reported: list[tuple[int, int]] = []
    list(session.reply(LONG, SHORT, on_progress=lambda read, total: reported.append((read, total))))
    total = tokens_of(session)
    assert reported[0] == (0, total) and reported[-1] == (total - 1, total)
    assert [read for read, _total in reported] == sorted({read for read, _total in reported})


def test_the_reading_can_be_stopped(project: Project, portion: list[int]) -> None:
    """After the portion at hand; nothing is generated."""
    reported: list[int] = []
    chunks = list(
        ChatSession(project).reply(
            LONG,
            SHORT,
            stop=lambda: len(reported) > 2,
            on_progress=lambda read, _total: reported.append(read),
        )
    )
    assert reported == [0, 16, 32]
    assert [(chunk.text, chunk.tokens, chunk.end) for chunk in chunks] == [("", 0, "stopped")]


@pytest.mark.parametrize(
    ("tokens", "seconds", "expected"),
    [
        (16, 0.0, 128),  # far too fast to tell: at most eight times as many
        (64, 0.4, 64),
        (64, 0.7, 32),
        (128, 0.1, 512),
        (2048, 0.1, 2048),
        (512, 3600.0, 8),
    ],
)
def test_a_portion_takes_a_fraction_of_a_second(tokens: int, seconds: float, expected: int) -> None:
    """The next one is as large as the last one's speed allows."""
    assert next_portion(tokens, seconds) == expected


def test_what_is_longer_than_the_context_is_refused(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the numbers, before anything is computed."""
    session = limited(project, tmp_path, 500)
    total = tokens_of(ChatSession(project))
    monkeypatch.setattr(PromptReader, "read", None)
    for ask in (session.check, lambda messages: list(session.reply(messages, SHORT))):
        with pytest.raises(ContextFull, match=f"The question has {total:,} tokens.* 500 ") as refused:
            ask(LONG)
        assert not refused.value.is_grown and "shorter" in refused.value.fix


def test_a_conversation_that_has_grown_too_long_is_refused(project: Project, tmp_path: Path) -> None:
    """A new conversation would help, unless the last question is too long by itself."""
    session = limited(project, tmp_path, 500)
    turns: list[Message] = [
        {"role": "user", "content": "a" * 300},
        {"role": "assistant", "content": "b" * 300},
    ]
    with pytest.raises(ContextFull, match="The conversation has") as refused:
        session.check([*turns, {"role": "user", "content": "c"}])
    assert refused.value.is_grown and "new conversation" in refused.value.fix
    with pytest.raises(ContextFull, match="The conversation has") as refused:
        session.check([*turns, *LONG])
    assert not refused.value.is_grown


@pytest.mark.parametrize(("room", "end"), [(3, "context"), (8, "length"), (9, "length")])
def test_a_reply_is_cut_where_the_context_ends(project: Project, tmp_path: Path, room: int, end: str) -> None:
    """And says whether that or the wanted length did it."""
    fits = tokens_of(ChatSession(project))
    chunks = list(limited(project, tmp_path, fits + room).reply(LONG, SHORT))
    assert chunks[-1].end == end and chunks[-1].tokens == min(room, SHORT.max_tokens)


def test_bytes_that_are_no_text_are_refused(session: ChatSession) -> None:
    """As a command line in another encoding gives them."""
    with pytest.raises(UserError, match="no text"):
        session.check([{"role": "user", "content": "Ol\udce1"}])


@pytest.mark.parametrize("question", ["\x00\x1b[2J\x07", "a" * 5000, "\u202eabc\u200b"])
def test_odd_questions_are_answered(
    session: ChatSession, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    """Control characters reach the model as they are; nothing is cut."""
    asked: list[Any] = [{"role": "user", "content": question}]
    assert list(session.reply(asked, ChatSettings(2)))[-1].end in ("complete", "length")
    assert FedModel(monkeypatch).ask(session, asked).count(question) == 1
