"""Where a run stands, for somebody who leaves it, and how it goes on."""

from engine.i18n import _, number
from engine.project import Project
from engine.sanitize import one_line
from engine.training.lock import lock_owner
from engine.training.lock_file import Owner
from engine.training.state import RunState, reason_of
from tui.run.handover import is_starting


def standing(project: Project) -> str:
    """Return where the run stands in one or two lines; empty where there is none."""
    if is_starting(project):
        return _("The run is starting in the background; watch it with: mqlora-tui monitor")
    owner, state = lock_owner(project), RunState.load(project.state_file)
    return words(state, owner) if state or owner else ""


def words(state: RunState | None, owner: Owner | None) -> str:
    """Return the same of a run whose state was read, and of the process that trains."""
    if owner is not None:
        return _running(state, owner)
    if state is None:
        return _("The run ended before its first step")
    how = _("Go on with: mqlora-tui --go-on\nor without the app: mqlora-tui train")
    if state.status == "finished":
        return _("Finished at step {step:,}; see: mqlora-tui report").format(step=state.step)
    if state.status == "failed":
        text, reason = (
            _("The run failed at step {position}: {reason}. "),
            one_line(reason_of(state), 400).rstrip("."),
        )
    elif state.status == "paused":
        text, reason = _("Paused at step {position}, saved. "), ""
    else:
        text, reason = _("The run was cut off at step {position}. "), ""
    return text.format(position=_position(state), reason=reason.rstrip(".")) + how


def _running(state: RunState | None, owner: Owner) -> str:
    where = _(" at step {position}").format(position=_position(state)) if state and state.step else ""
    if owner.is_local:
        text = _("Process {pid} goes on training{where}; watch it with: mqlora-tui monitor")
    else:
        text = _("The run goes on{where} on {host}; watch it with: mqlora-tui monitor")
    return text.format(pid=owner.pid, where=where, host=one_line(owner.host, 60))


def _position(state: RunState) -> str:
    if not state.total_steps:
        return number(state.step)
    return _("{step:,} of {total:,}").format(step=state.step, total=state.total_steps)
