"""A rule of thumb for the learning rate of LoRA, from the size of the model and the length of the run."""

_FULL = 5e-5
"""Learning rate of full fine-tuning at a width of `_WIDTH`."""
_WIDTH = 2000
_LORA, _LORA_IN_SHORT_RUNS = 10.0, 15.0
"""How many times higher it is best with LoRA."""
_SHORT_STEPS = 100
_POWER, _POWER_OF_QWEN = 0.781, 0.0775

_NARROWEST = 512
"""The narrowest model that was measured is four times as wide; of toys the rule says nothing."""


def usual_rate(hidden: int, steps: int, family: str = "") -> float | None:
    """Return the learning rate that is a good first guess for LoRA with Adam; None for a very narrow model.

    5e-5 x m x (2000 / hidden) ** p, with m = 15 up to 100 steps and 10 beyond; p was fitted to models of
    the Llama and Qwen families. Source: J. Schulman and Thinking Machines Lab, "LoRA Without Regret" (2025),
    and its tinker-cookbook. Measured with alpha 32, adapters in all layers, a constant rate, models of 1
    to 70 billion parameters whose weights were not quantised: right to a factor of about two elsewhere.

    Args:
        hidden: width of the residual stream.
        steps: optimizer steps of the run.
        family: `model_type` of the model's `config.json`.
    """
    if hidden < _NARROWEST:
        return None
    multiplier = _LORA_IN_SHORT_RUNS if steps <= _SHORT_STEPS else _LORA
    power = _POWER_OF_QWEN if family.lower().startswith("qwen") else _POWER
    return float(_FULL * multiplier * (_WIDTH / hidden) ** power)
