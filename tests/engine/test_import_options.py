"""A multiple choice is learned with its options: they stand below the question, or the row is refused."""

import json
from pathlib import Path
from typing import Any

from engine.dataset.jsonl.parse import RowError
from engine.dataset.jsonl.row import row_of
from tests.support.import_files import became, bring
from tests.support.tiny import write_rows

import pytest

ASKED = "Capital de Portugal?\n\nA. Porto\nB. Lisboa"
QUESTION = {"question": "Capital de Portugal?", "answer": "B"}
PAIR = {"prompt": "Capital de Portugal?", "completion": "B"}
CITIES = ["Porto", "Lisboa"]
WAYS: dict[str, dict[str, Any]] = {
    "list": {"choices": CITIES},
    "labelled": {"options": ["A) Porto", "B) Lisboa"]},
    "other labels": {"options": ["a. Porto", "b. Lisboa"]},
    "letters": {"options": {"A": "Porto", "B": "Lisboa"}},
    "arc": {"choices": {"text": CITIES, "label": ["A", "B"]}},
    "objects": {"choices": [{"label": "A", "text": "Porto"}, {"label": "B", "text": "Lisboa"}]},
    "columns": {"A": "Porto", "B": "Lisboa", "C": ""},
    "named columns": {"option_a": "Porto", "option_b": "Lisboa"},
    "portuguese": {"Opção A": "Porto", "Opção B": "Lisboa"},
}


