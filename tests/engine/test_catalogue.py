"""The catalogue of translations is whole, fits the source, and is read as Babel reads it."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from engine.dataset.fault_kinds import KINDS
from engine.i18n.catalogue import path_of, read
from engine.i18n.numbers import SEPARATORS
from engine.shell import COMMANDS
from scripts.untranslated import untranslated

import pytest
from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
FIELD = re.compile(r"\{[^{}]*\}")
KEPT = re.compile(
    rf"mqlora-tui(?: (?:{'|'.join(COMMANDS)})\b)?|--[\w-]+|\b[A-ZÀ-Ý]{{4,}}\b"
    r"|\b\w+\.(?:jsonl?|txt|gguf|safetensors)\b|\b\w+=[\w.]+|\b[a-z_]{3,}/"
)
"""Commands, options, what stands for a value, files, settings and folders."""
PLACEHOLDERS = {
    "ARGS": "ARGUMENTOS",
    "COLUMN": "COLUNA",
    "COMMAND": "COMANDO",
    "FILE": "FICHEIRO",
    "FOLDER": "PASTA",
    "KEY": "CHAVE",
    "MODEL": "MODELO",
    "NAME": "NOME",
    "OPTIONS": "OPÇÕES",
    "ORGANISATION": "ORGANIZAÇÃO",
    "REVISION": "REVISÃO",
    "VALUE": "VALOR",
}
"""What stands for a value; each has one word in Portuguese."""
PLACEHOLDER = re.compile(rf"\b(?:{'|'.join(PLACEHOLDERS)})\b")


@cache
def catalogue() -> Catalog:
    with path_of("pt").open("rb") as file:
        return read_po(file)


def texts() -> Iterator[tuple[str, str]]:
    """Yield the English and the translation of each text, and of each form of it."""
    for message in catalogue():
        if isinstance(message.id, str):
            yield message.id, str(message.string)
        else:
            yield from zip(message.id, message.string, strict=True)


def differing(pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    """Return the texts in whose translation what `pattern` finds is there more or less often."""
    return [
        (english, other)
        for english, other in texts()
        if english and Counter(pattern.findall(english)) != Counter(pattern.findall(other))
    ]


def test_it_has_every_text_of_the_source_and_no_other() -> None:
    """Otherwise: make texts."""
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    texts: set[str | tuple[str, ...]] = {
        message
        for folder in ("engine", "tui")
        for _file, _line, message, *_rest in extract_from_dir(ROOT / folder, methods, options)
    }
    pairs = {text for text in texts if not isinstance(text, str)}
    alone = texts - pairs - {one for one, _many in pairs}
    assert pairs | alone == {message.id for message in catalogue() if message.id}


def test_every_text_is_translated() -> None:
    """And by a person, who is sure."""
    assert untranslated(path_of("pt")) == []


def test_what_is_filled_in_stays() -> None:
    """With its name and its form."""
    assert differing(FIELD) == []


def test_what_is_typed_or_looked_for_stays() -> None:
    """A command in a translation is the command."""
    found = [
        (english, other)
        for english, other in texts()
        if english
        and english not in KINDS
        and Counter(KEPT.findall(PLACEHOLDER.sub(lambda word: PLACEHOLDERS[word[0]], english)))
        != Counter(KEPT.findall(other))
    ]
    assert found == []


def test_texts_that_are_put_together_keep_their_spaces() -> None:
    """And their lines."""
    edges = re.compile(r"^\s+|\s+$|\n")
    assert differing(edges) == []


def test_it_is_read_as_babel_reads_it() -> None:
    """Escapes, texts of several lines and plurals included."""
    by_babel = {
        message.id if isinstance(message.id, str) else message.id[0]: (
            (message.string,) if isinstance(message.string, str) else tuple(message.string)
        )
        for message in catalogue()
        if message.id
    }
    assert read(path_of("pt")) == by_babel


def test_numbers_stay_with_their_units() -> None:
    """At a plain space a line may end."""
    apart = re.compile(r"(?:\{[^{}]*\}|\d) (?:s|min|h|d|ms|[kMG]B|GiB|%|tok(?:/s|ens?)?|bits)(?![\w/])")
    assert [other for english, other in texts() if english and apart.search(other)] == []


def test_nothing_at_all_is_many() -> None:
    """As `ngettext` has it: "0 linhas"."""
    assert (catalogue().num_plurals, catalogue().plural_expr) == (2, "(n != 1)")


@pytest.mark.parametrize(("language", "locale"), [("en", "en_GB"), ("pt", "pt_PT")])
def test_separators_are_those_of_the_cldr(language: str, locale: str) -> None:
    """Whose tables take longer to load than the app to start."""
    symbols = Locale.parse(locale).number_symbols["latn"]
    assert SEPARATORS[language] == (symbols["group"], symbols["decimal"])
