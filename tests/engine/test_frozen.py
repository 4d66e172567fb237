"""Products with a frozen matrix, each mode, against float64 on the weights as MLX writes them out."""

import gc
from typing import Any

from engine.backend import mx, nn
from engine.model.frozen_linear import FrozenLinear, matrix_key, matrix_shape
from engine.model.matmul_timings import MATMUL_MODES, MatmulMode

import numpy as np
import pytest
from mlx.utils import tree_flatten
from numpy.typing import NDArray

INPUTS, OUTPUTS = 128, 96
# Group size, bits and mode of what mlx-lm's models are quantised with; None is not quantised.
PACKINGS: dict[str, tuple[int, int, str] | None] = {
    "4-bit/32": (32, 4, "affine"),
    "4-bit/64": (64, 4, "affine"),
    "8-bit/64": (64, 8, "affine"),
    "6-bit/32": (32, 6, "affine"),
    "3-bit/128": (128, 3, "affine"),
    "mxfp4": (32, 4, "mxfp4"),
    "mxfp8": (32, 8, "mxfp8"),
    "nvfp4": (16, 4, "nvfp4"),
    "not quantised": None,
}
# 12 terms in a row of rounding errors of the dtype, which is what 128 products come to.
TOLERANCES = {mx.float32: 12 * 2.0**-24, mx.bfloat16: 12 * 2.0**-9}

Array = NDArray[np.float64]


def made(packing: str, bias: bool = False, dtype: mx.Dtype = mx.float32, outputs: int = OUTPUTS) -> nn.Module:
    """Return mlx-lm's layer with random weights in `dtype`."""
    mx.random.seed(3)
    layer = nn.Linear(INPUTS, outputs, bias=bias)
    if chosen := PACKINGS[packing]:
        layer = nn.QuantizedLinear.from_linear(layer, *chosen[:2], mode=chosen[2])
    layer.set_dtype(dtype)
    mx.eval(layer.parameters())
    return layer


def exact(array: mx.array) -> Array:
    return np.array(array.astype(mx.float32), np.float64)


def written_out(layer: nn.Module, packing: str) -> Array:
    """Return W (outputs, inputs) as MLX itself writes it out."""
    if chosen := PACKINGS[packing]:
        group, bits, mode = chosen
        arrays = (layer.weight, layer.scales, layer.get("biases"))
        return exact(mx.dequantize(*arrays, group_size=group, bits=bits, mode=mode))
    return exact(layer.weight)


def results(layer: FrozenLinear, x: mx.array, slope: mx.array) -> tuple[Array, Array]:
    """Return y, and the gradient of x that MLX finds for the gradient `slope` of y."""
    (y,), (dx,) = mx.vjp(layer, [x], [slope])
    assert y.dtype == dx.dtype == x.dtype
    return exact(y), exact(dx)


def assert_near(found: Array, expected: Array, size: Array, dtype: mx.Dtype) -> None:
    """Each sum's error may be the dtype's rounding of the sum of its terms' sizes."""
    assert found.shape == expected.shape
    assert (np.abs(found - expected) <= TOLERANCES[dtype] * size).all()


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("mode", MATMUL_MODES)
@pytest.mark.parametrize("packing", PACKINGS)
def test_forward_and_backward_are_those_of_the_written_out_matrix(
    packing: str, mode: MatmulMode, bias: bool, dtype: mx.Dtype
) -> None:
    """For rows in two dimensions, of each quantisation, in each dtype: so all modes agree."""
    layer = made(packing, bias, dtype)
    weight = written_out(layer, packing)
    offset = exact(layer.bias) if bias else np.zeros(OUTPUTS)
    frozen = FrozenLinear(layer, mode, dtype)
    x, slope = (mx.random.normal((2, 5, n)).astype(dtype) for n in (INPUTS, OUTPUTS))
    y, dx = results(frozen, x, slope)
    assert_near(y, exact(x) @ weight.T + offset, abs(exact(x)) @ abs(weight).T + abs(offset), dtype)
    assert_near(dx, exact(slope) @ weight, abs(exact(slope)) @ abs(weight), dtype)


