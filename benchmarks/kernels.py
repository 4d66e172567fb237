"""Every kernel of a training step on an NVIDIA card: how often, how long, and how much of the step they fill.

    python -m benchmarks.kernels MODEL --workload medium [--set KEY=VALUE] [--steps 4] [--skip 18]

Needs PyTorch, whose profiler sees the kernels of the whole process through CUPTI, MLX's too. "busy" is the
time in which at least one kernel runs; what is missing to the span is waiting for the host. A profiled step
takes longer than others where launches bound.
"""

import argparse
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Event as StopEvent
from typing import Any, NamedTuple

from benchmarks.job import Job
from benchmarks.ours import make_config, make_project
from benchmarks.workload import WORKLOADS, write_rows
from engine.backend import mx
from engine.config import parse_assignment
from engine.training.events import StepDone
from engine.training.trainer import Trainer

_LONGEST_NAME = 100


class Kernel(NamedTuple):
    """One run of a kernel; nanoseconds."""

    name: str
    begin: int
    duration: int


def profiled(job: Job, folder: Path, skip: int, steps: int) -> list[Kernel]:
    """Return the kernels of `steps` steps, made after `skip` others in a project below `folder`.

    Raises:
        ImportError: PyTorch is not installed.
        UserError: the engine refuses the run.
    """
    import torch
    from torch.profiler import ProfilerActivity, profile

    profiler: Any = profile(activities=[ProfilerActivity.CUDA])
    done = 0
    events = Trainer(make_project(job, folder), make_config(job), StopEvent()).run()
    for event in events:
        if not isinstance(event, StepDone):
            continue
        done += 1
        if done == skip:
            profiler.__enter__()
        if done == skip + steps:
            mx.synchronize()
            profiler.__exit__(None, None, None)
            break
    events.close()
    found = profiler.profiler.kineto_results.events()
    on_card = (event for event in found if event.device_type() == torch.autograd.DeviceType.CUDA)
    return [Kernel(event.name(), event.start_ns(), event.duration_ns()) for event in on_card]


def busy(kernels: Iterable[Kernel]) -> int:
    """Return the nanoseconds in which at least one kernel runs."""
    total = end = 0
    for kernel in sorted(kernels, key=lambda kernel: kernel.begin):
        last = kernel.begin + kernel.duration
        total += max(0, last - max(kernel.begin, end))
        end = max(end, last)
    return total


def report(kernels: Sequence[Kernel], steps: int, most: int) -> Iterable[str]:
    """Yield lines about a step: its span, and the kernels that take longest."""
    span = max(one.begin + one.duration for one in kernels) - min(one.begin for one in kernels)
    yield (
        f"{span / 1e6 / steps:.1f} ms a step, busy {busy(kernels) / 1e6 / steps:.1f} ms, "
        f"{len(kernels) / steps:.0f} kernels"
    )
    durations: defaultdict[str, list[int]] = defaultdict(list)
    for kernel in kernels:
        durations[re.sub(r"\s+", " ", kernel.name)[:_LONGEST_NAME]].append(kernel.duration)
    for name, each in sorted(durations.items(), key=lambda item: -sum(item[1]))[:most]:
        total, count = sum(each) / 1e6 / steps, len(each) / steps
        yield f"{total:8.2f} ms {count:7.1f} x {sum(each) / len(each) / 1e3:8.1f} us  {name}"


def main() -> None:
    """Profile a workload and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--workload", choices=WORKLOADS, default="medium")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--skip", type=int, default=18, help="steps before those that count")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--most", type=int, default=30, help="kernels to list")
    options = parser.parse_args()
    workload = WORKLOADS[options.workload]
    settings = dict(map(parse_assignment, options.set))
    batch_size = int(settings.pop("batch_size", workload.rows))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows, model = folder / "rows.jsonl", options.model.resolve()
        lengths = write_rows(rows, workload, options.skip + options.steps + 1, model)
        accumulation = workload.rows // batch_size
        job = Job(str(model), str(rows), options.steps, batch_size, accumulation, lengths.longest, settings)
        kernels = profiled(job, folder, options.skip, options.steps)
    print("\n".join(report(kernels, options.steps, options.most)), flush=True)


if __name__ == "__main__":
    main()
