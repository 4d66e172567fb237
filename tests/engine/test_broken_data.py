"""Broken data files and what is said of them, each report checked by hand.

`broken_data/NAME.jsonl` is a training file, `NAME.valid.jsonl` its validation file where it has one of its
own, and `NAME.json` the report. After a change of words or rules write the reports again with
`python -m tests.engine.test_broken_data`, and look at each difference.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset import fault_kinds
from engine.dataset.inspect.check import check_data
from engine.dataset.jsonl import lines
from engine.dataset.report import Fault
from engine.project import Project
from tests.campaigns.fuzz_checks import check_file
from tests.support.chat_forms import template
from tests.support.melting_tokenizer import melting_tokenizer
from tests.support.tiny import CHATML, pairs, write_model, write_rows, write_tokenizer

import pytest

FOLDER = Path(__file__).parent / "broken_data"
GOOD = b'{"prompt": "Onde fica Lisboa?", "completion": "Em Portugal."}\n'
NAMES = sorted(path.stem for path in FOLDER.glob("*.jsonl") if not path.stem.endswith(".valid"))
# Too big to be kept: made by the test.
MADE: dict[str, Callable[[], bytes]] = {
    "giant_line": lambda: GOOD + b" " * lines.MOST_BYTES + b"\n" + GOOD.replace(b"Lisboa", b"Tavira"),
    "giant_last_line": lambda: GOOD + b" " * (lines.MOST_BYTES + 4_000_000) + b"\n",
    "deep_nesting": lambda: b"".join(_nested(depth) for depth in (600, 100_000)),
}
# Generation begins a thought that the template leaves out of answers.
OPENED = CHATML.replace("{{ message['content'] }}", "{{ message['content'].split('</think>')[-1] }}").replace(
    "assistant\n{%", "assistant\n<think>\n{%"
)
# Rows are tokenised only in these: one token a byte, at most 64.
TOKENIZERS: dict[str, Callable[[Path], object]] = {
    "long_rows": write_tokenizer,
    "no_end_of_turn": lambda folder: write_tokenizer(
        folder, "{% for m in messages %}[{{ m['content'] }}]{% endfor %}"
    ),
    "control_text": write_tokenizer,
    "rewritten_turns": lambda folder: write_tokenizer(folder, template("qwen3")),
    "opened_thoughts": lambda folder: write_tokenizer(folder, OPENED),
    "shared_tokens": lambda folder: melting_tokenizer(folder, trim_offsets=False),
    "template": lambda folder: write_tokenizer(
        folder, "{% if messages[0]['content'] == 'nunca' %}{{ raise_exception('nunca') }}{% endif %}" + CHATML
    ),
}
KINDS = {
    "answer_begins_otherwise", "blank_lines", "byte_order_mark", "compressed", "control_character",
    "control_text", "conversation_split", "duplicate", "duplicate_key", "empty_completion",
    "empty_prompt", "empty_text", "invalid_json", "invalid_text", "invalid_utf8", "json_array", "leak",
    "left_out", "line_too_long", "misread_text", "missing_field", "mixed_forms", "near_duplicate",
    "near_leak", "no_assistant_turn", "no_end_of_turn", "no_last_answer", "no_last_line_break",
    "no_question", "no_rows", "no_trained_token", "not_an_object", "nul", "other_answer",
    "other_template", "parquet", "placeholder", "repeated_header", "same_role_twice", "several_answers",
    "shared_token", "spread_object", "template", "template_text", "truncated", "two_forms", "two_systems",
    "unknown_option", "unsupported_field", "unused_fields", "utf16", "windows_line_ends", "wrong_role",
    "wrong_type",
}  # fmt: skip
"""All that the check can say of rows, but for two that other tests look at: unreadable, near_twins_limit."""


def _nested(depth: int) -> bytes:
    return b'{"text": "%d", "x": ' % depth + b"[" * depth + b"]" * depth + b"}\n"


def report(name: str, root: Path) -> dict[str, Any]:
    """What the check says of a broken file."""
    project = Project(root)
    project.data_dir.mkdir(parents=True)
    project.train_file.write_bytes(MADE[name]() if name in MADE else (FOLDER / f"{name}.jsonl").read_bytes())
    valid = FOLDER / f"{name}.valid.jsonl"
    if valid.exists():
        project.valid_file.write_bytes(valid.read_bytes())
    else:
        write_rows(project.valid_file, pairs(1))
    if name in TOKENIZERS:
        folder = project.models_dir / "tiny"
        write_model(folder)
        TOKENIZERS[name](folder)
    found = check_data(project, TrainingConfig(max_seq_length=64))
    return {
        "rows": {"train.jsonl": found.train.rows, "valid.jsonl": found.valid.rows},
        "examples": {"train.jsonl": found.train.examples, "valid.jsonl": found.valid.examples},
        "faults": [as_expected(fault) for fault in found.faults],
    }


def as_expected(fault: Fault) -> dict[str, Any]:
    """The fields that `validate --json` promises."""
    names = ("file", "line", "column", "kind", "severity", "message", "fix")
    return {name: getattr(fault, name) for name in names}


def golden(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return value


@pytest.mark.parametrize("name", [*NAMES, *MADE])
def test_a_broken_file_is_reported_as_it_was_checked_by_hand(name: str, tmp_path: Path) -> None:
    """Every fault with its file, line, column, kind, severity, words and fix, and what remains usable."""
    assert report(name, tmp_path) == golden(name)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.jsonl")), ids=lambda path: path.name)
def test_lines_and_columns_are_those_of_other_readers(path: Path) -> None:
    """Lines counted by splitting, columns by Python's reader, bytes by decoding one character at a time."""
    check_file(path)


def test_every_kind_of_fault_has_a_broken_file() -> None:
    """And each report tells where the file is, what is wrong and what to do."""
    faults = [fault for name in (*NAMES, *MADE) for fault in golden(name)["faults"]]
    assert {fault["kind"] for fault in faults} == KINDS
    assert set(fault_kinds.KINDS) == KINDS | {"unreadable", "near_twins_limit"}, "each has words"
    assert len(NAMES) >= 40 and all(fault["message"] and fault["fix"] for fault in faults)


def main() -> None:
    """Write all reports."""
    for name in (*NAMES, *MADE):
        with tempfile.TemporaryDirectory() as root:
            text = json.dumps(report(name, Path(root)), ensure_ascii=False, indent=1)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
