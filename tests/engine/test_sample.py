"""A few rows of a data file tell how long its rows are."""

from pathlib import Path

from engine.dataset.inspect.load import FileReader
from engine.dataset.inspect.model_tokens import example_tokenizer
from engine.dataset.inspect.sample import sample_figures
from engine.project import Project
from tests.support.tiny import RUN, pairs, write_rows

import pytest

CONFIG = RUN.updated({"max_seq_length": 4096})


def test_the_longest_row_is_found_wherever_it_stands(project: Project) -> None:
    """And about the same share is trained as of all rows."""
    rows = pairs(3000)
    rows[1234]["completion"] = "São " * 300
    write_rows(project.train_file, rows)
    tokenize = example_tokenizer(project.model_dir(""), CONFIG)
    found = sample_figures(project.train_file, tokenize, CONFIG)
    reader = FileReader(project.train_file)
    assert len(list(reader.examples(tokenize, CONFIG.max_seq_length))) == 3000
    whole = reader.report().tokens
    assert found and whole
    assert found.longest == whole.longest > 1200
    assert sum(found.histogram) < 300
    assert found.median == pytest.approx(whole.median, abs=3)


@pytest.mark.parametrize("content", [None, b"", b"no rows\n", b"x" * 3_000_000])
def test_a_file_that_tells_nothing_is_no_fault(project: Project, content: bytes | None) -> None:
    """Training says what is wrong with it."""
    path = Path(project.train_file)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert sample_figures(path, example_tokenizer(project.model_dir(""), CONFIG), CONFIG) is None
