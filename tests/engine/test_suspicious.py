"""What looks like a mistake: texts still to be filled in, and marks of another program's template."""

from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.inspect.check import check_data
from engine.dataset.inspect.load import FileReader
from engine.project import Project
from tests.support.tiny import write_model, write_rows, write_tokenizer

import pytest


def doubts(path: Path, row: dict[str, Any]) -> list[str]:
    """The kinds of what is said of one row that can be used."""
    write_rows(path / "train.jsonl", [row])
    reader = FileReader(path / "train.jsonl")
    assert len(list(reader.rows())) == 1
    return [fault.kind for fault in reader.report().faults]


@pytest.mark.parametrize(
    "answer",
    [
        *("Sou {{name}}, feito por {{ author }}.", "Chamo-me [your name].", "Escreve a <insert date here>."),
        *("#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "undefined", "[object Object]", "[deleted]"),
        *("[removed]", "...", "…", "-", " — ", "=VLOOKUP(A2;B:C;2;0)", "Lorem ipsum dolor sit amet."),
    ],
)
def test_what_is_still_to_be_filled_in_is_warned_of(tmp_path: Path, answer: str) -> None:
    """In answers, which are learned; questions may ask about such marks."""
    assert doubts(tmp_path, {"prompt": "O que é {{name}}?", "completion": answer}) == ["placeholder"]


@pytest.mark.parametrize(
    "answer",
    [
        *("O conjunto {a} e [1, 2] e <b>x</b>.", "{{ }} é um bloco vazio.", "Vê [a ligação](https://x.pt)."),
        *("Pois...", "-1", "=> x", "Usa isto:\n=VLOOKUP(A2;B:C;2;0)", "=SUM(A1)\nsoma tudo."),
    ],
)
def test_what_only_looks_like_it_is_not(tmp_path: Path, answer: str) -> None:
    """A formula with words around it is an answer."""
    assert doubts(tmp_path, {"prompt": "Diz #N/A.", "completion": answer}) == []


@pytest.mark.parametrize(
    ("prompt", "completion", "is_foreign"),
    [
        ("### Instruction:\nDiz olá.\n\n### Response:\n", "Olá.", True),
        ("### Instruction:\nDiz olá.", "### Response:\nOlá.", True),
        ("[INST] Diz olá. [/INST]", "Olá.", True),
        ("<|im_start|>user\nDiz olá.", "Olá.", True),
        ("<|start_header_id|>user", "Olá.", True),
        ("\n\nHuman: Diz olá.\n\nAssistant:", "Olá.", True),
        ("Human: Diz olá.\n\nAssistant:", "Olá.", True),
        ("Diz olá.", "Olá.</s>", True),
        ("Diz olá.", "Olá.<|endoftext|>\n", True),
        ("Diz olá.", "<thinking>hum</thinking>Olá.", True),
        ("Diz olá.", "<|channel|>analysis hum", True),
        ("O que é </s>?", "Uma marca.", False),
        ("Diz olá.", "<think>hum</think>Olá.", False),
        ("Risca olá.", "<s>Olá.</s>", False),
        ("### Instruction: diz olá", "Olá.", False),
        ("Human: diz olá", "Olá.", False),
    ],
)
def test_marks_of_another_template_are_warned_of(
    tmp_path: Path, prompt: str, completion: str, is_foreign: bool
) -> None:
    """In pairs and in conversations; a plain text may be a conversation with its marks."""
    expected = ["other_template"] if is_foreign else []
    said = {"user": prompt, "assistant": completion}
    turns = [{"role": role, "content": text} for role, text in said.items()]
    assert doubts(tmp_path, {"prompt": prompt, "completion": completion}) == expected
    assert doubts(tmp_path, {"messages": turns}) == expected
    assert doubts(tmp_path, {"text": prompt + completion}) == []


def test_a_mark_that_is_a_control_token_of_the_model_is_reported_once(tmp_path: Path) -> None:
    """As such: of what the model reads otherwise than it stands, more can be said."""
    project = Project(tmp_path)
    project.data_dir.mkdir()
    rows = [{"prompt": mark, "completion": "b"} for mark in ("<|im_start|>", "[INST]")]
    write_rows(project.train_file, rows)
    write_rows(project.valid_file, [{"prompt": "c", "completion": "d"}])
    write_model(project.models_dir / "tiny")
    write_tokenizer(project.models_dir / "tiny")
    found = check_data(project, TrainingConfig(max_seq_length=64)).train.faults
    kinds = [(fault.kind, fault.line) for fault in found if fault.severity == "warning"]
    assert kinds == [("control_text", 1), ("other_template", 2)]
