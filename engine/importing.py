"""What is imported is never garbage, so nobody looks for garbage in it.

Python's full collections go through every object there is, some 0.1 s once transformers and MLX are imported,
in which no other thread runs: neither the one that draws nor the one that trains.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


@contextmanager
def without(package: str) -> Iterator[None]:
    """Let the modules that are imported meanwhile find that a package is not installed, unless it is in use.

    transformers imports PyTorch where it finds it, which takes seconds, and nothing here computes with it.
    """
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # as Python's own mark for what must not be found
    try:
        yield
    finally:
        del sys.modules[package]


def run_when_asked(package: str) -> None:
    """Let the modules of a package be imported, and its own code run when a name of the package is asked for.

    That of transformers.models reads 1,600 files for the names in them, 0.4 s, which transformers itself
    has done by then. `importlib.util.LazyLoader` would run it with the first module.
    """
    spec = None if package in sys.modules else find_spec(package)
    if spec is None or (loader := spec.loader) is None:
        return
    module = sys.modules[package] = module_from_spec(spec)

    @cache
    def run() -> ModuleType:
        loader.exec_module(module)
        return sys.modules[package]  # its code may have put another in its place

    def find(name: str) -> Any:
        if (found := run()) is module:
            raise AttributeError(name)
        return getattr(found, name)

    module.__getattr__ = find  # type: ignore[method-assign]


@contextmanager
def importing() -> Iterator[None]:
    """Look for no garbage while modules are imported, and never again in what there is by then.

    Once mlx-lm is there, which loads models, what there is will be looked at: a model's parts refer to
    each other, and would stay for ever.
    """
    gc.disable()
    try:
        yield
    finally:
        if "mlx_lm" not in sys.modules:
            gc.freeze()
        gc.enable()
