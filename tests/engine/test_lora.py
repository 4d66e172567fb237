"""The products of LoRA layers against MLX's own gradient of the formula, written out in float32."""

import weakref
from collections.abc import Callable
from typing import Any

from engine.backend import mx, nn
from engine.model.frozen_linear import FrozenLinear
from engine.model.lora import LoRALinear, SharedInput, joined_factors, low_rank_layers, product_form
from engine.model.low_rank import project
from engine.model.matmul_timings import MATMUL_MODES, MatmulMode
from engine.training.flat_parameters import ParameterVector

import pytest
from mlx.utils import tree_flatten

INPUTS, OUTPUTS, RANKS = 64, (96, 32, 32), (4, 2, 8)
SCALE = 3.0
# Rounding of products of 64 to 96 numbers, as a share of the largest result.
TOLERANCES = {mx.float32: 1e-5, mx.bfloat16: 3e-2}

Calls = Callable[[list[LoRALinear], mx.array], list[mx.array]]


def made(mode: MatmulMode, dtype: mx.Dtype, bias: bool = False, dropout: float = 0.0) -> list[LoRALinear]:
    """Return three layers of different sizes and ranks."""
    mx.random.seed(2)
    layers = []
    for outputs, rank in zip(OUTPUTS, RANKS, strict=True):
        linear = nn.QuantizedLinear.from_linear(nn.Linear(INPUTS, outputs, bias=bias), 32, 4)
        linear.set_dtype(dtype)
        a, b = mx.random.normal((INPUTS, rank)) / 8, mx.random.normal((rank, outputs)) / 8
        layers.append(LoRALinear(FrozenLinear(linear, mode, dtype), a, b, SCALE, dropout))
    mx.eval([layer.parameters() for layer in layers])
    return layers


def formula(layers: list[LoRALinear], x: mx.array) -> list[mx.array]:
    """y = x Wᵀ + bias + scale (x A) B in float32, W as MLX writes it out."""
    outputs = []
    for layer in layers:
        linear = layer.linear
        w = linear.weight
        if "scales" in linear:
            w = mx.dequantize(w, linear.scales, linear.biases, group_size=32, bits=4)
        y = x @ w.astype(mx.float32).T + SCALE * (x @ layer.lora_a) @ layer.lora_b
        outputs.append(y + linear.bias if "bias" in linear else y)
    return outputs


def gradients(layers: list[LoRALinear], x: mx.array, call: Calls) -> dict[str, mx.array]:
    """Return the outputs, and the gradients of x and of both factors for random gradients of the outputs."""
    shapes = [(*x.shape[:-1], outputs) for outputs in OUTPUTS]
    slopes = [mx.random.normal(shape, key=mx.random.key(i)) for i, shape in enumerate(shapes)]

    def weighted(factors: Any, x: mx.array) -> mx.array:
        for layer, values in zip(layers, factors, strict=True):
            layer.update(values)
        outputs.extend(call(layers, x))
        return mx.stack([(y * s.astype(y.dtype)).sum() for y, s in zip(outputs, slopes, strict=True)]).sum()

    outputs: list[mx.array] = []
    factors = [layer.trainable_parameters() for layer in layers]
    by_factor, by_x = mx.grad(weighted, argnums=(0, 1))(factors, x)
    for layer, values in zip(layers, factors, strict=True):
        layer.update(values)
    outputs = call(layers, x)
    return {"x": by_x, **dict(tree_flatten(by_factor)), **{f"y{i}": y for i, y in enumerate(outputs)}}


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
@pytest.mark.parametrize("mode", MATMUL_MODES)
@pytest.mark.parametrize("bias", [False, True])
def test_joined_products_are_those_of_the_formula(mode: MatmulMode, dtype: mx.Dtype, bias: bool) -> None:
    """Outputs and gradients of x, each A and each B, for projections of different ranks and widths."""
    layers = made(mode, dtype, bias)
    x = mx.random.normal((2, 5, INPUTS)).astype(dtype)
    expected = gradients(layers, x.astype(mx.float32), formula)
    found = gradients(
        layers, x, lambda layers, x: project(x, [one.linear for one in layers], joined_factors(layers, dtype))
    )
    assert found.keys() == expected.keys() and len(found) == 1 + 6 + 3
    for name, array in expected.items():
        assert found[name].dtype == (mx.float32 if "lora" in name else dtype), name
        difference = mx.abs(found[name].astype(mx.float32) - array).max()
        assert float(difference) <= TOLERANCES[dtype] * float(mx.abs(array).max()), name


def test_the_layers_of_a_group_compute_together_and_let_go() -> None:
    """In any order; when all were asked neither input nor outputs are held."""
    layers = made("packed", mx.float32)
    alone = [layer(mx.ones((1, INPUTS))) for layer in layers]
    group = SharedInput(layers)
    for order in ((0, 1, 2), (2, 0, 1)):
        x = mx.ones((1, INPUTS))
        held = weakref.ref(x)
        outputs = {i: layers[i](x) for i in order}
        del x
        assert held() is None
        group.dissolve_unless_used()
        assert all(layer.shared is group for layer in layers)
        assert all(mx.allclose(outputs[i], alone[i], rtol=1e-5, atol=1e-5) for i in order)


