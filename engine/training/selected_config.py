"""The settings selected for the next run, beside a run that is unfinished and keeps its own."""

from collections.abc import Set

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line
from engine.setting_words import setting_text
from engine.training.state import RunState

FREE = ("max_memory_gb", "answers_percent", "trackers")
"""Settings that may change between two sessions: a run's plan is kept, so they change no number."""


def selected_settings(project: Project) -> TrainingConfig:
    """Return the configuration selected last (a fresh run writes its own there), else the defaults.

    Raises:
        UserError: the file cannot be read.
    """
    return TrainingConfig.load(project.config_file) if project.config_file.exists() else TrainingConfig()


def adapter_model(project: Project) -> str:
    """Return the base model that the run's best adapter belongs to; empty where there is none of a run."""
    state = RunState.load(project.state_file)
    return state.model if state and project.adapter_file.is_file() else ""


def settings_beside(project: Project, run: TrainingConfig) -> TrainingConfig:
    """Return the selected configuration; that of the unfinished run where none can be read."""
    try:
        return TrainingConfig.load(project.config_file)
    except UserError:
        return run


def unreadable_settings(project: Project) -> tuple[str, ...]:
    """Return why the selected configuration cannot be read, in a sentence; nothing where it can be."""
    try:
        if project.config_file.exists():
            TrainingConfig.load(project.config_file)
    except UserError as error:
        text = _("The run goes on with its own settings, not with the selected ones: {problem}")
        return (text.format(problem=error.problem),)
    return ()


def going_on(run: TrainingConfig, selected: TrainingConfig) -> TrainingConfig:
    """Return what an unfinished run goes on with: its own settings, and the selected ones that are free."""
    return run.updated({key: getattr(selected, key) for key in FREE})


def differences(run: TrainingConfig, wanted: TrainingConfig) -> list[str]:
    """Name what `wanted` would change of a run, such as "batch_size 2 -> 3"; no model means the run's."""
    return changes(run, wanted, {*FREE, *(() if wanted.model else ("model",))})


def changes(old: TrainingConfig, new: TrainingConfig, kept: Set[str] = frozenset()) -> list[str]:
    """Name what is otherwise in `new`, such as "batch_size 2 -> 3", those `kept` left out."""
    before, after = old.model_dump(exclude={*kept}), new.model_dump(exclude={*kept})
    return [
        one_line(f"{key} {setting_text(key, before[key])} -> {setting_text(key, after[key])}", 80)
        for key in after
        if before[key] != after[key]
    ]
