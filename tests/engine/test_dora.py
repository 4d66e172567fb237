"""DoRA against mlx-lm's own layers, NumPy in float64 and PEFT's form."""

from typing import Any

from engine.backend import mx, nn
from engine.model.dora import DoRALinear
from engine.model.frozen_linear import FrozenLinear
from engine.model.lora import switched_off
from engine.model.matmul_timings import MATMUL_MODES, MatmulMode
from engine.model.padding_free import unpad_attention
from engine.training.flat_parameters import ParameterVector
from tests.support.architectures import assert_same, build, found, made_fast, plain_loss, unpadded_loss
from tests.support.tiny import RUN

import numpy as np
import pytest

DORA = RUN.updated({"fine_tune_type": "dora"})


def dora(kind: str = "llama", quantize: bool = True, **run: Any) -> nn.Module:
    """Return mlx-lm's model with a random adapter, its lengths far from the norms that they begin as."""
    model = build(kind, quantize, {"fine_tune_type": "dora", **run})
    for layer in model.modules():
        if "m" in layer:
            layer.m = layer.m * mx.random.uniform(0.5, 2, layer.m.shape)
    mx.eval(model.parameters())
    return model


@pytest.mark.parametrize("mode", MATMUL_MODES)
def test_loss_and_gradients_are_mlx_lms(mode: MatmulMode) -> None:
    """Those of A, B and the lengths, however the frozen matrix is multiplied."""
    ours = dora()
    loss = made_fast(ours, mode)
    layers = [layer for layer in ours.modules() if isinstance(layer, DoRALinear)]
    assert len(layers) == 14 and any(layer.shared for layer in layers)
    assert_same(found(ours, loss), found(dora(), plain_loss))


@pytest.mark.parametrize("kind", ["granite", "phi3", "starcoder2", "qwen3_moe"])
def test_biases_fused_projections_and_other_blocks(kind: str) -> None:
    """A bias is not brought to a length; of a fused projection each output has its own."""
    run = {"lora_targets": "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj,qkv_proj,gate_up_proj"}
    ours = dora(kind, quantize=False, **run)
    assert_same(found(ours, made_fast(ours, "resident")), found(dora(kind, False, **run), plain_loss))


def test_dropout_is_of_the_low_rank_part_alone() -> None:
    """As mlx-lm has it, with the same units dropped."""
    model = dora(lora_dropout=0.3)
    assert unpad_attention(model)
    model.train()
    expected = found(model, unpadded_loss)
    assert_same(found(model, made_fast(model, "packed")), expected)


def made(bias: bool = True, dropout: float = 0.0) -> tuple[DoRALinear, mx.array]:
    """Return a packed layer with random numbers and inputs for it."""
    mx.random.seed(2)
    linear = nn.QuantizedLinear.from_linear(nn.Linear(64, 96, bias=bias), group_size=32, bits=4)
    a, b = mx.random.normal((64, 4)), mx.random.normal((4, 96))
    m = mx.random.uniform(0.5, 2, (96,))
    layer = DoRALinear(FrozenLinear(linear, "packed", mx.float32), a, b, m, 0.7, dropout)
    return layer, mx.random.normal((2, 5, 64))


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_is_the_papers_formula(bias: bool) -> None:
    """Values and all gradients in float64, the norm being a constant (section 4.3)."""
    layer, x = made(bias)
    dy = mx.random.normal((2, 5, 96))
    names = ("lora_a", "lora_b", "m")
    primals = [x, *(layer[name] for name in names)]

    def output(x: mx.array, *parameters: mx.array) -> mx.array:
        layer.update(dict(zip(names, parameters, strict=True)))
        return layer(x)

    (y,), gradients = mx.vjp(output, primals, [dy])
    frozen = layer.linear
    w = np.array(mx.dequantize(frozen.weight, frozen.scales, frozen.biases, 32, 4), np.float64)
    wide_x, a, b, m = (np.array(array, np.float64) for array in primals)
    rows, slopes = wide_x.reshape(-1, 64), np.array(dy, np.float64).reshape(-1, 96)
    adapted = w + 0.7 * (a @ b).T
    ratio = m / np.linalg.norm(adapted, axis=1)
    plain = rows @ adapted.T
    inner = slopes * ratio
    wanted = (
        inner @ adapted,
        0.7 * rows.T @ (inner @ b.T),
        0.7 * (rows @ a).T @ inner,
        (slopes * plain).sum(axis=0) * ratio / m,
    )
    expected = ratio * plain + (np.array(frozen.bias, np.float64) if bias else 0)
    assert np.abs(np.array(y).reshape(-1, 96) - expected).max() < 1e-5 * np.abs(expected).max()
    for got, numbers in zip(gradients, wanted, strict=True):
        assert np.abs(np.array(got).reshape(numbers.shape) - numbers).max() < 1e-5 * np.abs(numbers).max()


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_switched_off_it_is_the_frozen_matrix(dropout: float) -> None:
    """To the bit, whatever the lengths are."""
    layer, x = made(dropout=dropout)
    with switched_off(layer):
        assert mx.array_equal(layer(x), layer.linear(x))
    assert float(mx.abs(layer(x) - layer.linear(x)).max()) > 0.1


