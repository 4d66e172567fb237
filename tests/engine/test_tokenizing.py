"""Rows without a template, tokens across the border of prompt and answer, and tokenizer files."""

import json
from pathlib import Path
from typing import Any

from engine.dataset.batches.chat_template import TemplateError
from engine.dataset.batches.render import PLAIN_SEPARATOR
from engine.dataset.jsonl.row import Row
from engine.errors import UserError
from engine.model_folder.tokenizer import load_tokenizer
from tests.support.chat_forms import answers, byte_tokenizer, conversation, tokenize
from tests.support.melting_tokenizer import melting_tokenizer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.tokenizer_utils import load as load_wrapped
from mlx_lm.tuner.datasets import TextDataset

PAIR = conversation(("user", "por quê?"), ("assistant", "não sei"))
_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)


@pytest.fixture(scope="module", params=["chatml", "llama3"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer that adds no begin token, and one that does; neither has a template."""
    folder = tmp_path_factory.mktemp("plain")
    byte_tokenizer(folder, request.param)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["chat_template"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def plain(folder: Path) -> Any:
    return load_tokenizer(folder)


@settings(max_examples=25)
@given(_text)
def test_plain_text_is_trained_as_a_whole(plain: Any, folder: Path, text: str) -> None:
    """The tokens of mlx-lm's own data set: begin token if the model has one, end token always."""
    example = tokenize(plain, Row(1, text=text))
    tokens, _offset = TextDataset([], load_wrapped(folder)).process({"text": text})
    assert example.tokens.tolist() == list(tokens)
    assert not example.trained[0] and example.trained[1:].all() and example.ends_turn


def test_begin_and_end_tokens_of_the_text_are_not_doubled(plain: Any) -> None:
    """A text that writes them itself gives the same tokens as one that does not."""
    begin = plain.bos_token or ""
    whole = tokenize(plain, Row(1, text=f"{begin}Olá{plain.eos_token}"))
    assert whole.tokens.tolist() == tokenize(plain, Row(1, text="Olá")).tokens.tolist()
    assert whole.ends_turn and whole.trained[1:].all() and not whole.trained[0]


def test_without_a_template_question_and_answer_are_two_lines(plain: Any, folder: Path) -> None:
    """The answer ends with the end token, and begins where generation is fed up to."""
    example = tokenize(plain, PAIR)
    (trained,) = answers(example)
    assert plain.decode(trained) == "não sei" + plain.eos_token
    prompt = load_wrapped(folder).encode("por quê?" + PLAIN_SEPARATOR)
    assert example.tokens[: len(prompt)].tolist() == list(prompt)
    assert len(prompt) + len(trained) == len(example.tokens) and example.ends_turn


def test_the_prompt_is_trained_where_asked(plain: Any) -> None:
    """All but the first token, which nothing precedes."""
    example = tokenize(plain, PAIR, train_on_prompt=True)
    assert not example.trained[0] and example.trained[1:].all()


def test_several_turns_need_a_template(plain: Any) -> None:
    """They cannot be told apart as two lines; the fix says what to do."""
    with pytest.raises(TemplateError, match="several turns") as caught:
        tokenize(plain, conversation(("system", "x"), ("user", "a"), ("assistant", "b")))
    assert "one prompt and one completion" in caught.value.fix


@pytest.mark.parametrize("trim_offsets", [False, True])
def test_a_token_across_the_border_is_noticed(tmp_path: Path, trim_offsets: bool) -> None:
    """Line breaks at the start of an answer that melt with the template's."""
    tokenizer = melting_tokenizer(tmp_path, trim_offsets)
    double = tokenizer.convert_tokens_to_ids("ĊĊ")
    clean = tokenize(tokenizer, conversation(("user", "a\n"), ("assistant", "b\n\nc")))
    assert double in clean.tokens and not clean.shares_token
    assert [tokenizer.decode(ids) for ids in answers(clean)] == ["b\n\nc<|im_end|>"]
    melted = tokenize(tokenizer, conversation(("user", "a"), ("assistant", "\nb")))
    assert double in melted.tokens and melted.shares_token
    assert [tokenizer.decode(ids) for ids in answers(melted)] == ["b<|im_end|>"]


@pytest.mark.parametrize("trim_offsets", [False, True])
def test_white_space_before_an_answer_is_the_prompts(tmp_path: Path, trim_offsets: bool) -> None:
    """Also where the tokenizer counts it to neither token."""
    tokenizer = melting_tokenizer(tmp_path, trim_offsets)
    example = tokenize(
        tokenizer, conversation(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
    )
    assert [tokenizer.decode(ids) for ids in answers(example)] == ["b<|im_end|>", "d<|im_end|>"]


@pytest.mark.parametrize("content", [None, "{", '{"model": 3}'])
def test_a_folder_without_a_usable_tokenizer_is_reported(tmp_path: Path, content: str | None) -> None:
    """Missing and damaged files are the user's to mend."""
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(UserError, match="tokenizer"):
        load_tokenizer(tmp_path)
