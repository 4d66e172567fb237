"""Whatever a file holds: every row of it is written or listed as rejected, and no bytes break the import."""

import csv
import json
import random
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.errors import UserError
from tests.support.import_files import became, bring, lines, tree

from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = ("prompt", "completion")
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    [
        "",
        " ",
        '"',
        '""',
        ",",
        ";\t,",
        "\r\n",
        "a\rb",
        "\n",
        "\ufeff",
        "\0",
        "é",
        "e\u0301",
        "\u200b",
        "{",
        "[",
        "]}",
    ]
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS


def says_something(text: str) -> bool:
    """Whether a reader would see anything, and no zero character is in it."""
    seen = [char for char in text if not char.isspace() and unicodedata.category(char) not in ("Cf", "Cc")]
    return bool(seen) and "\0" not in text


def is_counted(root: Path, rows: int) -> None:
    """Every row of a source is either written, and can then be read, or rejected."""
    data = root / "data"
    read = list(read_rows(data / "train.jsonl")) if (data / "train.jsonl").exists() else []
    assert all(isinstance(item, Row) or item.severity == "warning" for item in read)
    read = [item for item in read if isinstance(item, Row)]
    assert len(read) + len(lines(data / "rejected.jsonl")) == rows


@settings(max_examples=100)
@given(
    st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=12),
    st.sampled_from(",;\t"),
    st.sampled_from([(csv.QUOTE_ALL, "\n"), (csv.QUOTE_ALL, "\r\n"), (csv.QUOTE_MINIMAL, "\r\n")]),
)
def test_no_row_of_a_table_is_lost(
    rows: list[tuple[str, str]], mark: str, style: tuple[Literal[0, 1], str]
) -> None:
    """What another program writes comes out in its order; what does not is listed, and says nothing."""
    with TemporaryDirectory() as folder:
        path, root = Path(folder) / "a.csv", Path(folder) / "p"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=mark, quoting=style[0], lineterminator=style[1])
            writer.writerows([("question", "answer"), ("first", "row"), *rows])
        written, rejected = became(path, root)
        is_counted(root, len(rows) + 1)
        came = [(row["prompt"], row["completion"]) for row in written]
        kept = [pair for pair in rows if pair in came]
        assert came[0] == ("first", "row") and came[1:] == kept
        assert len(kept) + len(rejected) == len(rows)
        assert all(pair in came for pair in rows if says_something(pair[0]) and says_something(pair[1]))


@settings(max_examples=100)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["prompt", "completion", "x"]), VALUES)
        | st.lists(VALUES, max_size=2)
        | VALUES,
        max_size=8,
    ),
    st.sampled_from(["array", "lines"]),
)
def test_no_row_of_json_is_lost(values: list[Any], kind: str) -> None:
    """Of an array and of lines, whatever they hold; what is text on both sides is written."""
    values = [{"prompt": "first", "completion": "row"}, *values]
    with TemporaryDirectory() as folder:
        path, root = Path(folder) / "a", Path(folder) / "p"
        text = (
            json.dumps(values) if kind == "array" else "".join(json.dumps(value) + "\n" for value in values)
        )
        path.write_text(text, encoding="utf-8")
        written, _rejected = became(path, root)
        is_counted(root, len(values))
        rows = [value for value in values if isinstance(value, dict)]
        assert all({key: row[key] for key in NAMES} in written for row in rows if both_say_something(row))


def both_say_something(row: dict[str, Any]) -> bool:
    return all(isinstance(row.get(name), str) and says_something(row[name]) for name in NAMES)


@settings(max_examples=200)
@given(
    st.binary(max_size=200), st.sampled_from(["", "prompt,completion\n", "[", '{"a":', "PAR1"]), st.integers()
)
def test_any_bytes_are_imported_or_refused(content: bytes, begin: str, seed: int) -> None:
    """Never a crash, and never half a folder."""
    name = random.Random(seed).choice(["a.csv", "a.json", "a.jsonl", "a.tsv.gz", "a.parquet", "a"])
    with TemporaryDirectory() as folder:
        path, root = Path(folder) / name, Path(folder) / "p"
        path.write_bytes(begin.encode() + content)
        try:
            bring(path, root)
        except UserError:
            assert tree(root) == []
