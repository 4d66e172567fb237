"""Chat templates that do not keep a row as it is: handled exactly, or refused with line, reason and fix."""

from datetime import datetime
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.batches.chat_template import TemplateError
from engine.dataset.batches.tokenize import ExampleTokenizer
from engine.dataset.inspect.load import load_file
from engine.errors import UserError
from tests.support.chat_forms import (
    FOLDER,
    GOLDEN,
    byte_tokenizer,
    conversation,
    expected,
    template,
    tokenize,
)
from tests.support.tiny import write_rows

import pytest

ONE = (("user", "Olá?"), ("assistant", "Sim"))
TWO = (*ONE, ("user", "Ah"), ("assistant", "Pois"))
SYSTEM = (("system", "Breve."), *ONE)
CHATML = template("chatml")
ANSWER = "m['content'] + '<|im_end|>' -}}{%- endgeneration"


def altered(old: str, new: str) -> str:
    assert old in CHATML
    return CHATML.replace(old, new)


REFUSED = {
    "no system role": ("gemma", None, SYSTEM, "System role not supported", "as the template wants"),
    "two questions": ("gemma", None, (ONE[0], *ONE), "must alternate", "as the template wants"),
    "the system's text is dropped": (
        "chatml",
        altered("for m in messages", "for m in (messages if add_generation_prompt else messages[-2:])"),
        SYSTEM,
        "turn 3: .* before the answer",
        "system's text into the question",
    ),
    "the system's text is only for generation": (
        "mistral_v3",
        None,
        SYSTEM,
        "turn 3: .* before the answer",
        "system's text into the question",
    ),
    "only the last question is kept": (
        "chatml",
        altered("for m in messages", "for m in messages[-2:]"),
        TWO,
        "turn 4: .* before the answer",
        "another chat template",
    ),
    "the length is told first": (
        "chatml",
        "{{- messages | length -}}" + CHATML,
        ONE,
        "turn 2: .* before the answer",
        "another chat template",
    ),
    "the answer is cut": (
        "chatml",
        altered(ANSWER, "m['content'][:2] + '<|im_end|>' -}}{%- endgeneration"),
        ONE,
        "turn 2: .* drops or changes",
        "as the template keeps it",
    ),
    "the answer is left out": (
        "chatml",
        altered(ANSWER, "'<|im_end|>' -}}{%- endgeneration"),
        ONE,
        "turn 2: .* drops or changes",
        "as the template keeps it",
    ),
    "the template is broken": ("chatml", "{{ messages[9]['content'] + 1 }}", ONE, "refuses it", "wants them"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_row_that_cannot_be_split_exactly_is_refused(tmp_path: Path, case: str) -> None:
    """The template's own reason or ours, the turn, and what to do; never a guess."""
    name, chat_template, turns, reason, fix = REFUSED[case]
    tokenizer = byte_tokenizer(tmp_path, name, chat_template)
    with pytest.raises(TemplateError, match=reason) as caught:
        tokenize(tokenizer, conversation(*turns))
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("chat_template", "reason"),
    [
        ([{"name": "tool_use", "template": CHATML}], "none is the default; name one of them"),
        (5, "cannot be used: it is no text"),
        ("{% for m in messages %}\n{{ m", "cannot be used: line 2"),
    ],
)
def test_a_model_without_a_template_to_choose_is_refused(
    tmp_path: Path, chat_template: Any, reason: str
) -> None:
    """Several, none of them the usual one, or something that is no template: one sentence, not one a row."""
    with pytest.raises(UserError, match=reason):
        byte_tokenizer(tmp_path, "chatml", chat_template)


def test_a_refused_row_is_a_fault_with_its_line_and_the_others_are_used(tmp_path: Path) -> None:
    """A system turn under Gemma's template, between two rows that it takes."""
    messages = [{"role": role, "content": content} for role, content in SYSTEM]
    pair = {"prompt": "Olá?", "completion": "Sim"}
    write_rows(tmp_path / "train.jsonl", [pair, {"messages": messages}, pair])
    tokenizer = byte_tokenizer(tmp_path / "gemma", "gemma")
    config = TrainingConfig()
    loaded = load_file(tmp_path / "train.jsonl", ExampleTokenizer(tokenizer, config), config)
    fault = next(fault for fault in loaded.report.faults if fault.severity == "error")
    assert (fault.line, fault.kind) == (2, "template")
    assert "System role not supported" in fault.message and fault.fix
    assert [example.line for example in loaded.examples] == [1, 3]
    assert (loaded.report.rows, loaded.report.examples) == (3, 2)


KEPT = {
    "what is said after the answer is not trained": (
        CHATML + "{%- if not add_generation_prompt -%}\n\n{{- '<|im_end|>\n' -}}{%- endif -%}",
        "⟦Sim<|im_end|>⟧\n<|im_end|>\n",
    ),
    "an answer is stripped": (altered(ANSWER, ANSWER.replace("]", "] | trim")), "⟦Sim<|im_end|>⟧\n"),
    "something stands before every answer": (
        altered(ANSWER, "'ok: ' + " + ANSWER),
        "ok: ⟦Sim<|im_end|>⟧\n",
    ),
    "marks of the answer's own letters stand before it": (
        altered(ANSWER, "'Sim? ' + " + ANSWER),
        "Sim? ⟦Sim<|im_end|>⟧\n",
    ),
}


@pytest.mark.parametrize("case", KEPT)
def test_a_row_that_can_be_split_exactly_is_kept(tmp_path: Path, case: str) -> None:
    """White space, marks after the end and words of the template's own do not move the answer."""
    chat_template, answer = KEPT[case]
    tokenizer = byte_tokenizer(tmp_path, "chatml", chat_template)
    example = tokenize(tokenizer, conversation(ONE[0], ("assistant", "Sim")))
    golden = expected(tokenizer, "<|im_start|>user\nOlá?<|im_end|>\n<|im_start|>assistant\n" + answer)
    assert (example.tokens.tolist(), example.trained.tolist()) == golden


@pytest.mark.parametrize("form", ["%d %b %Y", "%Y-%m-%d", "%B %d, %Y", "%A, %-d %B %y, %H:%M:%S"])
def test_tokens_do_not_depend_on_the_day(tmp_path: Path, form: str) -> None:
    """A template that writes today's date gives a run that is resumed tomorrow the same tokens."""
    tokenizer = byte_tokenizer(tmp_path, "chatml", "{{- strftime_now('" + form + "') + ' ' -}}" + CHATML)
    text = tokenizer.decode(tokenize(tokenizer, conversation(*ONE)).tokens)
    assert text.startswith(datetime(2024, 7, 26).strftime(form) + " <|im_start|>user")
    today = tokenizer.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False)
    assert not today.startswith(datetime(2024, 7, 26).strftime(form) + " ")


def test_an_answer_without_an_end_token_is_noticed(tmp_path: Path) -> None:
    """It is trained to the end of its turn, and the model would not learn to stop."""
    plain = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    tokenizer = byte_tokenizer(
        tmp_path, "chatml", plain + "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    example = tokenize(tokenizer, conversation(*TWO))
    golden = expected(tokenizer, "user: Olá?\nassistant:⟦ Sim\n⟧user: Ah\nassistant:⟦ Pois\n⟧")
    assert (example.tokens.tolist(), example.trained.tolist()) == golden
    assert not example.ends_turn


def test_every_family_is_tried() -> None:
    """A template without golden conversations or a refusal proves nothing."""
    tried = {name for name, *_rest in REFUSED.values()} | {n for n, f in GOLDEN.items() if f["golden"]}
    assert tried == GOLDEN.keys() == {path.stem for path in FOLDER.glob("*.jinja")}
