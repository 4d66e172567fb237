"""Whether an adapter is better than its base model, by how much, and what it forgot."""
