"""What both fuzzers call with bytes: all checks of a data file, and where inputs that fail them are kept."""

import hashlib
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from engine.dataset.jsonl import lines
from engine.model_folder.tokenizer import load_tokenizer
from engine.project import Project
from tests.campaigns.fuzz_checks import check_file
from tests.campaigns.fuzz_row_checks import check_display, check_mended, check_tokens, check_twins
from tests.support.tiny import write_tokenizer

_USUAL_DEPTH = 1000
"""Python's own limit of recursion, which hypothesis raises."""
_MOST_BYTES = 6000
"""Of a line, instead of the many that the engine allows."""
_MENDED = 16
"""One input in so many is also mended, which writes to the disk."""
_TOKENISED = 4
"""The rows of one input in so many are tokenised, which takes longest."""


class Target:
    """Checks bytes as a data file, and keeps one input for each place where a check or the engine fails."""

    def __init__(self, crashes: Path) -> None:
        """Nothing has failed yet.

        Args:
            crashes: folder for inputs that fail; it need not be there.
        """
        self._crashes = crashes
        self._folder = tempfile.TemporaryDirectory()
        self._root = Path(self._folder.name)
        write_tokenizer(self._root)
        self._tokenizer = load_tokenizer(self._root)
        self.executions = 0

    def __call__(self, content: bytes) -> None:
        """Check bytes.

        Raises:
            Exception: a check failed, or the engine; the input is kept.
        """
        self.executions += 1
        try:
            with _usual_depth(), mock.patch.object(lines, "MOST_BYTES", _MOST_BYTES):
                self._check(content)
        except Exception as error:
            self._keep(content, error)
            raise

    def _check(self, content: bytes) -> None:
        path = self._root / "train.jsonl"
        path.write_bytes(content)
        rows = check_file(path)
        check_twins(rows, rows[::2])
        draw = sum(content)
        for row in rows:
            check_display(row.text + "".join(turn["content"] for turn in row.messages))
            if draw % _TOKENISED == 0:
                check_tokens(self._tokenizer, row)
        if draw % _MENDED == 0:
            self._mend(content)

    def _mend(self, content: bytes) -> None:
        with tempfile.TemporaryDirectory(dir=self._root) as folder:
            project = Project(Path(folder))
            project.data_dir.mkdir()
            middle = len(content) // 2
            project.train_file.write_bytes(content[:middle])
            project.valid_file.write_bytes(content[middle:])
            check_mended(project)

    def _keep(self, content: bytes, error: Exception) -> None:
        """Write an input under the name of the place that failed; a shorter one takes its place."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} {place.filename} {place.lineno}"
        path = self._crashes / f"crash-{hashlib.sha256(where.encode()).hexdigest()[:12]}.jsonl"
        self._crashes.mkdir(parents=True, exist_ok=True)
        if not path.exists() or len(content) < path.stat().st_size:
            path.write_bytes(content)
            path.with_suffix(".txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8")


@contextmanager
def _usual_depth() -> Iterator[None]:
    """Let recursion end where it ends for users."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(_USUAL_DEPTH)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
