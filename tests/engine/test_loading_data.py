"""A data file as training uses it: what is kept, cut, left out, and what is said about it."""

import json
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.batches.tokenize import ExampleTokenizer
from engine.dataset.inspect.check import check_data
from engine.dataset.inspect.load import LoadedFile, load_file
from engine.dataset.inspect.preview import preview_row
from engine.errors import UserError
from engine.model_folder.tokenizer import load_tokenizer
from engine.project import Project
from tests.support.tiny import CHATML, pairs, tiny_project, write_rows, write_tokenizer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

# "<|im_start|>user\\nq...<|im_end|>\\n<|im_start|>assistant\\n" takes 1 + 5 + prompt + 2 + 1 + 10 tokens.
OVERHEAD = 19


def pair(prompt: int, completion: int) -> dict[str, str]:
    """A row with so many one-byte tokens."""
    return {"prompt": "q" * prompt, "completion": "a" * completion}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return load_tokenizer(folder)


def load(tmp_path: Path, tokenizer: Any, rows: list[Any], limit: int = 64) -> LoadedFile:
    config = TrainingConfig(max_seq_length=limit)
    write_rows(tmp_path / "train.jsonl", rows)
    return load_file(tmp_path / "train.jsonl", ExampleTokenizer(tokenizer, config), config)


def test_long_rows_are_cut_and_hopeless_ones_left_out(tmp_path: Path, tokenizer: Any) -> None:
    """Each is counted and listed by its line; the last token that fits is decisive."""
    rows = [pair(1, 1), pair(10, 33), pair(10, 34), pair(44, 5), pair(45, 5), pair(60, 5)]
    loaded = load(tmp_path, tokenizer, rows)
    figures = loaded.report.tokens
    assert figures is not None
    # The row of line 2 has 10 + 33 tokens, 19 around the prompt and 2 after the answer: 64.
    assert [example.line for example in loaded.examples] == [1, 2, 3, 4]
    assert [len(example.tokens) for example in loaded.examples] == [OVERHEAD + 4, 64, 64, 64]
    assert [int(example.trained.sum()) for example in loaded.examples] == [2, 34, 35, 1]
    assert figures.truncated_lines == (3, 4, 5, 6)
    assert figures.dropped_lines == (5, 6)
    assert [(fault.line, fault.kind, fault.severity) for fault in loaded.report.faults] == [
        (3, "truncated", "warning"),
        (4, "truncated", "warning"),
        (5, "no_trained_token", "error"),
        (6, "no_trained_token", "error"),
    ]
    assert (loaded.report.rows, loaded.report.examples) == (6, 4)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=6), st.integers(16, 120)
)
def test_every_row_is_kept_cut_or_left_out_and_reported(
    tmp_path: Path, tokenizer: Any, sizes: list[tuple[int, int]], limit: int
) -> None:
    """Against counting: a row has 19 tokens around its prompt, then its answer, end token and line break."""
    loaded = load(tmp_path, tokenizer, [pair(*size) for size in sizes], limit)
    figures = loaded.report.tokens
    assert figures is not None
    kept, cut, dropped = [], [], []
    for line, (prompt, completion) in enumerate(sizes, start=1):
        begin, length = OVERHEAD + prompt, OVERHEAD + prompt + completion + 2
        if begin < limit:
            kept.append((line, min(length, limit), min(completion + 1, limit - begin)))
        else:
            dropped.append(line)
        if length > limit:
            cut.append(line)
    assert [(e.line, len(e.tokens), int(e.trained.sum())) for e in loaded.examples] == kept
    assert (figures.truncated_lines, figures.dropped_lines) == (tuple(cut), tuple(dropped))
    reported = {(fault.line, fault.kind) for fault in loaded.report.faults}
    assert reported == {(n, "no_trained_token" if n in dropped else "truncated") for n in cut}


def test_figures_count_tokens(tmp_path: Path, tokenizer: Any) -> None:
    """Lengths before truncation; totals of what is trained on, after it."""
    figures = load(tmp_path, tokenizer, [pair(1, 1), pair(1, 3), pair(1, 97)]).report.tokens
    assert figures is not None
    around = OVERHEAD + 3
    assert (figures.shortest, figures.median, figures.longest) == (around + 1, around + 3, around + 97)
    assert figures.total == 2 * around + 1 + 3 + 64
    assert figures.trained == 2 + 4 + (64 - OVERHEAD - 1)
    assert len(figures.histogram) == 24 and sum(figures.histogram) == 3 and figures.histogram[-1] == 1


def test_faults_of_every_stage_come_in_the_order_of_lines(tmp_path: Path, tokenizer: Any) -> None:
    """Reading, template and length; rows without a fault are used."""
    folder = tmp_path / "strict"
    folder.mkdir()
    write_tokenizer(
        folder, "{% if messages[0]['content'] == 'no' %}{{ raise_exception('never') }}{% endif %}" + CHATML
    )
    rows = [pair(1, 1), {"prompt": "no", "completion": "b"}, {"prompt": 3}, pair(90, 1), {"text": "x" * 70}]
    loaded = load(tmp_path, load_tokenizer(folder), rows)
    assert [(fault.line, fault.kind) for fault in loaded.report.faults] == [
        (2, "template"),
        (3, "wrong_type"),
        (4, "no_trained_token"),
        (5, "mixed_forms"),
        (5, "truncated"),
    ]
    assert "never" in loaded.report.faults[0].message
    assert [example.line for example in loaded.examples] == [1, 5]


