"""The other side: `mlx_lm.lora` as installed, its own loading, data path, loss, compiled step and loop.

`mlx_lm.lora.run` is called with the arguments that its command line would give
it. Two public parameters of its `train` are used to watch: `iterate_batches`, handed its own
function in a wrapper that counts tokens, and `training_callback`. A step's time
is mlx-lm's own: it begins when the batch is made and ends when the new state is
evaluated, so making batches and its console (which goes to a file) are left
out. There is no validation set, so it does not validate.

Nothing here imports `engine.backend` unless `openblas` is set: as installed,
mlx-lm computes with the BLAS that MLX's wheel is linked with.
"""

import importlib
import math
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.job import ALPHA, LEARNING_RATE, RANK, Job, Record, read_job, write_record

# It pads to one more than a multiple of this, but not beyond `max_seq_length`.
_PAD_TO = 32


def make_arguments(job: Job, folder: Path) -> SimpleNamespace:
    """Return what the command line of `mlx_lm.lora` would make of a job; writes its data folder.

    `max_seq_length` is the least that cuts no row and leaves its padding as it likes it.
    """
    from mlx_lm.lora import CONFIG_DEFAULTS

    data = folder / "data"
    data.mkdir(parents=True)
    (data / "train.jsonl").write_text("".join(job.lines()), encoding="utf-8")
    adamw = {"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0, "bias_correction": True}
    wanted = {
        "model": job.model,
        "train": True,
        "data": str(data),
        "optimizer": "adamw",
        "optimizer_config": {"adamw": adamw},
        "num_layers": -1,
        "lora_parameters": {"rank": RANK, "dropout": 0.0, "scale": ALPHA / RANK},
        "mask_prompt": True,
        "batch_size": job.batch_size,
        "grad_accumulation_steps": job.accumulation,
        "iters": job.steps * job.accumulation,
        "steps_per_report": job.accumulation,
        "save_every": job.steps * job.accumulation + 1,
        "learning_rate": LEARNING_RATE,
        "max_seq_length": 1 + _PAD_TO * math.ceil((job.max_seq_length - 1) / _PAD_TO),
        "grad_checkpoint": bool(job.settings.get("grad_checkpoint")),
        "adapter_path": str(folder / "adapters"),
    }
    return SimpleNamespace(**{**CONFIG_DEFAULTS, **wanted})


class Watcher:
    """Counts the tokens of the batches that pass, and notes each report of mlx-lm."""

    def __init__(self, accumulation: int) -> None:
        self.tokens: list[int] = []
        self.seconds: list[float] = []
        self.losses: list[float] = []
        self.held = 0
        """Bytes that MLX held at the last report, its cache included."""
        self._accumulation = accumulation
        self._passed = 0

    def batches(self, iterate_batches: Any, **arguments: Any) -> Iterator[Any]:
        """Yield what `iterate_batches` yields: padded tokens, and (offset, length) of each row."""
        for batch, spans in iterate_batches(**arguments):
            self._passed += int(spans[:, 1].sum().item())
            yield batch, spans

    def on_train_loss_report(self, info: dict[str, Any]) -> None:
        """Take note of an optimizer step; mlx-lm calls this after each."""
        import mlx.core as mx

        self.held = mx.get_active_memory() + mx.get_cache_memory()
        self.tokens.append(self._passed)
        self._passed = 0
        self.seconds.append(self._accumulation / info["iterations_per_second"])
        self.losses.append(info["train_loss"])


def measure(job: Job, folder: Path) -> Record:
    """Make the job's steps; data and adapter go to `folder`."""
    import mlx.core as mx
    import mlx_lm.lora as lora
    from mlx_lm.tuner.trainer import iterate_batches

    watcher, train = Watcher(job.accumulation), lora.train

    def watched_train(**arguments: Any) -> None:
        mx.reset_peak_memory()
        watching = {
            "training_callback": watcher,
            "iterate_batches": partial(watcher.batches, iterate_batches),
        }
        train(**{**arguments, **watching})

    lora.train = watched_train
    try:
        lora.run(make_arguments(job, folder))
    finally:
        lora.train = train
    return Record(
        tokens=watcher.tokens,
        seconds=watcher.seconds,
        losses=watcher.losses,
        peak_gb=mx.get_peak_memory() / 1e9,
        held_gb=watcher.held / 1e9,
        device=str(mx.default_device()),
    )


def main() -> None:
    """Do the job of a child process."""
    folder = Path(sys.argv[1])
    job = read_job(folder)
    if job.settings.get("openblas"):
        importlib.import_module("engine.backend")  # loads OpenBLAS before MLX
    write_record(folder, measure(job, folder))


if __name__ == "__main__":
    main()
