"""Replies of a trained model against mlx-lm's own generation."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.backend import mx
from engine.chat import ChatSession, ChatSettings, ReplyChunk
from engine.chat_prompt import prompt_of
from engine.dataset.jsonl.turns import Message
from engine.errors import UserError
from engine.model.adapter_file import adapter_origin
from engine.model.loading import load_base
from engine.model.mlx_lm_adapter import TEMPLATE_SETTINGS
from engine.project import Project
from tests.support.chat_forms import template
from tests.support.fed_model import FedModel
from tests.support.peft_form import as_peft
from tests.support.tiny import (
    CHATML,
    RUN,
    pairs,
    tiny_project,
    train,
    write_model,
    write_rows,
    write_tokenizer,
)

import pytest
from mlx_lm import generate
from mlx_lm.utils import load as load_with_mlx_lm

ASK: list[Message] = [{"role": "user", "content": "Quanto é 3 mais 4?"}]
SHORT = ChatSettings(max_tokens=12)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose run is finished."""
    project = tiny_project(tmp_path_factory.mktemp("trained"))
    train(project, RUN.updated({"num_epochs": 4}))
    return project


@pytest.fixture(scope="module")
def session(trained: Project) -> ChatSession:
    return ChatSession(trained)


def text(chunks: list[ReplyChunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


def reply(session: ChatSession, **options: Any) -> list[ReplyChunk]:
    return list(session.reply(ASK, SHORT, **options))


def reference(project: Project, adapter: Path | None) -> str:
    """mlx-lm's likeliest continuation of its own prompt; its weights made float32 like ours."""
    model, tokenizer = load_with_mlx_lm(
        str(project.model_dir("tiny")), adapter_path=str(adapter) if adapter else None
    )[:2]
    prompt = tokenizer.apply_chat_template(ASK, add_generation_prompt=True, return_dict=False)
    return str(generate(model, tokenizer, prompt, max_tokens=SHORT.max_tokens))


def test_replies_with_and_without_the_adapter_are_mlx_lms(trained: Project, session: ChatSession) -> None:
    """Turning it off gives the base model's reply, turning it on again the adapter's."""
    assert session.has_adapter
    adapted, plain = reference(trained, trained.adapters_dir), reference(trained, None)
    assert adapted != plain
    assert text(reply(session)) == adapted
    assert text(reply(session, with_adapter=False)) == plain
    assert text(reply(session)) == adapted


def test_without_a_run_the_base_model_answers(trained: Project, session: ChatSession, tmp_path: Path) -> None:
    """Exactly as with the adapter turned off."""
    shutil.copytree(trained.models_dir, tmp_path / "models")
    fresh = ChatSession(Project(tmp_path))
    assert not fresh.has_adapter
    assert text(reply(fresh)) == text(reply(session, with_adapter=False))


def test_an_adapter_of_pefts_form_answers_as_ours(
    trained: Project, session: ChatSession, tmp_path: Path
) -> None:
    """In `adapters/`, where it is no longer no adapter yet, and as a folder that is named."""
    shutil.copytree(trained.models_dir, tmp_path / "models")
    project = Project(tmp_path)
    given = as_peft(trained.adapters_dir, tmp_path / "given")
    named = ChatSession(project, adapter=given)
    assert named.has_adapter and named.adapter == given and not named.warning
    assert text(reply(named)) == text(reply(session))
    assert text(reply(named, with_adapter=False)) == text(reply(session, with_adapter=False))
    project.run_dir.mkdir()
    given.rename(project.adapters_dir)
    found = ChatSession(project)
    assert found.adapter == project.adapters_dir and text(reply(found)) == text(reply(session))


def test_an_adapter_of_another_base_model_is_told(
    trained: Project, session: ChatSession, tmp_path: Path
) -> None:
    """It answers, for its sizes fit; who asks is warned, unless the files say nothing of the base."""
    assert not session.warning
    write_model(tmp_path / "models" / "other", rope_theta=20000.0)
    project = Project(tmp_path)
    other = ChatSession(project, adapter=trained.adapters_dir)
    assert "made for another base model (tiny)" in other.warning and reply(other)
    assert not ChatSession(project, adapter=as_peft(trained.adapters_dir, tmp_path / "given")).warning


def test_a_reply_has_at_most_so_many_tokens_and_one_end(session: ChatSession) -> None:
    """Tokens are counted; only the last chunk is marked."""
    chunks = reply(session, with_adapter=False)
    assert [bool(chunk.end) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].tokens <= SHORT.max_tokens
    assert [chunk.tokens for chunk in chunks[:-1]] == sorted(chunk.tokens for chunk in chunks[:-1])


def test_a_reply_can_be_stopped(session: ChatSession) -> None:
    """After the token at hand, and the next reply is whole again."""
    whole, reported = reply(session), list[str]()
    stopped = []
    for chunk in session.reply(ASK, SHORT, stop=lambda: len(reported) == 3):
        stopped.append(chunk)
        reported.append(chunk.text)
    assert stopped[-1].end == "stopped" and stopped[:3] == stopped[:-1]
    assert text(stopped) == text(whole[:3])
    assert text(reply(session)) == text(whole)


def test_a_reply_that_was_cut_says_so(session: ChatSession) -> None:
    """At as many tokens as were allowed."""
    cut = reply(session)
    assert cut[-1].end == "length" and cut[-1].tokens == SHORT.max_tokens


def test_answers_end_where_trained_ones_do(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The template's end of turn, where the folder names other tokens to stop at."""
    folder = project.models_dir / "tiny"
    for name, change in (("config.json", {"eos_token_id": 0}), ("tokenizer_config.json", {"eos_token": "a"})):
        values = json.loads((folder / name).read_text()) | change
        (folder / name).write_text(json.dumps(values))
    tokenizer = load_base(folder).tokenizer
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end not in tokenizer.eos_token_ids
    fed = FedModel(monkeypatch)
    fed.ask(ChatSession(project), ASK)
    assert fed.tokenizer.eos_token_ids == {*tokenizer.eos_token_ids, end}


@pytest.mark.parametrize("thought", ["", "<think>\nhum\n</think>\n\n"])
def test_the_model_is_fed_the_prompt_of_the_answers_it_was_trained_on(
    project: Project, monkeypatch: pytest.MonkeyPatch, thought: str
) -> None:
    """One that shall not think, where no answer had thoughts; the tuned model and the base model alike."""
    write_tokenizer(project.models_dir / "tiny", template("qwen3_5"))
    for path in (project.train_file, project.valid_file):
        write_rows(path, [pair | {"completion": thought + pair["completion"]} for pair in pairs(4)])
    train(project, RUN.updated({"max_steps": 1, "max_seq_length": 256}))
    config = json.loads((project.adapters_dir / "adapter_config.json").read_text())
    assert config.get("chat_template_kwargs") == (None if thought else {"enable_thinking": False})
    session = ChatSession(project)
    given = FedModel(monkeypatch).ask(session, ASK)
    assert given.endswith("assistant\n<think>\n" if thought else "assistant\n<think>\n\n</think>\n\n")
    settings = adapter_origin(project.adapters_dir).get(TEMPLATE_SETTINGS, {})
    counted = replace(prompt_of(project.models_dir / "tiny"), settings=settings)  # without model or weights
    assert counted.tokens(ASK) == session._replier.prompt(ASK)


def test_temperature_is_applied(session: ChatSession) -> None:
    """A hot model says something else with another random state, and the same with the same or its seed."""
    found = []
    for seed in (1, 1, 2, 3):
        mx.random.seed(seed)
        found.append(text(list(session.reply(ASK, ChatSettings(12, temperature=5.0)))))
    assert found[0] == found[1] and len(set(found)) > 1
    seeded = [text(list(session.reply(ASK, ChatSettings(12, 5.0, seed)))) for seed in (2, 1, 2, 3)]
    assert seeded == [found[2], found[0], found[2], found[3]]


@pytest.mark.parametrize("template", [CHATML, None])
def test_the_model_is_fed_what_it_was_trained_on(
    trained: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str | None
) -> None:
    """The template with the beginning of an answer, or the bare lines of question and answer."""
    shutil.copytree(trained.models_dir, tmp_path / "models")
    write_tokenizer(tmp_path / "models" / "tiny", template)
    session, fed = ChatSession(Project(tmp_path)), FedModel(monkeypatch)
    given = fed.ask(session, [*ASK, {"role": "assistant", "content": "7"}, *ASK])
    question = ASK[0]["content"]
    turn = "<|im_start|>{}\n{}<|im_end|>\n"
    expected = (
        turn.format("user", question) + turn.format("assistant", "7") + turn.format("user", question)
        + "<|im_start|>assistant\n" if template else f"{question}\n7\n{question}\n"
    )  # fmt: skip
    assert given == expected


def test_a_conversation_the_template_refuses_is_reported(trained: Project, tmp_path: Path) -> None:
    """The template's own words, as one sentence."""
    shutil.copytree(trained.models_dir, tmp_path / "models")
    write_tokenizer(tmp_path / "models" / "tiny", "{{ raise_exception('roles must alternate') }}")
    with pytest.raises(UserError, match="roles must alternate"):
        list(ChatSession(Project(tmp_path)).reply(ASK, SHORT))


@pytest.mark.parametrize("broken", ["model", "adapter"])
def test_what_cannot_be_loaded_is_reported(trained: Project, tmp_path: Path, broken: str) -> None:
    """No model, or an adapter that is torn."""
    root = tmp_path / "project"
    shutil.copytree(trained.root, root)
    project = Project(root)
    if broken == "model":
        shutil.rmtree(project.models_dir)
    else:
        (project.adapters_dir / "adapters.safetensors").write_bytes(b"")
    with pytest.raises(UserError):
        ChatSession(project)
