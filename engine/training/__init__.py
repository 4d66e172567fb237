"""Loss, optimizer step, training loop, checkpoints and metrics."""
