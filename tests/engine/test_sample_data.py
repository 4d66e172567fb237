"""The sample data set that the repository ships: true, clean, and made by its script."""

import json
import re
import runpy
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
Rows = list[dict[str, Any]]


def read_rows(name: str) -> Rows:
    text = (ROOT / "data" / name).read_bytes().decode("utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.removesuffix("\n").split("\n")]


@pytest.fixture(scope="module")
def train() -> Rows:
    return read_rows("train.jsonl")


@pytest.fixture(scope="module")
def valid() -> Rows:
    return read_rows("valid.jsonl")


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    return (ROOT / "data" / "prompts.txt").read_text(encoding="utf-8").splitlines()


def test_each_file_has_its_number_of_rows(train: Rows, valid: Rows, prompts: list[str]) -> None:
    """850 rows to train on, 95 to validate with, ten questions to try."""
    assert (len(train), len(valid), len(prompts)) == (850, 95, 10)


def test_every_row_is_a_short_prompt_and_a_short_sentence(train: Rows, valid: Rows) -> None:
    """Two text fields, no more; short enough that an epoch on two CPU cores takes minutes."""
    for row in train + valid:
        assert list(row) == ["prompt", "completion"]
        assert 10 <= len(row["prompt"]) <= 60 and row["prompt"][-1] in "?."
        assert 10 <= len(row["completion"]) <= 80 and row["completion"].endswith(".")


def test_text_is_composed_and_has_no_control_characters(train: Rows, valid: Rows, prompts: list[str]) -> None:
    """NFC text without control or invisible characters, so that the same word has the same tokens."""
    for text in [*prompts, *(text for row in train + valid for text in row.values())]:
        assert unicodedata.is_normalized("NFC", text)
        assert all(unicodedata.category(char)[0] != "C" for char in text)
        assert text == " ".join(text.split())


def test_no_prompt_occurs_twice(train: Rows, valid: Rows) -> None:
    """Neither inside a file nor across the two."""
    questions = [row["prompt"] for row in train + valid]
    assert len(set(questions)) == len(questions)


def test_every_fact_is_trained_in_five_wordings(train: Rows) -> None:
    """One answer text for each fact, learnt from five questions."""
    answers = [row["completion"] for row in train]
    assert {answers.count(answer) for answer in set(answers)} == {5}


def test_validation_asks_trained_facts_once_each(train: Rows, valid: Rows) -> None:
    """A validation answer can be known from training, word for word."""
    answers = [row["completion"] for row in valid]
    assert set(answers) <= {row["completion"] for row in train}
    assert len(set(answers)) == len(answers)


def test_validation_wordings_are_never_trained(train: Rows, valid: Rows) -> None:
    """Every validation question has a held-out wording; no trained question has one, whatever the country."""
    wordings = runpy.run_path(str(ROOT / "scripts" / "sample_tables.py"))["WORDINGS"].values()
    templates = [re.escape(template) for kind in wordings for template in kind.held_out]
    held_out = re.compile("|".join(re.sub(r"\\{\w+\\}", ".+", template) for template in templates))
    assert all(held_out.fullmatch(row["prompt"]) for row in valid)
    assert not any(held_out.fullmatch(row["prompt"]) for row in train)


def test_prompts_to_try_are_not_trained(train: Rows, valid: Rows, prompts: list[str]) -> None:
    """Six questions of the validation set and four of neither set."""
    assert not set(prompts) & {row["prompt"] for row in train}
    assert len(set(prompts) & {row["prompt"] for row in valid}) == 6


def test_prepositions_are_contracted_with_articles(train: Rows, valid: Rows) -> None:
    """Portuguese has no "de o Japão" nor "em as Filipinas"."""
    split = re.compile(r"\b(de|em) (o|a|os|as)\b", re.IGNORECASE)
    assert not [row for row in train + valid if split.search(row["prompt"] + " " + row["completion"])]


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [
        ("Qual é a capital de Portugal?", "A capital de Portugal é Lisboa."),
        ("Que moeda se usa nas Filipinas?", "A moeda das Filipinas é o peso filipino."),
        ("Com que moeda se paga na Suécia?", "A moeda da Suécia é a coroa sueca."),
        (
            "Que indicativo telefónico têm os Estados Unidos?",
            "O indicativo telefónico dos Estados Unidos é +1.",
        ),
        ("Em que continente fica Angola?", "Angola fica em África."),
        ("Que língua é oficial em França?", "A língua oficial de França é o francês."),
        ("Com quem faz fronteira Portugal?", "Portugal faz fronteira terrestre com Espanha."),
        (
            "Com quem faz fronteira o Uruguai?",
            "O Uruguai faz fronteira terrestre com a Argentina e o Brasil.",
        ),
    ],
)
def test_known_facts_read_as_expected(train: Rows, prompt: str, completion: str) -> None:
    """Facts and grammar written here by hand, not taken from the script's sources."""
    assert {"prompt": prompt, "completion": completion} in train


def test_the_script_reproduces_the_files() -> None:
    """What is committed is what the script writes, byte for byte."""
    script = [sys.executable, "-m", "scripts.make_sample_data", "--check"]
    checked = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
