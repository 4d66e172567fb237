"""Models with our layers against the same models with mlx-lm's: loss and every gradient."""

from engine.backend import mx, nn
from engine.model.frozen_linear import FrozenLinear
from engine.model.gradient_checkpointing import checkpoint_layers
from engine.model.lora import LoRALinear
from engine.model.matmul_timings import MATMUL_MODES, MatmulMode
from engine.model.padding_free import takes_unpadded, unpad_attention
from engine.model.replace_layers import ATTENTION, make_fast
from engine.model.swiglu import GatedMLP
from tests.support.architectures import (
    ARCHITECTURES,
    BATCH,
    assert_same,
    build,
    found,
    made_fast,
    plain_loss,
    unpadded_loss,
)

import pytest
from mlx.utils import tree_flatten

TARGETS = [
    "q_proj,v_proj",
    "down_proj",
    "q_proj,k_proj,v_proj",
    "o_proj",
    "gate_proj,up_proj",
    "gate_proj,up_proj,down_proj",
    "k_proj,up_proj",
]


def ours(model: nn.Module) -> list[type[nn.Module]]:
    return [
        type(module) for module in model.modules() if type(module) in (LoRALinear, GatedMLP, FrozenLinear)
    ]


@pytest.mark.parametrize("mode", MATMUL_MODES)
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("quantize", [True, False])
def test_a_llama_has_the_loss_and_gradient_of_mlx_lms_layers(
    mode: MatmulMode, tied: bool, quantize: bool
) -> None:
    """Each mode, with a head of its own or the embedding's, quantised or not."""
    model = build(quantize=quantize, tie_word_embeddings=tied)
    expected = found(model, plain_loss)
    loss = made_fast(model, mode)
    assert ours(model).count(LoRALinear) == 2 * 7 and ours(model).count(GatedMLP) == 2
    assert_same(found(model, loss), expected)


@pytest.mark.parametrize("targets", TARGETS)
def test_any_choice_of_projections_has_the_same_loss_and_gradient(targets: str) -> None:
    """Also where some that share their input have no adapter."""
    model = build(run={"lora_targets": targets})
    expected = found(model, plain_loss)
    loss = made_fast(model, "transient")
    assert ours(model).count(LoRALinear) == 2 * len(targets.split(","))
    assert ours(model).count(GatedMLP) == (2 if targets == "gate_proj,up_proj,down_proj" else 0)
    assert_same(found(model, loss), expected)


@pytest.mark.parametrize("mode", MATMUL_MODES)
@pytest.mark.parametrize("recomputed", [0, 1])
def test_layers_below_the_adapters_are_only_passed_through(mode: MatmulMode, recomputed: int) -> None:
    """One layer of two with an adapter, its activations kept or computed again."""
    model = build(run={"lora_layers": 1})
    expected = found(model, plain_loss)
    loss = made_fast(model, mode)
    assert ours(model).count(LoRALinear) == 7
    assert ours(model).count(FrozenLinear) == 2 * 7
    checkpoint_layers(model, 1, recomputed)
    assert_same(found(model, loss), expected)


@pytest.mark.parametrize("mode", MATMUL_MODES)
def test_recomputed_layers_have_the_same_gradient(mode: MatmulMode) -> None:
    """The joined products are made twice then, and each pass stands for itself."""
    model = build()
    expected = found(model, plain_loss)
    loss = made_fast(model, mode)
    checkpoint_layers(model, 2, 2)
    assert_same(found(model, loss), expected)


@pytest.mark.parametrize("mode", MATMUL_MODES)
def test_biases_of_attention_and_feed_forward_are_added(mode: MatmulMode) -> None:
    """They stay frozen like the matrices they belong to."""
    model = build(attention_bias=True, mlp_bias=True)
    biases = [path for path, _array in tree_flatten(model.parameters()) if path.endswith(".linear.bias")]
    assert len(biases) == 2 * 7
    expected = found(model, plain_loss)
    assert_same(found(model, made_fast(model, mode)), expected)


