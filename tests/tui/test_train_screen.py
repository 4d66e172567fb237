"""Training from the app: start, watch, pause, resume, fail, finish; and runs of other processes."""

import json
import math
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.project import Project
from engine.training.events import Event, Notice, Paused, Phase, StepDone, Usage
from engine.training.state import Status
from tests.support.fake_engine import EACH_SIZE, HOSTILE, ready, sees, sees_no_more, shown, wait_for
from tests.support.fake_run import LIMIT_S, TOTAL, USAGE, append, metrics, write_run, write_state
from tests.support.tiny import owned_by
from tests.support.training_screen import Factory, Scripted, open_train, use
from tui.app.app import MqloraApp
from tui.app.screens.shared.verdict_line import VerdictLine
from tui.app.screens.train.log import RunLog
from tui.app.screens.train.loss_plot import LossPlot
from tui.app.screens.train.train import TrainScreen
from tui.run.outbox import Outbox

import pytest
from textual.events import Key
from textual.pilot import Pilot


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


async def test_stages_before_the_first_step_are_visible(app: MqloraApp) -> None:
    """Loading and the first validation say how far they are."""
    gate = threading.Event()

    class Slow(Scripted):
        def run(self) -> Iterator[Event]:
            yield from super().run()
            gate.wait(LIMIT_S)

    use(app, Factory(Slow(Phase("loading"), Phase("validating", 3, 12))))
    async with app.run_test(size=(80, 24)) as pilot:
        await open_train(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: "validating" in shown(app) and "3 of 12" in shown(app))
        gate.set()


async def sees_twice(pilot: Pilot[int], text: str) -> None:
    await wait_for(pilot, lambda: shown(pilot.app).count(text) == 2)


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_stages_of_a_resume_are_visible(app: MqloraApp, size: tuple[int, int]) -> None:
    """As plainly as those of a fresh start, although there is a curve; nothing is judged meanwhile."""
    gates = [threading.Event() for _ in range(4)]
    phases = Phase("checking"), Phase("tokenizing"), Phase("loading"), Phase("restoring", step=30)

    class Resumed:
        def run(self) -> Iterator[Event]:
            for phase, gate in zip(phases, gates, strict=True):
                yield phase
                gate.wait(LIMIT_S)

    write_run(app.project, "paused", 30)
    use(app, Factory(Resumed()))
    async with app.run_test(size=size) as pilot:
        await open_train(pilot)
        await pilot.press("enter")
        words = "checking the checkpoint", "reading and tokenizing", "loading the model", "back to step 30"
        for text, gate in zip(words, gates, strict=True):
            await sees_twice(pilot, text)  # in sentence and progress
            assert "Getting ready: " in shown(app) and "Learning" not in shown(app)
            gate.set()


