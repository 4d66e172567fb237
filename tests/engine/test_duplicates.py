"""Duplicates and leaks, planted and by brute force."""

import random
from pathlib import Path

from engine.config import TrainingConfig
from engine.dataset.inspect import check
from engine.dataset.inspect import duplicates as duplicates
from engine.dataset.inspect.check import check_data
from engine.dataset.inspect.duplicates import DuplicateFinder, Duplicates, as_fault
from engine.dataset.inspect.near_duplicates import LIKENESS, NearDuplicates
from engine.dataset.jsonl.row import Row
from engine.dataset.report import Place
from engine.project import Project
from tests.support.tiny import write_rows

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

WORDS = [f"{a}{b}{c}" for a in "brtplk" for b in "aeiou" for c in ("na", "ri", "so", "mu")]


def pair(line: int, prompt: str, answer: str) -> Row:
    turns = ({"role": "user", "content": prompt}, {"role": "assistant", "content": answer})
    return Row(line, turns)


def duplicates_of(train: list[Row], valid: list[Row]) -> list[Duplicates]:
    finder = DuplicateFinder("train.jsonl", "valid.jsonl")
    for name, rows in (("train.jsonl", train), ("valid.jsonl", valid)):
        for row in rows:
            finder.see(name, row)
    return list(finder.duplicates())


def found_pairs(found: list[Duplicates]) -> set[tuple[str, str, int, str, int]]:
    return {(t.kind, t.row.file[0], t.row.line, t.other.file[0], t.other.line) for t in found}


def test_each_kind_is_reported_at_the_later_row() -> None:
    """White space and the way accents are written make no difference, another answer does."""
    long = "Quem fundou a cidade de Lisboa e em que século se pensa que isso aconteceu afinal?"
    longer = f"{long} Diga-o numa frase que uma criança possa compreender sem ajuda."
    train = [
        pair(1, "Olá,  mundo?", "Sim."),
        pair(2, "a", "b"),
        pair(4, "Ola\u0301, mundo? ", " Sim."),
        pair(5, "a", "c"),
        pair(6, long, "Os fenícios."),
        pair(7, "a", "c"),
        Row(8, text="só texto"),
        Row(9, text="só  texto"),
        pair(10, longer, "Diz-se que os fenícios."),
        pair(11, longer.replace("criança", "crianca"), "Diz-se que os fenícios."),
    ]
    valid = [
        pair(1, "a", "d"),
        pair(2, "x", "y"),
        pair(3, long.replace("Lisboa", "Lisbõa"), "Os fenícios."),
        Row(4, text="só texto"),
    ]
    found = duplicates_of(train, valid)
    assert found_pairs(found) == {
        ("duplicate", "t", 4, "t", 1),
        ("other_answer", "t", 5, "t", 2),
        ("duplicate", "t", 7, "t", 5),
        ("duplicate", "t", 9, "t", 8),
        ("leak", "v", 1, "t", 2),
        ("leak", "v", 4, "t", 8),
        ("near_leak", "v", 3, "t", 6),
        ("near_duplicate", "t", 11, "t", 10),
    }
    for one in found:
        fault = as_fault(one)
        assert fault.severity == ("note" if one.kind == "near_duplicate" else "warning")
        assert str(one.other.line) in fault.message and fault.fix


_texts = st.text("ab ", max_size=3)
_rows = st.lists(st.tuples(_texts, _texts), max_size=12)


@settings(max_examples=200)
@given(_rows, _rows)
def test_exact_duplicates_are_those_of_brute_force(
    train: list[tuple[str, str]], valid: list[tuple[str, str]]
) -> None:
    """Each later row once, with the first it is a duplicate of."""

    def plain(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(" ".join(prompt.split()), " ".join(answer.split())) for prompt, answer in rows]

    expected: set[tuple[str, str, int, str, int]] = set()
    for name, rows in (("t", plain(train)), ("v", plain(valid))):
        for index, row in enumerate(rows):
            same = rows.index(row)
            asked = next(i for i, other in enumerate(rows) if other[0] == row[0])
            if same != index:
                expected.add(("duplicate", name, index + 1, name, same + 1))
            elif asked != index:
                expected.add(("other_answer", name, index + 1, name, asked + 1))
    prompts = [prompt for prompt, _answer in plain(train)]
    for index, (prompt, _answer) in enumerate(plain(valid)):
        if prompt in prompts:
            expected.add(("leak", "v", index + 1, "t", prompts.index(prompt) + 1))
    found = duplicates_of(
        [pair(n, *row) for n, row in enumerate(train, 1)], [pair(n, *row) for n, row in enumerate(valid, 1)]
    )
    assert found_pairs([t for t in found if not t.kind.startswith("near")]) == expected


def test_planted_near_duplicates_are_found_and_few_others() -> None:
    """Of 200 rows with one word changed among 2,000 others by the same generator."""
    draw = random.Random(0)
    index = NearDuplicates()
    texts = [" ".join(draw.choices(WORDS, k=60)) for _row in range(2000)]
    for line, text in enumerate(texts, 1):
        assert index.nearest(Place("t", line), text) is None
    hits = 0
    for line in range(1, 201):
        words = texts[line - 1].split()
        words[draw.randrange(len(words))] = "outra"
        found = index.nearest(Place("v", line), " ".join(words))
        hits += found is not None and found[0] == Place("t", line)
        assert found is None or found[1] >= LIKENESS
    assert hits >= 195


def test_the_data_check_reports_duplicates(tmp_path: Path) -> None:
    """In the order of lines, beside the other faults; rows are still used."""
    project = Project(tmp_path)
    rows = [{"prompt": f"q{n}", "completion": "a"} for n in range(3)]
    write_rows(project.train_file, [*rows, rows[0], {"prompt": "q1", "completion": ""}])
    write_rows(project.valid_file, [rows[2]])
    report = check_data(project, TrainingConfig())
    assert [(f.file, f.line, f.kind) for f in report.faults] == [
        ("train.jsonl", 4, "duplicate"),
        ("train.jsonl", 5, "empty_completion"),
        ("valid.jsonl", 1, "leak"),
    ]
    assert report.train.examples == 4 and report.valid.examples == 1


def test_it_is_reported_where_not_all_rows_were_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exact duplicates are found all the same."""
    monkeypatch.setattr(duplicates, "MOST_ROWS", 2)
    monkeypatch.setattr(check, "MOST_ROWS", 2)
    project = Project(tmp_path)
    rows = [{"prompt": f"uma pergunta tão longa {n}", "completion": "a"} for n in range(4)]
    write_rows(project.train_file, [*rows, rows[3]])
    write_rows(project.valid_file, [{"prompt": "b", "completion": "b"}])
    found = [(fault.line, fault.kind) for fault in check_data(project, TrainingConfig()).faults]
    assert found == [(0, "near_twins_limit"), (5, "duplicate")]


@pytest.mark.parametrize("text", ["", "abcd", "\ud7ff\uffff 👍" * 3, "\0" * 9, "שלום עולם", "İİİİİ"])
def test_texts_of_any_length_can_be_looked_at(text: str) -> None:
    """A text without a part of five letters has no near-duplicate."""
    index = NearDuplicates()
    assert index.nearest(Place("t", 1), text) is None
    found = index.nearest(Place("t", 2), text)
    assert (found is None) == (len(text) < 5)
