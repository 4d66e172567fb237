"""A few models to choose from: instructed ones in 4 bits, with a chat template, as mlx-community offers them.

Their sizes are those of their `config.json`, so that it can be said without a network what fits.
"""

from dataclasses import dataclass

from engine.model_folder.dimensions import ModelDimensions


@dataclass(frozen=True)
class Offered:
    """A model of the short list."""

    repository: str
    dimensions: ModelDimensions

    @property
    def name(self) -> str:
        """Its name without the organisation's."""
        return self.repository.partition("/")[2]

    @property
    def size(self) -> int:
        """Bytes of its weights."""
        return self.dimensions.weight_bytes("gpu", resident=False)


def _offered(
    name: str,
    hidden: int,
    layers: int,
    heads: int,
    kv_heads: int,
    head: int,
    inner: int,
    vocab: int,
    tied: bool,
) -> Offered:
    sizes = ModelDimensions(hidden, layers, heads, kv_heads, head, inner, vocab, tied, bits=4)
    return Offered(f"mlx-community/{name}", sizes)


SHORTLIST = (
    _offered("Mistral-7B-Instruct-v0.3-4bit", 4096, 32, 32, 8, 128, 14336, 32768, False),
    _offered("Qwen3-4B-4bit", 2560, 36, 32, 8, 128, 9728, 151936, True),
    _offered("Llama-3.2-3B-Instruct-4bit", 3072, 28, 24, 8, 128, 8192, 128256, True),
    _offered("Qwen2.5-1.5B-Instruct-4bit", 1536, 28, 12, 2, 128, 8960, 151936, True),
    _offered("Llama-3.2-1B-Instruct-4bit", 2048, 16, 32, 8, 64, 8192, 128256, True),
    _offered("Qwen2.5-0.5B-Instruct-4bit", 896, 24, 14, 2, 64, 4864, 151936, True),
)
"""From the largest to the smallest; the first is the usual choice for a Mac with 16 GB."""
