"""Answers while a model learns: they change nothing, are the model's own, and cost what was allowed."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event as StopEvent
from types import SimpleNamespace
from typing import Any

from engine.backend import mx, nn
from engine.chat import ChatSession, ChatSettings
from engine.dataset.jsonl.turns import Message
from engine.files import NoPlainFile
from engine.model.lora import switched_off
from engine.model.replace_layers import make_fast
from engine.project import Project
from engine.reply import Replier, ReplyChunk
from engine.training import answering
from engine.training.answering import ANSWER_TOKENS, Answering
from engine.training.answers import MOST_BYTES, MOST_QUESTIONS, Answer, AnswersWriter, read_answers
from engine.training.events import Event, Finished, Notice, Paused, Phase
from engine.training.progress import Progress
from engine.training.run_folder import archive_run
from engine.training.trainer import Trainer
from engine.verify.compare import checkpoint_digests, compare_runs
from tests.engine.conftest import copy_of
from tests.support.tiny import RUN, lora_model, train

import pytest

ASKED = ("Quanto é 3 mais 4?", "Quanto é 21 mais 0?")
WATCHED = RUN.updated({"answers_percent": 100, "lora_dropout": 0.3, "keep_checkpoints": 100})


def ask(project: Project, *questions: str) -> Project:
    """Write prompts.txt."""
    project.prompts_file.write_text("".join(f"{question}\n" for question in questions))
    return project


@pytest.fixture(scope="module")
def straight(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A run with dropout that nobody asks anything."""
    project = copy_of(template, tmp_path_factory.mktemp("straight") / "project")
    train(project, WATCHED)
    return project


