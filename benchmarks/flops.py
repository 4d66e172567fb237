"""How much arithmetic training on a token takes, so that speed can be told as a share of a chip's peak.

Counted is what the result needs ("model FLOPs", PaLM, Chowdhery et al. 2022, appendix B), once
each: activations or weights computed a second time to save memory do not count.
A product of a vector with N weights is 2N operations (Kaplan et al. 2020, section 2.1).

    forward   2 P + 2 A + 4 H c layers                      + 2 V s
    backward  2 P' + 4 A + 8 H c adapted layers             + 2 V s

- P: weights of the projections of all layers; P': of the adapted ones, through which
  gradients go back. They are frozen, so the gradient of the weights (2 P more) is left out.
- A: weights of the adapter; its backward pass has both gradients.
- attention: H = heads x head_dim, c = tokens that a token attends to, on average (causal:
  half the row). Scores and their use are 2 H c each, and twice that backward.
- V: weights of the output head, needed at the share s of the tokens that carry loss.
"""

from pathlib import Path

from benchmarks.workload import Lengths
from engine.config import TrainingConfig
from engine.memory.predict import adapted_layers, trainable_parameters
from engine.model_folder.dimensions import ModelDimensions


def dimensions_of(model: Path) -> ModelDimensions:
    """Return the sizes of a base model's folder.

    Raises:
        SystemExit: its arithmetic cannot be counted from them.
    """
    shape = ModelDimensions.read(model)
    if shape is None:
        raise SystemExit(f"{model} is no model of Llama's kind, whose arithmetic is counted; choose another")
    return shape


def flops_per_token(shape: ModelDimensions, config: TrainingConfig, lengths: Lengths) -> float:
    """Return the floating-point operations of training on one real token."""
    adapted = adapted_layers(shape.layers, config)
    layer = sum(inputs * outputs for inputs, outputs in shape.projections.values())
    adapter = trainable_parameters(shape, config)
    attention = shape.heads * shape.head_dim * lengths.mean_context
    head = shape.hidden * shape.vocab * lengths.trained
    forward = shape.layers * (2 * layer + 4 * attention) + 2 * adapter + 2 * head
    backward = adapted * (2 * layer + 8 * attention) + 4 * adapter + 2 * head
    return forward + backward
