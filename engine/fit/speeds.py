"""How fast training is on this machine, as far as it was seen."""

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.fit.measured import measured_profiles
from engine.profiles import NAMES, ProfileName
from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.checksums import read_state
from engine.training.history import load_history
from engine.training.state import RunState


def known_speeds(project: Project, base: TrainingConfig) -> dict[ProfileName, float]:
    """Return tokens a second by profile; what is not known is left out.

    The last run with the same model and kind of adapter speaks for all profiles; without one, what was
    measured of a profile's largest micro-batch, whose padding counts.

    Args:
        project: whose model, data and last run count.
        base: the settings that a profile leaves alone.
    """
    if seen := _seen(project, base):
        return dict.fromkeys(NAMES, seen)
    return {
        name: fit.shape.tokens / fit.measured.seconds
        for name, fit in measured_profiles(project, base)
        if fit.measured and fit.measured.seconds > 0
    }


def _seen(project: Project, config: TrainingConfig) -> float | None:
    """Return the median speed of the last run, if model and kind of adapter were those of `config`."""
    state = RunState.load(project.state_file)
    try:
        if state is None or state.model != project.model_name(config.model):
            return None
        if _fine_tune_type(project) != config.fine_tune_type:
            return None
        _steps, speeds = load_history(project).points("tokens_per_second")
    except (OSError, UserError):  # there is no model, or the run cannot be read
        return None
    return float(sorted(speeds)[len(speeds) // 2]) if len(speeds) else None


def _fine_tune_type(project: Project) -> str:
    """Return the last run's kind of adapter, as its newest checkpoint tells it; LoRA where none does."""
    for folder in checkpoint_folders(project.run_dir):
        state = read_state(folder)
        if state and isinstance(config := state.get("config"), dict):
            return str(config.get("fine_tune_type", "lora"))
    return "lora"
