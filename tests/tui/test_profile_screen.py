"""2 Profile: three offers, one recommended, and a form for every value."""

import io
from collections import defaultdict
from dataclasses import replace

from engine.config import TrainingConfig
from engine.profiles import PROFILES, profile_config
from engine.project import Project
from engine.setting_words import help_text
from engine.training.named_configs import named_configs, save_named
from tests.support.fake_engine import (
    EACH_SIZE,
    FakeEngine,
    pretend,
    ready,
    sees,
    sees_no_more,
    shown,
    wait_for,
)
from tests.support.form import field, form, note, opened
from tui.app.app import MqloraApp
from tui.app.screens.profile.card import ProfileCard
from tui.app.screens.profile.config_field import ConfigField
from tui.app.screens.profile.config_form import ConfigForm
from tui.app.screens.profile.config_summary import summary
from tui.app.screens.profile.profile import CUSTOM, ProfileScreen
from tui.app.screens.shared.choice import Pick
from tui.app.screens.shared.dialog import ConfirmScreen
from tui.app.theme import teach

import pytest
from rich.console import Console
from textual.widgets import Button, Input


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_three_profiles_and_one_is_marked_in_words(app: MqloraApp, size: tuple[int, int]) -> None:
    """Every profile has a card with its price; the recommended one says so."""
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        text = shown(app)
        assert all(name in text for name in (*PROFILES, "Custom"))
        assert text.count("recommended ◂") == 1
        assert text.count("expected ") == len(PROFILES)


async def test_a_profile_that_does_not_fit_says_so_in_words(app: MqloraApp, engine: FakeEngine) -> None:
    """On a machine without memory each card shows the alarm symbol and words."""
    object.__setattr__(engine.hardware, "memory_available", 1_000)
    async with app.run_test() as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: shown(app).count("✗ needs more") == len(PROFILES))


async def test_the_arrows_choose_and_enter_saves(app: MqloraApp, project: Project) -> None:
    """Right, then Enter: the larger profile is written to the project and the data comes next."""
    async with app.run_test() as pilot:
        screen = await opened(pilot)
        screen.selected = 1
        await pilot.press("right", "enter")
        await wait_for(pilot, lambda: app.current_mode == "data")
    saved = TrainingConfig.load(project.config_file)
    assert PROFILES["PERFORMANCE"].items() <= saved.model_dump().items()


async def test_a_profile_is_taken_as_it_is_named(app: MqloraApp, project: Project) -> None:
    """Values of one's own are told, and on a profile's card that it replaces them; the model stays."""
    own = profile_config("SAFE", TrainingConfig(model="toy", max_steps=12, answers_percent=100))
    project.make_run_dir()
    app.choose_config(own)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot)
        await wait_for(pilot, lambda: screen.selected == CUSTOM)
        await sees(pilot, "max_steps 0 -> 12, answers_percent 5 -> ", "· Custom ")
        card = list(screen.query(ProfileCard))[CUSTOM]
        await wait_for(pilot, lambda: [name for name, _value in card.figures][1:] == ["time", "epoch"])
        await pilot.press("left", "left")
        await sees(pilot, "replaces yours", "answers_percent 100 -> 5")
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.current_mode == "data")
    assert TrainingConfig.load(project.config_file) == TrainingConfig(model="toy", **PROFILES["BALANCED"])


async def test_kept_values_are_renamed_deleted_and_brought_back(app: MqloraApp, project: Project) -> None:
    """From the list of them; a deleted one is asked about, and comes back."""
    for name in ("fast", "slow"):
        save_named(project, name, TrainingConfig())

    def kept() -> list[str]:
        return [one.name for one in named_configs(project)]

    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("l")
        await sees(pilot, "Kept values", "fast", "slow", "m Rename", "D Delete")
        await pilot.press("down", "D")
        await sees(pilot, "Delete these values?", "slow goes from the folder configurations/")
        await pilot.press("enter")
        await sees(pilot, "slow is deleted; z brings it back.")
        assert kept() == ["fast"]
        await pilot.press("z")
        await wait_for(pilot, lambda: kept() == ["fast", "slow"])
        await pilot.press("m")
        await sees(pilot, "Enter takes it, Esc leaves")
        await pilot.press("end", "2", "enter")
        await wait_for(pilot, lambda: kept() == ["fast", "slow2"])


async def test_the_selected_card_points_at_itself(app: MqloraApp) -> None:
    """The selection is a pointer in the title, not only a colour, and stops at the ends."""
    async with app.run_test() as pilot:
        screen = await opened(pilot)
        await pilot.press(*["right"] * 6)
        await wait_for(pilot, lambda: screen.selected == CUSTOM)
        titles = [str(card.border_title) for card in screen.query(ProfileCard)]
        assert [title.startswith("▸") for title in titles] == [False, False, False, True]


