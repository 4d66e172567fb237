"""What this machine is and whether it can train. Importing it never imports MLX."""
