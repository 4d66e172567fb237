"""Runs a model on tokens without padding between the rows; only attention sees padded rows.

All but attention treats each token alone, so the rows of a micro-batch may stand one after the other.
Attention's projections are computed on that, too; then queries, keys and values are moved to
padded rows, and what comes out is moved back (as in "unpad" and "pad" of Dao's FlashAttention).
"""

from typing import Any

from engine.backend import is_cuda, mx, nn
from engine.transformers_import import AutoTokenizer  # noqa: F401  # before mlx-lm

from mlx_lm.models.base import create_attention_mask

_INPUTS = ("q_proj", "k_proj", "v_proj", "qkv_proj")
_OUTPUT = "o_proj"
_TRIAL_ROWS = (5, 2, 9)
_TOLERANCE = 0.05
"""Largest difference, as a share of the largest number: rounding in bfloat16 stays far below."""


class PackedRows:
    """Where the tokens of a micro-batch stand in padded rows.

    Goes the way of mlx-lm's caches, which models hand on to every layer and ask for their mask.
    """

    def __init__(self, slots: mx.array, places: mx.array) -> None:
        """Take what `engine.dataset.batches.micro_batch.MicroBatch` holds.

        Args:
            slots: the token at each position, (rows, positions).
            places: the flat position of each token, (tokens,).
        """
        self._slots = slots
        self._places = places

    def make_mask(self, _tokens: int, return_array: bool = False, window_size: int | None = None) -> Any:
        """Return the mask of one row, which is that of all: padding comes last and is never looked at."""
        return create_attention_mask(self._slots, window_size=window_size, return_array=return_array)

    def blank(self, x: mx.array) -> mx.array:
        """Return zeros of the shape and dtype that x (1, tokens, width) has in padded rows."""
        return mx.zeros((*self._slots.shape, x.shape[-1]), x.dtype)

    def pad(self, x: mx.array) -> mx.array:
        """Move x (1, tokens, width) to padded rows (rows, positions, width)."""
        return _moved(x, self._slots, self._places[None])

    def unpad(self, x: mx.array) -> mx.array:
        """Move x (rows, positions, width) back, to (1, tokens, width)."""
        return _moved(x, self._places[None], self._slots)


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


class UnpaddedAttention(nn.Module):  # type: ignore[misc]
    """Comes before an attention block of mlx-lm among the classes of a block: takes `PackedRows` for a cache.

    The block itself does what depends on positions; its projections are replaced while it does.
    """

    def __call__(self, x: mx.array, mask: Any = None, cache: Any = None) -> mx.array:
        """Return the block's output for x: (1, tokens, hidden) with `PackedRows`, else as ever."""
        if not isinstance(cache, PackedRows):
            return super().__call__(x, mask, cache)
        # Projections on (1, tokens, hidden), without padding; then to (rows, positions, width) for attention.
        projected = {name: self[name](x) for name in _INPUTS if name in self}
        stand_ins = {name: _Given(cache.pad(y)) for name, y in projected.items()}
        # Beside the block's own items, so that their order stays what it was.
        self.__dict__.update({**stand_ins, _OUTPUT: _unchanged})
        try:
            # Of x the block needs only the shape now; without a cache the positions of each row begin at 0.
            y = super().__call__(cache.blank(x), mask, None)
        finally:
            for name in (*stand_ins, _OUTPUT):
                del self.__dict__[name]
        return self[_OUTPUT](cache.unpad(y))  # (rows, positions, width) -> (1, tokens, width) -> hidden


class _Given:
    """Stands for a projection whose output is known."""

    def __init__(self, output: mx.array) -> None:
        self._output = output

    def __call__(self, _x: mx.array) -> mx.array:
        return self._output


def _unchanged(x: mx.array) -> mx.array:
    return x


def unpad_attention(model: nn.Module) -> bool:
    """Let a model take unpadded tokens, in place, if it proves to compute the same; return whether it does.

    It is tried out on a few rows. Each block gets a class of its own, so other models
    of the same architecture in this process are not touched.
    """
    if takes_unpadded(model):
        return True
    blocks = [getattr(layer, "self_attn", None) for layer in model.layers]
    if not all(isinstance(block, nn.Module) and _OUTPUT in block for block in blocks):
        return False
    before = [type(block) for block in blocks]
    for block, base in zip(blocks, before, strict=True):
        block.__class__ = type(f"Unpadded{base.__name__}", (UnpaddedAttention, base), {})
    if _computes_the_same(model):
        return True
    for block, base in zip(blocks, before, strict=True):
        block.__class__ = base
    return False


def takes_unpadded(model: nn.Module) -> bool:
    """Whether `unpad_attention` succeeded with this model."""
    layers = getattr(model, "layers", ())
    return bool(layers) and all(
        isinstance(getattr(layer, "self_attn", None), UnpaddedAttention) for layer in layers
    )


def run_rows(model: nn.Module, body: Any, tokens: mx.array, slots: mx.array, places: mx.array) -> mx.array:
    """Return what `body` gives for each token of a micro-batch, (tokens, width).

    Args:
        model: whose layers `body` consists of.
        body: the model, or what is below its head.
        tokens: these and what follows are those of `engine.dataset.batches.micro_batch.MicroBatch`.
        slots: (rows, positions).
        places: (tokens,).
    """
    if slots.size == tokens.size:  # they are the padded rows, see `BatchShape.is_padded`
        y = body(tokens.reshape(slots.shape))  # (rows, positions) -> (rows, positions, width)
        return y.reshape(-1, y.shape[-1])  # as many positions as tokens: (tokens, width)
    if takes_unpadded(model):
        return _run_unpadded(model, body, tokens, slots, places)
    return _run_padded(body, tokens, slots, places)


def _run_unpadded(
    model: nn.Module, body: Any, tokens: mx.array, slots: mx.array, places: mx.array
) -> mx.array:
    # (1, tokens) -> (1, tokens, width): one long row to all but attention.
    y: mx.array = body(tokens[None], cache=[PackedRows(slots, places)] * len(model.layers))
    return y[0]


def _run_padded(body: Any, tokens: mx.array, slots: mx.array, places: mx.array) -> mx.array:
    """Return the same, computed on padded rows."""
    y = body(tokens[slots])  # (rows, positions) -> (rows, positions, width)
    return y.reshape(-1, y.shape[-1])[places]  # (rows x positions, width) -> (tokens, width)


def _computes_the_same(model: nn.Module) -> bool:
    tokens, slots, places = _trial()
    real = sum(_TRIAL_ROWS)
    was_training = model.training
    model.eval()  # dropout draws anew each time
    try:
        found = _run_unpadded(model, model, tokens, slots, places)[:real]
        wanted = _run_padded(model, tokens, slots, places)[:real]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # its blocks are of another kind
        return False
    finally:
        model.train(was_training)
    largest = mx.abs(wanted).max(axis=-1, keepdims=True)
    return bool((mx.abs(found - wanted) <= _TOLERANCE * largest).all().item())


def _trial() -> tuple[mx.array, mx.array, mx.array]:
    """Return a few short rows as the arrays of a micro-batch."""
    count, longest = sum(_TRIAL_ROWS), max(_TRIAL_ROWS) + 1
    slots: list[list[int]] = []
    places: list[int] = []
    begin = 0
    for row, length in enumerate(_TRIAL_ROWS):
        slots.append([*range(begin, begin + length), *[count] * (longest - length)])
        places += range(row * longest, row * longest + length)
        begin += length
    return mx.arange(1, count + 2), mx.array(slots), mx.array([*places, longest - 1])
