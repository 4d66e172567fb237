"""Reading a prompt into a model's cache in portions, between which it can be watched and stopped.

MLX computes in native code that nothing interrupts, so a portion takes a fraction of a
second on every machine. On a CPU small portions are no slower than mlx-lm's 2048 tokens:
32 to 128 gave 127-175 tokens/s, 1024 gave 109-127 (SmolLM2-135M in float32, one core).
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from engine.backend import mx, nn

from mlx_lm.generate import generation_stream, wired_limit

_SECONDS = 0.4
"""What a portion shall take."""
FIRST_PORTION = 16
"""Tokens of a prompt that are read at first, to see how fast that goes."""
_LEAST = 8
_MOST = 2048
"""Tokens of a portion; the most is mlx-lm's own."""
_GROWTH = 8


class PromptReader:
    """Reads prompts; knows from those before how many tokens this machine reads in so short a time."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._portion = FIRST_PORTION

    def read(self, tokens: Sequence[int], cache: list[Any]) -> Iterator[int]:
        """Put `tokens` into `cache` and yield after each portion how many are in it.

        Args:
            tokens: of the prompt, without the last: the reply begins with what the model makes of that.
            cache: from mlx-lm's `make_prompt_cache`; empty.
        """
        done = 0
        with wired_limit(self._model, [generation_stream]):
            while portion := tokens[done : done + self._portion]:
                begin = time.monotonic()
                with mx.stream(generation_stream):
                    self._model(mx.array(portion)[None], cache=cache)
                    mx.eval([layer.state for layer in cache])
                mx.clear_cache()
                done += len(portion)
                if len(portion) == self._portion:
                    self._portion = next_portion(self._portion, time.monotonic() - begin)
                yield done


def next_portion(tokens: int, seconds: float) -> int:
    """Return the power of two that comes near `_SECONDS`, after `tokens` have taken `seconds`."""
    wanted = min(tokens * _SECONDS / max(seconds, 1e-6), tokens * _GROWTH)
    return max(_LEAST, min(_MOST, 1 << max(0, int(wanted).bit_length() - 1)))
