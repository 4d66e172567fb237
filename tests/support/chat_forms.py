"""The forms in which well-known model families write a conversation, over a byte-level tokenizer.

`templates/NAME.jinja` is a family's form in few lines; `templates/golden.json` holds its
control tokens and conversations with the text that they become, in which ⟦ and ⟧ stand around
what is trained; `split` are conversations that become one text an answer.
"""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.batches.tokenize import Example, ExampleTokenizer
from engine.dataset.jsonl.row import Row
from engine.model_folder.stops import StopTokens
from engine.model_folder.tokenizer import load_tokenizer
from tests.support.tiny import write_tokenizer

from tokenizers import AddedToken, Tokenizer, processors
from transformers.convert_slow_tokenizer import bytes_to_unicode

FOLDER = Path(__file__).parent / "templates"
GOLDEN: dict[str, Any] = json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))


def template(name: str) -> str:
    """Return a family's template."""
    return (FOLDER / f"{name}.jinja").read_text(encoding="utf-8")


def byte_tokenizer(folder: Path, name: str, chat_template: str | None = None) -> Any:
    """Write and load a tokenizer of one token a byte with the control tokens and template of a family.

    Where the family has a begin token, the tokenizer adds it by itself, as the real ones do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder, chat_template or template(name))
    family = GOLDEN[name]
    path = folder / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    names = [*family["tokens"].values(), *family["control"]]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in names])
    if bos := family["tokens"].get("bos_token"):
        pair = (bos, tokenizer.token_to_id(bos))
        tokenizer.post_processor = processors.TemplateProcessing(f"{bos} $A", f"{bos} $A $B", [pair])
    tokenizer.save(str(path))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | family["tokens"]))
    return load_tokenizer(folder)


def conversation(*turns: tuple[str, str]) -> Row:
    """Return a row of (role, content) turns on line 1."""
    return Row(1, tuple({"role": role, "content": content} for role, content in turns))


def tokenize(tokenizer: Any, row: Row, **config: Any) -> Example:
    """Return the one example that the engine makes of a row."""
    (example,) = tokenize_each(tokenizer, row, **config)
    return example


def tokenize_each(tokenizer: Any, row: Row, stops: Sequence[str] = (), **config: Any) -> tuple[Example, ...]:
    """Return the examples that the engine makes of a row.

    Args:
        tokenizer: of transformers.
        row: to be tokenised.
        stops: tokens at which generation stops, as text.
        config: settings.
    """
    return _example_tokenizer(tokenizer, tuple(stops), TrainingConfig.parse(config))(row)


@lru_cache(maxsize=16)
def _example_tokenizer(tokenizer: Any, stops: tuple[str, ...], config: TrainingConfig) -> ExampleTokenizer:
    """Return what makes examples; a vocabulary of real size takes a while to be looked at."""
    ids = frozenset(tokenizer.convert_tokens_to_ids(mark) for mark in stops)
    return ExampleTokenizer(tokenizer, config, StopTokens(ids))


def answers(example: Example) -> list[list[int]]:
    """Return each unbroken stretch of trained tokens."""
    found: list[list[int]] = []
    for position, token in enumerate(example.tokens):
        if example.trained[position]:
            if not example.trained[position - 1]:
                found.append([])
            found[-1].append(int(token))
    return found


def expected(tokenizer: Any, marked: str) -> tuple[list[int], list[bool]]:
    """Return the tokens of a golden text and which are trained: a control token or one byte each."""
    letters, vocabulary = bytes_to_unicode(), tokenizer.get_vocab()
    control = "|".join(re.escape(str(token)) for token in tokenizer.added_tokens_decoder.values())
    tokens, trained, inside = [], [], False
    for piece in re.split(f"({control}|⟦|⟧)", marked):
        if piece in ("⟦", "⟧"):
            inside = piece == "⟦"
            continue
        ids = (
            [vocabulary[piece]]
            if re.fullmatch(control, piece)
            else [vocabulary[letters[b]] for b in piece.encode()]
        )
        tokens += ids
        trained += [inside] * len(ids)
    return tokens, trained
