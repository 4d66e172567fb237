"""Rows with several answers: the advice names one, what it names works, and plain rows are kept."""

import shlex
from pathlib import Path
from typing import Any

from engine.dataset.convert.ambiguous_columns import answers_of
from engine.dataset.convert.detect_columns import choose
from engine.dataset.convert.tables import open_table
from engine.dataset.jsonl.parse import RowError
from engine.dataset.jsonl.row import row_of
from engine.errors import UserError
from tests.support.import_files import became, bring
from tests.support.tiny import write_rows

import pytest

SAID = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}]
PAIR = {"prompt": "q", "completion": "r"}
PREFERRED = {"prompt": "q", "chosen": "r", "rejected": "bad"}


def given(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    write_rows(tmp_path / "t.jsonl", rows)
    return tmp_path / "t.jsonl"


def advised(fix: str) -> dict[str, str]:
    """The option of a command that an advice ends with."""
    option, name = shlex.split(fix.partition("import FILE ")[2])
    return {option.removeprefix("--"): name}


@pytest.mark.parametrize("worse", ["rejected", "non_preferred_output", "dispreferred", "rejected_response"])
@pytest.mark.parametrize("form", [PAIR, {"messages": SAID}, {"text": "q r"}])
def test_the_advice_of_the_check_works_where_there_is_only_a_worse_one(
    tmp_path: Path, form: dict[str, Any], worse: str
) -> None:
    """The answer of the row's own form is the better one."""
    row = form | {worse: "bad"}
    with pytest.raises(RowError) as refused:
        row_of(row, 1)
    path = given(tmp_path, row, form)
    assert became(path, tmp_path / "p") == ([form], [(1, "unsupported_field")])
    assert became(path, tmp_path / "p", **advised(refused.value.fix)) == ([form] * 2, [])


@pytest.mark.parametrize(("better", "worse"), [("chosen", "rejected"), ("preferred_output", "dispreferred")])
def test_the_advice_names_the_better_answer(better: str, worse: str) -> None:
    """Under the name that it has in the row."""
    with pytest.raises(RowError) as refused:
        row_of(PAIR | {worse: "bad", better: "x"}, 1)
    assert advised(refused.value.fix) == {"answer": better}


def test_the_advice_of_an_import_names_the_columns_of_its_file(tmp_path: Path) -> None:
    """And what it names is read; so is what the user names without it."""
    path = given(tmp_path, {"instruction": "q", "output": "r", "rejected": "bad"})
    with pytest.raises(UserError) as refused:
        bring(path, tmp_path / "p")
    option = shlex.split(refused.value.fix)[-2:]
    assert option == ["--answer", "output"]
    assert became(path, tmp_path / "p", answer="output") == ([PAIR], [])
    assert became(path, tmp_path / "p", prompt="instruction", completion="output") == ([PAIR], [])


def test_the_advice_in_a_turn_is_about_the_turn() -> None:
    """No option of the import reads what stands in one."""
    with pytest.raises(RowError, match="answers to choose between") as refused:
        row_of({"messages": [SAID[0], SAID[1] | {"rejected": "bad"}]}, 1)
    assert "import" not in refused.value.fix


@pytest.mark.parametrize("before", [0, 60])
def test_plain_rows_of_a_file_with_preferences_are_kept(tmp_path: Path, before: int) -> None:
    """Also where no preference is among the rows that columns are found by; worse answers are named."""
    path = given(tmp_path, *[PAIR] * before, PREFERRED, PAIR, {"messages": SAID}, PAIR | {"rejected": "x"})
    done = bring(path, tmp_path / "p", answer="chosen")
    assert (done.train, done.rejected, done.not_used) == (before + 4, 0, {"rejected": 2})
    with pytest.raises(UserError, match="no column 'chosn'"):
        choose(open_table(path), answer="chosn")


def test_conversations_without_the_chosen_answer_are_kept(tmp_path: Path) -> None:
    """Beside those that end with it."""
    path = given(tmp_path, {"messages": SAID[:1], "chosen": "r"}, {"messages": SAID})
    assert became(path, tmp_path / "p", answer="chosen") == ([{"messages": SAID}] * 2, [])


def test_plain_rows_of_a_table_with_preferences_are_kept(tmp_path: Path) -> None:
    """Where the cell of the chosen answer is empty."""
    path = tmp_path / "t.csv"
    path.write_text("prompt,completion,chosen,rejected\nq,r,,\nq,,r,bad\n", "utf-8")
    assert became(path, tmp_path / "p", answer="chosen") == ([PAIR] * 2, [])


def test_a_preference_among_conversations_is_reported_as_one(tmp_path: Path) -> None:
    """And not as a question that would be left out."""
    path = given(tmp_path, {"messages": SAID}, PREFERRED)
    assert became(path, tmp_path / "p")[1] == [(2, "unsupported_field")]


def test_a_file_of_worse_answers_alone_has_none_to_learn(tmp_path: Path) -> None:
    """Nobody is advised to learn them; to choose from there are the better ones first."""
    path = given(tmp_path, {"prompt": "q", "rejected": "bad"})
    with pytest.raises(UserError, match="no answers to learn, only those that are worse: rejected"):
        choose(open_table(path))
    path = given(tmp_path, {"prompt": "q", "rejected": "bad", "output": "r"})
    assert answers_of(open_table(path)) == ["output", "rejected"]


CORRECTED = (
    *("corrected_answer", "edited_completion", "correction", "ground_truth", "expected_output", "gold"),
    "gold_answer",
)


@pytest.mark.parametrize("name", CORRECTED)
def test_a_better_answer_beside_the_answer_has_to_be_chosen(tmp_path: Path, name: str) -> None:
    """The advice of the check works: it is learned where there is one; a number is a remark."""
    row = {"prompt": "q", "completion": "bad", name: "r"}
    with pytest.raises(RowError, match=f"'{name}': answers to choose between") as refused:
        row_of(row, 1)
    path = given(tmp_path, row, PAIR)
    assert became(path, tmp_path / "p") == ([PAIR], [(1, "unsupported_field")])
    assert became(path, tmp_path / "p", **advised(refused.value.fix))[0] == [{"messages": SAID}] * 2
    assert became(given(tmp_path, PAIR | {name: 0.5}), tmp_path / "p") == ([PAIR], [])
