"""Which configuration a `train` command means."""

from collections.abc import Sequence
from pathlib import Path

from engine.config import TrainingConfig, parse_assignment
from engine.dataset.report import DataReport
from engine.errors import WrongUsage
from engine.fit.measured import price_profiles
from engine.hardware.probe import probe
from engine.i18n import _
from engine.model_folder.dimensions import ModelDimensions
from engine.profiles import NAMES, PROFILES, ProfileName, Recommendation
from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.selected_config import selected_settings
from engine.training.state import RunState


def wanted_config(
    project: Project,
    profile: str | None,
    file: Path | None,
    assignments: Sequence[str],
    resume: bool,
    restart: bool,
) -> TrainingConfig | None:
    """Return the configuration that the options of `train` ask for.

    None stands for that of the unfinished run, which is meant when nothing is asked for.

    Raises:
        UserError: unknown profile, unreadable file, unknown key or bad value.
    """
    if not (profile or file or assignments or restart) and (resume or _has_unfinished_run(project)):
        return None
    return chosen_config(project, profile, file, assignments)


def chosen_config(
    project: Project, profile: str | None, file: Path | None, assignments: Sequence[str]
) -> TrainingConfig:
    """Return the configuration of a new run.

    A profile or a file comes first, then the one selected before, then the
    recommended profile; `assignments` (KEY=VALUE) change it.

    Raises:
        UserError: unknown profile, unreadable file, unknown key or bad value.
    """
    values = dict(parse_assignment(text) for text in assignments)
    return _base(project, profile, file).updated(values, "--set")


def _base(project: Project, profile: str | None, file: Path | None) -> TrainingConfig:
    if profile and file:
        raise WrongUsage(_("--profile and --config were both given"), _("give one of them"))
    if file:
        return TrainingConfig.load(file)
    if profile:
        return TrainingConfig.parse(PROFILES[_profile_name(profile)])
    if project.config_file.exists():
        return TrainingConfig.load(project.config_file)
    project.model_dir("")  # says what to do where there is none
    return TrainingConfig.parse(PROFILES[_recommended_by_sample(project)])


def recommendation(project: Project, base: TrainingConfig | None = None) -> Recommendation:
    """Price the three profiles on this machine, with this project's model and data.

    Args:
        project: whose model and data, and what was measured with them, count.
        base: the settings that a profile leaves alone; None takes those selected before.
    """
    from engine.dataset.inspect.check import check_data  # loads a tokenizer: a second or more

    config = base or selected_settings(project)
    checked = check_data(project, config)
    return _priced(project, config, checked if checked.train.examples else None)


def _priced(project: Project, config: TrainingConfig, data: DataReport | None) -> Recommendation:
    """Price the three profiles with what is known of the data."""
    model = ModelDimensions.read(project.model_dir(config.model)) if project.models() else None
    return price_profiles(project, config, probe(project, config.model), model, data)


def _recommended_by_sample(project: Project) -> ProfileName:
    """Return the recommended profile; of the data, a few rows are enough to choose by.

    Raises:
        UserError: the base model cannot be used.
    """
    from engine.dataset.inspect.sample import sample_report  # loads a tokenizer

    config = TrainingConfig()
    return _priced(project, config, sample_report(project, config)).name


def _profile_name(text: str) -> ProfileName:
    name = text.upper()
    for known in NAMES:
        if known == name:
            return known
    raise WrongUsage(
        _("There is no profile '{name}'").format(name=text),
        _("use one of: {names}").format(names=", ".join(NAMES)),
    )


def _has_unfinished_run(project: Project) -> bool:
    state = RunState.load(project.state_file)
    return state.status != "finished" if state else bool(checkpoint_folders(project.run_dir))
