"""Runs a model on tokens without padding between the rows; only attention sees padded rows.

All but attention treats each token alone, so the rows of a micro-batch may stand one after the other.
Attention's projections are computed on that, too; then queries, keys and values are moved to
padded rows, and what comes out is moved back (as in "unpad" and "pad" of Dao's FlashAttention).
On CUDA queries and keys are turned for their positions on the way (`engine.model.rope_kernel`).
"""

from collections.abc import Sequence
from typing import Any

from engine.backend import compute_dtype, mx, nn
from engine.model import rope_kernel
from engine.model.packed_rows import PackedRows, Turning

_INPUTS = ("q_proj", "k_proj", "v_proj", "qkv_proj")
_OUTPUT = "o_proj"
_ROPE = "rope"
_TURNED = ("q_proj", "k_proj")
_PLAIN_BLOCK = {*_TURNED, "v_proj", _OUTPUT, _ROPE}
"""All the parts of a block where nothing stands between a projection and its rotation."""
_TURNING = "turning"
"""Attribute of a block: its `Turning`, or None."""
_TRIAL_ROWS = (5, 2, 9)
_TOLERANCE = 0.05
"""Largest difference, as a share of the largest number: rounding in bfloat16 stays far below."""


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
        stand_ins: dict[str, Any] = {name: _Given(cache.pad(y)) for name, y in projected.items()}
        turning: Turning | None = self.__dict__[_TURNING]
        if turning and cache.turns_for(turning) and rope_kernel.has_kernel(projected[_TURNED[0]].dtype):
            stand_ins |= {name: _Given(cache.turn(projected[name], turning)) for name in _TURNED}
            stand_ins[_ROPE] = _unchanged
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


def _unchanged(x: mx.array, **_named: Any) -> mx.array:
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
    for block in blocks:
        block.__dict__[_TURNING] = None
    if _computes_the_same(model):
        _find_turnings(model, blocks)
        return True
    for block, base in zip(blocks, before, strict=True):
        block.__class__ = base
    return False


def _find_turnings(model: nn.Module, blocks: Sequence[nn.Module]) -> None:
    """Note on each block how its heads are turned, if that proves right; blocks that turn alike share one."""
    if not rope_kernel.has_kernel(compute_dtype()):
        return
    found: list[Turning] = []
    for block in blocks:
        if set(block.children()) != _PLAIN_BLOCK:
            continue
        rope = block[_ROPE]
        head: int = getattr(block, "head_dim", 0) or getattr(rope, "dims", 0)
        own = Turning(rope, head)
        if rope_kernel.is_rotation(*own):
            alike = (one for one in found if one.head == own.head and rope_kernel.turn_alike(one.rope, *own))
            block.__dict__[_TURNING] = next(alike, own)
            found.append(own)
    if found and not _computes_the_same(model):
        for block in blocks:
            block.__dict__[_TURNING] = None


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
    is_full = slots.size == tokens.size  # they are the padded rows, see `BatchShape.is_padded`
    if takes_unpadded(model):
        rows = _packed_rows(model, slots, places)
        if rows.turns or not is_full:
            return _run_unpadded(model, body, tokens, rows)
    if is_full:
        y = body(tokens.reshape(slots.shape))  # (rows, positions) -> (rows, positions, width)
        return y.reshape(-1, y.shape[-1])  # as many positions as tokens: (tokens, width)
    return _run_padded(body, tokens, slots, places)


def _run_unpadded(model: nn.Module, body: Any, tokens: mx.array, rows: PackedRows) -> mx.array:
    # (1, tokens) -> (1, tokens, width): one long row to all but attention.
    y: mx.array = body(tokens[None], cache=[rows] * len(model.layers))
    return y[0]


def _packed_rows(model: nn.Module, slots: mx.array, places: mx.array) -> PackedRows:
    """Return where tokens stand, with what turns queries and keys where that is not left to the blocks."""
    notes = [layer.self_attn.__dict__[_TURNING] for layer in model.layers]
    rotations = {
        id(note): rope_kernel.rotation_of(note.rope, note.head, slots.shape[1])
        for note in {id(note): note for note in notes if note}.values()
    }
    return PackedRows(slots, places, rotations)


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
        found = _run_unpadded(model, model, tokens, _packed_rows(model, slots, places))[:real]
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
