"""Runs of several processes, each a real one, as events of the first of them; one can be spoilt."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.project import Project
from engine.verify.child import ChildEvent, Launcher, training_process
from tui.respawn import SUPERVISED

_ONLY_IN_OTHERS = "import sys\nif 'engine.training.rank' in sys.orig_argv:\n"


@dataclass(frozen=True)
class Told:
    """What a run told."""

    events: list[ChildEvent]
    refusal: str
    """The sentence that it ended with; empty if it ended well."""

    @property
    def steps(self) -> int:
        """Of the last step that was told."""
        return max((event["step"] for event in self.events if event["event"] == "step_done"), default=0)

    @property
    def last(self) -> str:
        """Kind of the last event."""
        return self.events[-1]["event"] if self.events else ""


def launcher(folder: Path | None = None) -> Launcher:
    """Return how the program is started without a supervisor; Python runs `sitecustomize` of `folder`."""
    paths = [str(folder)] if folder else []
    path = os.pathsep.join([*paths, *filter(None, sys.path)])
    environment = {**os.environ, SUPERVISED: "1", "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
    return Launcher((sys.executable, "-P", "-m", "tui"), environment)


def spoilt(folder: Path, code: str) -> Launcher:
    """Return how the program is started so that its other processes first run `code`."""
    folder.mkdir(exist_ok=True)
    lines = "".join(f"    {line}\n" for line in code.strip().splitlines())
    (folder / "sitecustomize.py").write_text(_ONLY_IN_OTHERS + lines)
    return launcher(folder)


def train_together(
    project: Project,
    config: TrainingConfig | None,
    *options: str,
    how: Launcher | None = None,
    pause_after: tuple[str, int] | None = None,
) -> Told:
    """Train with `options`, such as "--ranks", "2", until the end, a refusal or a pause.

    Args:
        project: where.
        config: the run's; None resumes.
        options: of `train`.
        how: it is started.
        pause_after: kind and step of an event, or a phase's name and what is done of it, after which the
            run is asked to pause.
    """
    import signal

    if config:
        config.save(project.root / "run.json")
        options = (*options, "--config", str(project.root / "run.json"))
    events: list[ChildEvent] = []
    with training_process(how or launcher(), project, *options) as process:
        for event in process.events():
            events.append(event)
            if pause_after in ((event["event"], event.get("step")), (event.get("name"), event.get("done"))):
                process.interrupt(signal.SIGINT)
        try:
            process.end(signal.SIGINT if pause_after else None)
        except UserError as error:
            return Told(events, error.problem)
    return Told(events, "")


def hosts_file(path: Path, *hosts: dict[str, Any]) -> str:
    """Write a host file of processes of this machine; return its path."""
    path.write_text(json.dumps({"hosts": [{"ips": ["127.0.0.1"], **host} for host in hosts]}))
    return str(path)