@pytest.mark.parametrize("mode", MATMUL_MODES)
def test_dropout_draws_what_mlx_lm_draws(mode: MatmulMode) -> None:
    """With the same random state the same units are dropped; when evaluating none are."""
    model = build(run={"lora_dropout": 0.4})
    assert unpad_attention(model)
    model.train()
    expected = found(model, unpadded_loss)
    model.eval()
    evaluated = found(model, plain_loss)
    assert expected[0] != pytest.approx(evaluated[0], rel=1e-4)
    loss = made_fast(model, mode)
    assert GatedMLP not in ours(model)
    model.train()
    assert_same(found(model, loss), expected)
    model.eval()
    assert float(loss(model, *BATCH)) == pytest.approx(evaluated[0], rel=1e-5)


@pytest.mark.parametrize("mode", MATMUL_MODES)
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_architecture_has_the_loss_and_gradient_of_mlx_lms_layers(kind: str, mode: MatmulMode) -> None:
    """With fused projections, other activations, norms of queries and keys, scaled logits, experts."""
    model = build(kind)
    expected = found(model, plain_loss)
    loss = made_fast(model, mode)
    assert LoRALinear in ours(model) and takes_unpadded(model)
    assert_same(found(model, loss), expected)


@pytest.mark.parametrize(
    ("kind", "is_gated"),
    [
        ("qwen2", True),
        ("granite", True),
        ("stablelm", True),
        ("gemma", False),
        ("gemma2", False),
        ("gemma3_text", False),
    ],
)
@pytest.mark.parametrize("size", [0.01, 1.0, 100.0])
def test_a_block_with_another_activation_stays_what_it_was(kind: str, is_gated: bool, size: float) -> None:
    """Gemma's gates are GELUs: nearly the same where the numbers are very small or very large."""
    model = build(kind)
    for module in model.modules():
        if isinstance(module, nn.QuantizedLinear):
            module.scales, module.biases = module.scales * size, module.biases * size
    make_fast(model, {}, mx.float32)
    assert ours(model).count(GatedMLP) == (2 if is_gated else 0)


def test_a_block_that_limits_its_numbers_stays_what_it_was() -> None:
    """As some models do in their last layers only: each block is tried out, with large numbers too."""
    model = build()

    class Limited(type(model.layers[0].mlp)):  # type: ignore[misc]
        limit = 1e9

        def __call__(self, x: mx.array) -> mx.array:
            gate = mx.minimum(nn.silu(self.gate_proj(x)), self.limit)
            return self.down_proj(gate * mx.clip(self.up_proj(x), -self.limit, self.limit))

    for layer, limit in zip(model.layers, (1e9, 7.0), strict=True):
        layer.mlp.__class__ = Limited
        layer.mlp.limit = limit
    expected = found(model, plain_loss)
    loss = made_fast(model, "packed")
    assert [type(layer.mlp) for layer in model.layers] == [GatedMLP, Limited]
    assert_same(found(model, loss), expected)


def test_a_projection_that_nobody_asks_for_is_left_alone() -> None:
    """Where a layer borrows its neighbour's values, its own projections are computed one by one."""
    model = build()

    class Borrowing(type(model.layers[0].self_attn)):  # type: ignore[misc]
        def __call__(self, x: mx.array, mask: object = None, cache: object = None) -> mx.array:
            return self.o_proj(self.q_proj(x) * mx.tile(self.k_proj(x), (1, 1, 2)))

    borrower, other = (layer.self_attn for layer in model.layers)
    borrower.__class__ = Borrowing
    expected = found(model, plain_loss)
    loss = made_fast(model, "resident")
    assert {borrower[name].shared for name in ATTENTION} == {None}
    assert None not in {other[name].shared for name in ATTENTION}
    mx.random.seed(11)
    value, gradient = found(model, loss)
    assert value == pytest.approx(expected[0], rel=1e-5)
    for name, array in expected[1].items():
        assert mx.allclose(gradient[name], array, rtol=1e-3, atol=1e-3), name


def test_no_input_outlives_the_forward_pass() -> None:
    """What projections share is let go when the last of them was asked: memory is as before."""
    model = build()
    made_fast(model, "resident")
    tokens = mx.zeros((8, 63), mx.int32)
    mx.eval(tokens)
    for _pass in range(2):
        before = mx.get_active_memory()
        mx.eval(model(tokens))
        assert mx.get_active_memory() - before < 8 * 63 * 64 * 4 / 2  # half of one layer's input
