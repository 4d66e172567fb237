"""The trainable parameters as one vector: an optimizer step on it is a few operations, not a few for each.

An adapter has hundreds of small matrices; on a GPU handing over an operation takes longer than making it.
"""

import math
from itertools import accumulate, pairwise
from typing import Any

from engine.backend import mx
from engine.model.mlx_lm_adapter import LENGTHS

from mlx.utils import tree_flatten, tree_unflatten


class ParameterVector:
    """Where each array of a tree lies in the vector of all."""

    def __init__(self, tree: Any) -> None:
        """Lay out the arrays of a tree, by name."""
        arrays: dict[str, mx.array] = dict(sorted(tree_flatten(tree)))
        self._shapes = {name: array.shape for name, array in arrays.items()}
        # Where each begins, and last the length of all: [0, size of the first, that of the first two, ...].
        self._borders = list(accumulate(map(math.prod, self._shapes.values()), initial=0))

    @property
    def names(self) -> list[str]:
        """Of the arrays, in their order."""
        return list(self._shapes)

    def join(self, tree: Any) -> mx.array:
        """Return the vector of a tree with the same names, in the widest of their dtypes."""
        arrays = dict(tree_flatten(tree))
        # Matrices (inputs, rank) and (rank, outputs), row after row -> (parameters,).
        return mx.concatenate([arrays[name].reshape(-1) for name in self._shapes])

    def split(self, vector: mx.array) -> Any:
        """Return the tree of a vector; its arrays are parts of the vector's memory."""
        return tree_unflatten(list(self.named(vector).items()))

    def split_for_products(self, vector: mx.array, dtype: mx.Dtype) -> Any:
        """Return the tree of a float32 vector in `dtype`, matrices cast all at once.

        DoRA's lengths stay in float32: they change by less than 16 bits can tell.
        """
        cast = self.named(vector.astype(dtype))
        exact = self.named(vector) if any(name.endswith(LENGTHS) for name in self._shapes) else {}
        lengths = {name: array for name, array in exact.items() if name.endswith(LENGTHS)}
        return tree_unflatten(list((cast | lengths).items()))

    def named(self, vector: mx.array) -> dict[str, mx.array]:
        """Return the same arrays by their names."""
        parts = zip(self._shapes.items(), pairwise(self._borders), strict=True)
        return {name: vector[begin:end].reshape(shape) for (name, shape), (begin, end) in parts}
