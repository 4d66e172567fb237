"""What must hold for the rows of a data file: duplicates, tokens, what is shown, and a cleaned copy."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.batches.chat_template import TemplateError
from engine.dataset.batches.tokenize import ExampleTokenizer
from engine.dataset.convert.clean import clean_data
from engine.dataset.inspect.duplicates import DuplicateFinder
from engine.dataset.jsonl.row import Row
from engine.errors import UserError
from engine.project import Project
from engine.sanitize import json_text, printable
from tests.campaigns.fuzz_checks import numbered

MOST_TWINS = 60
"""Rows of a file that are compared by brute force."""
# Format characters that are letters of a kind, or join letters and emoji.
_SEEN_FORMATS = (
    "WIDTH JOINER",
    "NON-JOINER",
    "VOWEL SEPARATOR",
    "SIGN",
    "AYAH",
    "ABBREVIATION",
    "MARK ABOVE",
    "FOOTNOTE",
)
Told = tuple[str, str, int, str, int]
"""A pair of duplicates: kind, file and line of the later row, file and line of the other."""


def check_mended(project: Project) -> None:
    """Mend the data; see that each line is copied as it is or is named, and the files stay as they are."""
    paths = (project.train_file, project.valid_file)
    before = [path.read_bytes() for path in paths]
    try:
        mended = clean_data(project, TrainingConfig())
    except UserError:
        assert [path.read_bytes() for path in paths] == before and len(list(project.data_dir.iterdir())) == 2
        return
    assert [path.read_bytes() for path in paths] == before
    gone = {(change.file, change.line, change.action) for change in mended.changes}
    train, valid = (
        {
            line: raw.strip()
            for line, raw in numbered(content).items()
            if (path.name, line, "dropped") not in gone
        }
        for path, content in zip(paths, before, strict=True)
    )
    moved = [raw for line, raw in train.items() if (paths[0].name, line, "moved") in gone]
    stays = [raw for line, raw in train.items() if (paths[0].name, line, "moved") not in gone]
    for path, expected in zip(paths, (stays, [*moved, *valid.values()]), strict=True):
        copied = (mended.folder / path.name).read_bytes().split(b"\n")
        assert not copied.pop() and Counter(copied) == Counter(expected), f"{copied} instead of {expected}"


def check_display(text: str) -> None:
    """See that a text as it is shown holds no control, nothing hidden and no change of direction."""
    for char in printable(text):
        category, name = unicodedata.category(char), unicodedata.name(char, "")
        assert category not in ("Cc", "Cs", "Zl", "Zp") or char in "\n\t", f"{char!r} of {text!r}"
        is_seen = category != "Cf" or any(word in name for word in _SEEN_FORMATS)
        assert is_seen, f"{char!r} of {text!r}"


def check_tokens(tokenizer: Any, row: Row) -> None:
    """See that a row's tokens hold its whole text, and that its answers are what is trained.

    Args:
        tokenizer: one that loses nothing, such as one token a byte.
        row: from a file.
    """
    try:
        (example,) = ExampleTokenizer(tokenizer, TrainingConfig())(row)
    except TemplateError as error:
        assert str(error) and error.fix
        return
    assert example.tokens.shape == example.trained.shape and not example.trained[:1].any()
    text, trained = (
        tokenizer.decode(tokens.tolist(), clean_up_tokenization_spaces=False)
        for tokens in (example.tokens, example.tokens[example.trained])
    )
    assert row.text in text and all(turn["content"] in text for turn in row.messages)
    answers = "".join(turn["content"] for turn in row.messages if turn["role"] == "assistant")
    if row.messages:
        assert _words(trained) == _words(answers), f"{trained!r} is trained for {answers!r}"


def _words(text: str) -> str:
    return "".join(re.sub(r"<\|im_(start|end)\|>", "", text).split())


def check_twins(train: Sequence[Row], valid: Sequence[Row]) -> None:
    """See that exact duplicates, other answers and leaks are those that comparing all with all finds."""
    train, valid = train[:MOST_TWINS], valid[:MOST_TWINS]
    finder = DuplicateFinder("train.jsonl", "valid.jsonl")
    for name, rows in (("train.jsonl", train), ("valid.jsonl", valid)):
        for row in rows:
            finder.see(name, row)
    found = {
        (
            duplicates.kind,
            duplicates.row.file,
            duplicates.row.line,
            duplicates.other.file,
            duplicates.other.line,
        )
        for duplicates in finder.duplicates()
        if not duplicates.kind.startswith("near")
    }
    expected = set(all_twins(train, valid))
    assert found == expected, f"{found} instead of {expected}"


def all_twins(train: Sequence[Row], valid: Sequence[Row]) -> Iterator[Told]:
    """Yield the pairs of rows that are the same, or ask the same."""
    for name, rows in (("train.jsonl", train), ("valid.jsonl", valid)):
        for row in rows:
            same = next(other for other in rows if _whole(other) == _whole(row))
            asked = next(other for other in rows if _question(other) == _question(row))
            if same is not row:
                yield "duplicate", name, row.line, name, same.line
            elif asked is not row:
                yield "other_answer", name, row.line, name, asked.line
    for row in valid:
        if leaks := [other for other in train if _question(other) == _question(row)]:
            yield "leak", "valid.jsonl", row.line, "train.jsonl", leaks[0].line


def _whole(row: Row) -> tuple[Any, ...]:
    """Return what is asked, turn by turn, and the last answer, in the form in which texts are compared."""
    if row.text:
        return (), _plain(row.text)
    last = [turn["role"] for turn in row.messages][::-1].index("assistant") + 1
    before = tuple((turn["role"], *_said(turn)) for turn in row.messages[:-last])
    return before, _said(row.messages[-last])


def _said(turn: dict[str, Any]) -> list[str]:
    """Return the words of a turn and of the calls in it."""
    calls = turn.get("tool_calls", [])
    return _plain("\n".join([turn["content"], *(json_text(call) for call in calls)]))


def _question(row: Row) -> tuple[Any, ...]:
    before, answer = _whole(row)
    return before or ((), answer)


def _plain(text: str) -> list[str]:
    return unicodedata.normalize("NFC", text).split()