@pytest.fixture(scope="module")
def watched(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same run, which answers two questions at each validation."""
    project = ask(copy_of(template, tmp_path_factory.mktemp("watched") / "project"), *ASKED)
    train(project, WATCHED)
    return project


def told(project: Project) -> list[tuple[int | None, str, str]]:
    return [(one.step, one.question, one.answer) for one in read_answers(project).kept]


def require_equal(project: Project, straight: Project) -> None:
    """Each checkpoint, the best adapter, the metrics and the random state in `state.json`."""
    assert checkpoint_digests(project.run_dir) == checkpoint_digests(straight.run_dir)
    assert all(file.identical for file in compare_runs(straight, project))


def test_a_run_that_answers_ends_in_the_same_bytes(straight: Project, watched: Project) -> None:
    """Each question has an answer of the base model and of each validation."""
    require_equal(watched, straight)
    assert not straight.answers_file.exists()
    steps = {(one.question, one.step) for one in read_answers(watched).kept}
    assert steps == {(question, step) for question in ASKED for step in (None, 4, 6, 8, 12)}


def in_answer(number: int) -> Callable[[Event], bool]:
    """Before the `number`th answer of a session."""
    seen = [0]

    def check(event: Event) -> bool:
        seen[0] += isinstance(event, Phase) and event.name == "answering"
        return seen[0] == number

    return check


@pytest.mark.parametrize("pauses", [(4,), pytest.param((2, 1, 1), marks=pytest.mark.slow)])
def test_a_run_paused_among_its_answers_ends_in_the_same_bytes(
    project: Project, straight: Project, watched: Project, pauses: tuple[int, ...]
) -> None:
    """Every answer that it gives is that of the run that went straight through; none is there twice."""
    ask(project, *ASKED)
    for number in pauses:
        assert isinstance(train(project, WATCHED, until=in_answer(number))[-1], Paused)
    assert isinstance(train(project, WATCHED)[-1], Finished)
    require_equal(project, straight)
    given = told(project)
    assert len(given) == len(set(given)) and set(given) < set(told(watched))
    steps = {step for step, _question, _answer in given}  # a step paused before its first answer has none
    assert {None, 12} <= steps <= {None, 4, 6, 8, 12}


def test_a_pause_in_the_midst_of_an_answer_ends_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """No token comes after the one at hand, and the piece is not kept for an answer."""
    ask(project, *ASKED)
    chunks, reply = list[ReplyChunk](), Replier.reply

    def counted(
        self: Replier, messages: list[Message], settings: ChatSettings, stop: Callable[[], bool]
    ) -> Iterator[ReplyChunk]:
        for chunk in reply(self, messages, settings, stop):
            chunks.append(chunk)
            if len(chunks) == 3:
                asked.set()
            yield chunk

    monkeypatch.setattr(Replier, "reply", counted)
    asked = StopEvent()
    events = list(Trainer(project, WATCHED, asked).run())
    assert isinstance(events[-1], Paused) and events[-1].step == 0
    assert [chunk.end for chunk in chunks] == [None, None, None, "stopped"]
    assert told(project) == []


def test_answers_are_those_of_the_models_on_disk(watched: Project, tmp_path: Path) -> None:
    """The base model's of one opened anew, without any adapter; the last of its last checkpoint."""
    shutil.copytree(watched.models_dir, tmp_path / "models")
    last = next(watched.run_dir.glob("*_step12"))
    for step, session in ((None, ChatSession(Project(tmp_path))), (12, ChatSession(watched, adapter=last))):
        for question in ASKED:
            chunks = session.reply([{"role": "user", "content": question}], ChatSettings(ANSWER_TOKENS))
            assert (step, question, "".join(chunk.text for chunk in chunks)) in told(watched)
    base, tuned = ({answer for at, _q, answer in told(watched) if at == step} for step in (None, 12))
    assert not base & tuned


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_switched_off_adapter_adds_nothing(dropout: float) -> None:
    """Bit for bit as one whose B is zero, in layers that are computed together and alone; then it is on."""
    model = lora_model(lora_dropout=dropout)
    make_fast(model, {}, mx.float32)
    model.eval()
    tokens = mx.arange(1, 9)[None]
    on = model(tokens)
    with switched_off(model):
        off = model(tokens)
    assert mx.array_equal(model(tokens), on)
    for module in model.modules():
        if hasattr(module, "lora_b"):
            module.lora_b = mx.zeros_like(module.lora_b)
    assert mx.array_equal(model(tokens), off) and not mx.array_equal(on, off)


@pytest.mark.slow
def test_recomputed_layers_answer_as_others(project: Project, watched: Project) -> None:
    """A model that recomputes activations in its backward pass reads from its cache like any other."""
    ask(project, ASKED[0])
    changes = {"gradient_checkpointing": "on", "lora_dropout": 0.0, "max_steps": 1}
    train(project, WATCHED.updated(changes))
    assert set(told(project)[:1]) <= set(told(watched))
    assert [step for step, _question, _answer in told(project)] == [None, 1]


# What answers cost


class Clocked:
    """Stands for all of a run but its answers; each token of one takes `pace` seconds of its clock."""

    def __init__(self, root: Path, percent: float, pace: float) -> None:
        self.now, self.pace = 0.0, pace
        self.progress, self.project = Progress(), Project(root)
        self.project.run_dir.mkdir()
        self.project.data_dir.mkdir()
        self.config = RUN.updated({"answers_percent": percent})
        self.held = SimpleNamespace(require_in_place=lambda: None)
        self.assembled = SimpleNamespace(model=nn.Linear(1, 1))
        self.replier = self

    def phase(self, phase: Phase) -> Phase:
        return phase

    def prompt(self, messages: list[dict[str, str]]) -> list[int]:
        return [0] * len(messages[0]["content"])

    def reply(
        self, _messages: object, settings: ChatSettings, stop: Callable[[], bool]
    ) -> Iterator[ReplyChunk]:
        for token in range(1, settings.max_tokens + 1):
            self.now += self.pace
            yield ReplyChunk("a", token, 1.0)
            if stop():
                yield ReplyChunk("", token, 1.0, "stopped")
                return
        yield ReplyChunk("", settings.max_tokens, 1.0, "length")

    def answering(self, monkeypatch: pytest.MonkeyPatch) -> Answering:
        monkeypatch.setattr(answering, "time", SimpleNamespace(monotonic=lambda: self.now))
        run: Any = self
        return Answering(run, self.progress, run, StopEvent(), 0.0)


@pytest.mark.parametrize(("percent", "pace"), [(5, 0.001), (5, 0.4), (100, 0.4), (0, 0.1)])
def test_answers_cost_no_more_than_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, percent: float, pace: float
) -> None:
    """At every moment, but for a token; and where nothing stands against it, nearly as much is used."""
    run = Clocked(tmp_path, percent, pace)
    ask(run.project, *map(str, range(10)))
    answers = run.answering(monkeypatch)
    for run.progress.step in range(0, 4000, 50):
        run.now += 20.0
        before = run.now
        for _event in answers.round():
            pass
        spent = answers.spent_s
        assert percent == 100 or spent <= percent / 100 * run.now + pace, (before, run.now)
    found = read_answers(run.project)
    assert found.spent_s == pytest.approx(spent, rel=0.1)
    assert all(one.tokens == ANSWER_TOKENS for one in found.kept)
    if pace == 0.4 and percent == 5:
        assert len(found.kept) < 10 and found.questions == ("0",)  # the first comes first
        assert spent > percent / 100 * run.now - 2 * ANSWER_TOKENS * pace
    else:
        assert len(found.kept) == (10 * 80 if percent else 0)


