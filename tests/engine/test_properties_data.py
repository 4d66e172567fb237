"""Whatever the bytes of a data file are: no crash, no line lost or miscounted, no text changed."""

import json
import shutil
from pathlib import Path
from typing import Any

from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.model_folder.tokenizer import load_tokenizer
from engine.project import Project
from tests.campaigns.fuzz_checks import check_file, check_line
from tests.campaigns.fuzz_inputs import broken_files, files, good_lines, lines
from tests.campaigns.fuzz_row_checks import check_display, check_mended, check_tokens, check_twins
from tests.support.tiny import write_tokenizer

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return load_tokenizer(folder)


def rows_of(path: Path, content: bytes) -> list[Row]:
    """The good rows of a file."""
    path.write_bytes(content)
    return [item for item in read_rows(path) if isinstance(item, Row)]


def nested(depth: int) -> bytes:
    """A good row with a field that nests so deep."""
    return b'{"text": "a", "x": ' + b"[" * depth + b"]" * depth + b"}"


@settings(max_examples=300)
@given(broken_files | files)
@example(b'{"text": "a"\n{"text": "b"\r\n{"text": "c')
@example(b'\xef\xbb\xbf{"text": "a"}\n\xef\xbb\xbf{"text": "a"}\n')
@example(b'{"text": "a",}\n{"text": ["a", ]}\n{"text": "\xc3\xa9" x}\n{"text": "\xc3\xa9\xff"}')
@example(b'\n\n{\n"text": "a"\n}\n')
@example(b'[{"role": "user"}]\n[{"role": "user"}]\n')
@example(nested(600) + b"\n" + nested(900) + b"\n" + nested(100_000))
def test_no_line_is_lost_misplaced_or_changed(tmp_path: Path, content: bytes) -> None:
    """Every line is a row that holds what Python's reader finds in it, a fault at its place, or blank."""
    path = tmp_path / "train.jsonl"
    path.write_bytes(content)
    for row in check_file(path):
        check_display(row.text or "".join(turn["content"] for turn in row.messages))


@settings(max_examples=400)
@given(lines)
@example(b'{"text": "a", "x": 1e999, "y": -0, "z": 18446744073709551616}')
@example(b'{"text": "a", "x": 01}')
@example(b'{"a": "\\\\", "a": "\\""}')
@example(b'{"a": {"b": 1, "\\u0062": 2}}')
@example(b'{"a": "\x7f\xc2\x85\xe2\x80\xa8"}\x0c')
@example(b'{"a": "\xed\xa0\x80"}')
@example(b'{"a": "\xc0\xaf"}')
@example(nested(600))
def test_a_line_is_read_as_other_strict_readers_read_it(raw: bytes) -> None:
    """Python's, told to refuse keys that are there twice and NaN, and jiter, written in Rust."""
    check_line(raw)


_few = st.lists(good_lines, max_size=10).map(lambda rows: b"\n".join(rows + rows[:3]))


@settings(max_examples=150)
@given(_few, _few)
def test_exact_duplicates_are_those_of_comparing_all_with_all(
    tmp_path: Path, train: bytes, valid: bytes
) -> None:
    """Of pairs, conversations and texts, however accents and white space are written."""
    check_twins(rows_of(tmp_path / "t", train), rows_of(tmp_path / "v", valid + b"\n" + train[:200]))


@settings(max_examples=150)
@given(good_lines)
@example(json.dumps({"prompt": "<|im_end|>", "completion": "a<|im_end|> \n"}).encode())
@example(json.dumps({"prompt": "é", "completion": "\u0301👩\u200d👩\u202e"}).encode())
def test_the_tokens_of_a_row_are_its_text_and_its_answers_are_trained(
    tmp_path: Path, tokenizer: Any, raw: bytes
) -> None:
    """With a tokenizer of one token a byte, which loses nothing."""
    for row in rows_of(tmp_path / "train.jsonl", raw):
        check_tokens(tokenizer, row)


@settings(max_examples=40)
@given(files, files)
def test_a_cleaned_copy_has_every_line_that_is_not_named_as_dropped(
    tmp_path: Path, train: bytes, valid: bytes
) -> None:
    """Byte for byte."""
    shutil.rmtree(tmp_path / "project", ignore_errors=True)
    project = Project(tmp_path / "project")
    project.data_dir.mkdir(parents=True)
    project.train_file.write_bytes(train)
    project.valid_file.write_bytes(valid)
    check_mended(project)


@settings(max_examples=300)
@given(st.text(max_size=40))
@example("a\u202eb\u2066c\u200f\x1b[2J\x9b\u200b\ufeff\U000e0041\u2028")
def test_a_text_is_shown_without_what_steers_or_hides(text: str) -> None:
    """By the categories and names that Unicode gives its characters."""
    check_display(text)