def test_a_row_of_zeros_stays_a_row_of_zeros() -> None:
    """Its length is 0, and nothing is divided by it."""
    linear = nn.Linear(8, 4, bias=False)
    linear.weight[1] = 0.0
    frozen = FrozenLinear(linear, "resident", mx.float32)
    m = mx.sqrt(frozen.squared_rows())
    layer = DoRALinear(frozen, mx.random.normal((8, 2)), mx.zeros((2, 4)), m, 1.0, 0.0)
    y, x = layer(mx.ones((3, 8))), mx.ones((3, 8))
    assert mx.array_equal(y[:, 1], mx.zeros(3)) and mx.allclose(y, linear(x), atol=1e-6)
    slope = mx.grad(lambda m: (layer.update({"m": m}), layer(x).sum())[1])(m)
    assert mx.isfinite(slope).all()


@pytest.mark.parametrize("mode", MATMUL_MODES)
def test_in_16_bits_lengths_act_as_they_are(mode: MatmulMode) -> None:
    """Over many outputs a change of 1 % is 1 %: in bfloat16 the ratio itself would be 1.008 or 1.016."""
    mx.random.seed(2)
    plain = nn.QuantizedLinear.from_linear(nn.Linear(64, 96, bias=False), group_size=32, bits=4)
    plain.scales, plain.biases = plain.scales.astype(mx.bfloat16), plain.biases.astype(mx.bfloat16)
    frozen = FrozenLinear(plain, mode, mx.bfloat16)
    a, b = mx.random.normal((64, 4)), mx.random.normal((4, 96)) * 0.1
    x = mx.random.normal((200, 64)).astype(mx.bfloat16)
    norms = mx.linalg.norm(frozen.forward(mx.eye(64)).T + 0.5 * (a @ b).T, axis=1)
    layer = DoRALinear(frozen, a, b, norms, 0.5, 0.0)
    as_lora = layer.low_rank_sum(x).astype(mx.float32)
    assert layer(x).dtype == mx.bfloat16
    for ratio in (1.0, 1.0105, 0.9905):
        layer.m = norms * ratio
        found = (layer(x).astype(mx.float32) * as_lora).sum() / mx.square(as_lora).sum()
        assert float(found) == pytest.approx(ratio, abs=1e-3)


def test_of_the_vector_of_all_parameters_lengths_are_not_cast() -> None:
    """Matrices are, and their gradients come back in one vector of float32."""
    tree = {"q": {"lora_a": mx.ones((3, 2)), "m": mx.full((4,), 1.0001)}}
    layout = ParameterVector(tree)
    split = layout.product_form(layout.join(tree), mx.bfloat16)
    assert (split["q"]["lora_a"].dtype, split["q"]["m"].dtype) == (mx.bfloat16, mx.float32)
    assert float(split["q"]["m"][0]) == pytest.approx(1.0001, abs=1e-6)
    assert layout.from_product_form(split).dtype == mx.float32
