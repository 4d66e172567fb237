"""What is imported is never garbage, so nobody looks for garbage in it.

Python's full collections go through every object there is, some 0.1 s once transformers and MLX are imported,
in which no other thread runs: neither the one that draws nor the one that trains.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def importing(holds_model: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Look for no garbage while modules are imported, and never again in what there is by then.

    Args:
        holds_model: whether a model may be in memory; then what there is will be looked at, as a model's
            parts refer to each other and would stay for ever.
    """
    gc.disable()
    try:
        yield
    finally:
        if not holds_model():
            gc.freeze()
        gc.enable()
