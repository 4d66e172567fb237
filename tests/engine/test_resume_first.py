"""A run that was cut off before its first checkpoint."""

from pathlib import Path
from threading import Event as StopEvent

from engine.config import TrainingConfig
from engine.project import Project
from engine.training.events import Phase, Started
from engine.training.trainer import Trainer
from tests.support.tiny import RUN, tiny_project, train


def test_it_begins_again_with_its_own_configuration(tmp_path: Path) -> None:
    """`train` without options means the run that was begun, not the defaults."""
    project = Project(tmp_path)
    tiny_project(tmp_path)
    begun = Trainer(project, RUN, StopEvent()).run()
    assert any(isinstance(event, Phase) and event.name == "validating" for event in begun)
    begun.close()
    events = train(project, None, until=lambda event: isinstance(event, Started))
    started = next(event for event in events if isinstance(event, Started))
    assert started.step == 0 and started.total_steps == 12
    assert TrainingConfig.load(project.config_file) == RUN
