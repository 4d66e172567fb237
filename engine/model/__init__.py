"""Base models, LoRA layers, adapters and the import of GGUF files."""
