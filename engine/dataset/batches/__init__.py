"""From rows to micro-batches: chat template, tokens, which of them carry loss, and few padded shapes."""
