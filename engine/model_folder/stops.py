"""The tokens at which answers stop, as a model folder names them, and what it names that is no token."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.model_folder.settings import optional_settings, read_settings
from engine.sanitize import one_line

_GENERATION, _CONFIG, _TOKENIZER = "generation_config.json", "config.json", "tokenizer_config.json"


@dataclass(frozen=True)
class Named:
    """A stop token as a file names it."""

    file: str
    value: Any
    """A number; of the tokenizer the text of a token, None where it has none."""
    is_usable: bool
    """Whether it is a token of the model."""

    def __str__(self) -> str:
        """Say what is named where."""
        field = "eos_token" if self.file == _TOKENIZER else "eos_token_id"
        return f"{field} {one_line(json.dumps(self.value, ensure_ascii=False), 40)} ({self.file})"


@dataclass(frozen=True)
class StopTokens:
    """At what generation with a model stops, as mlx-lm finds it, and what it cannot stop at."""

    ids: frozenset[int] = frozenset()
    unusable: tuple[Named, ...] = ()


NO_STOPS = StopTokens()


def stop_tokens(folder: Path, tokenizer: Any, vocabulary: int | None) -> StopTokens:
    """Return the stop tokens of `generation_config.json`, else of `config.json`, and the tokenizer's own.

    Args:
        folder: of the model.
        tokenizer: of transformers, or mlx-lm's wrapper of it.
        vocabulary: how many tokens the model has vectors for; None where that is not known.

    Raises:
        UserError: a file cannot be read.
    """
    most = vocabulary or len(tokenizer.get_vocab())
    numbers = list(_numbers(folder, most))
    own, index = _own(folder, tokenizer, most), tokenizer.eos_token_id
    ids = {named.value for named in numbers if named.is_usable} | ({index} if own.is_usable else set())
    return StopTokens(frozenset(ids), tuple(named for named in (*numbers, own) if not named.is_usable))


def _numbers(folder: Path, most: int) -> Iterator[Named]:
    file, found = _GENERATION, optional_settings(folder / _GENERATION).get("eos_token_id")
    if not found:
        file, found = _CONFIG, read_settings(folder / _CONFIG).get("eos_token_id")
    for value in found if isinstance(found, list) else [] if found is None else [found]:
        yield Named(file, value, type(value) is int and 0 <= value < most)


def _own(folder: Path, tokenizer: Any, most: int) -> Named:
    text, index = tokenizer.eos_token, tokenizer.eos_token_id
    is_usable = index is not None and index < most and not _is_made_up(folder, tokenizer)
    return Named(_TOKENIZER, text, is_usable)


def _is_made_up(folder: Path, tokenizer: Any) -> bool:
    """Whether transformers gave the tokenizer's stop token a number because its files have none for it."""
    vocabulary = folder / "tokenizer.json"
    if tokenizer.eos_token_id < tokenizer.vocab_size or not vocabulary.is_file():
        return False
    added = read_settings(vocabulary).get("added_tokens") or []
    listed = optional_settings(folder / _TOKENIZER).get("added_tokens_decoder") or {}
    known = [*added, *(listed.values() if isinstance(listed, dict) else ())]
    return tokenizer.eos_token not in [item.get("content") for item in known if isinstance(item, dict)]
