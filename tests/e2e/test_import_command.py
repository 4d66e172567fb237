"""`mqlora-tui import`: what it prints, what it writes and what it refuses."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from tui.cli.main import main

import pytest

Mqlora = Callable[..., tuple[int, str, str]]
ROWS = "id;pergunta;resposta\n1;Olá?;Sim 👋\n2;Quem?;\n3;\x1b[2J;Não\n"


@pytest.fixture
def mqlora(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Mqlora:
    """Runs the command in an empty project with the file `rows.csv`, in this process."""
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text(ROWS, encoding="utf-8")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mqlora-tui", *arguments])
        code = main()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_import_says_how_it_reads_and_what_it_rejects(mqlora: Mqlora) -> None:
    """What it writes passes the check; the next import goes beside it."""
    code, out, _err = mqlora("import", "rows.csv")
    assert code == 0
    assert (
        "rows.csv: CSV with ;\n  read as pairs: pergunta → prompt, resposta → completion; not used: id" in out
    )
    assert "  ! line 3: 'resposta' is empty (write it or drop the row)" in out
    assert "  · fields that are not used, and in how many rows: id (2)\n" in out
    assert "1 train, 1 valid; 1 rejected, see rejected.jsonl" in out and "mqlora-tui use" not in out
    assert mqlora("validate")[0] == 0
    code, out, _err = mqlora("import", "rows.csv", "--no-shuffle", "--valid-share", "0")
    assert code == 0 and "imported: 2 train, 0 valid" in out and "use data/imported" in out
    rows = Path("data/imported/train.jsonl").read_text("utf-8")
    assert rows == (
        '{"prompt": "Olá?", "completion": "Sim 👋"}\n{"prompt": "\\u001b[2J", "completion": "Não"}\n'
    )


def test_import_as_json(mqlora: Mqlora) -> None:
    """One object with all that the words say."""
    code, out, _err = mqlora(
        "import", "rows.csv", "--json", "--prompt", "resposta", "--completion", "pergunta"
    )
    answer = json.loads(out)
    assert code == 0 and out.count("\n") == 1
    assert (answer["train"], answer["valid"], answer["rejected"], answer["kinds"]) == (
        1,
        1,
        1,
        {"empty_field": 1},
    )
    assert (answer["format"], answer["delimiter"], answer["columns"]) == (
        "delimited",
        ";",
        ["id", "pergunta", "resposta"],
    )
    assert (answer["mapping"]["form"], answer["mapping"]["prompt"]) == ("pair", "resposta")
    assert answer["listed"][0]["place"] == 3 and Path(answer["folder"]) == Path("data").absolute()


def test_a_dry_run_shows_rows_and_writes_nothing(mqlora: Mqlora) -> None:
    """In words, harmless on a terminal, and as JSON."""
    code, out, _err = mqlora("import", "rows.csv", "--dry-run")
    assert code == 0 and '  line 2: {"prompt": "Olá?", "completion": "Sim 👋"}' in out
    assert "  line 3: 'resposta' is empty" in out and "\x1b" not in out
    code, out, _err = mqlora("import", "rows.csv", "--dry-run", "--json", "--text", "pergunta")
    rows = json.loads(out)["rows"]
    assert [row["row"] for row in rows] == [{"text": "Olá?"}, {"text": "Quem?"}, {"text": "\x1b[2J"}]
    assert not Path("data").exists()


def test_fields_of_turns_and_of_late_rows_are_named_by_both(mqlora: Mqlora) -> None:
    """A dry run looks at the first rows only, and says so; in JSON as in words."""
    turns = '[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "mood\\u001b": "x"}]'
    late = f'{{"messages": {turns}, "hint": "h"}}\n'
    Path("turns.jsonl").write_text(f'{{"messages": {turns}}}\n' * 60 + late, encoding="utf-8")
    first, every = "mood\\x1b (50)", "mood\\x1b (61), hint (1)"
    code, out, _err = mqlora("import", "turns.jsonl", "--dry-run")
    assert code == 0 and f"not used, and in how many of the first 50 rows: {first}\n" in out
    answer = json.loads(mqlora("import", "turns.jsonl", "--dry-run", "--json")[1])
    assert answer["not_used"] == {"mood\x1b": 50}
    answer = json.loads(mqlora("import", "turns.jsonl", "--json")[1])
    assert answer["not_used"] == {"mood\x1b": 61, "hint": 1}
    code, out, _err = mqlora("import", "turns.jsonl")
    assert code == 0 and f"not used, and in how many rows: {every}\n" in out


def test_a_dry_run_shows_as_much_as_people_read(mqlora: Mqlora) -> None:
    """Long texts are cut, as in the app; JSON has them whole."""
    Path("long.jsonl").write_text(json.dumps({"prompt": "a", "completion": "b" * 70_000}) + "\n", "utf-8")
    code, out, _err = mqlora("import", "long.jsonl", "--dry-run")
    assert code == 0 and len(out) < 1000 and "b…" in out
    code, out, _err = mqlora("import", "long.jsonl", "--dry-run", "--json")
    assert len(json.loads(out)["rows"][0]["row"]["completion"]) == 70_000


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_file_of_which_most_cannot_be_used_says_so(mqlora: Mqlora, options: tuple[str, ...]) -> None:
    """In one line, since the exit code is that of success as long as one row can."""
    Path("most.csv").write_text("question,answer\na,b\nc,\nd,\n", encoding="utf-8")
    code, out, _err = mqlora("import", "most.csv", *options)
    assert code == 0 and "most rows cannot be used: 2 of 3" in out
    out = mqlora("import", "rows.csv", *options)[1]
    assert "most rows" not in out and "  2 of 3 rows can be used\n" in out


def test_rows_that_ask_to_be_left_out_are_reported_as_such(mqlora: Mqlora) -> None:
    """Not as what is wrong; in JSON they have a number of their own."""
    rows = ['"id": 1', '"label": false', '"label": true']
    Path("kept.jsonl").write_text(
        "".join(f'{{"prompt": "p{n}", "completion": "c", {row}}}\n' for n, row in enumerate(rows)), "utf-8"
    )
    code, out, _err = mqlora("import", "kept.jsonl", "--dry-run")
    assert code == 0 and out.endswith("  2 of 3 rows can be used; 1 left out on request\n")
    answer = json.loads(mqlora("import", "kept.jsonl", "--dry-run", "--json")[1])
    assert answer["seen"] == {"rows": 3, "usable": 2, "left_out": 1}
    code, out, _err = mqlora("import", "kept.jsonl")
    assert "  · line 2: 'label' says" in out and "!" not in out
    answer = json.loads(mqlora("import", "kept.jsonl", "--json")[1])
    assert (answer["rejected"], answer["left_out"]) == (0, 1)


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_misread_text_is_reported_before_it_is_trained_on(mqlora: Mqlora, options: tuple[str, ...]) -> None:
    """With the number of rows and an example."""
    Path("misread.csv").write_text("question,answer\nTem pÃ£o?,Sim.\nE cafÃ©?,NÃ£o.\n", encoding="utf-8")
    code, out, _err = mqlora("import", "misread.csv", *options)
    assert code == 0 and "  ! line 2 and 1 more: its text has 'Ã£': UTF-8 that was read as another" in out


def test_a_title_above_the_names_is_skipped(mqlora: Mqlora) -> None:
    """As the refusal says."""
    Path("titled.csv").write_text("My questions 2024\nquestion,answer\nOlá?,Sim\n", encoding="utf-8")
    code, _out, err = mqlora("import", "titled.csv")
    assert code == 1 and "line 2 does; skip what stands above it: --skip-lines 1." in err
    code, out, _err = mqlora("import", "titled.csv", "--skip-lines", "1", "--dry-run")
    assert code == 0 and '  line 3: {"prompt": "Olá?", "completion": "Sim"}' in out


def test_columns_can_be_joined(mqlora: Mqlora) -> None:
    """By naming the prompt more than once."""
    options = ("--prompt", "id", "--prompt", "pergunta", "--completion", "resposta")
    code, out, _err = mqlora("import", "rows.csv", "--dry-run", *options)
    assert code == 0 and '{"prompt": "1\\n\\nOlá?", "completion": "Sim 👋"}' in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.csv",), "There is no file none.csv; name one that is there."),
        (("rows.csv", "--prompt", "id"), "A prompt needs a completion"),
        (("rows.csv", "--text", "txt"), "has no column 'txt'; name one of: id, pergunta, resposta."),
    ],
)
def test_mistakes_get_one_sentence(mqlora: Mqlora, arguments: tuple[str, ...], said: str) -> None:
    """Exit 1, nothing written; options out of range are usage errors."""
    code, out, err = mqlora("import", *arguments)
    assert (code, out) == (1, "") and said in err and err.count("\n") == 1
    assert mqlora("import", "rows.csv", "--valid-share", "1")[0] == 2
    assert not Path("data").exists()
