"""What only the events of a sitting tell at once, not its files: the stage."""

from engine.training.events import Event, Phase


class PhaseTracker:
    """Follows the events from one start of the trainer to its pause or end."""

    def __init__(self) -> None:
        self.phase: Phase | None = None
        """The stage being worked on; None while steps are made."""

    def take(self, event: Event) -> None:
        """Take one event."""
        self.phase = event if isinstance(event, Phase) and event.name != "training" else None