@pytest.mark.parametrize("mode", MATMUL_MODES)
@pytest.mark.parametrize("bias", [False, True])
def test_a_sum_with_the_product_is_the_sum_of_both(mode: MatmulMode, bias: bool) -> None:
    """What LoRA adds its part with, forward and backward."""
    frozen = FrozenLinear(made("4-bit/32", bias), mode, mx.float32)
    x, y = mx.random.normal((7, INPUTS)), mx.random.normal((7, OUTPUTS))
    assert mx.allclose(frozen.add_forward(y, x), y + frozen.forward(x), rtol=1e-5, atol=1e-5)
    assert mx.allclose(frozen.add_backward(x, y), x + frozen.backward(y), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", MATMUL_MODES)
def test_an_embedding_used_backwards_is_a_matrix_too(mode: MatmulMode) -> None:
    """The head of a model whose embedding is tied: the logits of MLX's own `as_linear`."""
    mx.random.seed(3)
    embedding = nn.QuantizedEmbedding.from_embedding(nn.Embedding(OUTPUTS, INPUTS), 32, 4)
    x = mx.random.normal((4, INPUTS))
    found = FrozenLinear(embedding, mode, mx.float32)(x)
    assert mx.allclose(found, embedding.as_linear(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", MATMUL_MODES)
@pytest.mark.parametrize("packing", PACKINGS)
def test_nothing_in_it_is_trainable(packing: str, mode: MatmulMode) -> None:
    """Neither packed arrays nor matrix nor bias; what is not quantised is resident whatever is asked."""
    frozen = FrozenLinear(made(packing, bias=True), mode, mx.float32)
    assert tree_flatten(frozen.trainable_parameters()) == []
    assert {name for name, _array in tree_flatten(frozen.parameters())} >= {"weight", "bias"}
    assert frozen.mode == ("resident" if packing == "not quantised" else mode)


@pytest.mark.parametrize(
    ("packing", "key"),
    [
        ("4-bit/64", "96x128 4-bit/64 affine"),
        ("3-bit/128", "96x128 3-bit/128 affine"),
        ("mxfp8", "96x128 8-bit/32 mxfp8"),
        ("not quantised", "96x128"),
    ],
)
def test_kinds_are_named_by_shape_and_quantisation(packing: str, key: str) -> None:
    """The shape is that of the matrix, not of the packed words."""
    layer = made(packing)
    assert matrix_shape(layer) == (OUTPUTS, INPUTS)
    assert matrix_key(layer) == key


BIG = 2048
"""Outputs of a matrix of 1 MiB in float32."""


def held(action: Any) -> tuple[int, int]:
    """Return by how many bytes an action raised MLX's memory for good, and at its highest."""
    gc.collect()  # what other tests left in circles would be freed meanwhile
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    kept = action()
    after, peak = mx.get_active_memory() - before, mx.get_peak_memory() - before
    del kept
    return after, peak


def test_a_resident_matrix_takes_the_place_of_the_packed_arrays() -> None:
    """4 bytes a number more, and what was packed is given back with the layer it came from."""
    layers = [made("4-bit/32", outputs=BIG)]
    packed = sum(array.nbytes for _name, array in tree_flatten(layers[0].parameters()))
    after, _peak = held(lambda: FrozenLinear(layers.pop(), "resident", mx.float32))
    assert after == pytest.approx(BIG * INPUTS * 4 - packed, abs=50_000)
    names = tree_flatten(FrozenLinear(made("4-bit/32"), "resident", mx.float32).parameters())
    assert [name for name, _array in names] == ["weight"]


def test_a_transient_matrix_is_kept_neither_by_itself_nor_for_the_backward_pass() -> None:
    """Of 40 layers only those in the device's queue are held at a time, not all of both passes."""
    matrix, count = BIG * INPUTS * 4, 40
    layers = [FrozenLinear(made("4-bit/32", outputs=BIG), "transient", mx.float32) for _layer in range(count)]
    x = mx.random.normal((1, INPUTS))
    mx.eval(x)

    def chained(x: mx.array) -> mx.array:
        for layer in layers:
            x = layer(x)[:, :INPUTS]
        return x.sum()

    def evaluated() -> Any:
        found = mx.value_and_grad(chained)(x)
        mx.eval(found)
        return found

    after, peak = held(evaluated)
    assert after < 100_000
    assert matrix <= peak < 12 * matrix
