"""A field that changes what a row means is honoured or refused; all others are named as not used."""

import json
from pathlib import Path
from typing import Any

from engine.dataset.batches.chat_template import TemplateError
from engine.dataset.convert.detect_columns import choose
from engine.dataset.convert.records import Record
from engine.dataset.convert.tables import open_table
from engine.dataset.convert.written_row import written_row
from engine.dataset.jsonl.fields import sense_of
from engine.dataset.jsonl.parse import RowError
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.report import Fault
from tests.support.chat_forms import answers, byte_tokenizer, tokenize
from tests.support.tiny import write_rows

import pytest

TURNS = [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}]
WITH_SYSTEM = [("system", "s"), ("user", "a?"), ("assistant", "b")]
FORMS: dict[str, dict[str, Any]] = {
    "pair": {"prompt": "a?", "completion": "b"},
    "messages": {"messages": TURNS},
    "text": {"text": "a? b"},
    "trl": {"prompt": TURNS[:1], "completion": TURNS[1:]},
}
# As public data files have them beside question and answer.
FOREIGN: dict[str, Any] = {
    "id": 7, "source": "web", "category": "math", "lang": "pt", "split": "train", "url": "https://x.pt",
    "score": 0.5, "rating": 4, "timestamp": "2026-01-01", "author": "Eva", "license": "MIT", "hash": "ab",
    "topic": "x", "difficulty": "easy", "turns": 2, "tokens": 12, "metadata": {"a": 1}, "tags": ["x"],
    "model": "m", "dataset": "d", "system": "Sê breve.", "system_prompt": "Sê breve.",
    "weight": 0, "train": False, "loss": False, "label": False, "kto_tag": False,
    "chosen": "b", "rejected": "c", "chosen_response": "b", "score_chosen": 0.9,
    "images": ["1.png"], "image": "1.png", "audio": "1.wav", "videos": ["1.mp4"],
    "reasoning": "porque", "reasoning_content": "porque", "thinking": "porque", "cot": "porque",
    "rationale": "porque", "context": "um texto", "input": "um texto", "history": [["a", "b"]],
    "tools": [{"type": "function", "function": {"name": "f"}}], "functions": [{"name": "f"}],
    "mask": True, "loss_mask": 0, "masked": True, "ignore": 1, "is_correct": False, "wrong": True,
    "choices": ["x", "y"], "options": {"A": "x", "B": "y"}, "option_a": "x", "explanation": "porque",
    "thinkingProcess": "porque", "inner-monologue": "porque", "img_path": "1.png", "videoUrl": "1.mp4",
}  # fmt: skip
OF_TURNS: dict[str, Any] = {
    "weight": 0, "train": False, "training": False, "loss": False, "reasoning": "x", "reasoning_content": "x",
    "thinking": "x", "thoughts": "x", "images": ["1.png"], "audio": "1.wav", "chosen": "x", "name": "Eva",
    "id": 3, "timestamp": "x", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}],
    "function_call": {"name": "f", "arguments": "{}"},
    "mask": True, "loss_mask": 0, "masked": True, "ignore": 1, "train_on_turn": False, "label": False,
    "scratchpad": "x", "photo": "1.png", "choices": ["x", "y"], "loss_value": 0.3,
}  # fmt: skip

NOT_LEARNED: tuple[dict[str, Any], ...] = (
    *({"train": False}, {"loss": False}, {"weight": 0}, {"weight": 0.0}, {"training": False}),
    *({"train_on_turn": False}, {"trainOnTurn": "no"}, {"label": False}, {"is_correct": "false"}),
    *({"masked": True}, {"ignore": 1}, {"isMasked": "yes"}, {"wrong": True}, {"loss": 0, "masked": 0}),
)


def read(path: Path, value: dict[str, Any]) -> tuple[list[Row], list[Fault]]:
    write_rows(path, [value])
    items = list(read_rows(path))
    return [i for i in items if isinstance(i, Row)], [i for i in items if isinstance(i, Fault)]


