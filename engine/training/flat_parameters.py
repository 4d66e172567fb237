"""The trainable parameters as one vector: an optimizer step on it is a few operations, not a few for each.

An adapter has hundreds of small matrices; on a GPU handing over an operation takes longer than making it.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any

from engine.backend import mx
from engine.model.lora import LowRankLinear
from engine.model.mlx_lm_adapter import LENGTHS

from mlx.utils import tree_flatten, tree_unflatten

_A, _B = ".lora_a", ".lora_b"


class ParameterVector:
    """Where each array of a tree lies in the vector of all.

    First all A of our adapted layers, turned, those of layers that are computed together one after the
    other; then all their B; then what other arrays there are; then DoRA's lengths. So products find what
    they need in one piece, and scaling and casting it is one operation.
    """

    def __init__(self, tree: Any, groups: Sequence[Sequence[tuple[str, LowRankLinear]]] = ()) -> None:
        """Lay out the arrays of a tree.

        Args:
            tree: the trainable parameters of a model.
            groups: the model's layers of ours, see `engine.model.lora.low_rank_layers`.
        """
        arrays: dict[str, mx.array] = dict(sorted(tree_flatten(tree)))
        layers = {path: layer for group in groups for path, layer in group}
        self._groups = [[path + _A for path, _layer in group] for group in groups]
        self._turned = set(chain(*self._groups))
        self._bs = [path + _B for path in layers]
        rest = [name for name in arrays if name not in self._turned and name not in self._bs]
        self._lengths = [name for name in rest if name.endswith(LENGTHS)]
        self._others = [name for name in rest if not name.endswith(LENGTHS)]
        names = [*chain(*self._groups), *self._bs, *self._others, *self._lengths]
        self._shapes = {name: arrays[name].shape for name in names}
        # Where each begins, and last the length of all: [0, size of the first, that of the first two, ...].
        borders = list(accumulate(map(math.prod, self._shapes.values()), initial=0))
        self._places = dict(zip(self._shapes, pairwise(borders), strict=True))
        self._scale = _scale_of([(layer.scale, arrays[path + _B].size) for path, layer in layers.items()])

    @property
    def names(self) -> list[str]:
        """Of the arrays, in their order."""
        return list(self._shapes)

    def join(self, tree: Any) -> mx.array:
        """Return the vector of a tree with the same names, in the widest of their dtypes."""
        arrays = dict(tree_flatten(tree))
        # Matrices (rank, inputs), (rank, outputs), row after row -> (parameters,).
        return mx.concatenate([self._as_laid(name, arrays[name]).reshape(-1) for name in self._shapes])

    def split(self, vector: mx.array) -> Any:
        """Return the tree of a vector; its arrays are parts of the vector's memory."""
        return tree_unflatten(list(self.named(vector).items()))

    def named(self, vector: mx.array) -> dict[str, mx.array]:
        """Return the same arrays by their names."""
        found = {}
        for name, (begin, end) in self._places.items():
            shape = self._shapes[name][::-1] if name in self._turned else self._shapes[name]
            found[name] = self._as_laid(name, vector[begin:end].reshape(shape))
        return found

    def product_form(self, vector: mx.array, dtype: mx.Dtype) -> Any:
        """Return the tree of a vector with A and B as `engine.model.lora.product_form` says.

        DoRA's lengths stay in float32: they change by less than 16 bits can tell.

        Args:
            vector: (parameters,) float32.
            dtype: of all but the lengths.
        """
        joined = [group[0] for group in self._groups]
        sizes = [sum(math.prod(self._shapes[name]) for name in group) for group in self._groups]
        a = _cut(self._segment(vector, list(chain(*self._groups))).astype(dtype), sizes)
        a = [part.reshape(-1, self._shapes[name][0]) for name, part in zip(joined, a, strict=True)]
        rest = [(name, mx.zeros((0,), dtype)) for group in self._groups for name in group[1:]]
        b = self._arrays((self._segment(vector, self._bs) * self._scale).astype(dtype), self._bs)
        others = self._arrays(self._segment(vector, self._others).astype(dtype), self._others)
        lengths = self._arrays(self._segment(vector, self._lengths), self._lengths)
        named = zip(
            [*joined, *self._bs, *self._others, *self._lengths], [*a, *b, *others, *lengths], strict=True
        )
        return tree_unflatten([*named, *rest])

    def from_product_form(self, tree: Any) -> mx.array:
        """Return the gradient of a vector, (parameters,) float32, for that of its `product_form`."""
        arrays = dict(tree_flatten(tree))

        def joined(names: Iterable[str]) -> list[mx.array]:
            found = [arrays[name].reshape(-1) for name in names]
            return [mx.concatenate(found).astype(mx.float32)] if found else []

        b = [gradient * self._scale for gradient in joined(self._bs)]
        a = joined(group[0] for group in self._groups)
        return mx.concatenate([*a, *b, *joined(self._others), *joined(self._lengths)])

    def _as_laid(self, name: str, array: mx.array) -> mx.array:
        """Return an A of a layer of ours as it lies in the vector, or from there as it is."""
        return array.T if name in self._turned else array

    def _segment(self, vector: mx.array, names: Sequence[str]) -> mx.array:
        """Return the part of a vector where neighbours lie."""
        return vector[self._places[names[0]][0] : self._places[names[-1]][1]] if names else vector[:0]

    def _arrays(self, segment: mx.array, names: Sequence[str]) -> list[mx.array]:
        parts = _cut(segment, [math.prod(self._shapes[name]) for name in names])
        return [part.reshape(self._shapes[name]) for name, part in zip(names, parts, strict=True)]


def _cut(vector: mx.array, sizes: Sequence[int]) -> list[mx.array]:
    """Return parts of a vector, one after the other."""
    return [vector[begin:end] for begin, end in pairwise(accumulate(sizes, initial=0))]


def _scale_of(layers: Sequence[tuple[float, int]]) -> mx.array:
    """Return the scale of all B: () where it is one, else (numbers,).

    Args:
        layers: scale and numbers of each B.
    """
    scales = {scale for scale, _size in layers}
    if len(scales) <= 1:
        return mx.array(scales.pop() if scales else 1.0)
    return mx.concatenate([mx.full((size,), scale) for scale, size in layers])
