"""What can be said about the data before training: faults, duplicates, token figures, previews."""
