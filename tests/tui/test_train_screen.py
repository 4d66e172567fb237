"""Training from the app: start, watch, pause, resume, fail, finish; and runs of other processes."""

import json
import re

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.project import Project
from engine.training.events import Phase, Usage
from engine.training.state import Status
from tests.support.fake_engine import EACH_SIZE, HOSTILE, ready, sees, sees_no_more, shown, wait_for
from tests.support.fake_run import TOTAL, append, metrics, write_run, write_state
from tests.support.training_screen import Factory, Scripted, open_train, use
from tui.app.app import MqloraApp
from tui.app.screens.shared.verdict_line import VerdictLine
from tui.app.screens.train.log import RunLog

import pytest
from textual.events import Key


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_start_watch_and_pause(app: MqloraApp, size: tuple[int, int]) -> None:
    """Enter starts, the numbers come to the screen, Ctrl+C pauses with the run saved."""
    factory = use(app, Factory())
    async with app.run_test(size=size) as pilot:
        await open_train(pilot)
        await sees(pilot, "Enter starts")
        await pilot.press("enter")
        await wait_for(pilot, lambda: "step 20/60" in shown(app) and "★" in shown(app))
        assert factory.modes == ["auto"]
        text = shown(app)
        for part in ("epoch 1/3", "33 %", "212", "tok/s", "1.26", "25 %", "12 %", "1.90", "● running"):
            assert part in text, part
        assert "engine" in factory.threads[0]
        await pilot.press("ctrl+c")
        await wait_for(pilot, lambda: app.run_state.phase == "pausing")
        factory.gate.set()
        await wait_for(pilot, lambda: "paused at step 20" in shown(app) and "Enter goes on" in shown(app))
        await sees(pilot, "★")


