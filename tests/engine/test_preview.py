"""Any row of a file found quickly, its tokens told faithfully, and what becomes of them."""

import json
from pathlib import Path
from typing import Any

from engine.dataset.inspect.preview import PreviewToken, RowFigures, find_row, preview_row, row_figures
from engine.dataset.jsonl.lines import Oddities, read_lines
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.errors import UserError
from engine.project import Project
from tests.support.tiny import RUN, write_tokenizer

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

MIXED = (
    b'{"text": "one"}\r\n\n'
    b'{"text": "three"}\nnot JSON\n   \n'
    b'{"text": "' + b"six " * 40_000 + b'"}\n'
    b'\xef\xbb\xbf{"text": "seven"}\n{"text": "eight"}'
)


@pytest.mark.parametrize("begin", range(1, 11))
def test_reading_from_a_line_on_finds_the_same_rows(tmp_path: Path, begin: int) -> None:
    """Blank, broken and long lines before it change nothing."""
    path = tmp_path / "train.jsonl"
    path.write_bytes(MIXED)
    every = [item for item in read_rows(path) if item.line >= begin]
    rows = [item for item in every if isinstance(item, Row)]
    assert [item for item in read_rows(path, begin) if isinstance(item, Row)] == rows
    numbers = [item[0] for item in read_lines(path, Oddities(), begin) if isinstance(item, tuple)]
    assert numbers == [line for line in (1, 3, 4, 6, 7, 8) if line >= begin]


def test_a_row_is_found_by_its_line(tmp_path: Path) -> None:
    """What stands there is said where it is no row."""
    path = tmp_path / "train.jsonl"
    path.write_bytes(MIXED)
    assert find_row(path, 1).text == "one"
    assert find_row(path, 8).text == "eight"
    for line, words in ((2, "no row on line 2"), (4, "Line 4"), (5, "no row on line 5"), (9, "no row")):
        with pytest.raises(UserError, match=words):
            find_row(path, line)
    path.write_bytes(b'[{"prompt": "a", "completion": "b"},\n{}]')
    with pytest.raises(UserError, match="one JSON array"):
        find_row(path, 2)


def sentence_pieces(folder: Path) -> None:
    """Write a tokenizer as of Llama 2: words begin with a mark, bytes for what it does not know."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "▁o", "▁lá", "lá", "o"]
    vocab = {word: index for index, word in enumerate(words)}
    model = models.BPE(
        vocab=vocab,
        merges=[],
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
        ignore_merges=True,
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken("</s>", special=True)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def project_with(tmp_path: Path, *rows: dict[str, Any]) -> Project:
    """Return a project with these rows and a folder for a tokenizer."""
    project = Project(tmp_path)
    project.data_dir.mkdir()
    project.train_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = project.models_dir / "tiny"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return project


def test_spaces_between_words_are_those_of_the_text(tmp_path: Path) -> None:
    """Also with a tokenizer that strips a token of its space when it is alone."""
    project = project_with(tmp_path, {"text": "o lá  o é"})
    sentence_pieces(project.models_dir / "tiny")
    tokens = preview_row(project, RUN, "train.jsonl", 1)
    assert "".join(token.text for token in tokens) == "o lá  o é</s>"
    assert [len(token.ids) for token in tokens if token.text == "é"] == [2]


def test_tokens_carry_their_ids(tmp_path: Path) -> None:
    """Those of one character together, unless one of them is cut."""
    project = project_with(tmp_path, {"prompt": "á" * 6, "completion": "éé"})
    write_tokenizer(project.models_dir / "tiny", None)
    whole = preview_row(project, RUN, "train.jsonl", 1)
    assert [token.text for token in whole] == [*"áááááá\néé", "<|im_end|>"]
    assert [len(token.ids) for token in whole] == [2, 2, 2, 2, 2, 2, 1, 2, 2, 1]
    cut = preview_row(project, RUN.updated({"max_seq_length": 16}), "train.jsonl", 1)
    assert [len(token.ids) for token in cut[8:]] == [1, 1, 1]
    assert [token.cut for token in cut[7:]] == [False, False, True, True]
    assert [index for token in cut for index in token.ids] == [
        index for token in whole for index in token.ids
    ]


def tokens(marks: str) -> list[PreviewToken]:
    """Return a token for each mark: prompt, trained, end, cut, cut End, and n for a line break."""
    return [
        PreviewToken(
            text="\n" if mark == "n" else mark,
            trained=mark in "teEcn",
            cut=mark in "Ec",
            special=mark in "eE",
            ids=(1, 2) if mark == "t" else (1,),
        )
        for mark in marks
    ]


@pytest.mark.parametrize(
    ("marks", "figures"),
    [
        ("ppte", RowFigures(5, 2, 3, 0, 1, "trained")),
        ("ppt", RowFigures(4, 2, 2, 0, 1, "missing")),
        ("pptccE", RowFigures(7, 2, 2, 3, 1, "cut")),
        ("pteptt", RowFigures(9, 1, 7, 0, 2, "missing")),  # the second answer
        ("pteptE", RowFigures(8, 1, 5, 1, 2, "cut")),
        ("ten", RowFigures(4, 0, 4, 0, 1, "trained")),  # the template's line break after the end
        ("ppp", RowFigures(3, 3, 0, 0, 0, "nothing")),
    ],
)
def test_tokens_are_counted_and_the_worst_ending_reported(marks: str, figures: RowFigures) -> None:
    """Of several answers one without an end is enough."""
    assert row_figures(tokens(marks)) == figures