def learned(tokenizer: Any, row: Row) -> list[str]:
    """The stretches of a row that carry loss, as text."""
    return [tokenizer.decode(tokens) for tokens in answers(tokenize(tokenizer, row))]


def is_silent(plain: list[Row], rows: list[Row], faults: list[Fault], key: str) -> bool:
    """Whether a field changed nothing and nothing was said of it."""
    return rows == plain and not any(key in fault.message for fault in faults)


def test_there_are_forty_foreign_fields() -> None:
    """Each form is tried with all of them."""
    assert len(FOREIGN) >= 40


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", FOREIGN)
def test_no_field_of_a_row_is_passed_over_in_silence(tmp_path: Path, form: str, key: str) -> None:
    """Nor is one that is empty taken for more than that."""
    plain, _faults = read(tmp_path / "train.jsonl", FORMS[form])
    rows, faults = read(tmp_path / "train.jsonl", FORMS[form] | {key: FOREIGN[key]})
    assert not is_silent(plain, rows, faults, key)
    if sense_of(key) is None:
        assert rows == plain and [fault.kind for fault in faults] == ["unused_fields"]
    nothings: tuple[Any, ...] = (None, "", [], {})
    for nothing in nothings:
        assert read(tmp_path / "train.jsonl", FORMS[form] | {key: nothing})[0] == plain


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("key", OF_TURNS)
def test_no_field_of_a_turn_is_passed_over_in_silence(tmp_path: Path, role: int, key: str) -> None:
    """Of a question or of an answer; a question is not learned anyhow."""
    turns = [{**turn, key: OF_TURNS[key]} if index == role else turn for index, turn in enumerate(TURNS)]
    plain, _faults = read(tmp_path / "train.jsonl", {"messages": TURNS})
    rows, faults = read(tmp_path / "train.jsonl", {"messages": turns})
    is_no_question = role == 0 and sense_of(key) in ("weight", "trained", "excluded")
    assert is_silent(plain, rows, faults, key) == is_no_question


@pytest.mark.parametrize("form", ["pair", "messages", "text"])
@pytest.mark.parametrize("key", FOREIGN)
def test_import_passes_over_no_field_either(tmp_path: Path, form: str, key: str) -> None:
    """It is honoured, its row is refused, or the words about the table name it."""
    value = FORMS[form] | {key: FOREIGN[key]}
    write_rows(tmp_path / "t.jsonl", [value])
    table = open_table(tmp_path / "t.jsonl")
    mapping = choose(table)
    plain, _row = written_row(Record(1, FORMS[form]), choose(table), 1)
    try:
        line, _row = written_row(Record(1, value), mapping, 1)
    except RowError:
        return
    shown = mapping.words(table.columns)
    assert f"not used: {key}" in shown or line != plain or key in shown


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        ({"prompt": "a?", "completion": "b", "system": "s"}, WITH_SYSTEM),
        ({"messages": TURNS, "system": "s"}, WITH_SYSTEM),
        ({"messages": [{"role": "system", "content": "s"}, *TURNS], "system": " s\n"}, WITH_SYSTEM),
        ({"messages": [{"role": "developer", "content": "s"}, *TURNS]}, WITH_SYSTEM),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, "?"]}, TURNS[1]]},
            WITH_SYSTEM[1:],
        ),
    ],
)  # fmt: skip
def test_what_is_honoured_becomes_turns(
    tmp_path: Path, value: dict[str, Any], messages: list[tuple[str, str]]
) -> None:
    """A system text beside any form is the system turn; parts of a text are one text."""
    (row,), _faults = read(tmp_path / "train.jsonl", value)
    assert [(turn["role"], turn["content"]) for turn in row.messages] == messages


