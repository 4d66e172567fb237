"""What the experiment tells: how far it is, what was interrupted, and the verdict."""

from dataclasses import dataclass

from engine.verify.compare import Comparison
from engine.verify.interruption_point import PointKind


@dataclass(frozen=True)
class Advance:
    """How far one of the two runs is."""

    interrupted: bool
    """Whether it is the one that is interrupted."""
    step: int
    total: int
    """Optimizer steps done and in all."""


@dataclass(frozen=True)
class Interruption:
    """One place where the run was interrupted and resumed."""

    kind: PointKind
    step: int
    """Steps done when it was interrupted; in an evaluation its own step included."""
    hit: bool
    """Whether it was interrupted in the middle of what was aimed at."""
    tries: int
    """Blows until it was hit; the run was resumed after each."""
    resumed_step: int = 0
    """Where the run went on."""
    compared_step: int | None = None
    """Step of the first checkpoint after the resume; None where there was none to compare."""
    identical: bool = False
    """Whether the straight run has the same bytes in that checkpoint."""

    @property
    def lost_steps(self) -> int:
        """Steps that had to be made again."""
        return max(0, self.step - self.resumed_step)  # a pause saves steps that were not told of yet


@dataclass(frozen=True)
class ExperimentResult:
    """What came out."""

    steps: int
    interruptions: tuple[Interruption, ...]
    files: tuple[Comparison, ...]
    leftovers: tuple[str, ...]
    """Temporary files that the interrupted run left behind."""

    @property
    def identical(self) -> bool:
        """Whether the interruptions left no trace."""
        compared = (point.identical for point in self.interruptions if point.compared_step is not None)
        return all(file.identical for file in self.files) and all(compared) and not self.leftovers


ExperimentEvent = Advance | Interruption | ExperimentResult
