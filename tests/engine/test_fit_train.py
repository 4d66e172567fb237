"""What a run makes of too little memory: refused before anything is loaded, or warned of."""

from engine.backend import mx
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


def test_what_does_not_go_together_is_refused_before_memory_is_looked_at(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what is proposed for memory would be refused in its turn."""
    machine_has(monkeypatch, 90_000, 100_000)
    with pytest.raises(UserError, match=r"gradient_checkpointing=on does not go with lora_dropout=0\.1"):
        train(project, RUN.updated({"gradient_checkpointing": "on", "lora_dropout": 0.1}))


@pytest.mark.parametrize(("peak", "times"), [(2 * GB, 1), (GB // 2, 0)])
def test_a_run_says_once_that_it_took_more_than_it_may(
    project: Project, monkeypatch: pytest.MonkeyPatch, peak: int, times: int
) -> None:
    """What was predicted is within 15 %, and a limit is a promise."""
    monkeypatch.setattr(mx, "get_peak_memory", lambda: peak)
    events = train(project, RUN.updated({"num_epochs": 1, "max_memory_gb": 1.0}))
    told = [
        event.message for event in events if isinstance(event, Notice) and "max_memory_gb" in event.message
    ]
    assert len(told) == times and isinstance(events[-1], Finished)
    assert all(text.startswith("MLX has taken 2.0 GB, and max_memory_gb allows 1.0 GB") for text in told)
