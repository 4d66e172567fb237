"""Metrics of one step."""

from typing import Any

from engine.training.events import StepMetrics


def metrics(step: int, **values: Any) -> StepMetrics:
    numbers = {
        "epoch": 0, "loss": 2.5, "val_loss": None, "learning_rate": 1e-4, "grad_norm": 0.1, "tokens": 9,
        "tokens_per_second": 3.5, "peak_memory_gb": 0.1, "elapsed_s": 1.0, "time": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    return StepMetrics(step=step, **{**numbers, **values})
