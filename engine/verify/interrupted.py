"""The run that is interrupted, resumed, interrupted again and so on to its end."""

from collections.abc import Generator, Iterator
from dataclasses import replace

from engine.project import Project
from engine.verify.child import Launcher, TrainingProcess, training_process
from engine.verify.interruption_point import Usual, interrupt, moment, points
from engine.verify.results import Advance, Interruption

_MAX_TRIES = 4


class InterruptedRun:
    """Trains with an interruption point and a resume for each place that `interruption points` names."""

    def __init__(
        self, project: Project, launcher: Launcher, save_every: int, usual: Usual, total: int
    ) -> None:
        """Prepare nothing yet.

        Args:
            project: a scratch project.
            launcher: how training is started.
            save_every: steps between its checkpoints.
            usual: how long things take without interruptions.
            total: optimizer steps of the run.
        """
        self.interruptions: list[Interruption] = []
        """What was interrupted, in order; filled while the run goes on."""
        self._project = project
        self._launcher = launcher
        self._save_every = save_every
        self._usual = usual
        self._total = total
        self._waiting = points(total)
        self._tries = 0
        self._unresumed: Interruption | None = None

    def run(self, *options: str) -> Iterator[Advance | Interruption]:
        """Train to the end; `options` are those of the first `train`, the others resume without any."""
        while True:
            with training_process(self._launcher, self._project, *options) as process:
                ended = yield from self._session(process)
            if ended:
                break
            options = ()
        self.interruptions += [Interruption(point.kind, self._total, False, 0) for point in self._waiting]

    def _session(self, process: TrainingProcess) -> Generator[Advance | Interruption, None, bool]:
        """Train up to the next interruption point; True if the run has come to its end."""
        for event in process.events():
            if event["event"] == "started" and self._unresumed:
                yield self._resumed(self._unresumed, event["step"])
            if event["event"] in ("started", "step_done"):
                yield Advance(True, process.step, self._total)
            if not self._waiting:
                continue
            delay = moment(self._waiting[0], event, process.step, self._save_every, self._usual)
            if delay is not None:
                self._interrupt(process, delay)
                return bool(process.last["event"] == "finished")
        process.end()
        return True

    def _interrupt(self, process: TrainingProcess, delay: float) -> None:
        point = self._waiting[0]
        hit = interrupt(point, process, self._project, delay)
        self._tries += 1
        if hit or self._tries == _MAX_TRIES:
            step = process.step + (hit and point.kind == "evaluation")
            self._unresumed = Interruption(point.kind, step, hit, self._tries)
            self._waiting.pop(0)
            self._tries = 0

    def _resumed(self, interrupted_by: Interruption, step: int) -> Interruption:
        self.interruptions.append(replace(interrupted_by, resumed_step=step))
        self._unresumed = None
        return self.interruptions[-1]
