"""The built-in model and sample data: a project that can be trained on at once."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UserError, system_reason, write_fix
from engine.files import open_given, read_given, write_atomic
from engine.find_models import BUILT_IN
from engine.i18n import _
from engine.model.demo_source import find_demo_gguf
from engine.model_folder.new_folder import new_model_folder
from engine.model_folder.source import ModelSource, write_source
from engine.project import Project
from engine.sanitize import one_line

MODEL_NAME = BUILT_IN
_REPOSITORY = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""Of the model in full precision, from which the built-in one was made."""
# The training file comes last: where it is, the project has data of its own.
_SAMPLE_FILES = ("prompts.txt", "valid.jsonl", "train.jsonl")
_QUESTION, _ANSWER = "What is the capital of France?", "Paris"
_MAX_TOKENS = 10


@dataclass(frozen=True)
class DemoReport:
    """What `install_demo` did."""

    model: Path
    """Folder of the built-in model."""
    model_written: bool
    """False if it was there already."""
    data_written: tuple[Path, ...]
    data_kept: tuple[Path, ...]
    """Files that were there already and were left alone."""


def install_demo(project: Project, progress: Callable[[str], None] = lambda stage: None) -> DemoReport:
    """Write the built-in model to `models/` and the sample data to `data/`, each where it is missing.

    A project that has a `train.jsonl` keeps its data as it is.

    Args:
        project: the directory to fill.
        progress: called with one translated sentence whenever a new stage begins.

    Raises:
        UserError: the model cannot be had or does not answer, or a file cannot be written.
    """
    written, kept = _copy_sample_data(project)
    there = is_complete(project.models_dir / MODEL_NAME)
    model = install_demo_model(project, progress)
    return DemoReport(model, not there, written, kept)


def install_demo_model(project: Project, progress: Callable[[str], None] = lambda stage: None) -> Path:
    """Write the built-in model to `models/` unless it is there, and return its folder.

    It appears only after it has answered a question.

    Raises:
        UserError: see `install_demo`.
    """
    target = project.models_dir / MODEL_NAME
    if is_complete(target):
        return target
    if target.exists():
        raise UserError(_("{path} is incomplete").format(path=target), _("remove it and try again"))
    from engine.model.gguf import convert_gguf  # imports MLX, not needed before

    source = find_demo_gguf(progress)
    with new_model_folder(target) as folder:
        convert_gguf(source, folder, progress)
        write_source(folder, ModelSource(way="gguf", repository=_REPOSITORY, origin=str(source)))
        progress(_("Asking the model a question"))
        _check_answer(folder)
    return target


def is_complete(folder: Path) -> bool:
    """Whether `folder` holds a model whose files are all there and whose weights are not cut short."""
    try:
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            json.loads(read_given(folder / name))
        weights = folder / "model.safetensors"
        with open_given(weights) as file:
            header_size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(header_size, weights.stat().st_size)))
        header.pop("__metadata__", None)
        end = max(entry["data_offsets"][1] for entry in header.values())
        return bool(weights.stat().st_size == 8 + header_size + end)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def sample_data_dir() -> Path:
    """Return the folder of the sample data: inside the installed package, else of the checkout."""
    engine = Path(__file__).resolve().parents[1]
    packaged = engine / "sample_data"
    return packaged if packaged.is_dir() else engine.parent / "data"


def _copy_sample_data(project: Project) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Copy the files that are missing; return those written and those left alone."""
    if os.path.lexists(project.train_file):
        return (), tuple(path for name in _SAMPLE_FILES if (path := project.data_dir / name).exists())
    written: list[Path] = []
    kept: list[Path] = []
    try:
        project.data_dir.mkdir(parents=True, exist_ok=True)
        for name in _SAMPLE_FILES:
            target = project.data_dir / name
            (written if _copy_new(sample_data_dir() / name, target) else kept).append(target)
    except OSError as error:
        raise UserError(
            _("Cannot write {path}: {reason}").format(path=project.data_dir, reason=system_reason(error)),
            write_fix(error),
        ) from None
    return tuple(written), tuple(kept)


def _copy_new(source: Path, target: Path) -> bool:
    """Copy `source` to `target` unless something has that name; it appears whole or not at all."""
    if os.path.lexists(target):
        return False
    write_atomic(target, source.read_bytes())
    return True


def _check_answer(folder: Path) -> None:
    """Ask the model in `folder` one question whose answer is known.

    Raises:
        UserError: it does not load or answers something else.
    """
    from engine.model.loading import load_base

    from mlx_lm import stream_generate

    base = load_base(folder)
    prompt = base.tokenizer.apply_chat_template(
        [{"role": "user", "content": _QUESTION}], add_generation_prompt=True
    )
    replies = stream_generate(base.model, base.tokenizer, prompt, max_tokens=_MAX_TOKENS)
    answer = "".join(reply.text for reply in replies)
    if _ANSWER not in answer:
        raise UserError(
            _("The converted model answers '{question}' with '{answer}'").format(
                question=_QUESTION, answer=one_line(answer, 80)
            ),
            _("report this with the output of: mqlora-tui check --json"),
        )
