"""Deciding on a configuration: what follows from it while it is typed, and those kept under names."""

from engine.config import TrainingConfig
from engine.project import Project
from engine.training.named_configs import named_configs
from tests.support.fake_engine import HOSTILE, FakeEngine, sees, sees_no_more, shown, wait_for
from tests.support.form import field, form, opened
from tui.app.app import MqloraApp

from textual.widgets import Input


async def test_what_follows_is_shown_while_values_are_typed(app: MqloraApp, engine: FakeEngine) -> None:
    """Step, steps of the run, memory, learning rate, the one advised, what differs from the profile."""
    app.config = app.config.updated({"model": "toy"})
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await form(pilot)
        await sees(pilot, "2 × 2 = 4 examples a step · 30 steps", "expected; ", "BALANCED as it is")
        await sees(pilot, "peak 2e-4, advised 2e-4")
        editor = field(screen, "gradient_accumulation").editor
        assert isinstance(editor, Input)
        editor.value = "8"
        await sees(pilot, "2 × 8 = 16 examples a step · 9 steps", "peak 2e-4, advised 4e-4")
        await sees(pilot, "BALANCED gradient_accumulation 2 -> 8")
        editor.value = "x"
        await sees(pilot, "Some value is wrong")
        await sees_no_more(pilot, "examples a step")


async def test_steps_are_there_without_a_visit_to_the_data(app: MqloraApp, engine: FakeEngine) -> None:
    """The rows are counted in the background as soon as the profiles are looked at."""
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: len(engine.data_configs) == 1 and app.data is not None)
        await sees(pilot, "longest example has 371")
        assert any("steps" in line and " 30 " in line for line in shown(app).splitlines())


async def test_values_are_kept_under_a_name_and_come_back(app: MqloraApp, project: Project) -> None:
    """A name that cannot be is refused, a taken one asks; what cannot be loaded says why."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("l")
        await sees(pilot, "No configuration is kept under a name yet.")
        screen.selected = 0
        await pilot.press("s", "enter")
        await sees(pilot, "The name is empty")
        assert ".." not in shown(app)
        await pilot.press(*"try", "enter")
        await sees(pilot, "Kept as try; l lists what is kept.")
        screen.selected = 2
        await pilot.press("s", *"try", "enter")
        await sees(pilot, "There is a configuration try already.")
        await pilot.press("escape")
        [kept] = named_configs(project)
        assert kept.config is not None and kept.config.num_epochs == 1
        (project.configs_dir / "a[b].json").write_text(f'{{"{HOSTILE}": 1}}'.replace("\x1b", "\\u001b"))
        await pilot.press("l")
        await sees(pilot, "a[b]", "Unknown key '[/INST] [bold]\\x1b[2J")
        assert ".." not in shown(app)
        await pilot.press("enter", "down")
        await sees(pilot, "SAFE: 1 × 4 a step, 256 tokens, rate 1e-4, rank 8")
        await pilot.press("enter")
        await wait_for(pilot, project.config_file.exists)
        assert TrainingConfig.load(project.config_file) == kept.config == app.config