def test_what_is_asked_is_bounded_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty questions, none longer than an example; a changed file is read at the next validation."""
    run = Clocked(tmp_path, 100, 0.1)
    answers = run.answering(monkeypatch)
    assert list(answers.round()) == [] and not run.project.answers_file.exists()
    ask(run.project, "x" * 65, *(f"{n}?" for n in range(30)), "0?", "")
    notices = [event.message for event in answers.round() if isinstance(event, Notice)]
    assert "20 questions" in notices[0] and notices[0].endswith("training_answers.jsonl")
    assert "11 lines of prompts.txt are not asked" in notices[1]
    assert read_answers(run.project).questions == tuple(f"{n}?" for n in range(MOST_QUESTIONS))
    assert not any(isinstance(event, Notice) for event in answers.round())
    run.project.prompts_file.unlink()
    os.mkfifo(run.project.prompts_file)
    (notice,) = (event for event in answers.round() if isinstance(event, Notice))
    assert "no longer answered" in notice.message and "named pipe" in notice.message
    assert list(answers.round()) == []


# What is read back


def answer(step: int | None, question: str = "Olá?", text: str = "Adeus.") -> Answer:
    return Answer(step, question, text, "complete", 3, 0.5, 0.5, 20.0)


HOSTILE_LINES = (
    b'{"step": 1e400}', b"[" * 100_000, b"null", b"\xff\xfe", b'{"step": -1, "question": "a"}', b"\0" * 64,
    b'{"step": 2, "question": "", "answer": "", "end": "length", "tokens": 1, "seconds": 1, "spent_s": 1, '
    b'"elapsed_s": 1}',
)  # fmt: skip


def test_damaged_lines_are_left_out_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they are; the answers around them stay, those of steps to come go, and the file is whole."""
    run = Clocked(tmp_path, 5, 0.1)
    writer = AnswersWriter(run.project, 0)
    kept = [answer(None), answer(3), answer(4, text="\x1b[2J\u202e[/]")]
    for one in (*kept, answer(5)):
        assert writer.write(one)
    writer.close()
    lines = run.project.answers_file.read_bytes()
    assert b"\x1b" not in lines and "\u202e".encode() not in lines
    run.project.answers_file.write_bytes(b"\n".join(HOSTILE_LINES) + b"\n" + lines + b'{"step": 6, "que')
    assert read_answers(run.project).unreadable == len(HOSTILE_LINES) + 1
    run.progress.step = 4
    (notice,) = (event for event in run.answering(monkeypatch).round() if isinstance(event, Notice))
    assert "8 lines of training_answers.jsonl are no answers" in notice.message
    found = read_answers(run.project)
    assert found.kept == tuple(kept) and not found.unreadable
    assert found.through_time("Olá?") == tuple(kept)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "large"])
def test_what_is_in_the_files_place_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Nothing is followed, waited for or deleted."""
    run = Clocked(tmp_path, 100, 0.1)
    ask(run.project, "Olá?")
    path, other = run.project.answers_file, tmp_path / "other"
    other.write_text("mine")
    if kind == "link":
        path.symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(MOST_BYTES + 1)
    with pytest.raises(NoPlainFile):
        read_answers(run.project)
    run.progress.step = 7
    notices = [event.message for event in run.answering(monkeypatch).round() if isinstance(event, Notice)]
    assert "was in the way and is now in" in notices[0]
    assert [one.step for one in read_answers(run.project).kept] == [None, 7]
    (aside,) = (run.project.run_dir / "archive").glob("*/training_answers.jsonl")
    assert aside.is_symlink() == (kind == "link") and other.read_text() == "mine"


def test_a_full_file_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said once, and no time is spent any more."""
    monkeypatch.setattr("engine.training.answers.MOST_BYTES", 600)
    run = Clocked(tmp_path, 100, 0.1)
    ask(run.project, "a?", "b?", "c?", "d?")
    answers = run.answering(monkeypatch)
    notices = [event.message for event in answers.round() if isinstance(event, Notice)]
    assert notices[1:] == ["training_answers.jsonl is full: no more answers are kept"]
    now = run.now
    assert list(answers.round()) == [] and run.now == now
    assert 0 < run.project.answers_file.stat().st_size <= 600


def test_answers_go_to_the_archive_with_their_run(tmp_path: Path) -> None:
    """Also where nothing else is left of it."""
    run = Clocked(tmp_path, 5, 0.1)
    writer = AnswersWriter(run.project, 0)
    writer.write(answer(None))
    writer.close()
    before = run.project.answers_file.read_bytes()
    archive_run(run.project)
    (archived,) = (run.project.run_dir / "archive").glob("*/training_answers.jsonl")
    assert archived.read_bytes() == before and not run.project.answers_file.exists()
