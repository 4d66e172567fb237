"""What an optimizer keeps of the adapter: begun, by names for a checkpoint, and put back.

AdamW and Lion treat every weight alike: theirs is one vector a kind. Adafactor and Muon look at whole
matrices: theirs is a tree of what each matrix has.
"""

from collections.abc import Mapping
from typing import Any

from engine.backend import mx
from engine.training.flat_parameters import ParameterVector

import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_unflatten

ADAPTER = "adapter"
"""Name of the vector or the tree in an optimizer's state."""
_SINGLE = ("step", "learning_rate")


def takes_matrices(optimizer: optim.Optimizer) -> bool:
    """Whether an update of a weight depends on where in its matrix it stands."""
    return isinstance(optimizer, (optim.Adafactor, optim.Muon))


def begin(optimizer: optim.Optimizer, layout: ParameterVector, vector: mx.array) -> None:
    """Let an optimizer have made no step with the parameters in `vector`."""
    optimizer.init({ADAPTER: layout.split(vector) if takes_matrices(optimizer) else vector})


def named_state(state: dict[str, Any], layout: ParameterVector) -> dict[str, mx.array]:
    """Return an optimizer's state by name: `step`, `learning_rate`, and of each parameter such as `.m`."""
    kept = state[ADAPTER]
    rest = {name: state[name] for name in _SINGLE}
    if not _is_of_vector(kept):
        return rest | dict(tree_flatten(kept))
    return rest | {
        f"{name}.{kind}": array for kind in sorted(kept) for name, array in layout.named(kept[kind]).items()
    }


def restored_state(
    state: dict[str, Any], layout: ParameterVector, arrays: Mapping[str, mx.array]
) -> dict[str, Any]:
    """Return the state that `named_state` gave the names of.

    Args:
        state: of the same optimizer, at whatever step.
        layout: of the parameters.
        arrays: by name.

    Raises:
        KeyError: an array is missing.
    """
    kept = state[ADAPTER]
    if _is_of_vector(kept):
        new = {kind: layout.join({name: arrays[f"{name}.{kind}"] for name in layout.names}) for kind in kept}
    else:
        new = tree_unflatten([(name, arrays[name]) for name, _array in tree_flatten(kept)])
    return {**{name: arrays[name] for name in _SINGLE}, ADAPTER: new}


def _is_of_vector(kept: dict[str, Any]) -> bool:
    return all(isinstance(value, mx.array) for value in kept.values())
