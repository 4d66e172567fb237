"""Checks of what the project directory holds: the base model and the data."""

import json
from pathlib import Path

from engine.errors import UserError
from engine.hardware.report import Check
from engine.i18n import _
from engine.model.trust import refuse_code
from engine.model_shape import ModelShape
from engine.project import Project
from engine.text import one_line
from engine.words import size


def check_model(project: Project, name: str = "") -> Check:
    """Check that a base model is there, whole and 4-bit."""
    try:
        folder = project.model_dir(name)
        refuse_code(folder)
        shape = ModelShape.read(folder)
    except UserError as error:
        return Check("model", _("Base model"), _("none usable"), "error", error.problem, error.fix)
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    bits = _("not quantised") if shape.bits is None else _("{n}-bit").format(n=shape.bits)
    value = ", ".join([one_line(f"models/{folder.name}", 260), bits, size(weights)])
    missing = _missing_files(folder)
    if missing:
        detail = _("{folder} lacks {files}").format(folder=value.partition(",")[0], files=", ".join(missing))
        fix = _("download the model again or run: mqlora-tui demo")
        return Check("model", _("Base model"), value, "error", detail, fix)
    if shape.bits is None:
        detail = _("The weights are not quantised and take about four times the memory of 4-bit ones")
        fix = _("convert it: python -m mlx_lm convert --hf-path FOLDER --mlx-path models/NAME -q")
        return Check("model", _("Base model"), value, "warning", detail, fix)
    return Check("model", _("Base model"), value, "ok")


def check_data(project: Project) -> Check:
    """Check that both data files have rows. What the rows hold is the data report's business."""
    rows = {path.name: count_rows(path) for path in (project.train_file, project.valid_file)}
    train, valid = rows.values()
    value = _("{train} train, {valid} valid").format(
        train=_("no") if train is None else f"{train:,}", valid=_("no") if valid is None else f"{valid:,}"
    )
    for file, count in rows.items():
        if not count:
            problem = _("data/{file} does not exist") if count is None else _("data/{file} has no rows")
            fix = _('write one {"prompt": ..., "completion": ...} a line there or run: mqlora-tui demo')
            return Check("data", _("Data"), value, "error", problem.format(file=file), fix)
    return Check("data", _("Data"), value, "ok")


def count_rows(path: Path) -> int | None:
    """Return the number of lines that are not blank; None if the file cannot be read."""
    try:
        with path.open("rb") as lines:
            return sum(1 for line in lines if not line.isspace())
    except OSError:
        return None


def _missing_files(folder: Path) -> list[str]:
    """Return what a model folder lacks: weights (each shard of its index) or the tokenizer."""
    index = folder / "model.safetensors.index.json"
    wanted = ["tokenizer.json"]
    try:
        wanted += sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        if not any(folder.glob("*.safetensors")):
            wanted.append("model.safetensors")
    return [one_line(name, 60) for name in wanted if not (folder / name).is_file()]
