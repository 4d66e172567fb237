"""Child process that trains a few steps of a configuration's largest micro-batch and says what that took.

    python -m engine.fit.measuring_child ROOT CONFIG      (CONFIG: a configuration as JSON)

Out of memory inside MLX can end a process without a word, so it is never tried
in the app: the death of this process is an answer too. It prints one JSON object
a line: `{"memory_budget": ...}` first, `{"phase": ...}` as it goes on, `{"tried": ...}` before the
first step, and at the end `{"measured": ...}` or `{"refused": [problem, fix]}` (see
`engine.fit.measure`). It ends with its standard input.
"""

import json
import re
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.backend import mx
from engine.child_process import answer, end_with_parent
from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.micro_batch import filled
from engine.dataset.batches.tokenize import Example, ExampleTokenizer
from engine.dataset.inspect.load import load_file
from engine.dataset.inspect.model_tokens import example_tokenizer
from engine.errors import UserError
from engine.project import Project
from engine.training.memory_limits import limit_cache, read_budget
from engine.training.setup import Assembled, assemble, largest, shapes_for

import numpy as np

_STEPS = 6
"""Steps after the first that are measured, at most."""
_STEADY_S = 3.0
"""Seconds after which no further one is begun."""


def main() -> None:
    """Measure what the command line names and print the answer."""
    end_with_parent()
    _die_first()
    project, config = Project(Path(sys.argv[1])), TrainingConfig.parse(json.loads(sys.argv[2]))
    try:
        answer(measured=_measure(project, config))
    except UserError as error:
        answer(refused=[error.problem, error.fix])
    mx.clear_streams()


def _die_first() -> None:
    """Ask Linux to end this process, and no other, when memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _measure(project: Project, config: TrainingConfig) -> dict[str, Any]:
    """Make two steps as a run would; return the fields of `engine.fit.measure.Measured`.

    Raises:
        UserError: model, data or configuration cannot be used.
    """
    budget, folder = read_budget(config.max_memory_gb), project.model_dir(config.model)
    limit_cache(budget)
    answer(memory_budget=asdict(budget), phase="tokenizing")
    shape = _largest(project, config, folder)
    answer(shape=asdict(shape), phase="loading")
    made = assemble(folder, config, shape, budget)
    made.model.train()
    # A step of several micro-batches also holds the sum of their gradients.
    batches = [filled(shape, config.lower_prompt_weight)] * (
        2 if config.examples_per_step > shape.rows else 1
    )
    answer(phase="first_step")  # what is compiled in it is there in the second
    made.step(batches, config.learning_rate)
    answer(phase="second_step")
    seconds = _steady(lambda: made.step(batches, config.learning_rate)) / len(batches)
    return {
        "peak": mx.get_peak_memory(),
        "process": _peak_resident(),
        "seconds": seconds,
        "predicted": made.predicted,
        "adapts": _adapts(config, made),
    }


def _steady(step: Callable[[], object]) -> float:
    """Repeat a step until it goes as it will in a run, and return the seconds of the fastest.

    A GPU's first steps wait for the host. Once they no longer do, the host is further ahead of the
    device and more memory is held.
    """
    seconds: list[float] = []
    while not seconds or (len(seconds) < _STEPS and sum(seconds) < _STEADY_S):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def _examples(path: Path, tokenize: ExampleTokenizer, config: TrainingConfig) -> tuple[Example, ...]:
    """Return the usable examples of a data file; none where it cannot be read."""
    try:
        return load_file(path, tokenize, config).examples
    except UserError:
        return ()


def _largest(project: Project, config: TrainingConfig, folder: Path) -> BatchShape:
    """Return the largest shape of micro-batches that a run is made of.

    Without training examples every row is as long as it may be, and all of it is trained on.
    """
    tokenize = example_tokenizer(folder, config)
    train, valid = (_examples(path, tokenize, config) for path in (project.train_file, project.valid_file))
    return largest(shapes_for(train or _longest(config), valid, config), folder, config)


def _longest(config: TrainingConfig) -> tuple[Example, ...]:
    """Return the examples of one step, as long as they may be."""
    length = config.max_seq_length
    example = Example(1, np.ones(length, np.int32), np.arange(length) > 0, ends_turn=True)
    return (example,) * config.examples_per_step


def _adapts(config: TrainingConfig, made: Assembled) -> bool:
    """Whether with less memory the run would be made otherwise, by a setting that is "auto"."""
    may_recompute = config.gradient_checkpointing == "auto" and not config.lora_dropout
    recomputes_all = made.plan.recomputed_layers >= made.adapter_config["num_layers"]
    may_pack = config.frozen_weights == "auto" and "resident" in made.plan.matmul_modes.values()
    return (may_recompute and not recomputes_all) or may_pack


def _peak_resident() -> int:
    """Return the most memory that this process held at once, bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where `ru_maxrss` also counts what the parent held before this began
        return int(re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
