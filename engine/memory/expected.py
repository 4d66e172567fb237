"""The peak to be expected of a run that adapts to the memory there is and to the lengths of its rows."""

from engine.config import TrainingConfig
from engine.dataset.report import DataReport
from engine.memory.predict import CPU_MAX_ROWS, layers_to_recompute, predict_peak
from engine.model_folder.dimensions import Device, ModelDimensions


def expected_peak(
    model: ModelDimensions, config: TrainingConfig, device: Device, budget: int, data: DataReport | None
) -> int:
    """Return the predicted peak of a run, bytes.

    Args:
        model: sizes of the base model.
        config: of the run.
        device: where MLX computes.
        budget: bytes that MLX may take.
        data: what is known of the rows; None takes full ones.
    """
    tokens = data.train.tokens if data else None
    length = min(config.max_seq_length, tokens.longest if tokens else config.max_seq_length)
    # A batch can carry more loss than the average one; where prompts weigh something, every token does.
    share = tokens.trained / max(1, tokens.total) if tokens and not config.lower_prompt_weight else 1.0
    trained = min(1.0, 1.5 * share)
    filled = config.model_copy(update={"batch_size": _rows(config, device, length)})
    recomputed = layers_to_recompute(model, filled, device, budget, length, trained)
    return predict_peak(model, filled, device, length, trained, recomputed)


def _rows(config: TrainingConfig, device: Device, length: int) -> int:
    """Return the rows of `length` tokens of a full micro-batch."""
    rows = min(config.batch_size * config.max_seq_length // length, config.examples_per_step)
    return max(1, min(rows, CPU_MAX_ROWS) if device == "cpu" else rows)
