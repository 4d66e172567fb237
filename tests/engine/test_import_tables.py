"""Files of other formats: recognised by their content, each row with its place, none lost."""

import csv
import gzip
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.dataset.convert import parquet as parquet_file
from engine.dataset.convert import tables
from engine.dataset.convert.formats import recognise
from engine.errors import UserError
from tests.support.import_files import became, bring, lines, tree

import pyarrow
import pyarrow.parquet as pq
import pytest

MIXED = 'Olá, João; "não"\t1.ª\n👩‍👩‍👧‍👦 שלום مرحبا 𝕏'
PAIR = {"prompt": MIXED, "completion": MIXED}
Writer = Callable[[Path], object]


def delimited(mark: str, mark_order: bytes = b"") -> Writer:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=mark).writerows([PAIR.keys(), PAIR.values()])
    return lambda path: path.write_bytes(mark_order + text.getvalue().encode())


def parquet(rows: list[Any]) -> Writer:
    return lambda path: pq.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=2)


def packed(write: Writer) -> Writer:
    def written(path: Path) -> None:
        write(path)
        path.write_bytes(gzip.compress(path.read_bytes()))

    return written


JSON_LINES = b"\n" + json.dumps(PAIR).encode() + b"\r\n"


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a", "a.gz"])
@pytest.mark.parametrize(
    ("write", "words", "place"),
    [
        (delimited(","), "CSV with ,", 2),
        (delimited(";", b"\xef\xbb\xbf"), "CSV with ;", 2),
        (delimited("\t"), "TSV", 2),
        (packed(delimited(";")), "CSV with ;, gzip", 2),
        (lambda path: path.write_bytes(JSON_LINES), "JSON Lines", 2),
        (packed(lambda path: path.write_bytes(b"\xef\xbb\xbf" + JSON_LINES)), "JSON Lines, gzip", 2),
        (lambda path: path.write_text(json.dumps([PAIR], indent=1)), "one JSON array", 1),
        (packed(lambda path: path.write_text(json.dumps([PAIR]))), "one JSON array, gzip", 1),
        (parquet([PAIR]), "Parquet", 1),
    ],
)
def test_the_content_tells_the_format(
    tmp_path: Path, name: str, write: Writer, words: str, place: int
) -> None:
    """Whatever the file is called, its one row comes out as it went in."""
    write(tmp_path / name)
    table = tables.open_table(tmp_path / name)
    assert (table.source.words, [item.place for item in table.sample]) == (words, [place])
    assert became(tmp_path / name, tmp_path / "p") == ([PAIR], [])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "a.csv is empty"),
        ("a.csv", b"\xef\xbb\xbf\r\n \n", "a.csv is empty"),
        ("a.csv", b"prompt,completion\n", "a.csv has no rows"),
        ("a.json", b"[]", "a.json has no rows"),
        ("a.json", b'[{"prompt": "a"},', "a.json is no JSON array: Input data was truncated"),
        ("a.json", b"prompt", "a.json is no JSON array"),
        ("a.json", b'{\n "data": []}', "begins with an object of several lines; write one object a line, or"),
        ("a.jsonl", b"prompt\n", "No row of .* can be read; line 1: not JSON"),
        ("a.jsonl", '{"text": "a"}\n'.encode("utf-16") + b"\x00\xd8", "Line 2 of .* as JSON Lines, UTF-16"),
        (
            "a.json",
            '[{"text": "a"}]'.encode("utf-16") + b"\x00\xd8",
            "a.json cannot be read as one JSON array",
        ),
        ("a.csv", "a,b\n1,2".encode("utf-16-le"), "a.csv is not text"),
        (
            "a.safetensors",
            b'\x68\x01\0\0\0\0\0\0{"a":{"dtype":"F32","shape":[2,2]}}',
            "a.safetensors is not text",
        ),
        ("a.pdf", b"%PDF-1.7\n1 0 obj, 2 0 obj\n", "a.pdf is not text"),
        (
            "a.xlsx",
            b"PK\x03\x04...",
            "zip archive or an Excel file; unpack it, or save the sheet as CSV UTF-8",
        ),
        ("a.zst", b"\x28\xb5\x2f\xfd..", "compressed with zstd; unpack it"),
        ("a.gz", gzip.compress(b"PAR1", mtime=0), "a Parquet table inside gzip"),
        ("a.gz", gzip.compress(b"prompt,completion\n" * 9999, mtime=0)[:-20], "a.gz is damaged"),
        ("a.gz", b"\x1f\x8b\x08\x00", "a.gz is damaged"),
        ("a.parquet", b"PAR1....PAR1", "a.parquet is a damaged Parquet table"),
        ("a.parquet", b"prompt;completion\n", "The format of .*a.parquet is not known"),
        ("a.txt", b"one line\n", "The format of .*a.txt is not known"),
        ("a.csv", b"prompt,completion,prompt\n1,2,3\n", "has two columns named 'prompt'"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """In one sentence that says how to go on, and nothing is written."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        bring(tmp_path / name, tmp_path / "p")
    assert tree(tmp_path / "p") == []


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A folder, a name that nobody has, one that nobody can have, a pipe, a file without permissions."""
    os.mkfifo(tmp_path / "pipe")
    for name, said in ((".", "is a folder"), ("none", "There is no file"), ("a\0b", "There is no file")):
        with pytest.raises(UserError, match=said):
            recognise(tmp_path / name)
    with pytest.raises(UserError, match="no plain file"):
        recognise(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    """The reason is the system's."""
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "a.csv").chmod(0)
    with pytest.raises(UserError, match="Permission denied"):
        recognise(tmp_path / "a.csv")


def test_without_pyarrow_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only for Parquet."""
    parquet([PAIR])(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"run: \S+ -m pip install pyarrow"):
        tables.open_table(tmp_path / "a.parquet")


def test_cells_that_do_not_fit_are_rejected_with_their_line(tmp_path: Path) -> None:
    """Too few, too many, badly quoted, not UTF-8, zero; breaks inside cells count as lines."""
    content = b'prompt,completion\n"a\nb",c\nd\n\ne,f,g\n"h"i,j\n"k",\xff\nl,m\x00\n"n",o\np,"q\nr,s\n'
    (tmp_path / "a.csv").write_bytes(content)
    rows, rejected = became(tmp_path / "a.csv", tmp_path / "p")
    assert rows == [{"prompt": "a\nb", "completion": "c"}, {"prompt": "n", "completion": "o"}]
    assert rejected == [
        (4, "wrong_cells"),
        (6, "wrong_cells"),
        (7, "bad_quote"),
        (8, "invalid_utf8"),
        (9, "nul"),
        (11, "bad_quote"),
    ]
    said = [item["reason"] for item in lines(tmp_path / "p" / "data" / "rejected.jsonl")]
    assert said[-1] == "a quote is never closed: the rest of the file is one cell (lines 11 to 12)"
    assert said[0] == "1 cell, but the header has 2"


def test_a_text_that_every_row_of_parquet_repeats_is_not_held_as_often(tmp_path: Path) -> None:
    """A small file: a dictionary holds the text once, and packed."""
    path = tmp_path / "a.parquet"
    row = {"prompt": "Tem pão?", "completion": "Sim, " * 180_000}
    parquet([row] * 60)(path)
    assert path.stat().st_size < 1 << 21  # of 54 million characters
    table = tables.open_table(path)
    assert len(table.sample) == 38 and table.columns == ("prompt", "completion")


def test_rows_of_an_array_and_of_parquet_have_their_number(tmp_path: Path) -> None:
    """What is no object, has a key twice, or holds no text is rejected."""
    (tmp_path / "a.json").write_text(
        '[{"prompt": "a", "completion": "b"}, 5, {"prompt": "a", "prompt": "b"}]'
    )
    assert became(tmp_path / "a.json", tmp_path / "p")[1] == [(2, "not_an_object"), (3, "duplicate_key")]
    rows = [{"question": 1, "answer": "a"}, {"question": None, "answer": "b"}]
    parquet(rows)(tmp_path / "b")
    assert became(tmp_path / "b", tmp_path / "q", text="answer")[1] == []
    with pytest.raises(UserError, match=r"None of the 2 rows of .*; row 1: 'question' is not text"):
        became(tmp_path / "b", tmp_path / "r")


def test_cells_of_parquet_that_cannot_be_read_cost_one_row_or_none(tmp_path: Path) -> None:
    """Text that is not UTF-8 costs its row; a date that Python does not know, and nobody uses, nothing."""
    texts = pyarrow.array([b"a", b"\xff", b"c"], pyarrow.binary()).cast(pyarrow.string(), safe=False)
    dates = pyarrow.array([0, 0, 2**62], pyarrow.timestamp("us"))
    table = pyarrow.table({"prompt": texts, "completion": ["x", "y", "z"], "date": dates})
    pq.write_table(table, tmp_path / "a.parquet")
    rows, rejected = became(tmp_path / "a.parquet", tmp_path / "p")
    assert [row["prompt"] for row in rows] == ["a", "c"] and rejected == [(2, "wrong_type")]


def test_parquet_holds_conversations_too(tmp_path: Path) -> None:
    """As lists of structures."""
    turns = [{"from": "human", "value": MIXED}, {"from": "gpt", "value": "Sim."}]
    parquet([{"conversations": turns}] * 3)(tmp_path / "a.parquet")
    rows, _rejected = became(tmp_path / "a.parquet", tmp_path / "p")
    roles = [(turn["role"], turn["content"]) for turn in rows[0]["messages"]]
    assert len(rows) == 3 and roles == [("user", MIXED), ("assistant", "Sim.")]


def test_a_table_that_unpacks_to_gigabytes_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that a dictionary repeats is met row by row; a list without end is refused."""
    cells = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 40, pyarrow.int32()), pyarrow.array(["x" * (1 << 20)])
    )
    path = tmp_path / "a.parquet"
    pq.write_table(pyarrow.table({"prompt": cells, "completion": ["y"] * 40}), path)
    monkeypatch.setattr(parquet_file, "BATCH_BYTES", 4 << 20)
    before = pyarrow.total_allocated_bytes()
    rows = parquet_file.read_parquet(recognise(path))
    assert len(next(rows).value["prompt"]) == 1 << 20
    assert pyarrow.total_allocated_bytes() - before < 10 << 20
    lists = pyarrow.ListArray.from_arrays(
        pyarrow.array([0, 60_000_000], pyarrow.int32()), pyarrow.nulls(60_000_000)
    )
    pq.write_table(pyarrow.table({"prompt": ["a"], "completion": ["b"], "extra": lists}), path)
    with pytest.raises(UserError, match="unpacks to more than memory should hold"):
        next(parquet_file.read_parquet(recognise(path)))