async def test_a_new_price_does_not_move_the_selection(app: MqloraApp) -> None:
    """Looking at the data in between leaves the card that was chosen."""
    async with app.run_test() as pilot:
        screen = await opened(pilot)
        await pilot.press("left")
        chosen = screen.selected
        await pilot.press("3")
        assert app.recommendation is not None
        app.recommendation = replace(app.recommendation, reason="Another price.")
        await opened(pilot)
        assert screen.selected == chosen == 0


async def test_a_folder_that_cannot_be_written_is_named(app: MqloraApp, project: Project) -> None:
    """Choosing a profile on a full or read-only disk says so and stays."""
    project.run_dir.write_text("a file where the folder should be")
    async with app.run_test() as pilot:
        await opened(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: "Cannot write" in shown(app))
        assert app.current_mode == "profile"


async def test_the_meaning_of_a_profile_is_counted_from_the_data(app: MqloraApp) -> None:
    """Steps, examples a step and the longest example come from configuration and data report."""
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("3")
        await wait_for(pilot, lambda: app.data is not None)
        screen = await opened(pilot)
        screen.selected = 1
        await wait_for(pilot, lambda: "4 examples a step" in shown(app))
        # 40 examples at 4 a step, 3 epochs.
        assert any("steps" in line and " 30 " in line for line in shown(app).splitlines())
        await sees(pilot, "longest example has 371: 1 is cut")


async def test_a_paused_run_is_not_given_up_unasked(app: MqloraApp, project: Project) -> None:
    """Another profile needs a yes while a run with other values is paused."""
    async with app.run_test() as pilot:
        screen = await opened(pilot)
        pretend(app, "paused", 7, app.config)
        screen.selected = 0
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await sees(pilot, "paused at step 7")
        await pilot.press("escape")
        await wait_for(pilot, lambda: app.screen is screen)
        assert not project.config_file.exists()
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("enter")
        await wait_for(pilot, project.config_file.exists)


async def test_the_settings_of_a_paused_run_stay_in_sight(app: MqloraApp, project: Project) -> None:
    """The first line names them; of the cards one is the run's, one the next run's, and back needs no yes."""
    own = profile_config("SAFE", app.config)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot)
        pretend(app, "paused", 7, own)
        await wait_for(pilot, lambda: app.run_state.config == own)
        screen.selected = 2
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await sees(pilot, "keeps its own values")
        await pilot.press("enter")
        await wait_for(pilot, project.config_file.exists)
        await pilot.press("2")
        await wait_for(pilot, lambda: app.screen is screen)
        await sees(pilot, "· SAFE ", "in use", "next run")
        screen.selected = 0
        await pilot.press("enter")
        await wait_for(pilot, lambda: TrainingConfig.load(project.config_file) == own)
        await pilot.press("2")
        await sees_no_more(pilot, "next run")


async def test_values_cannot_change_under_a_running_training(app: MqloraApp, project: Project) -> None:
    """While training another profile is refused, with the way out."""
    async with app.run_test() as pilot:
        screen = await opened(pilot)
        pretend(app, "running")
        await wait_for(pilot, lambda: app.run_state.is_training)
        screen.selected = 0
        await pilot.press("enter")
        await wait_for(pilot, lambda: "press Ctrl+C to pause it first" in shown(app))
        assert not project.config_file.exists()


async def test_the_form_has_every_value(app: MqloraApp) -> None:
    """Each field of the configuration has a row with its name, help and present value."""
    async with app.run_test() as pilot:
        screen = await form(pilot)
        assert [row.field for row in screen.query(ConfigField)] == list(TrainingConfig.model_fields)
        assert note(field(screen, "batch_size")) == help_text("batch_size")
        assert field(screen, "max_seq_length").value == str(app.config.max_seq_length)


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_a_wrong_value_is_named_below_its_field_while_typing(
    app: MqloraApp, size: tuple[int, int]
) -> None:
    """The reason appears as one types and goes away when the value is right again."""
    async with app.run_test(size=size) as pilot:
        screen = await form(pilot)
        row = field(screen, "batch_size")
        row.editor.focus()
        await pilot.press("end", "9", "9", "9")
        await wait_for(pilot, lambda: "a whole number, at least 1, at most 256" in note(row))
        await pilot.press("backspace", "backspace", "backspace")
        await wait_for(pilot, lambda: note(row) == help_text("batch_size"))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("learning_rate", "3e-4", 3e-4),
        ("lora_targets", "q_proj v_proj", ("q_proj", "v_proj")),
        ("seed", "42", 42),
        ("warmup_ratio", "0.1", 0.1),
    ],
)
async def test_what_is_typed_is_saved(
    app: MqloraApp, project: Project, name: str, text: str, value: object
) -> None:
    """ctrl+s writes the typed value to the project, and the app uses it."""
    async with app.run_test() as pilot:
        screen = await form(pilot)
        editor = field(screen, name).editor
        assert isinstance(editor, Input)
        editor.value = text
        await pilot.press("ctrl+s")
        await wait_for(pilot, project.config_file.exists)
        assert getattr(TrainingConfig.load(project.config_file), name) == value
        assert getattr(app.config, name) == value