def test_missing_end_tokens_are_a_fault_of_the_model(tmp_path: Path) -> None:
    """Told once, with the template's file, and not of each row; the rows are used all the same."""
    project = tiny_project(tmp_path, train=9)
    write_tokenizer(project.model_dir(""), "{% for m in messages %}[{{ m['content'] }}]{% endfor %}")
    report = check_data(project, TrainingConfig())
    reported = [fault for fault in report.faults if fault.kind == "no_end_of_turn"]
    assert reported == list(report.model_faults) and report.train.examples == 9
    assert "the chat template in tokenizer_config.json puts no end token" in reported[0].message


def test_rows_without_an_end_token_among_others_are_counted(tmp_path: Path) -> None:
    """One warning, at the first of them."""
    template = CHATML.replace("<|im_end|>", "{{ '' if '7' in message['content'] else '<|im_end|>' }}")
    write_tokenizer(tmp_path, template)
    rows = [pair(1, 1), {"prompt": "a", "completion": "7"}, {"prompt": "b", "completion": "77"}]
    loaded = load(tmp_path, load_tokenizer(tmp_path), rows)
    (fault,) = (fault for fault in loaded.report.faults if fault.kind == "no_end_of_turn")
    assert fault.line == 2 and "2 rows, of which this is the first" in fault.message


def test_a_model_without_any_end_token_is_reported_once(tmp_path: Path) -> None:
    """Neither a chat template nor an end token of the tokenizer."""
    project = tiny_project(tmp_path)
    write_tokenizer(project.model_dir(""), None)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (project.model_dir("") / "tokenizer_config.json").write_text(json.dumps(settings))
    report = check_data(project, TrainingConfig())
    assert [fault.kind for fault in report.model_faults][:2] == ["no_template", "no_end_of_turn"]
    assert not [fault for fault in report.train.faults if fault.kind == "no_end_of_turn"]


def test_without_a_model_rows_are_still_checked(tmp_path: Path) -> None:
    """No figures then, but every fault of reading."""
    (tmp_path / "data").mkdir()
    write_rows(tmp_path / "data" / "train.jsonl", [pair(1, 1), {}])
    report = check_data(Project(tmp_path), TrainingConfig()).train
    assert report.tokens is None
    assert (report.rows, report.examples, len(report.faults)) == (2, 1, 1)


def test_nothing_usable_gives_no_figures(tmp_path: Path, tokenizer: Any) -> None:
    """Neither an empty file nor one of faults only is an error of ours."""
    choices: tuple[list[Any], ...] = ([], [{}])
    for rows in choices:
        loaded = load(tmp_path, tokenizer, rows)
        assert (loaded.examples, loaded.report.tokens) == ((), None)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return tiny_project(tmp_path_factory.mktemp("project"))


def test_the_data_report_covers_both_files(project: Project, tmp_path: Path) -> None:
    """Steps per epoch count the last, smaller one; a missing file is a fault of line 0."""
    report = check_data(project, TrainingConfig(batch_size=2, gradient_accumulation=2))
    assert report.is_trainable and (report.model, report.steps_per_epoch) == ("tiny", 6)
    assert (report.train.examples, report.valid.examples) == (22, 5)
    empty = check_data(Project(tmp_path), TrainingConfig())
    assert not empty.is_trainable and empty.model == ""
    assert [(fault.file, fault.line) for fault in empty.faults] == [("train.jsonl", 0), ("valid.jsonl", 0)]


def test_a_preview_shows_each_token_of_a_row(project: Project) -> None:
    """What is trained, what is cut, and which are control tokens."""
    tokens = preview_row(project, TrainingConfig(max_seq_length=36), "train.jsonl", 3)
    row = pairs(3)[2]
    rendered = f"user\n{row['prompt']}<|im_end|>\n<|im_start|>assistant\n{row['completion']}<|im_end|>\n"
    assert "".join(token.text for token in tokens) == "<|im_start|>" + rendered
    assert "".join(token.text for token in tokens if token.trained) == row["completion"] + "<|im_end|>"
    counted = (
        ("\0" + rendered).replace("<|im_start|>", "\0").replace("<|im_end|>", "\1").encode()
    )  # a byte a token
    beyond = counted[36:].decode().replace("\0", "<|im_start|>").replace("\1", "<|im_end|>")
    assert "".join(token.text for token in tokens if token.cut) == beyond
    assert [token.text for token in tokens if token.special] == ["<|im_start|>", "<|im_end|>"] * 2
    with pytest.raises(UserError, match="no row on line 99"):
        preview_row(project, TrainingConfig(), "train.jsonl", 99)


def test_a_preview_of_a_faulty_row_says_what_is_wrong(tmp_path: Path) -> None:
    """The reading fault, with its line."""
    project = Project(tmp_path)
    write_rows(project.train_file, [json.loads("{}")])
    with pytest.raises(UserError, match=r"Line 1 of train.jsonl"):
        preview_row(project, TrainingConfig(), "train.jsonl", 1)