async def test_resume_goes_on_with_the_same_run(app: MqloraApp) -> None:
    """A paused run on disk is shown at once, and Enter resumes it."""
    write_run(app.project, "paused", 42)
    factory = use(app, Factory())
    factory.gate.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_train(pilot)
        await wait_for(pilot, lambda: "step 42/60" in shown(app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: factory.modes == ["auto"])
        await wait_for(pilot, lambda: app.run_state.phase == "finished")


@pytest.mark.parametrize("status", ["failed", "running"])
async def test_a_run_that_saved_nothing_begins_anew(app: MqloraApp, status: Status) -> None:
    """No key promises to go on from a checkpoint; half the micro-batch can be taken all the same."""
    append(app.project, metrics(1))
    write_state(app.project, status, 1)
    TrainingConfig(model="toy").save(app.project.config_file)
    factory = use(app, Factory())
    factory.gate.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_train(pilot)
        await sees(pilot, "Enter begins anew: no checkpoint was saved.", "Enter Start")
        await pilot.press("h")
        await wait_for(pilot, lambda: (factory.modes, factory.halved) == (["auto"], [True]))
        await wait_for(pilot, lambda: app.run_state.phase == "finished")


async def test_a_burst_of_the_same_key_starts_once(app: MqloraApp) -> None:
    """Nobody is told that training runs already."""
    write_run(app.project, "paused", 42)
    factory = use(app, Factory())
    async with app.run_test(size=(80, 24)) as pilot:
        await open_train(pilot)
        for _press in range(4):
            app.post_message(Key("r", "r"))
        await wait_for(pilot, lambda: app.run_state.phase == "running" and factory.modes == ["auto"])
        assert "running already" not in shown(app)
        factory.gate.set()


async def test_restart_asks_first(app: MqloraApp) -> None:
    """R archives only after a yes."""
    write_run(app.project, "finished")
    factory = use(app, Factory())
    factory.gate.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_train(pilot)
        await wait_for(pilot, lambda: app.run_state.phase == "finished")
        await pilot.press("R")
        await wait_for(pilot, lambda: "nothing is deleted" in shown(app))
        await pilot.press("escape")
        assert factory.modes == []
        await pilot.press("R")
        await wait_for(pilot, lambda: "nothing is deleted" in shown(app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: factory.modes == ["restart"])


async def test_the_plan_is_complete_without_a_visit_to_other_places(app: MqloraApp) -> None:
    """The rows are counted for it, as they are for the profiles."""
    async with app.run_test(size=(120, 40)) as pilot:
        await open_train(pilot)
        await wait_for(pilot, lambda: "the longest example has" in shown(app))
        assert "being counted" not in shown(app)


async def test_a_state_that_cannot_be_read_has_a_way_on(app: MqloraApp) -> None:
    """Nothing can go on there; R begins anew, as the refusal of Enter says."""
    app.project.run_dir.mkdir()
    app.project.state_file.write_text("garbage")
    factory = use(app, Factory())
    factory.gate.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_train(pilot)
        await pilot.press("R")
        await wait_for(pilot, lambda: "nothing is deleted" in shown(app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: factory.modes == ["restart"])


async def test_finished_leads_to_chat(app: MqloraApp) -> None:
    """After the last step the verdict stands there, and Enter opens the chat."""
    write_run(app.project, "finished")
    async with app.run_test(size=(120, 40)) as pilot:
        await open_train(pilot)
        await wait_for(pilot, lambda: "Enter: chat" in shown(app) and "100 %" in shown(app))
        assert not app.screen.query_one(RunLog).display  # nothing happened here: the chart has its room
        verdict, main = app.screen.query_one(VerdictLine), app.screen.query_one("#train-main")
        assert main.region.y == verdict.region.bottom + 1
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.current_mode == "chat")


async def test_training_cannot_be_started_twice(app: MqloraApp) -> None:
    """A second start while one is running is refused in words."""
    factory = use(app, Factory())
    async with app.run_test() as pilot:
        await ready(pilot)
        app.training.start(TrainingConfig())
        with pytest.raises(UserError, match="running already"):
            app.training.start(TrainingConfig())
        factory.gate.set()
        await app.training.wait()
        assert len(factory.modes) == 1


async def test_a_refusal_is_shown_with_its_fix(app: MqloraApp) -> None:
    """What the trainer refuses appears with the way out, and the run can be started again."""
    use(app, Factory(Scripted(UserError(f"Data {HOSTILE} is wrong", "mend it"))))
    async with app.run_test(size=(80, 24)) as pilot:
        await open_train(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: "mend it" in shown(app))
        assert "[/INST] [bold]\\x1b[2J" in shown(app).replace("\n", "")
        assert not app.training.is_running


async def test_a_defect_is_one_sentence_and_its_traceback_is_in_the_log(app: MqloraApp) -> None:
    """An unexpected exception does not end the app; the traceback is kept for the report."""
    use(app, Factory(Scripted(Phase("loading"), ZeroDivisionError("division by zero"))))
    async with app.run_test(size=(80, 24)) as pilot:
        await open_train(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: "ZeroDivisionError" in shown(app))
        await sees_no_more(pilot, "Traceback")
    assert "Traceback" in app.project.log_file.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_everything_fits(app: MqloraApp, size: tuple[int, int]) -> None:
    """At each size nothing important is cut: judgement of the gap, memory, what was spent, epochs, keys."""
    usage = Usage(padding=1.0, shapes=16, evaluation=1.0)
    write_run(app.project, "paused", TOTAL - 2, usage=usage, initial_val_loss=3.6)  # the gap grows by 0.3
    async with app.run_test(size=size) as pilot:
        await open_train(pilot)
        await wait_for(pilot, lambda: "step 58/60" in shown(app))
        text = shown(app)
        assert text.count("100 %") == 2 and re.search(r"shapes +16", text)
        for part in ("! attention", " GB", "epoch 3", "Enter Resume", "q Quit", "left"):
            await sees(pilot, part)


async def test_the_log_keeps_what_happened(app: MqloraApp) -> None:
    """Checkpoints and the best validation leave a line with the time."""
    factory = use(app, Factory())
    factory.gate.set()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_train(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.run_state.phase == "finished")
        log = app.screen.query_one(RunLog)
        await wait_for(pilot, lambda: len(log.lines) >= 5)
        text = "\n".join(line.text for line in log.lines)
        assert "★ best validation loss so far 1.90" in text
        assert "✓ checkpoint_epoch0_step20 saved in 0.2 s" in text
        assert "CPU [/INST] \\x1b[31m" in text.replace("\n", "")


@pytest.mark.parametrize("size", EACH_SIZE)
@pytest.mark.parametrize("key", ["enter", "R"])
async def test_settings_selected_beside_a_paused_run(
    project: Project, size: tuple[int, int], key: str
) -> None:
    """It is said which differ before a key is pressed: one goes on with the run's, the other takes them."""
    write_run(project, "paused", 30)
    own = TrainingConfig.load(project.config_file)
    state = json.dumps({"config": own.model_dump(mode="json")})
    (project.run_dir / "checkpoint_epoch1_step30" / "state.json").write_text(state)
    wanted = own.updated({"batch_size": 3})
    wanted.save(project.config_file)
    app = MqloraApp(project)
    factory = use(app, Factory())
    async with app.run_test(size=size) as pilot:
        await open_train(pilot)
        differ = (
            f"differ from the run's: batch_size {own.batch_size} -> 3. R begins anew with them; Enter goes on"
        )
        await wait_for(pilot, lambda: differ in " ".join(shown(app).split()))
        await pilot.press(*([key] if key == "enter" else [key, "enter"]))
        await wait_for(pilot, lambda: bool(factory.modes))
        expected = ("auto", None) if key == "enter" else ("restart", wanted)
        assert (factory.modes[0], factory.configs[0]) == expected
        factory.gate.set()
        await app.training.wait()
