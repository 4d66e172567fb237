"""How much memory and disk a configuration takes: predicted without MLX, and what would fit instead."""
