"""Which tokens carry loss under the chat templates of well-known families: golden texts and transformers."""

from pathlib import Path
from typing import Any

from engine.dataset.jsonl.turns import answers_of
from tests.support.chat_forms import (
    GOLDEN,
    answers,
    byte_tokenizer,
    conversation,
    expected,
    template,
    tokenize,
    tokenize_each,
)

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.tokenizer_utils import load as load_wrapped
from mlx_lm.tuner.datasets import ChatDataset

CASES = [
    pytest.param(name, turns, text, id=f"{name}-{number}")
    for name, family in GOLDEN.items()
    for number, (turns, text) in enumerate(family["golden"])
]
SPLIT = [
    pytest.param(name, turns, texts, id=f"{name}-{number}")
    for name, family in GOLDEN.items()
    for number, (turns, texts) in enumerate(family.get("split", ()))
]
# Families that keep every turn as it is.
STEADY = ("chatml", "qwen2", "llama3", "gemma", "phi3", "mistral_v1", "mistral_v3", "mistral_nemo")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


@pytest.fixture(scope="module")
def tokenizers(folder: Path) -> dict[str, Any]:
    return {name: byte_tokenizer(folder / name, name) for name in GOLDEN}


@pytest.mark.parametrize(("name", "turns", "text"), CASES)
def test_tokens_and_trained_spans_are_the_golden_ones(
    tokenizers: dict[str, Any], name: str, turns: list[tuple[str, str]], text: str
) -> None:
    """Each answer with its end-of-turn token, one begin token, and nothing else."""
    tokens, trained = expected(tokenizers[name], text)
    example = tokenize(tokenizers[name], conversation(*turns), stops=GOLDEN[name].get("stops", ()))
    assert example.tokens.tolist() == tokens
    assert example.trained.tolist() == trained
    assert example.ends_turn and not example.shares_token


@pytest.mark.parametrize(("name", "turns", "texts"), SPLIT)
def test_a_conversation_whose_turns_are_rewritten_is_one_example_an_answer(
    tokenizers: dict[str, Any], name: str, turns: list[tuple[str, str]], texts: list[str]
) -> None:
    """Each is what generation would be fed, and the answer; the last alone where that is asked for."""
    stops, row = GOLDEN[name].get("stops", ()), conversation(*turns)
    examples = tokenize_each(tokenizers[name], row, stops)
    golden = [expected(tokenizers[name], text) for text in texts]
    assert [(example.tokens.tolist(), example.trained.tolist()) for example in examples] == golden
    assert all(example.ends_turn and not example.shares_token for example in examples)
    for index, example in zip(answers_of(row.messages), examples, strict=True):
        fed = tokenizers[name].apply_chat_template(
            list(row.messages[:index]), add_generation_prompt=True, tokenize=False
        )
        known = tokenizers[name].decode(example.tokens)
        assert known.startswith(fed) or example.opened or not example.thinks
    (last,) = tokenize_each(tokenizers[name], row, stops, mask_history=True)
    assert (last.tokens.tolist(), last.trained.tolist()) == golden[-1]


@pytest.mark.parametrize(("name", "turns", "text"), CASES)
def test_the_prompt_is_trained_where_asked(
    tokenizers: dict[str, Any], name: str, turns: list[tuple[str, str]], text: str
) -> None:
    """All but the first token, which nothing precedes."""
    stops = GOLDEN[name].get("stops", ())
    example = tokenize(tokenizers[name], conversation(*turns), stops=stops, train_on_prompt=True)
    assert example.tokens.tolist() == expected(tokenizers[name], text)[0]
    assert not example.trained[0] and example.trained[1:].all()


def test_a_space_before_the_first_word_is_learned_with_it(tokenizers: dict[str, Any]) -> None:
    """Where the template writes something before the answer; old data begin every answer so."""
    tokens, trained = expected(
        tokenizers["harmony"],
        "<|start|>user<|message|>e<|end|><|start|>assistant<|channel|>final<|message|>⟦ e<|return|>⟧",
    )
    example = tokenize(tokenizers["harmony"], conversation(("user", "e"), ("assistant", " e")))
    assert (example.tokens.tolist(), example.trained.tolist()) == (tokens, trained)


def test_a_thought_that_generation_begins_and_answers_end_at_once_is_noticed(tmp_path: Path) -> None:
    """Under a template that cannot be told not to think: what is fed in chat is another prompt."""
    text = template("qwen3_5").replace("enable_thinking is defined and enable_thinking is false", "false")
    tokenizer = byte_tokenizer(tmp_path, "qwen3_5", text)
    example = tokenize(tokenizer, conversation(("user", "a"), ("assistant", "b")))
    assert example.opened == "<think>" and "think" in example.added


_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
_turns = st.lists(st.tuples(_text, _text), min_size=1, max_size=3)


def alternating(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [turn for question, answer in pairs for turn in (("user", question), ("assistant", answer))]


@pytest.mark.parametrize("name", STEADY)
@settings(max_examples=50)
@given(_turns)
def test_any_conversation_is_split_as_transformers_splits_it(
    tokenizers: dict[str, Any], name: str, pairs: list[tuple[str, str]]
) -> None:
    """Its own mask of the stretches that the template marks as generated."""
    row = conversation(*alternating(pairs))
    marked = tokenizers[name].apply_chat_template(
        list(row.messages), return_dict=True, return_assistant_tokens_mask=True
    )
    example = tokenize(tokenizers[name], row)
    assert example.tokens.tolist() == marked["input_ids"]
    assert example.trained.tolist() == [bool(mark) for mark in marked["assistant_masks"]]


@pytest.mark.parametrize("name", STEADY)
@settings(max_examples=15)
@given(_turns)
def test_the_last_answer_begins_where_mlx_lm_would_begin_to_generate(
    folder: Path, tokenizers: dict[str, Any], name: str, pairs: list[tuple[str, str]]
) -> None:
    """Tokens and offset of mlx-lm's own data set, so training and generation see the same prompt."""
    row = conversation(*alternating(pairs))
    data = ChatDataset([], load_wrapped(folder / name), mask_prompt=True)
    tokens, offset = data.process({"messages": list(row.messages)})
    example = tokenize(tokenizers[name], row)
    assert example.tokens.tolist() == list(tokens)
    last = answers(example)[-1]
    assert example.tokens[offset : offset + len(last)].tolist() == last
    assert example.trained[offset] and not example.trained[offset - 1]