def test_huge_cells_and_lines_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell longer than csv's usual limit is read; what would not fit into memory is rejected or refused."""
    monkeypatch.setattr("engine.dataset.convert.delimited.MOST_BYTES", 1_000_000)
    monkeypatch.setattr(tables, "MOST_ARRAY_BYTES", 1_000_000)
    monkeypatch.setattr("engine.dataset.convert.written_row.MOST_BYTES", 1_000_000)
    path = tmp_path / "a.csv"
    path.write_text(f"prompt,completion\na,{'x' * 200_000}\nb,{'x' * 300_000}\nc,d\n")
    rows, rejected = became(path, tmp_path / "p")
    assert [row["prompt"] for row in rows] == ["a", "c"] and rejected == [(3, "line_too_long")]
    path.write_text('prompt,completion\na,b\n"' + ("x" * 99 + "\n") * 12_000)
    assert became(path, tmp_path / "q")[1][0] == (3, "bad_quote")
    path.write_text(f"prompt,completion\na,{'x' * 2_000_000}\n")
    with pytest.raises(UserError, match=r"Line 2 of .* has more than 1 million characters"):
        became(path, tmp_path / "r")
    path.write_text(json.dumps([PAIR] * 20_000))
    with pytest.raises(
        UserError, match="one JSON array of more than 1 million bytes; write one object a line"
    ):
        became(path, tmp_path / "s")
