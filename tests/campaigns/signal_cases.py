"""What the campaign of signals does to a run, at which stage, and what shall come of it."""

import signal
from dataclasses import dataclass

PROGRAMS = ("app", "headless")
CTRL_C, HANG_UP, UNDER_NOHUP = "Ctrl+C key", "hang-up", "hang-up under nohup"
LOADING, FIRST_VALIDATION, TRAINING = "loading", "first validation", "training"
LATER_VALIDATION, SAVING, STALLED = "later validation", "saving (a second time)", "stalled terminal"
HUNG_UP = "after a hang-up under nohup"
_MOMENTS = (LOADING, FIRST_VALIDATION, TRAINING, LATER_VALIDATION, SAVING, STALLED)
_WAYS = (CTRL_C, "SIGINT", "SIGTERM", "SIGHUP", HANG_UP)


@dataclass(frozen=True)
class Case:
    """What is done to a run, and when."""

    program: str
    moment: str
    way: str

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The case in words."""
        return f"{self.program}: {self.way}, {self.moment}"

    @property
    def ignores_hang_ups(self) -> bool:
        """Whether the program is started with SIGHUP ignored."""
        return UNDER_NOHUP in (self.way, self.moment.removeprefix("after a "))

    @property
    def hands_over(self) -> bool:
        """Whether the run shall go on in the background: the app cannot be without a terminal."""
        return self.way in ("SIGHUP", HANG_UP, UNDER_NOHUP)

    @property
    def stays_open(self) -> bool:
        """Whether the program shall only pause the run."""
        return self.program == "app" and self.way in (CTRL_C, "SIGINT")

    @property
    def may_end(self) -> bool:
        """Whether the program may end before the run has begun, which then leaves nothing."""
        return self.program == "headless" and self.moment == LOADING and not self.hands_over

    @property
    def exit_code(self) -> int:
        """What the program shall end with; an app that stays open is left with q."""
        if self.stays_open:
            return 0
        number = {CTRL_C: signal.SIGINT, "SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM}
        return 128 + number.get(self.way, signal.SIGHUP)


def all_cases() -> list[Case]:
    """Return every combination that makes sense."""
    usual = [Case(*triple) for triple in ((p, m, w) for p in PROGRAMS for m in _MOMENTS for w in _WAYS)]
    # A line that stalls and a second stop while saving: the first hang-up is the last.
    usual = [case for case in usual if not (case.way == HANG_UP and case.moment in (SAVING, STALLED))]
    return [*usual, Case("app", TRAINING, UNDER_NOHUP), Case("headless", HUNG_UP, "SIGTERM")]
