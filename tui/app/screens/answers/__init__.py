"""What the model answers to the same questions, from step to step."""
