"""SAFE, BALANCED and PERFORMANCE: three configurations and which of them to take."""

from dataclasses import dataclass
from typing import Any, Literal

ProfileName = Literal["SAFE", "BALANCED", "PERFORMANCE"]

PROFILES: dict[ProfileName, dict[str, Any]] = {
    "SAFE": {
        "batch_size": 1,
        "gradient_accumulation": 4,
        "max_seq_length": 256,
        "learning_rate": 1e-4,
        "num_epochs": 1,
    },
    "BALANCED": {
        "batch_size": 2,
        "gradient_accumulation": 2,
        "max_seq_length": 384,
        "learning_rate": 2e-4,
        "num_epochs": 3,
    },
    "PERFORMANCE": {
        "batch_size": 4,
        "gradient_accumulation": 1,
        "max_seq_length": 512,
        "learning_rate": 3e-4,
        "num_epochs": 3,
    },
}


@dataclass(frozen=True)
class Offer:
    """One profile with its price on this machine."""

    name: ProfileName
    purpose: str
    """Few translated words, such as "a first try"."""
    values: dict[str, Any]
    peak_memory: int
    """Predicted peak, bytes."""
    seconds: float | None
    """Predicted duration; None until a speed is known."""
    steps: int | None
    """Optimizer steps in all; None while the data is not known."""
    fits: bool


@dataclass(frozen=True)
class Recommendation:
    """The three offers, and the one to take."""

    offers: tuple[Offer, ...]
    name: ProfileName
    reason: str
    """One sentence that says why this one."""
