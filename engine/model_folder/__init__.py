"""What a base model's folder holds, and whether it can be used: without MLX."""
