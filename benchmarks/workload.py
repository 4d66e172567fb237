"""Rows of wanted token lengths: the work that both sides of a comparison are given."""

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from engine.config import TrainingConfig
from engine.dataset.batches.tokenize import Example, ExampleTokenizer
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.turns import Message
from engine.model.demo import sample_data_dir
from engine.model_folder.tokenizer import load_tokenizer

Pair = dict[str, str]
"""One row: `prompt` and `completion`."""

# A file of text would do as well; it matters only how many tokens there are.
_WORDS = (
    *("the", "a", "of", "to", "in", "and", "is", "it", "that", "was", "for", "on", "are", "as", "with"),
    *("water", "river", "house", "light", "paper", "green", "early", "night", "island", "bridge"),
)
_TRIES = 40


@dataclass(frozen=True)
class Workload:
    """How many rows a step has, and how long they are."""

    name: str
    rows: int
    """Of one optimizer step: the effective batch size."""
    shortest: int = 0
    """Tokens of the whole rendered row; lengths are drawn evenly between the two."""
    longest: int = 0
    """0 takes the rows of the sample data as they are."""


WORKLOADS = {
    "cpu": Workload("cpu", 4),
    "long": Workload("long", 8, 900, 1024),
    "medium": Workload("medium", 4, 400, 512),
    "short": Workload("short", 32, 40, 100),
    "tiny": Workload("tiny", 4, 40, 64),
}


@dataclass(frozen=True)
class Lengths:
    """What was written."""

    tokens: tuple[int, ...]
    """Of each row."""
    trained: float
    """Share of the tokens that carry loss, 0 to 1."""

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(self.tokens)

    @property
    def mean_context(self) -> float:
        """Tokens that a token attends to in causal attention, on average."""
        return sum(length**2 for length in self.tokens) / sum(self.tokens) / 2


class RowMaker:
    """Makes rows that have a wanted length in a model's own template and tokens."""

    def __init__(self, model: Path, seed: int = 0) -> None:
        self._tokenizer = load_tokenizer(model)
        self._tokenize = ExampleTokenizer(self._tokenizer, TrainingConfig())
        self._random = random.Random(seed)

    def example(self, pair: Pair) -> Example:
        """Return a row as the engine sees it."""
        question: Message = {"role": "user", "content": pair["prompt"]}
        answer: Message = {"role": "assistant", "content": pair["completion"]}
        (example,) = self._tokenize(Row(1, messages=(question, answer)))
        return example

    def rows(self, workload: Workload) -> Iterator[Pair]:
        """Yield rows without end.

        Raises:
            ValueError: the template alone is longer than a row may be.
        """
        while True:
            yield self._row(self._random.randint(workload.shortest, workload.longest))

    def _row(self, length: int) -> Pair:
        """Return a row of `length` tokens, half of them answer as far as the template leaves room."""
        for _try in range(_TRIES):
            words = self._random.choices(_WORDS, k=2 * length)
            answer = length // 2
            question = length - answer
            for _correction in range(_TRIES):
                pair = {"prompt": self._text(words, question), "completion": self._text(words, answer)}
                missing = length - len(self.example(pair).tokens)
                if not missing:
                    return pair
                question += missing
                if question < 1:
                    question, answer = 1, answer + question - 1
                if answer < 1:
                    raise ValueError(f"the model's chat template leaves no room in {length} tokens")
        raise ValueError(f"no row of exactly {length} tokens was found")

    def _text(self, words: list[str], tokens: int) -> str:
        """Return the beginning of `words` that has `tokens` tokens."""
        text = " ".join(words)
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        end: int = encoded["offset_mapping"][tokens - 1][1]
        return text[:end]


def examples_of(lines: Iterable[str], model: Path) -> list[Example]:
    """Return the rows of `write_rows` as the engine sees them with a model's tokenizer."""
    maker = RowMaker(model)
    return [maker.example(json.loads(line)) for line in lines]


def sample_rows() -> Iterator[Pair]:
    """Yield the rows of the sample data, over and over."""
    text = (sample_data_dir() / "train.jsonl").read_text(encoding="utf-8")
    yield from cycle([json.loads(line) for line in text.splitlines()])


def write_rows(path: Path, workload: Workload, steps: int, model: Path, seed: int = 0) -> Lengths:
    """Write the rows of `steps` optimizer steps as JSON Lines.

    Raises:
        UserError: the model has no usable tokenizer.
        ValueError: see `RowMaker.rows`.
    """
    maker = RowMaker(model, seed)
    source = maker.rows(workload) if workload.longest else sample_rows()
    pairs = list(islice(source, steps * workload.rows))
    path.write_text("".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs), encoding="utf-8")
    examples = [maker.example(pair) for pair in pairs]
    lengths = tuple(len(example.tokens) for example in examples)
    return Lengths(lengths, sum(int(example.trained.sum()) for example in examples) / sum(lengths))
