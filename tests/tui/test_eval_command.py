"""`eval` on the command line: its tables, its JSON, what it refuses."""

import json
import shutil
from pathlib import Path

from engine.evaluation.kept import kept_evaluations
from engine.evaluation.request import ANSWERED, MOST_ANSWERED
from engine.project import Project
from tests.support.commands import Mqlora, caller, tree
from tests.support.portuguese import pass_in_portuguese
from tests.support.tiny import pairs, write_rows
from tui.cli import eval_commands

import pytest

LONG = "checkpoint_epoch123456_step987654321"


@pytest.fixture
def mqlora(trained: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Mqlora:
    return caller(trained, capsys, monkeypatch)


def test_the_tables_fit_a_terminal(trained: Project, mqlora: Mqlora) -> None:
    """80 columns, also with the longest name of a checkpoint, in either language; the second time at once."""
    write_rows(trained.test_file, [*pairs(3, start=300), pairs(1)[0]])
    copied, checkpoint, *_rest = sorted(trained.run_dir.glob("checkpoint_*"))
    shutil.copytree(copied, trained.run_dir / LONG)
    done = mqlora("eval", "--checkpoint", LONG, "--checkpoint", checkpoint.name)
    lines = done.out.splitlines()
    heads = [line for line in lines if line.split()[:1] in (["model"], ["modelo"])]
    columns = [line for line in lines if "  " in line.strip()]  # sentences are broken by the terminal
    assert done.code == 0 and len(heads) == 2 and len(columns) >= 16 and max(map(len, columns)) <= 80
    assert "…" not in "".join(columns), "names are folded, not cut"
    again = mqlora("eval", "--checkpoint", LONG, "--checkpoint", checkpoint.name)
    assert again.out == done.out and again.err.count("\n") == 1 and done.err != again.err


def test_the_words_say_what_the_figures_do(trained: Project, mqlora: Mqlora) -> None:
    """Held out, how many rows are better, by how much, and what is wrong with a row."""
    write_rows(trained.test_file, [*pairs(3, start=300), pairs(1)[0]])
    said = mqlora("eval", "--no-answers").out
    assert "4 rows of test.jsonl, held out" in said and "1 row is, or nearly is" in said and "line 4" in said
    assert "better than the base model on 4 of 4 rows, -" in said and (" ± " in said or " to -" in said)
    assert "Answers to" not in said
    trained.test_file.unlink()
    assert "valid.jsonl, which also chose the best step" in mqlora("eval", "--no-answers").out


@pytest.mark.slow
def test_the_tables_fit_in_portuguese(tmp_path: Path) -> None:
    """The same test in a process that speaks it."""
    pass_in_portuguese(tmp_path, f"{__file__}::{test_the_tables_fit_a_terminal.__name__}")


def test_json_is_one_object(trained: Project, mqlora: Mqlora) -> None:
    """And nothing else on stdout, the first time and the second; a screen reads the same."""
    first, second = mqlora("eval", "--json", "--answers", "2"), mqlora("eval", "--json", "--answers", "2")
    (found,) = first.objects
    assert first.code == second.code == 0 and second.objects == [found]
    assert found["variants"][0]["name"] == "base" and len(found["asked"]) == 2
    base, best = found["variants"][:2]
    assert base["change"] is None and best["change"]["loss"]["low"] < best["change"]["loss"]["high"] < 0
    assert best["loss"]["low"] < best["loss"]["value"] < best["loss"]["high"]
    assert best["figures"]["length"] > 0 and best["general"]["change"]["rows"] == 16
    kept = next(kept_evaluations(trained), None)
    assert kept is not None and kept.key == found["key"] and kept.seconds == found["seconds"]


@pytest.mark.parametrize(
    ("arguments", "problem", "code"),
    [
        (["--checkpoint", "a", "--adapter", "b"], "both name an adapter", 2),
        (["--answers", "3", "--no-answers"], "--answers and --no-answers exclude each other", 2),
        (["--answers", "0"], "--answers", 2),
        (["--checkpoint", "no\x1bne"], "There is no checkpoint no\\x1bne", 1),
        (["--adapter", "nowhere"], "Cannot use the adapter in nowhere", 1),
        (["--file", "nowhere.jsonl"], "Cannot read nowhere.jsonl", 1),
    ],
)
def test_what_is_refused(
    trained: Project, mqlora: Mqlora, arguments: list[str], problem: str, code: int
) -> None:
    """In one sentence, with nothing computed or left behind; as JSON too."""
    before = tree(trained.root)
    done = mqlora("eval", *arguments)
    assert done.code == code and problem in " ".join(done.err.split()) and done.out == ""
    done = mqlora("eval", "--json", *arguments)
    (told,) = done.objects
    assert done.code == code and told["error"]["fix"] and tree(trained.root) == before


def test_the_options_say_what_is_done() -> None:
    """They have copies of two numbers, so that help needs no engine."""
    assert (eval_commands._ANSWERED, eval_commands._MOST_ANSWERED) == (ANSWERED, MOST_ANSWERED)


def test_the_json_of_a_kept_evaluation_is_harmless(trained: Project, mqlora: Mqlora) -> None:
    """Whatever a row holds: no control codes in the file, on the terminal or in the JSON."""
    write_rows(trained.test_file, [{"prompt": "a\x1b[31m", "completion": "b\x1b]0;x\x07 [red]c[/]"}] * 2)
    shown, as_json = mqlora("eval"), mqlora("eval", "--json")
    (kept,) = trained.evaluations_dir.iterdir()
    assert "\x1b" not in shown.out + as_json.out + kept.read_text() and "[red]c[/]" in shown.out
    assert json.loads(as_json.out)["asked"][0]["reference"].startswith("b\x1b]")


def test_the_report_has_what_was_found(trained: Project, mqlora: Mqlora) -> None:
    """In words, in JSON, and in the files to hand on."""
    assert "better than the base model" not in mqlora("report").out
    (before,) = mqlora("report", "--json").objects
    assert before["evaluation"] is None and before["saved"] is None
    (found,) = mqlora("eval", "--json").objects
    assert "better than the base model" in mqlora("report").out
    saved = mqlora("report", "--save", "--json")
    (after,) = saved.objects
    assert after["evaluation"] == {"is_current": True, **found}
    page = Path(after["saved"])
    assert page.parent == trained.report_dir and "better than the base model" in page.read_text()
    said = " ".join(mqlora("report", "--save").out.split())
    assert said.endswith("written") and "report.html" in said
    (trained.valid_file).write_text(trained.valid_file.read_text() + json.dumps(pairs(1, start=77)[0]) + "\n")
    assert "better than the base model" not in mqlora("report", "--save").out
    assert "have changed since this was evaluated" in page.read_text()
