"""A run on several processes, cards or machines: who, how they talk, how gradients are summed."""