def test_a_group_gives_each_input_its_own_outputs() -> None:
    """Though it was asked for another's in between, or twice for the same."""
    layers = made("packed", mx.float32)
    x, y = mx.random.normal((3, INPUTS)), mx.random.normal((3, INPUTS))
    expected = {(i, id(z)): layers[i](z) for i in range(3) for z in (x, y)}
    SharedInput(layers)
    for i, z in ((0, x), (1, y), (0, x), (0, x), (2, y), (1, y), (0, y), (1, x)):
        assert mx.allclose(layers[i](z), expected[i, id(z)], rtol=1e-5, atol=1e-5)


def test_a_group_that_is_not_asked_in_full_is_dissolved() -> None:
    """From then on each layer is computed alone, and nothing is held."""
    layers = made("packed", mx.float32)
    group, x = SharedInput(layers), mx.ones((1, INPUTS))
    held = weakref.ref(x)
    layers[0](x)
    del x
    group.dissolve_unless_used()
    assert held() is None and [layer.shared for layer in layers] == [None] * 3
    group, x = SharedInput(layers), mx.ones((1, INPUTS))
    for layer in layers:
        layer(x)
    group.dissolve_unless_used()
    assert [layer.shared for layer in layers] == [group] * 3


@pytest.mark.parametrize("is_training", [True, False])
def test_dropout_acts_on_the_adapter_alone_and_in_training_alone(is_training: bool) -> None:
    """The mean over many draws is the output without it."""
    (layer, *_rest) = made("packed", mx.float32, dropout=0.5)
    layer.train(is_training)
    x = mx.random.normal((1, INPUTS))
    expected = formula([layer], x)[0]
    found = layer(mx.repeat(x, 4000, axis=0))
    assert bool(mx.array_equal(found[0], found[1])) is not is_training
    spread = mx.sqrt(mx.var(found, axis=0) / 4000)
    assert bool((mx.abs(found.mean(axis=0) - expected[0]) <= 6 * spread + 1e-4).all())


@pytest.mark.parametrize("scales", [(3.0, 3.0, 3.0), (3.0, 0.5, 2.0)])
def test_in_product_form_outputs_and_gradients_are_those_of_the_parameters(scales: tuple[float, ...]) -> None:
    """With one scale or several, for projections that are computed together or alone."""
    layers = made("resident", mx.float32)
    for layer, scale in zip(layers, scales, strict=True):
        layer.scale = scale
    model = nn.Sequential(*layers)  # no more than a place for them
    SharedInput(layers[:2])
    x = mx.random.normal((2, 5, INPUTS))
    slopes = [mx.random.normal((2, 5, outputs), key=mx.random.key(outputs)) for outputs in OUTPUTS]
    groups = low_rank_layers(model)
    assert [len(group) for group in groups] == [2, 1]
    layout = ParameterVector(model.trainable_parameters(), groups)
    vector = layout.join(model.trainable_parameters())

    def weighted(tree: Any) -> mx.array:
        kept = model.trainable_parameters()
        model.update(tree)
        outputs = [(layer(x) * slope).sum() for layer, slope in zip(layers, slopes, strict=True)]
        model.update(kept)
        return mx.stack(outputs).sum()

    value, slope = mx.value_and_grad(lambda vector: weighted(layout.split(vector)))(vector)
    with product_form(layers):
        found, tree = mx.value_and_grad(weighted)(layout.product_form(vector, mx.float32))
        model.update(layout.product_form(vector, mx.float32))
        factors = [layer.factors(mx.float32) for layer in layers]
    model.update(layout.split(vector))
    assert float(found) == pytest.approx(float(value), rel=1e-5)
    assert mx.allclose(layout.from_product_form(tree), slope, rtol=1e-4, atol=1e-4)
    for layer, in_form in zip(layers, factors, strict=True):
        plain = layer.factors(mx.float32)
        assert all(mx.allclose(one, other) for one, other in zip(in_form, plain, strict=True))


def test_a_vector_gives_back_every_array() -> None:
    """By name and as a tree, whatever lies where in it."""
    layers = made("packed", mx.float32)
    model = nn.Sequential(*layers)
    SharedInput(layers[1:])
    tree = model.trainable_parameters()
    layout = ParameterVector(tree, low_rank_layers(model))
    vector = layout.join(tree)
    arrays = dict(tree_flatten(tree))
    assert vector.size == sum(array.size for array in arrays.values())
    assert layout.named(vector).keys() == arrays.keys() == dict(tree_flatten(layout.split(vector))).keys()
    assert all(mx.array_equal(array, arrays[name]) for name, array in layout.named(vector).items())
