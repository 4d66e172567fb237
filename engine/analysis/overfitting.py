"""From which figures on a run counts as overfitted."""

from typing import Literal

Overfitting = Literal["unknown", "none", "slight", "significant"]

# Growth of the gap between validation and training loss, in nats, from which overfitting is slight or
# significant. What was there before the first step is a difference of the two files.
SLIGHT_GAP, SIGNIFICANT_GAP = 0.2, 0.5
# Rise of the validation loss after its best, as a share of the best, with the same meaning.
SLIGHT_RISE, SIGNIFICANT_RISE = 0.02, 0.1


def growth_of(gap: float, initial_gap: float | None) -> float:
    """Return by how much a gap grew since before the first step; all of it where that is not known.

    Where the first examples were harder than those to validate with, it grew from nothing.
    """
    return gap - max(0.0, initial_gap or 0.0)


def judge_overfitting(
    train_loss: float | None,
    best_val: float | None,
    last_val: float | None,
    has_repeated: bool = True,
    initial_gap: float | None = None,
    doubt: float = 0.0,
    rise_doubt: float = 0.0,
) -> Overfitting:
    """Judge by the growth of the gap to the training loss and the rise since the best; the worse counts.

    Args:
        train_loss: mean of the last steps, nats per token.
        best_val: lowest validation loss.
        last_val: last validation loss.
        has_repeated: whether any example was trained on twice. Before that none can be known by heart: a
            gap tells that the two files differ.
        initial_gap: before the first step; None counts as none, and so does one below nothing.
        doubt: growth of the gap that noisy losses may show by chance.
        rise_doubt: rise since the best that the choice of the rows may show by chance.
    """
    if train_loss is None or best_val is None or last_val is None:
        return "unknown"
    growth = growth_of(last_val - train_loss, initial_gap) if has_repeated else 0.0
    rise = last_val - best_val
    rise = rise if rise > rise_doubt else 0.0
    if growth > max(SIGNIFICANT_GAP, doubt) or rise > SIGNIFICANT_RISE * best_val:
        return "significant"
    if growth >= max(SLIGHT_GAP, doubt) or rise > SLIGHT_RISE * best_val:
        return "slight"
    return "none"
