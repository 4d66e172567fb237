"""The projections of a layer that can get an adapter."""

from collections.abc import Iterable
from typing import Literal, get_args

LoraTarget = Literal[
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
    "qkv_proj",
    "gate_up_proj",
]
ALL_TARGETS: tuple[LoraTarget, ...] = get_args(LoraTarget)
FUSED: dict[LoraTarget, tuple[LoraTarget, ...]] = {
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "gate_up_proj": ("gate_proj", "up_proj"),
}
"""Projections that a layer may have in the place of others, whose outputs follow each other in theirs, as
Phi-3 has."""
DEFAULT_TARGETS = tuple(name for name in ALL_TARGETS if name not in FUSED)


def fused_instead(wanted: Iterable[str], there: Iterable[str]) -> tuple[LoraTarget, ...]:
    """Return the fused projections that a model has in the place of wanted ones, none of them wanted itself.

    Args:
        wanted: names of projections.
        there: names of those that the model has.
    """
    wanted, there = set(wanted), set(there)
    return tuple(
        name for name, parts in FUSED.items() if name in there - wanted and wanted & set(parts) - there
    )
