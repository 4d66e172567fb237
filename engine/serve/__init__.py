"""The trained model for other programs: mlx-lm's HTTP server, in a child process, on this machine alone."""
