"""A small fixed set of general paragraphs, our own: what a model loses on them tells what it forgot.

They are plain texts of general knowledge in English and in Portuguese, one a line, in `general_en.txt` and
`general_pt.txt`. Their absolute loss says little; that it rises says that training has cost something
that was not to be trained.
"""

from dataclasses import dataclass
from importlib.resources import files

from engine.dataset.batches.tokenize import Example, ExampleTokenizer
from engine.dataset.jsonl.row import Row

FORGOTTEN = 0.1
"""Nats per token by which the loss rises where something is said of it."""
LANGUAGES = ("en", "pt")
_MOST_TOKENS = 512
"""Of a paragraph; tokenizers of bytes have more."""


@dataclass(frozen=True)
class GeneralTexts:
    """The paragraphs as a model's tokens."""

    english: tuple[Example, ...]
    portuguese: tuple[Example, ...]

    @property
    def all(self) -> tuple[Example, ...]:
        """First the English, then the Portuguese ones."""
        return self.english + self.portuguese


def paragraphs(language: str) -> list[str]:
    """Return the paragraphs of a language, "en" or "pt"."""
    text = files(__package__).joinpath(f"general_{language}.txt").read_text(encoding="utf-8")
    return text.splitlines()


def general_texts(tokenize: ExampleTokenizer) -> GeneralTexts:
    """Return the paragraphs as examples: every token carries loss but the first, and there is no end token.

    Whether a text ends here is not general knowledge, and training teaches it.
    """
    return GeneralTexts(*(tuple(_example(tokenize, text) for text in paragraphs(each)) for each in LANGUAGES))


def _example(tokenize: ExampleTokenizer, text: str) -> Example:
    (example,) = tokenize(Row(1, text=text))
    whole = len(example.tokens) - 1 if example.ends_turn else len(example.tokens)
    return example.cut(min(whole, _MOST_TOKENS))
