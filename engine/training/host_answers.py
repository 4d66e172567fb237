"""What a machine of a host file tells of itself before a run: what it has, its network, its speed.

Started there by `engine.training.asked_host` as `engine.cluster.peer` starts the processes of a run.
It is asked on its standard input and ends with who asks. MLX is imported only to measure the speed.
"""

import signal
import sys
import time
import traceback
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cluster.channel import Channel, Message, channel_to_owner
from engine.cluster.link import Listener, is_own, measure
from engine.cluster.unreached import copy_of_the_project
from engine.config import TrainingConfig
from engine.errors import UserError, system_reason
from engine.fingerprint import data_fingerprint, installed_versions, model_fingerprint, template_fingerprint
from engine.hardware.storage import read_disk_free, read_memory
from engine.i18n import _
from engine.project import Project

if TYPE_CHECKING:
    from engine.training.step import StepFunction
    from engine.training.step_rows import StepRows

_TIMED_STEPS = 3
_ENOUGH_S = 30.0
"""Seconds after which no further step is timed."""


def look(project: Project, config: TrainingConfig) -> dict[str, Any]:
    """Return what this machine has for a run: versions, fingerprints, free memory and disk in bytes.

    Raises:
        UserError: something is missing.
    """
    try:
        versions = installed_versions()
    except PackageNotFoundError as error:
        raise UserError(
            _("{name} is not installed").format(name=error.name), _("install mqlora-tui there as here")
        ) from None
    folder = project.model_dir(config.model)
    try:
        prints = {
            "data": data_fingerprint(project),
            "model": model_fingerprint(folder),
            "template": template_fingerprint(folder),
        }
    except OSError as error:
        raise UserError(
            _("Cannot read {path}: {reason}").format(path=error.filename, reason=system_reason(error)),
            _("copy the project and the model to this machine again"),
        ) from None
    free = {"memory": read_memory().obtainable, "disk": read_disk_free(project.run_dir)}
    return {"versions": versions, "prints": prints, **free}


class HostAnswers:
    """Answers one question after the other; what cannot be answered is told as a problem with its fix."""

    def __init__(self, channel: Channel) -> None:
        """Begin to answer with `serve`."""
        self._channel = channel
        self.phase = "asked"

    def serve(self) -> None:
        """Answer until the other side has enough."""
        while (message := self._channel.receive()) and (kind := message["kind"]) not in ("end", "closed"):
            try:
                self._channel.send(kind, **self._answer(kind, message))
            except UserError as error:
                self._channel.send(kind, problem=error.problem, fix=error.fix)
            except OSError as error:
                self._channel.send(kind, problem=system_reason(error), fix="")

    def _answer(self, kind: str, message: Message) -> dict[str, Any]:
        match kind:
            case "look":
                wrong = [address for address in message["addresses"] if not is_own(address)]
                project = Project(Path(message["project"]))
                with copy_of_the_project(project.root):
                    found = look(project, TrainingConfig.parse(message["config"]))
                return found | {"wrong": wrong}
            case "listen":
                listener = Listener(message["address"], message["token"])
                self._channel.send("listening", port=listener.port)
                listener.serve()
                return {}
            case "connect":
                return asdict(measure(message["address"], message["port"], message["token"]))
            case "speed":
                project, config = Project(Path(message["project"])), TrainingConfig.parse(message["config"])
                self.phase = "measuring"
                return measure_speed(project, config, message["sharing_memory"])
        raise UserError(
            _("What was asked is not known here: {kind}").format(kind=kind),
            _("use the same version of mqlora-tui on all machines"),
        )


def measure_speed(project: Project, config: TrainingConfig, sharing_memory: int) -> dict[str, float]:
    """Train a few real steps as a run would; nothing is written.

    Args:
        project: with model and data.
        config: the run's configuration.
        sharing_memory: how many processes take their memory from the same as this one.

    Returns:
        `tokens_per_second` and the number of `trainable` weights.

    Raises:
        UserError: the run would be refused here.
    """
    from engine.dataset.inspect.load import load_file
    from engine.dataset.inspect.model_tokens import example_tokenizer
    from engine.model.adapter import adapter_weights
    from engine.training.setup import assemble, lay_out
    from engine.training.step_rows import StepRows

    folder = project.model_dir(config.model)
    tokenize = example_tokenizer(folder, config)
    train, valid = (load_file(path, tokenize, config) for path in (project.train_file, project.valid_file))
    if not train.examples:
        raise UserError(_("There is no row to train on"), _("see: mqlora-tui validate"))
    layout = lay_out(train.examples, valid.examples, config, folder, sharing_memory=sharing_memory)
    made = assemble(folder, config, layout.largest, layout.budget)
    made.model.train()
    speed = _timed(made.step, StepRows(train.examples, layout.shapes, config), config.learning_rate)
    trainable = sum(array.size for array in adapter_weights(made.model).values())
    return {"tokens_per_second": speed, "trainable": trainable}


def _timed(step: "StepFunction", rows: "StepRows", rate: float) -> float:
    """Return the tokens a second of a run's first steps.

    Each is made twice, of which the second counts: the first may compile.
    """
    tokens, seconds, began = 0, 0.0, time.perf_counter()
    for number in range(1, _TIMED_STEPS + 1):
        (batches,) = rows.shares(number)
        step(batches, rate)
        begin = time.perf_counter()
        tokens += step(batches, rate).real_tokens
        seconds += time.perf_counter() - begin
        if time.perf_counter() - began > _ENOUGH_S:
            break
    return tokens / seconds


def main() -> int:
    """Answer who started this process; return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # who asks tells of it: nobody needs a stack
    answers: HostAnswers | None = None
    channel = channel_to_owner(lambda: answers.phase if answers else "")
    answers = HostAnswers(channel)
    try:
        answers.serve()
    except Exception as error:  # told to the owner in a sentence; the log has the stack
        traceback.print_exc()
        channel.send("failed", problem=f"{type(error).__name__}: {error}", fix="")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
