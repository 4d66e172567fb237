"""What a run makes of too little memory: refused before anything is loaded, or warned of."""

from engine.backend import nn
from engine.errors import UserError
from engine.memory.predict import MemoryBudget
from engine.model import lm_head
from engine.model.frozen_linear import FrozenLinear
from engine.model.matmul_timings import MatmulMode
from engine.project import Project
from engine.training import loss, scores, setup
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


def test_an_embedding_that_is_the_head_is_written_out_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For steps and validations together: at 49,152 words it takes 113 MB on a CPU."""
    made: list[FrozenLinear | None] = []
    original = lm_head.plain_head

    def counted(model: nn.Module, modes: dict[str, MatmulMode]) -> FrozenLinear | None:
        made.append(original(model, modes))
        return made[-1]

    for module in (setup, loss, scores):
        monkeypatch.setattr(module, "plain_head", counted)
    events = train(project, RUN.updated({"num_epochs": 1}))
    assert isinstance(events[-1], Finished) and len(made) == 1 and made[0] is not None
