"""The state of the run as the app shows it, in words."""

from dataclasses import dataclass
from typing import Literal

from engine.config import TrainingConfig
from engine.hardware.report import CheckStatus
from engine.i18n import _
from engine.symbols import SYMBOLS
from engine.training.events import Event, Phase

RunPhase = Literal["idle", "starting", "running", "pausing", "paused", "interrupted", "finished", "failed"]

RunSign = CheckStatus | Literal["running", "paused"]
"""What a run is marked with."""
UNFINISHED: tuple[RunPhase, ...] = ("paused", "interrupted", "failed")
"""Phases of a run that stands still and can go on from a checkpoint."""
CRASHED: tuple[RunPhase, ...] = ("interrupted", "failed")
"""Those of them that nobody asked for."""


@dataclass(frozen=True)
class RunStatus:
    """What the run of this project is doing."""

    phase: RunPhase = "idle"
    step: int = 0
    """Optimizer steps done when it came to stand still; 0 while it moves."""
    config: TrainingConfig | None = None
    """The settings of a run that moves or is unfinished, which may not be those selected."""

    @property
    def is_training(self) -> bool:
        """Whether steps are being made, the last one before a pause among them, or are about to be."""
        return self.phase in ("starting", "running", "pausing")

    @property
    def symbol(self) -> str:
        """One character that tells the phases apart without colour."""
        return {
            "idle": "○",
            "starting": "◌",
            "running": SYMBOLS["running"],
            "pausing": "◌",
            "paused": SYMBOLS["paused"],
            "interrupted": "!",
            "finished": "✓",
            "failed": "✗",
        }[self.phase]

    @property
    def words(self) -> str:
        """The phase in words, such as "paused at step 402"."""
        return {
            "idle": _("idle"),
            "starting": _("starting in the background"),
            "running": _("running"),
            "pausing": _("pausing"),
            "paused": _("paused at step {step:,}"),
            "interrupted": _("cut off at step {step:,}"),
            "finished": _("finished"),
            "failed": _("failed"),
        }[self.phase].format(step=self.step)


class PhaseTracker:
    """Follows the events from one start of the trainer to its pause or end."""

    def __init__(self) -> None:
        self.phase: Phase | None = None
        """The stage being worked on; None while steps are made."""

    def take(self, event: Event) -> None:
        """Take one event."""
        self.phase = event if isinstance(event, Phase) and event.name != "training" else None