def given(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    write_rows(tmp_path / "t.jsonl", rows)
    return tmp_path / "t.jsonl"


@pytest.mark.parametrize("way", WAYS)
def test_options_go_below_their_question(tmp_path: Path, way: str) -> None:
    """However they are written, with their letters, before and behind the rows that columns are found by."""
    row = QUESTION | WAYS[way]
    expected = {"prompt": ASKED, "completion": "B"}
    assert became(given(tmp_path, row), tmp_path / "p") == ([expected], [])
    rows, rejected = became(given(tmp_path, *[QUESTION] * 55, row), tmp_path / "p")
    assert (rows[-1], rejected) == (expected, [])


@pytest.mark.parametrize("way", WAYS)
def test_the_check_refuses_them_and_its_advice_works(tmp_path: Path, way: str) -> None:
    """In rows of ours they would be passed over; import joins them."""
    with pytest.raises(RowError, match="belongs to the question") as refused:
        row_of(PAIR | WAYS[way], 1)
    assert refused.value.fix.endswith("mqlora-tui import FILE")
    rows, rejected = became(given(tmp_path, PAIR | WAYS[way]), tmp_path / "p")
    assert (rows, rejected) == ([{"prompt": ASKED, "completion": "B"}], [])


@pytest.mark.parametrize("form", [{"messages": [{"role": "user", "content": "q"}]}, {"text": "q r"}])
def test_options_beside_turns_or_a_text_are_refused_by_both(tmp_path: Path, form: dict[str, Any]) -> None:
    """Their place is not known."""
    if "messages" in form:
        form = {"messages": [*form["messages"], {"role": "assistant", "content": "r"}]}
    with pytest.raises(RowError, match="'choices', which belongs to the question"):
        row_of(form | {"choices": CITIES}, 1)
    path = given(tmp_path, form, form | {"choices": CITIES})
    assert became(path, tmp_path / "p")[1] == [(2, "unsupported_field")]


def test_options_that_stand_in_the_question_are_not_written_twice(tmp_path: Path) -> None:
    """As in many files, which keep them as a list too; they are named as not used."""
    row = {"prompt": ASKED, "completion": "B", "choices": CITIES}
    assert row_of(row, 1)[1] == ["choices"]
    assert became(given(tmp_path, row), tmp_path / "p") == ([{"prompt": ASKED, "completion": "B"}], [])


@pytest.mark.parametrize("answer", [1, "1", "C", "(c)", "E."])
def test_an_answer_that_names_no_option_is_refused(tmp_path: Path, answer: Any) -> None:
    """Whether a number counts from 0 or from 1 nobody can tell."""
    row = QUESTION | {"choices": CITIES, "answer": answer}
    rows, rejected = became(given(tmp_path, QUESTION, row), tmp_path / "p")
    assert (len(rows), rejected) == (1, [(2, "unknown_option")])


@pytest.mark.parametrize("answer", ["b", "(B)", "Lisboa", "É Lisboa, a B."])
def test_an_answer_is_learned_as_it_is_written(tmp_path: Path, answer: str) -> None:
    """A letter, the text of an option, or a sentence; a number where that is an option."""
    row = QUESTION | {"choices": CITIES, "answer": answer}
    assert became(given(tmp_path, row), tmp_path / "p")[0] == [{"prompt": ASKED, "completion": answer}]
    row = {"question": "2+2?", "choices": ["3", "4"], "answer": "4"}
    assert became(given(tmp_path, row), tmp_path / "p")[0][0]["completion"] == "4"


def test_labels_in_options_are_theirs_only_where_all_have_one(tmp_path: Path) -> None:
    """A drive is no label; numbers that stand before all options are."""
    row = {"question": "q", "choices": ["C: drive", "RAM"], "answer": "A"}
    assert became(given(tmp_path, row), tmp_path / "p")[0][0]["prompt"] == "q\n\nA. C: drive\nB. RAM"
    row = {"question": "q", "choices": ["1) x", "2) y"], "answer": "2"}
    assert became(given(tmp_path, row), tmp_path / "p")[0][0]["prompt"] == "q\n\n1. x\n2. y"


@pytest.mark.parametrize("cell", [4, True, {"temperature": [1]}, [["a"]], [None]])
def test_what_is_no_list_of_options_is_refused(tmp_path: Path, cell: Any) -> None:
    """By both; naming the columns leaves it out."""
    row = QUESTION | {"options": cell}
    assert became(given(tmp_path, QUESTION, row), tmp_path / "p")[1] == [(2, "wrong_type")]
    with pytest.raises(RowError, match="no list of options"):
        row_of(PAIR | {"options": cell}, 1)
    named = became(given(tmp_path, row), tmp_path / "p", prompt="question", completion="answer")
    assert named == ([PAIR], [])


@pytest.mark.parametrize(("label", "is_learned"), [(0, True), ("1", True), (False, False), ("false", False)])
def test_the_number_of_a_label_is_that_of_an_option(tmp_path: Path, label: Any, is_learned: bool) -> None:
    """And no word against the row; a yes or a no still is one."""
    row = QUESTION | {"choices": CITIES}
    rows, rejected = became(given(tmp_path, row, row | {"label": label}), tmp_path / "p")
    assert (len(rows), rejected) == ((2, []) if is_learned else (1, [(2, "left_out")]))


def test_options_of_a_table(tmp_path: Path) -> None:
    """In columns of their own, or as JSON in one; a question with one answer A has none."""
    path = tmp_path / "t.csv"
    path.write_text("question,A,B,answer\nCapital de Portugal?,Porto,Lisboa,B\n", "utf-8")
    assert became(path, tmp_path / "p")[0] == [{"prompt": ASKED, "completion": "B"}]
    cell = json.dumps(CITIES).replace('"', '""')
    path.write_text(f'question,choices,answer\nCapital de Portugal?,"{cell}",B\n', "utf-8")
    assert became(path, tmp_path / "p")[0] == [{"prompt": ASKED, "completion": "B"}]
    path.write_text("Q,A\nCapital de Portugal?,Lisboa\n", "utf-8")
    assert became(path, tmp_path / "p")[0] == [PAIR | {"completion": "Lisboa"}]


@pytest.mark.parametrize("options", [{"choices": CITIES}, {"options": {"1": "Porto", "2": "Lisboa"}}])
@pytest.mark.parametrize("question", ["Capital de Portugal?", ASKED])
def test_a_number_beside_options_is_to_be_a_letter_or_a_text(
    tmp_path: Path, options: dict[str, Any], question: str
) -> None:
    """Quotes around it would teach a number that nobody can read."""
    row = {"question": question, "answer": 2, **options}
    done = bring(given(tmp_path, QUESTION, row), tmp_path / "p")
    (rejected,) = done.listed
    assert rejected.kind == "unknown_option" and rejected.fix.startswith("write the letter or the text")
