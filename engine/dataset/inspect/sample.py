"""What a few rows tell of a data file's lengths, without reading all of it as rows."""

import heapq
import random
import tempfile
from pathlib import Path

from engine.config import TrainingConfig
from engine.dataset.batches.tokenize import ExampleTokenizer
from engine.dataset.inspect.load import FileReader
from engine.dataset.inspect.model_tokens import example_tokenizer
from engine.dataset.report import DataReport, FileReport, TokenFigures
from engine.errors import UserError
from engine.files import open_given
from engine.find_models import label
from engine.model_folder.usable import require_usable
from engine.project import Project

_LONGEST = 64
"""So many of the longest lines decide how long a row may be."""
_ANY = 192
"""So many of all others, drawn by chance, decide how much of a row is trained."""
_MOST_BYTES = 1 << 20
"""Of a line; a longer one is no row that people write."""


def sample_report(project: Project, config: TrainingConfig) -> DataReport | None:
    """Return what a sample of the training rows tells of lengths; None where they tell nothing.

    Args:
        project: whose data these are.
        config: of the run.

    Raises:
        UserError: the base model cannot be used.
    """
    folder = project.model_dir(config.model)
    require_usable(folder)
    tokens = sample_figures(project.train_file, example_tokenizer(folder, config), config)
    train = FileReport(project.train_file.name, 1, 1, (), tokens)
    valid = FileReport(project.valid_file.name, 0, 0, (), None)
    return DataReport(train, valid, 1, label(folder)) if tokens else None


def sample_figures(path: Path, tokenize: ExampleTokenizer, config: TrainingConfig) -> TokenFigures | None:
    """Return the token figures of the longest rows of a file and some others.

    Args:
        path: of the file, which is read once, line by line.
        tokenize: of the base model.
        config: of the run.

    Returns:
        The figures; None where no line of the sample can be trained on, or the file cannot be read.
    """
    try:
        lines = _sampled(path)
        with tempfile.TemporaryDirectory() as folder:
            sample = Path(folder) / path.name
            sample.write_bytes(b"".join(lines))
            reader = FileReader(sample)
            for _example in reader.examples(tokenize, config.max_seq_length):
                pass
        return reader.report().tokens
    except (OSError, UserError):
        return None


def _sampled(path: Path) -> list[bytes]:
    """Return the longest lines of a file and some others, each with its line break."""
    draw = random.Random(0)
    longest: list[tuple[int, int, bytes]] = []
    others: list[bytes] = []
    with open_given(path) as file:
        for number, line in enumerate(file):
            if len(line) > _MOST_BYTES:
                continue
            entry = (len(line), number, line)
            if len(longest) < _LONGEST:
                heapq.heappush(longest, entry)
            elif entry > longest[0]:
                heapq.heapreplace(longest, entry)
            if len(others) < _ANY:
                others.append(line)
            elif (place := draw.randrange(number + 1)) < _ANY:
                others[place] = line
    lines = dict.fromkeys([*others, *(line for _size, _number, line in longest)])
    return [line.rstrip(b"\r\n") + b"\n" for line in lines]
