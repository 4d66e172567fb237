"""The first line of the chat: who answers, and how."""

from engine import units
from engine.chat import ChatSettings
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.shell import ended
from engine.training.state import RunState
from tui.app.jobs.adapters import ChatAdapter
from tui.app.screens.chat.adapters import adapter_name
from tui.app.screens.shared.verdict_line import VerdictLine


class ChatState(VerdictLine):
    """Names the adapter or the base model and the settings."""

    COPIED_AS = _("state")
    has_model = False
    """Whether there is a base model that can answer."""

    def show_state(
        self,
        project: Project,
        model: str,
        adapter: ChatAdapter,
        settings: ChatSettings,
        base_beside: bool,
        is_replying: bool,
    ) -> None:
        """Say whether `model` can answer, with an adapter or without, or is answering now."""
        try:
            name = project.model_name(model)
            self.has_model = True
        except UserError as error:
            self.has_model = False
            self.show("error", f"{error.problem}.", ended(_("Fix: {fix}").format(fix=error.fix)))
            return
        rest = _("{beside}   at most {tokens}, temperature {temperature:g}").format(
            beside=_("base beside: on") if base_beside else _("base beside: off"),
            tokens=units.tokens(settings.max_tokens),
            temperature=settings.temperature,
        )
        if settings.temperature and settings.seed is not None:
            rest += _(", seed {seed}").format(seed=settings.seed)
        if is_replying:
            self.show_waiting(_("{model} is at work; Esc stops it.").format(model=name))
        elif adapter.folder:
            self.show("ok", adapter_name(adapter), rest)
        elif found := project.found_adapter:
            about = _step(project) if found == project.adapter_file else " (PEFT)"
            self.show("ok", f"{_run(project)}adapters/{about}", rest)
        else:
            self.show(
                "warning", _("No adapter yet: this is the base model {model}.").format(model=name), rest
            )


def _run(project: Project) -> str:
    """Return the name of an archived run, which stands before its adapters."""
    return "" if project.run_dir.parent == project.root else f"{project.run_dir.name}/"


def _step(project: Project) -> str:
    state = RunState.load(project.state_file)
    return _(" (step {step:,})").format(step=state.best_step) if state and state.best_step else ""