@pytest.mark.parametrize("end", ["pause", "refusal"])
async def test_the_end_is_reported_when_the_run_can_go_on(
    app: MqloraApp, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Not while the trainer still closes its files: whoever reads of a pause may press Enter at once."""
    closing, gate = threading.Event(), threading.Event()
    paused = Paused(7, app.project.run_dir / "checkpoint_epoch0_step7")

    class Closing:
        def run(self) -> Iterator[Event]:
            yield Phase("loading")
            try:
                if end == "refusal":
                    raise UserError("Data are wrong", "mend them")
                yield paused
            finally:
                closing.set()
                gate.wait(LIMIT_S)

    write_run(app.project, "paused", 7)
    use(app, Factory(Closing()))
    async with app.run_test(size=(120, 40)) as pilot:
        await open_train(pilot)
        app.training.start(TrainingConfig())
        await wait_for(pilot, closing.is_set)
        screen = app.screen
        assert isinstance(screen, TrainScreen)
        log, expected = screen.query_one(RunLog), "step7" if end == "pause" else "mend them"
        assert expected not in shown(app) and not app.screen.check_action("resume", ())
        offered: list[bool] = []

        def seeing(original: Callable[[Any], None]) -> Callable[[Any], None]:
            def seen(item: Any) -> None:
                offered.append(bool(app.screen.check_action("resume", ())))
                original(item)

            return seen

        monkeypatch.setattr(log, "add", seeing(log.add))
        monkeypatch.setattr(screen, "show_error", seeing(screen.show_error))
        gate.set()
        await wait_for(pilot, lambda: offered)
        assert offered == [True]


async def test_losses_that_are_no_numbers_are_survived(app: MqloraApp) -> None:
    """Not a finite loss in the file, infinite ones in events: the plot shows the rest."""
    app.project.run_dir.mkdir(parents=True)
    for step, loss in enumerate((3.0, math.nan, math.inf, -math.inf, 2.0), start=1):
        append(app.project, metrics(step, loss))
    write_state(app.project, "paused", 5, initial_val_loss=math.inf, best_step=None, best_val_loss=None)
    odd = StepDone(metrics(6, math.inf), Usage())
    use(app, Factory(Scripted(odd, Notice("warning", HOSTILE))))
    async with app.run_test(size=(120, 40)) as pilot:
        await open_train(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: "\\x1b[2J" in shown(app))
        await sees(pilot, "[/INST] [bold]")
        assert app.screen.query_one(LossPlot).text


async def test_a_run_of_another_process_is_followed(app: MqloraApp) -> None:
    """Its steps appear from the files; starting here is refused."""
    parent = os.getppid()
    write_run(app.project, "running", 30)
    factory = use(app, Factory())
    with owned_by(app.project, parent):
        async with app.run_test(size=(80, 24)) as pilot:
            await follow_the_other(pilot, app, parent)
    assert factory.modes == []


async def follow_the_other(pilot: Pilot[int], app: MqloraApp, parent: int) -> None:
    await open_train(pilot)
    await wait_for(pilot, lambda: f"Process {parent} trains" in shown(app) and "step 30/60" in shown(app))
    await pilot.press("enter")
    append(app.project, metrics(31))
    write_state(
        app.project,
        "running",
        31,
        last_checkpoint="checkpoint_epoch1_step31",
        usage=USAGE,
    )
    await wait_for(
        pilot, lambda: "step 31/60" in shown(app) and "checkpoint_epoch1_step31 saved" in shown(app)
    )
    for part in ("padding 25 %", "shapes 3", "eval 12 %"):
        await sees(pilot, part)
    with pytest.raises(UserError, match=str(parent)):
        app.training.start(TrainingConfig())


async def test_ctrl_c_pauses_a_run_of_another_process(
    app: MqloraApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process is asked to pause; one on another machine is left alone."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr("os.kill", lambda pid, number: asked.append((pid, number)))
    monkeypatch.setattr("tui.run.other_process.may_train", lambda _process, _lock: True)
    parent = os.getppid()
    write_run(app.project, "running", 30)
    with owned_by(app.project, parent):
        async with app.run_test(size=(80, 24)) as pilot:
            await open_train(pilot)
            await pilot.press("ctrl+c")
            await wait_for(pilot, lambda: asked == [(parent, signal.SIGINT)])
    with owned_by(app.project, parent, "elsewhere"):
        assert not app.training.pause()
    assert not app.training.pause()
    assert len(asked) == 1


async def test_a_process_that_cannot_be_asked_to_pause_is_no_defect(
    app: MqloraApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that has just ended, or belongs to another user, is said not to be there."""

    def refuse(_pid: int, _number: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr("tui.run.controller.os.kill", refuse)
    with owned_by(app.project, os.getppid()):
        assert app.training.other_process()
        assert not app.training.pause()


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_a_run_that_was_cut_off_is_not_called_saved(app: MqloraApp, size: tuple[int, int]) -> None:
    """After a crash the screen says so, and Enter goes on from the last checkpoint."""
    write_run(app.project, "running", 42)
    factory = use(app, Factory())
    factory.gate.set()
    async with app.run_test(size=size) as pilot:
        await open_train(pilot)
        await wait_for(pilot, lambda: "Cut off at step 42 of 60: the process ended" in shown(app))
        assert "cut off at step 42" in shown(app).splitlines()[0]
        await sees_no_more(pilot, "saved")
        await pilot.press("enter")
        await wait_for(pilot, lambda: factory.modes == ["auto"])


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


def test_outbox_keeps_every_step_in_order_but_sends_few_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand steps within a second make a handful of messages, with nothing left out."""
    clock = iter(i / 1000 for i in range(10_000))
    monkeypatch.setattr("tui.run.outbox.time.monotonic", lambda: next(clock))
    sent: list[tuple[Event, ...]] = []
    outbox = Outbox(sent.append)
    events = [StepDone(metrics(step), Usage()) for step in range(1, 1001)]
    for event in events:
        outbox.add(event)
    outbox.flush()
    assert [event for batch in sent for event in batch] == events
    assert len(sent) <= 10


def test_outbox_sends_at_once_what_may_be_the_last_for_long() -> None:
    """A new stage or a notice does not wait behind steps."""
    sent: list[tuple[Event, ...]] = []
    outbox = Outbox(sent.append)
    outbox.add(StepDone(metrics(1), Usage()))
    outbox.add(StepDone(metrics(2), Usage()))
    outbox.add(Phase("validating", 0, 9))
    assert [len(batch) for batch in sent] == [1, 2]


async def test_a_few_steps_that_fell_by_chance_are_no_learning(app: MqloraApp) -> None:
    """The first line and the arrow beside the loss do not contradict each other."""
    for step, loss in enumerate((1.3, 3.9, 2.5, 2.4), 1):
        append(app.project, metrics(step, loss))
    write_state(app.project, "running", 4)
    with owned_by(app.project, os.getppid()):
        async with app.run_test(size=(80, 24)) as pilot:
            await ready(pilot)
            await sees(pilot, "↑", "Too early to tell: the loss has not clearly fallen yet.")


@pytest.mark.parametrize("loss", [3.62, 3.6])
async def test_a_loss_that_stays_level_is_no_learning(app: MqloraApp, loss: float) -> None:
    """Nor is one that differs in digits that are not shown, or by less than the arrow shows."""
    for step in range(1, 41):
        append(app.project, metrics(step, 3.622 if step <= 20 else loss))
    write_state(app.project, "running", 40)
    with owned_by(app.project, os.getppid()):
        async with app.run_test(size=(80, 24)) as pilot:
            await ready(pilot)
            await sees(pilot, "Too early to tell: the loss has not clearly fallen yet.")


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
