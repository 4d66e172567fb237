"""Rotary position embeddings, and the move of rows from one place to another, in one CUDA kernel.

MLX 0.32.4 takes three to six times as long for the rotation as reading and writing the numbers would, and
moves rows by another operation. Here heads are read once, 16 bytes at a time, turned in float32, and written
where they are wanted.
"""

from functools import cache
from typing import Any, NamedTuple

from engine.backend import is_cuda, mx

_NUMBERS = 8
"""16-bit numbers that a thread takes at once from either half of a head."""
_THREADS = 256
_GROUPS = 4
"""Threads that share the heads of a token: few, so that its angles are read seldom."""
_TRIAL_POSITIONS = 8
_TOLERANCE = 1e-4
_SOURCE = """
    constexpr int chunks = HALF / 8;
    auto index = cooperative_groups::this_grid().thread_rank();
    const int chunk = index % chunks;
    const int group = index / chunks % GROUPS;
    const long row = index / (chunks * GROUPS);
    if (row >= source_shape[0]) return;
    const long from = source[row];
    const long angle = (long)position[row] * HALF + chunk * 8;
    float c[8], s[8];
    #pragma unroll
    for (int k = 0; k < 8; ++k) {
        c[k] = cosines[angle + k];
        s[k] = sines[angle + k];
    }
    for (int head = group; head < HEADS; head += GROUPS) {
        const T* in = x + (from * HEADS + head) * 2 * HALF + chunk * 8;
        T* out = y + (row * HEADS + head) * 2 * HALF + chunk * 8;
        const uint4 first = *reinterpret_cast<const uint4*>(in);
        const uint4 second = *reinterpret_cast<const uint4*>(in + HALF);
        uint4 turned_first, turned_second;
        #pragma unroll
        for (int k = 0; k < 8; ++k) {
            const float a = reinterpret_cast<const T*>(&first)[k];
            const float b = reinterpret_cast<const T*>(&second)[k];
            reinterpret_cast<T*>(&turned_first)[k] = static_cast<T>(a * c[k] - b * s[k]);
            reinterpret_cast<T*>(&turned_second)[k] = static_cast<T>(b * c[k] + a * s[k]);
        }
        *reinterpret_cast<uint4*>(out) = turned_first;
        *reinterpret_cast<uint4*>(out + HALF) = turned_second;
    }
"""


class Rotation(NamedTuple):
    """What numbers k and k + half of a head at a position are turned by; (positions, half) float32 both."""

    cosines: mx.array
    sines: mx.array

    def transposed(self) -> "Rotation":
        """Return what gradients are turned by."""
        return Rotation(self.cosines, -self.sines)


def rotation_of(rope: Any, head: int, positions: int) -> Rotation:
    """Return how a model's own rotary embedding turns heads: what it makes of (1, 0) at each position.

    Args:
        rope: of mlx-lm or `nn.RoPE`, see `is_rotation`.
        head: numbers of a head.
        positions: the first so many.
    """
    half = mx.ones((1, 1, positions, head // 2))
    turned = rope(mx.concatenate([half, mx.zeros_like(half)], axis=-1))[0, 0]  # (positions, head)
    # In one piece each: the kernel would else copy them at every call.
    return Rotation(mx.contiguous(turned[:, : head // 2]), mx.contiguous(turned[:, head // 2 :]))


def is_rotation(rope: Any, head: int) -> bool:
    """Whether a rotary embedding turns whole heads, number k with number k + half, at each position."""
    if head % (2 * _NUMBERS):
        return False
    x = mx.random.normal((_TRIAL_POSITIONS, 1, head), key=mx.random.key(0))
    found = plain(x, mx.arange(_TRIAL_POSITIONS), mx.arange(_TRIAL_POSITIONS), _trial(rope, head))
    return bool(mx.allclose(rope(x[None].swapaxes(1, 2))[0, 0], found[:, 0], rtol=0, atol=_TOLERANCE).item())


def turn_alike(rope: Any, other: Any, head: int) -> bool:
    """Whether two rotary embeddings are the same."""
    pairs = zip(_trial(rope, head), _trial(other, head), strict=True)
    return all(mx.array_equal(one, another).item() for one, another in pairs)


def has_kernel(dtype: mx.Dtype) -> bool:
    """Whether heads of a dtype can be turned here: on CUDA, 16-bit floats."""
    return is_cuda() and dtype in (mx.bfloat16, mx.float16)


def turned(x: mx.array, source: mx.array, position: mx.array, rotation: Rotation) -> mx.array:
    """Return y with y[i] = x[source[i]] turned for position[i], (rows out, heads, head).

    Args:
        x: (rows in, heads, head), a dtype of `has_kernel`, beginning at a multiple of 16 bytes.
        source: (rows out,) int32.
        position: (rows out,) int32.
        rotation: of as many positions as there are.
    """
    heads, half = x.shape[1], rotation.cosines.shape[1]
    (y,) = _kernel()(
        inputs=[x, source.astype(mx.int32), position.astype(mx.int32), *rotation],
        template=[("T", x.dtype), ("HEADS", heads), ("HALF", half), ("GROUPS", _GROUPS)],
        grid=(source.size * half // _NUMBERS * _GROUPS, 1, 1),
        threadgroup=(_THREADS, 1, 1),
        output_shapes=[(source.size, *x.shape[1:])],
        output_dtypes=[x.dtype],
    )
    return y


def plain(x: mx.array, source: mx.array, position: mx.array, rotation: Rotation) -> mx.array:
    """Return the same as `turned`, on any device and in any dtype."""
    first, second = mx.split(x[source].astype(mx.float32), 2, axis=-1)  # (rows out, heads, half) both
    cosines, sines = (table[position][:, None] for table in rotation)  # (rows out, 1, half)
    halves = [first * cosines - second * sines, second * cosines + first * sines]
    return mx.concatenate(halves, axis=-1).astype(x.dtype)


def _trial(rope: Any, head: int) -> Rotation:
    return rotation_of(rope, head, _TRIAL_POSITIONS)


@cache
def _kernel() -> Any:
    return mx.fast.cuda_kernel(
        name="turned_heads",
        input_names=["x", "source", "position", "cosines", "sines"],
        output_names=["y"],
        source=_SOURCE,
    )
