"""Where the tokens of a micro-batch stand in padded rows, and the moves there and back."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.backend import is_cuda, mx
from engine.model import rope_kernel
from engine.model.rope_kernel import Rotation
from engine.transformers_import import AutoTokenizer  # noqa: F401  # before mlx-lm

from mlx_lm.models.base import create_attention_mask


class Turning(NamedTuple):
    """A rotary embedding that turns whole heads, and the numbers of a head."""

    rope: Any
    head: int


class PackedRows:
    """Where the tokens of a micro-batch stand in padded rows.

    Goes the way of mlx-lm's caches, which models hand on to every layer and ask for their mask.
    """

    def __init__(
        self, slots: mx.array, places: mx.array, rotations: Mapping[int, Rotation] | None = None
    ) -> None:
        """Take what `engine.dataset.batches.micro_batch.MicroBatch` holds.

        Args:
            slots: the token at each position, (rows, positions).
            places: the flat position of each token, (tokens,).
            rotations: by the id of what turns a block's heads, see `Turning`.
        """
        self._slots = slots
        self._places = places
        self._rotations = {key: (one, one.transposed()) for key, one in (rotations or {}).items()}
        positions = slots.shape[1]
        # Of each place in padded rows, and of each token: made here once for all layers.
        self._positions = mx.arange(slots.size) % positions, places % positions
        self._is_full = slots.size == places.size  # the tokens stand in padded rows already

    def make_mask(self, _tokens: int, return_array: bool = False, window_size: int | None = None) -> Any:
        """Return the mask of one row, which is that of all: padding comes last and is never looked at."""
        return create_attention_mask(self._slots, window_size=window_size, return_array=return_array)

    def blank(self, x: mx.array) -> mx.array:
        """Return zeros of the shape and dtype that x (1, tokens, width) has in padded rows."""
        return mx.zeros((*self._slots.shape, x.shape[-1]), x.dtype)

    def pad(self, x: mx.array) -> mx.array:
        """Move x (1, tokens, width) to padded rows (rows, positions, width)."""
        if self._is_full:
            return x.reshape(*self._slots.shape, -1)
        return _moved(x, self._slots, self._places[None])

    def unpad(self, x: mx.array) -> mx.array:
        """Move x (rows, positions, width) back, to (1, tokens, width)."""
        if self._is_full:
            return x.reshape(1, self._places.size, -1)
        return _moved(x, self._places[None], self._slots)

    @property
    def turns(self) -> bool:
        """Whether the heads of some blocks are turned on the way."""
        return bool(self._rotations)

    def turns_for(self, turning: Turning) -> bool:
        """Whether a block's heads are turned on the way; else that is left to the block."""
        return id(turning) in self._rotations

    def turn(self, x: mx.array, turning: Turning) -> mx.array:
        """Move x (1, tokens, heads x head) to padded rows, each head turned for its position."""
        rotation, transposed = self._rotations[id(turning)]
        there, back = self._positions

        @mx.custom_function  # type: ignore[untyped-decorator]
        def move(x: mx.array) -> mx.array:
            heads = x.reshape(x.shape[1], -1, turning.head)  # (tokens, heads, head)
            y = rope_kernel.turned(heads, self._slots.reshape(-1), there, rotation)
            return y.reshape(*self._slots.shape, x.shape[-1])

        @move.vjp  # type: ignore[untyped-decorator]
        def move_vjp(x: mx.array, gradient: mx.array, _output: mx.array) -> mx.array:
            # As in `_moved` a copy and no sum.
            heads = gradient.reshape(self._slots.size, -1, turning.head)
            return rope_kernel.turned(heads, self._places, back, transposed).reshape(x.shape)

        moved: mx.array = move(x)
        return moved


def _moved(x: mx.array, to: mx.array, back: mx.array) -> mx.array:
    """Return x (..., width) at the flat positions `to`; its gradient is moved `back`.

    That is a copy and no sum: each token has one position of its own, padding has free ones, and the
    gradient is zero at free positions, since no loss depends on them.
    """

    @mx.custom_function  # type: ignore[untyped-decorator]
    def move(x: mx.array) -> mx.array:
        return _taken(x, to)

    @move.vjp  # type: ignore[untyped-decorator]
    def move_vjp(_x: mx.array, gradient: mx.array, _output: mx.array) -> mx.array:
        return _taken(gradient, back)

    moved: mx.array = move(x)
    return moved


def _taken(x: mx.array, positions: mx.array) -> mx.array:
    """Return the rows of x (..., width) at flat positions, of shape (*positions.shape, width)."""
    rows, width = x.reshape(-1, x.shape[-1]), x.shape[-1]
    if is_cuda() and width * x.dtype.size % mx.uint64.size == 0:
        rows = rows.view(mx.uint64)  # the kernel copies number by number there, whatever their size
    return rows[positions.reshape(-1)].view(x.dtype).reshape(*positions.shape, width)
