"""What a run makes of too little memory: refused before anything is loaded, or warned of."""

from engine.errors import UserError
from engine.memory.predict import MemoryBudget
from engine.project import Project
from engine.training.events import Finished, Notice
from tests.support.tiny import RUN, train

import pytest

GB = 1_000_000_000


def machine_has(monkeypatch: pytest.MonkeyPatch, free: int, total: int) -> None:
    """Let the machine have so much memory when a run begins."""
    monkeypatch.setattr("engine.training.setup.read_budget", lambda limit: MemoryBudget("cpu", free, total))


def test_a_run_that_cannot_fit_is_refused_before_anything_is_loaded(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base model is not even opened, and nothing of an earlier run is touched."""
    machine_has(monkeypatch, 90_000, 100_000)
    monkeypatch.setattr("engine.training.setup.load_base", lambda *_args, **_options: pytest.fail("opened"))
    with pytest.raises(UserError, match=r"would need about .* and there is 100 kB"):
        train(project)
    assert not list(project.run_dir.glob("checkpoint*"))


def test_a_run_short_of_free_memory_is_warned_of(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins: other programs may give theirs back."""
    machine_has(monkeypatch, 90_000, 64 * GB)
    events = train(project, RUN.updated({"num_epochs": 1}))
    warnings = [event.message for event in events if isinstance(event, Notice) and event.level == "warning"]
    assert any("90.0 kB is free" in text for text in warnings)
    assert isinstance(events[-1], Finished)
