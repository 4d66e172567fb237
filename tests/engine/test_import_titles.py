"""Delimited texts that do not begin with the names of their columns: with a title, or with a row."""

import json
from pathlib import Path
from typing import Any

from engine.dataset.convert.detect_columns import choose, detect
from engine.dataset.convert.records import Record
from engine.dataset.convert.tables import open_table
from engine.dataset.convert.written_row import written_row
from engine.errors import UserError

import pytest

PAIRS = [{"prompt": "Tem pão?", "completion": "Sim, há."}, {"prompt": "Tem bar?", "completion": "Não."}]
ROWS = 'Tem pão?,"Sim, há."\nTem bar?,Não.\n'
TITLED = {
    "a line of its own": ("Perguntas de 2024\npergunta,resposta\n" + ROWS, 2),
    "as spreadsheets write it": ("Perguntas de 2024,\n,\npergunta,resposta\n" + ROWS, 3),
    "a usual name": ("Texto,\npergunta,resposta\n" + ROWS, 2),
    "other delimiters in it": (
        "Perguntas, de 2024\npergunta;resposta\nTem pão?;Sim, há.\nTem bar?;Não.\n",
        2,
    ),
    "below the name of the delimiter": (
        "sep=;\nLoja\n\npergunta;resposta\nTem pão?;Sim, há.\nTem bar?;Não.\n",
        4,
    ),
    "of several lines": ('"Perguntas ""de\n2024""",\nLoja,\npergunta,resposta\n' + ROWS, 4),
}


def became(path: Path, skip_lines: int = 0, has_header: bool = True) -> list[dict[str, Any]]:
    """What the first rows of a file are written as."""
    table = open_table(path, has_header, skip_lines)
    mapping = choose(table)
    records = [item for item in table.sample if isinstance(item, Record)]
    return [json.loads(written_row(record, mapping, 1)[0]) for record in records]


@pytest.mark.parametrize("name", ["t.csv", "t.txt"])
@pytest.mark.parametrize("case", TITLED)
def test_a_title_above_the_names_is_reported_with_advice_that_works(
    tmp_path: Path, name: str, case: str
) -> None:
    """Never taken for a name, and places stay those of the file."""
    content, line = TITLED[case]
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=f"line {line} does; .*--skip-lines {line - 1}.$"):
        choose(open_table(path))
    with pytest.raises(UserError, match=f"line {line} does"):
        choose(open_table(path), prompt="pergunta", completion="resposta")
    assert detect(open_table(path)) is None
    assert became(path, line - 1) == PAIRS
    assert [item.place for item in open_table(path, skip_lines=line - 1).sample] == [line + 1, line + 2]


def test_a_title_above_names_that_say_nothing_is_reported_too(tmp_path: Path) -> None:
    """By its one cell above several."""
    (tmp_path / "t.csv").write_text("Loja\nx,y\na,b\nc,d\n")
    with pytest.raises(UserError, match="line 2 does"):
        choose(open_table(tmp_path / "t.csv"))
    chosen = choose(open_table(tmp_path / "t.csv", skip_lines=1), prompt="x", completion="y")
    assert (chosen.prompt, chosen.completion) == ("x", "y")


@pytest.mark.parametrize(
    "content",
    [
        "text\nHello, world\nBye, all\n",
        "sentence\nHello\nHello, world\nBye\n",
        "english,portuguese\nhello,olá\nquestion,pergunta\n",
        "prompt,completion\nquestion,answer\n",
        "id,texto\n1,a; b\n2,c; d\n",
    ],
)
def test_what_is_no_title_is_not_taken_for_one(tmp_path: Path, content: str) -> None:
    """Plain texts with commas, and rows about questions and answers."""
    (tmp_path / "t.csv").write_text(content, encoding="utf-8")
    assert not open_table(tmp_path / "t.csv").source.named_at


@pytest.mark.parametrize("first", ["Quanto é 2+2,4", "4,4", "sim,-1.5", ","])
def test_a_first_row_with_numbers_is_no_header(tmp_path: Path, first: str) -> None:
    """Nor one that says the same twice, or nothing: it is asked about, and kept."""
    (tmp_path / "t.csv").write_text(f"{first}\nQuanto é 2+3,5\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"--no-header\.$"):
        choose(open_table(tmp_path / "t.csv"))
    table = open_table(tmp_path / "t.csv", has_header=False)
    row = table.sample[0]
    assert isinstance(row, Record) and list(row.value.values()) == first.split(",")


def test_a_title_above_rows_without_names(tmp_path: Path) -> None:
    """Both can be said."""
    (tmp_path / "t.csv").write_text("Perguntas de 2024\n" + ROWS, encoding="utf-8")
    assert became(tmp_path / "t.csv", skip_lines=1, has_header=False) == PAIRS


def test_other_formats_have_no_lines_to_skip(tmp_path: Path) -> None:
    """That is refused, and not passed over."""
    (tmp_path / "t.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(UserError, match="leave --skip-lines out"):
        open_table(tmp_path / "t.jsonl", skip_lines=1)
