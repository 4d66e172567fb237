"""Importing a file into an empty project, and reading what came of it."""

import json
from pathlib import Path
from threading import Event
from typing import Any

from engine.dataset.convert.detect_columns import choose
from engine.dataset.convert.import_table import ImportOptions, import_rows
from engine.dataset.convert.imported import REJECTED, Imported
from engine.dataset.convert.tables import open_table
from engine.project import Project

IN_ORDER = ImportOptions(valid_share=0, shuffle=False)


def lines(path: Path) -> list[Any]:
    """Return the objects of a JSON Lines file, none where there is no file."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]] if path.exists() else []


def bring(path: Path, root: Path, options: ImportOptions = IN_ORDER, **columns: str) -> Imported:
    """Import a file into the project at `root`."""
    root.mkdir(exist_ok=True)
    table = open_table(path)
    return import_rows(
        Project(root), table, choose(table, **columns), options, lambda _stage, _count: None, Event()
    )


def became(path: Path, root: Path, **columns: str) -> tuple[list[Any], list[tuple[int, str]]]:
    """Import a file in its order; return the rows written, and place and kind of those rejected."""
    done = bring(path, root, IN_ORDER, **columns)
    listed = [(item.get("line") or item["row"], item["kind"]) for item in lines(done.folder / REJECTED)]
    return lines(done.folder / "train.jsonl"), listed


def tree(root: Path) -> list[str]:
    """Return the names of all that is below a folder."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))
