"""What is imported is not looked through for garbage, unless a model may be in memory."""

import gc
import sys
from collections.abc import Iterator

from engine.importing import importing

import pytest


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.mark.parametrize("has_models", [True, False])
def test_what_there_is_is_looked_at_again_where_models_can_be(
    has_models: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python itself says what its collections look at; they go on afterwards either way."""
    gc.unfreeze()
    monkeypatch.delitem(sys.modules, "mlx_lm", raising=False)
    if has_models:
        monkeypatch.setitem(sys.modules, "mlx_lm", pytest)
    with importing():
        assert not gc.isenabled()
        made: list[list[int]] = [[]]
    assert gc.isenabled()
    assert any(each is made for each in gc.get_objects()) is has_models


def test_collections_go_on_after_a_module_that_is_damaged() -> None:
    """It raises what it raised."""
    with pytest.raises(ImportError), importing():
        raise ImportError
    assert gc.isenabled()