async def test_choices_are_saved_too(app: MqloraApp, project: Project) -> None:
    """Lists and yes-or-no values go the same way as typed ones; the Save button saves."""
    async with app.run_test() as pilot:
        screen = await form(pilot)
        for name, value in {"lr_schedule": "linear", "mask_history": True, "model": "toy"}.items():
            editor = field(screen, name).editor
            assert isinstance(editor, Pick)
            editor.value = value
        screen.query_one("#save", Button).focus()
        await pilot.press("enter")
        await wait_for(pilot, project.config_file.exists)
        saved = TrainingConfig.load(project.config_file)
        assert (saved.lr_schedule, saved.mask_history, saved.model) == ("linear", True, "toy")


async def test_a_wrong_value_cannot_be_saved(app: MqloraApp, project: Project) -> None:
    """Saving goes to the wrong field instead, even if that is out of sight."""
    async with app.run_test() as pilot:
        screen = await form(pilot)
        row = field(screen, "keep_checkpoints")
        assert isinstance(row.editor, Input)
        row.editor.value = "[/INST] [bold]"
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: row.editor.has_focus)
        await wait_for(pilot, lambda: "✗ Value" in shown(app))
        assert "'[/INST] [bold]'" in note(row)
        assert app.screen is screen and not project.config_file.exists()


async def test_values_that_do_not_go_together_are_not_saved(app: MqloraApp, project: Project) -> None:
    """Each is right by itself: the last of those changed says why; with another one beside it it is saved."""
    async with app.run_test() as pilot:
        screen = await form(pilot)
        kind, optimizer = field(screen, "fine_tune_type"), field(screen, "optimizer")
        assert isinstance(kind.editor, Pick) and isinstance(optimizer.editor, Pick)
        kind.editor.value, optimizer.editor.value = "dora", "muon"
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: optimizer.editor.has_focus and "does not go with" in note(optimizer))
        assert app.screen is screen and not project.config_file.exists()
        optimizer.editor.value = "lion"
        await wait_for(pilot, lambda: note(optimizer) == help_text("optimizer"))
        await pilot.press("ctrl+s")
        await wait_for(pilot, project.config_file.exists)
        assert TrainingConfig.load(project.config_file).fine_tune_type == "dora"


async def test_escape_leaves_everything_as_it_was(app: MqloraApp, project: Project) -> None:
    """Cancelling writes nothing."""
    async with app.run_test() as pilot:
        await form(pilot)
        before = app.config
        await pilot.press("escape")
        await wait_for(pilot, lambda: isinstance(app.screen, ProfileScreen))
        assert app.config == before and not project.config_file.exists()
        assert not app.notice


async def test_the_form_is_walked_with_the_arrow_keys(app: MqloraApp) -> None:
    """Down and up go from field to field, through the lists of choices as well."""
    async with app.run_test() as pilot:
        screen = await form(pilot)
        rows = list(screen.query(ConfigField))
        rows[0].editor.focus()
        await pilot.press("down")
        await wait_for(pilot, lambda: rows[1].editor.has_focus)
        await pilot.press("up")
        await wait_for(pilot, lambda: rows[0].editor.has_focus)
        await wait_for(pilot, lambda: [row.has_class("-active") for row in rows[:2]] == [True, False])


def test_what_is_unusual_is_named_among_what_a_configuration_means() -> None:
    """DoRA, and the adapter to go on from, as text, whatever is in it; nothing of one without it."""
    console = Console(width=80, record=True, file=io.StringIO())
    teach(console, defaultdict(lambda: "#808080"))
    console.print(summary(TrainingConfig(), None, None))
    usual = console.export_text(clear=True)
    assert "goes on from" not in usual and "DoRA" not in usual
    console.print(summary(TrainingConfig(fine_tune_type="dora"), None, None))
    assert "DoRA: the length of each row" in console.export_text(clear=True)
    console.print(summary(TrainingConfig(init_adapter="given[red]\x1b[2J"), None, None))
    told = console.export_text()
    assert "goes on from" in told and "given[red]\\x1b[2J" in told


async def test_the_next_field_is_the_next_one_also_before_it_has_its_place(app: MqloraApp) -> None:
    """Keys may come between the mounting of the later fields and the layout that places them."""
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        screen = ConfigForm(app.config, app.project)
        await app.push_screen(screen)
        await wait_for(pilot, lambda: screen.focused is not None)
        names = list(TrainingConfig.model_fields)
        for name in names[1:15]:
            await screen.action_move(1)
            assert screen.focused is field(screen, name).editor, name
        await screen.action_move(-1)
        assert screen.focused is field(screen, names[13]).editor
        await screen.action_move(-1)
        assert screen.focused is field(screen, names[12]).editor