def test_an_answer_that_is_not_to_be_learned_carries_no_loss(tmp_path: Path) -> None:
    """Whatever it is marked with, here and after import; the others of its conversation do."""
    tokenizer = byte_tokenizer(tmp_path / "model", "chatml")
    for mark in NOT_LEARNED:
        wrong = {"role": "assistant", "content": "errado", **mark}
        value = {"messages": [TURNS[0], wrong, *TURNS]}
        (row,), _faults = read(tmp_path / "train.jsonl", value)
        assert learned(tokenizer, row) == ["b<|im_end|>"]
        write_rows(tmp_path / "t.jsonl", [value])
        table = open_table(tmp_path / "t.jsonl")
        line, again = written_row(Record(1, value), choose(table), 1)
        assert again.untrained == (1,)
        assert read(tmp_path / "train.jsonl", json.loads(line))[0] == [again]


def test_of_a_conversational_pair_only_the_completion_is_learned(tmp_path: Path) -> None:
    """As TRL does it: answers in the prompt are given, not learned."""
    tokenizer = byte_tokenizer(tmp_path / "model", "chatml")
    value = {
        "prompt": [*TURNS, {"role": "user", "content": "c?"}],
        "completion": [TURNS[1] | {"content": "d"}],
    }
    (row,), _faults = read(tmp_path / "train.jsonl", value)
    assert learned(tokenizer, row) == ["d<|im_end|>"]


# Tools

WITH_TOOLS = (
    "{%- if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<|im_end|>\n"
    "{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for call in m.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CALL = {"id": "1", "function": {"name": "clima", "arguments": '{"cidade": "Évora"}'}}
WEATHER = {
    "tools": [{"name": "clima", "parameters": {"cidade": "string"}}],
    "messages": [
        {"role": "user", "content": "Chove em Évora?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": {"chuva": False}, "tool_call_id": "1", "name": "clima"},
        {"role": "assistant", "content": "Não."},
    ],
}


def test_calls_of_tools_are_learned_and_what_they_answer_is_not(tmp_path: Path) -> None:
    """Functions, calls and results stand where the model's own template puts them."""
    tokenizer = byte_tokenizer(tmp_path / "model", "chatml", WITH_TOOLS)
    (row,), faults = read(tmp_path / "train.jsonl", WEATHER)
    assert faults == []
    call = '<tool_call>{"name": "clima", "arguments": {"cidade": "Évora"}}</tool_call><|im_end|>'
    assert learned(tokenizer, row) == [call, "Não.<|im_end|>"]
    text = tokenizer.decode(tokenize(tokenizer, row).tokens.tolist())
    assert '"name": "clima", "parameters": {"cidade": "string"}' in text and '{"chuva": false}' in text


def test_a_template_without_tools_refuses_them(tmp_path: Path) -> None:
    """It would leave them out without a word."""
    tokenizer = byte_tokenizer(tmp_path / "model", "chatml")
    for value, lost in (
        (WEATHER, "turn 2: the chat template leaves out calls of tools: clima"),
        ({"messages": WEATHER["messages"]}, "turn 2: the chat template leaves out calls of tools: clima"),
        ({"messages": TURNS, "tools": WEATHER["tools"]}, "passes over tools that may be called: clima"),
    ):
        (row,), _faults = read(tmp_path / "train.jsonl", value)
        with pytest.raises(TemplateError, match=lost):
            tokenize(tokenizer, row)


def test_a_tool_whose_name_stands_in_the_question_is_not_reported_for_that(tmp_path: Path) -> None:
    """The template renders the same with the tools and without them."""
    tokenizer = byte_tokenizer(tmp_path / "model", "chatml")
    (row,), _faults = read(tmp_path / "train.jsonl", {"messages": TURNS, "tools": [{"name": "a"}]})
    assert "a" in row.messages[0]["content"]
    with pytest.raises(TemplateError, match="passes over tools that may be called: a"):
        tokenize(tokenizer, row)
