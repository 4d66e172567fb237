"""What the report suggests is done by a key: what its command would do."""

from pathlib import Path

from engine.analysis.summary import summarise
from engine.analysis.verdict import judge
from engine.config import TrainingConfig
from engine.project import Project
from tests.support.fake_engine import SIZES, ready, sees, wait_for
from tests.support.fake_run import write_run
from tests.support.run_files import write_checkpoint
from tests.support.run_kinds import KINDS, write_kind
from tests.support.training_screen import Factory, use
from tui.app.app import MqloraApp
from tui.app.screens.report.suggestions import suggestions_of

import pytest


@pytest.fixture(autouse=True)
def no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing."""
    monkeypatch.setattr("tui.app.screens.report.report.charts_are_old", lambda *_run: False)


@pytest.mark.parametrize("kind", ["still falling", "overfitted", "all zero", "odd last steps", "blown up"])
def test_each_command_of_an_advice_has_a_key(tmp_path: Path, kind: str) -> None:
    """With the same values; what can be done with the result comes after that."""
    assert kind in KINDS
    project, _course = write_kind(tmp_path, kind)
    verdict = judge(summarise(project))
    commands = list(dict.fromkeys(advice.command for advice in verdict.advice if advice.command))
    found = suggestions_of(verdict)
    assert commands and len(found) >= len(commands)
    for suggestion, command in zip(found, commands, strict=False):
        if suggestion.values is None:
            assert "--restart" not in command and suggestion.action.startswith("app.")
        else:
            sets = [f"--set {name}={value}" for name, value in suggestion.values.items()]
            assert command == " ".join(["mqlora-tui train --restart", *sets])


async def test_a_paused_run_goes_on(app: MqloraApp) -> None:
    """On the Train screen, which was never open."""
    write_run(app.project, "paused", 30)
    write_checkpoint(app.project, 9, 31, {})
    factory = use(app, Factory())
    async with app.run_test(size=SIZES[0]) as pilot:
        await ready(pilot)
        app.switch_mode("report")
        await sees(pilot, "n go on with the run")
        await pilot.press("n")
        await wait_for(pilot, lambda: factory.modes)
        assert app.current_mode == "train" and factory.modes == ["auto"]
        factory.gate.set()


async def test_another_run_is_begun_with_other_values(app: MqloraApp, project: Project) -> None:
    """After a question; the values are then those selected."""
    write_kind(project.root, "still falling")
    factory = use(app, Factory())
    async with app.run_test(size=SIZES[0]) as pilot:
        await ready(pilot)
        app.switch_mode("report")
        await sees(pilot, "n train anew with num_epochs 4")
        await pilot.press("n")
        await sees(pilot, "Suggested: train anew with num_epochs 4.", "run moves to")
        assert not factory.modes
        await pilot.press("enter")
        await wait_for(pilot, lambda: factory.modes)
        config = factory.configs[0]
        assert factory.modes == ["restart"] and config and config.num_epochs == 4
        assert TrainingConfig.load(project.config_file).num_epochs == 4 and app.current_mode == "train"
        factory.gate.set()
