"""What is said and written about a training process that ended without being able to say why."""

from dataclasses import replace
from datetime import datetime

from engine.files import open_own
from engine.hardware.command import boot_id
from engine.i18n import _
from engine.i18n.texts import message_of
from engine.project import Project
from engine.sanitize import printable
from engine.training.failures import OUT_OF_MEMORY
from engine.training.lock import lock_owner
from engine.training.state import RunState, now

SIGKILL = 9


def cause_of_death(signal: int, messages: str, stalled: str = "") -> tuple[str, bool]:
    """Say in one sentence why a process died.

    Args:
        signal: that ended it.
        messages: what native code wrote before.
        stalled: how long it had given no sign of life, in words, if it was ended for that.

    Returns:
        The sentence without a full stop, and whether it was surely for lack of memory.
    """
    if stalled:
        return _("Training gave no sign of life for {time} and was ended").format(time=stalled), False
    if OUT_OF_MEMORY.search(messages):
        return _("MLX ran out of memory and the process ended (signal {n})").format(n=signal), True
    if signal == SIGKILL:
        return _("The process was killed (signal 9), as the system does when memory runs out"), False
    return _("The process crashed inside a library (signal {n})").format(n=signal), False


def cut_off_reason(state: RunState) -> str:
    """Say why a run that claims to be running, but is not, was cut off; without a full stop."""
    when = datetime.fromisoformat(state.updated).strftime(_("%d %b %H:%M"))
    boot = boot_id()
    if state.boot and boot and state.boot != boot:
        return _("the machine was restarted after {time}").format(time=when)
    return _("the process ended without recording why after {time}").format(time=when)


def record_crash(
    project: Project, pid: int, reason: str, messages: str, was_to_go_on: bool = False
) -> RunState | None:
    """Mark the run that process `pid` was making as failed for `reason`, and log it with `messages`.

    Args:
        project: where.
        pid: of the process that died.
        reason: why.
        messages: what native code wrote before.
        was_to_go_on: whether it was started to go on with a run that had failed, which it may not have begun.

    Returns:
        The run's state, or None if that process was not training.
    """
    state = RunState.load(project.state_file)
    if state is None or lock_owner(project):
        return None
    was_at_work = state.status == "running" and state.pid == pid
    if not (was_at_work or (was_to_go_on and state.status == "failed")):
        return None
    failed = replace(state, status="failed", reason=reason, messages=(message_of(reason),))
    try:
        failed.save(project.state_file)
        with open_own(project.log_file, "a", encoding="utf-8") as log:
            log.write(f"{now()} {reason}\n{printable(messages)}\n")
    except OSError:
        pass  # the disk may be what it died of; the caller tells the user
    return failed
