"""What is to be evaluated: which adapters on which base model, on which rows; found without MLX."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.analysis.run_folder import run_config
from engine.config import TrainingConfig
from engine.errors import UserError, WrongUsage, system_reason
from engine.evaluation.results import Source
from engine.fingerprint import given_sha256
from engine.i18n import _
from engine.model_folder.usable import require_usable
from engine.project import ADAPTER_FILES, Project
from engine.sanitize import one_line
from engine.training.checkpoint_folders import checkpoint_folders, checkpoint_step
from engine.training.checksums import is_whole, read_state
from engine.training.selected_config import adapter_model, selected_settings
from engine.training.state import known_state

BASE, BEST, LAST = "base", "best", "last"
"""Names of the base model, of what is in `adapters/` and of the newest checkpoint."""
SAME = " = "
"""Stands between two names of the same adapter."""
ANSWERED = 10
"""Rows that are answered if nothing else is asked for."""
MOST_ANSWERED = 10_000
CONFIG = "adapter_config.json"
"""What an adapter's settings are in."""

OnProgress = Callable[[str, float], None]
"""Called with what is being done, and which share of it is."""


@dataclass(frozen=True)
class EvaluationRequest:
    """What is asked for."""

    checkpoints: tuple[str, ...] = ()
    """Names of checkpoints, in place of the best adapter and the last checkpoint."""
    adapter: Path | None = None
    """Folder of another adapter, in place of the run's."""
    file: Path | None = None
    """With the rows; None takes `data/test.jsonl` where it exists, else `data/valid.jsonl`."""
    answers: int = ANSWERED
    """Rows that are answered, spread evenly over the file."""

    def __post_init__(self) -> None:
        """Refuse choices that do not go together.

        Raises:
            WrongUsage: adapter and checkpoints are both named.
        """
        if self.checkpoints and self.adapter:
            raise WrongUsage(_("--checkpoint and --adapter both name an adapter"), _("leave one of them out"))


@dataclass(frozen=True)
class Variant:
    """One model that is evaluated: the base model, or an adapter on it."""

    name: str
    folder: Path | None = None
    """Of the adapter; None for the base model."""
    step: int | None = None
    """After which it was saved; None where that is not known."""
    digest: str = ""
    """SHA-256 of its weights and its configuration; empty for the base model."""


@dataclass(frozen=True)
class Chosen:
    """What a request stands for in a project."""

    base: Path
    """Folder of the base model."""
    model: str
    """Its name."""
    config: TrainingConfig
    """Of the run: how its rows become tokens, and which of these carry loss."""
    variants: tuple[Variant, ...]
    """The base model first."""
    file: Path
    source: Source


def choose(project: Project, request: EvaluationRequest) -> Chosen:
    """Find base model, adapters, settings and rows of an evaluation.

    Raises:
        UserError: there is no such model, adapter, checkpoint or file.
    """
    config = run_config(project) or selected_settings(project)
    adapters = list(_adapters(project, request))
    name = _base_model(project, request) or config.model
    base = project.model_dir(name)
    require_usable(base)
    file, source = _rows_file(project, request)
    variants = (Variant(BASE), *_without_doubles(adapters))
    return Chosen(base, project.model_name(name), config, variants, file, source)


def _adapters(project: Project, request: EvaluationRequest) -> Iterator[Variant]:
    """Yield the adapters that are meant.

    Raises:
        UserError: one is not there, or there is none.
    """
    if request.adapter:
        yield _variant(one_line(request.adapter.resolve().name, 80), request.adapter, None)
    elif request.checkpoints:
        found = {path.name: path for path in checkpoint_folders(project.run_dir)}
        for name in dict.fromkeys(request.checkpoints):
            if name not in found:
                raise UserError(
                    _("There is no checkpoint {name}").format(name=one_line(name, 80)),
                    _("name one of: {names}").format(names=", ".join(found) or _("none is there")),
                )
            yield _variant(name, found[name], checkpoint_step(found[name]))
    else:
        yield from _of_run(project)


def _of_run(project: Project) -> Iterator[Variant]:
    """Yield the best adapter and the newest checkpoint that is whole."""
    last = _last(project)
    if project.found_adapter is None and last is None:
        raise UserError(_("There is no adapter to evaluate yet"), _("train first: mqlora-tui train"))
    if project.found_adapter:
        state = known_state(project.state_file)
        yield _variant(BEST, project.adapters_dir, state.best_step if state else None)
    if last:
        yield last


def _last(project: Project) -> Variant | None:
    """Return the newest checkpoint that is whole; a run that goes on may take one away meanwhile.

    Raises:
        UserError: one that is whole cannot be read.
    """
    for folder in filter(_is_sound, checkpoint_folders(project.run_dir)):
        try:
            return _variant(LAST, folder, checkpoint_step(folder))
        except UserError:
            if folder.is_dir():
                raise
    return None


def _is_sound(folder: Path) -> bool:
    try:
        state = read_state(folder)
        return state is not None and is_whole(folder, state["files"])
    except (
        OSError,
        UserError,
        KeyError,
        TypeError,
        AttributeError,
    ):  # another version's, or not readable now
        return False


def _variant(name: str, folder: Path, step: int | None) -> Variant:
    return Variant(name, folder, step, digest_of(folder))


def digest_of(folder: Path) -> str:
    """Return the SHA-256 of an adapter's weights and that of its configuration.

    Raises:
        UserError: one of them is not there or cannot be read.
    """
    weights = next((folder / name for name in ADAPTER_FILES if (folder / name).is_file()), folder)
    try:
        return f"{given_sha256(weights)}:{given_sha256(folder / CONFIG)}"
    except OSError as error:
        from engine.model.adapter_file import cannot_use, read_adapter

        read_adapter(folder)  # says what is missing
        raise cannot_use(folder, system_reason(error)) from None


def _without_doubles(adapters: list[Variant]) -> Iterator[Variant]:
    """Yield adapters of which each is another one; those that are the same share a line under both names."""
    for digest in dict.fromkeys(each.digest for each in adapters):
        same = [each for each in adapters if each.digest == digest]
        step = next((each.step for each in same if each.step is not None), None)
        yield Variant(SAME.join(each.name for each in same), same[0].folder, step, digest)


def _base_model(project: Project, request: EvaluationRequest) -> str:
    """Return the name of the base model that the adapters belong to; empty where only the settings tell."""
    if not request.adapter:
        return adapter_model(project)
    from engine.model.adapter_file import adapter_base

    made_for = adapter_base(request.adapter)
    return made_for if made_for in project.models() else ""


def _rows_file(project: Project, request: EvaluationRequest) -> tuple[Path, Source]:
    if request.file:
        return request.file, "given"
    if project.test_file.exists():
        return project.test_file, "test"
    return project.valid_file, "valid"
