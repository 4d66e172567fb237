"""The dialog that evaluates the run: what it says before, how far it is, what it found, how it is ended."""

from collections.abc import Callable, Generator
from queue import Queue
from threading import Event

from engine.errors import UserError
from engine.evaluation.kept import KnownEvaluation, keep_evaluation, known_evaluation
from engine.evaluation.request import OnProgress
from engine.evaluation.results import Evaluation
from engine.project import Project
from tests.support.evaluations import evaluation
from tests.support.fake_engine import (
    EACH_SIZE,
    HOSTILE,
    SIZES,
    pretend,
    ready,
    sees,
    sees_no_more,
    shown,
    wait_for,
)
from tests.support.fake_run import write_run
from tui.app.app import MqloraApp
from tui.app.screens.evaluation.evaluation import EvaluationDialog

import pytest
from textual.pilot import Pilot

End = Evaluation | UserError | Exception


class FakeEvaluator:
    """Does what the test lets it do, on the engine's thread; ends between two steps when asked to."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self.not_kept = ""
        self.steps: Queue[Callable[[], End | None]] = Queue()
        self._stop = Event()
        self._tell: OnProgress = lambda stage, share: None

    def create(self, _project: Project, stop: Event, on_progress: OnProgress) -> "FakeEvaluator":
        """Stand in for `tui.app.jobs.evaluate.create_evaluator`."""
        self._stop, self._tell = stop, on_progress
        return self

    def run(self) -> Evaluation | None:
        """Take step after step, until one of them is the end."""
        self.begun += 1
        while True:
            end = self.steps.get()()
            if self._stop.is_set():
                self.ended += 1
                return None
            if isinstance(end, Exception):
                raise end
            if end:
                return end

    def moves(self, stage: str, share: float) -> None:
        """Let it tell how far it is."""
        self.steps.put(lambda: self._tell(stage, share))

    def comes_to(self, end: End) -> None:
        """Let it end."""
        self.steps.put(lambda: end)


@pytest.fixture
def evaluator(monkeypatch: pytest.MonkeyPatch, app: MqloraApp) -> Generator[FakeEvaluator, None, None]:
    """An evaluator without MLX; what it still waits for at the end is over."""
    fake = FakeEvaluator()
    monkeypatch.setattr("tui.app.jobs.evaluate.create_evaluator", fake.create)
    monkeypatch.setattr("tui.app.screens.report.report.chart_writers", tuple)
    write_run(app.project, "finished")
    yield fake
    fake.comes_to(UserError("over"))


async def opened(pilot: Pilot[int]) -> MqloraApp:
    """Go to the report of a finished run and open the dialog."""
    app = await ready(pilot)
    await pilot.press("6")
    await sees(pilot, "Best at its last step")
    await pilot.press("e")
    await wait_for(pilot, lambda: isinstance(app.screen, EvaluationDialog) and app.screen.focused)
    return app


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_enter_evaluates_and_what_was_found_is_read_by_keys(
    app: MqloraApp, evaluator: FakeEvaluator, size: tuple[int, int]
) -> None:
    """The price, how far it is, figures, verdicts, answers; afterwards the report tells the verdict."""
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await sees(pilot, "has not been evaluated yet", "also answers", "Enter evaluates")
        await pilot.press("enter")
        evaluator.moves("Loss of base", 0.25)
        await sees(pilot, "Loss of base: 25%. Esc ends it.")
        evaluator.comes_to(evaluation())
        await sees(pilot, "24 rows of test.jsonl, held out", "loss 1.27 [1.17 – 1.37]", "perplexity")
        await sees_no_more(pilot, "Enter evaluates")
        for part in (
            "better than the base model on 22 of 24 rows, -1.93 ± 0.11",
            "it forgot some",
            "F1 0.50",
        ):
            await scrolled_to(pilot, part)
        for part in ("asked: How much is 3 and 1?", "base: It depends.", "best, step 40: It is 2."):
            await scrolled_to(pilot, part)
        await pilot.press("escape")
        await wait_for(pilot, lambda: not isinstance(app.screen, EvaluationDialog))
    assert evaluator.begun == 1


async def scrolled_to(pilot: Pilot[int], part: str) -> None:
    """Scroll down line by line until `part` is seen; from the beginning."""
    box = pilot.app.screen.query_one("#evaluation-scroll")
    box.scroll_home(animate=False)
    await pilot.pause()
    for _line in range(200):
        if await is_seen(pilot, part):
            return
        assert not box.is_vertical_scroll_end, f"{part!r} is nowhere"
        await pilot.press("down")
    raise AssertionError(part)


async def is_seen(pilot: Pilot[int], part: str) -> bool:
    """Whether the screen shows `part`, however its lines are broken."""
    await pilot.pause()
    return part in " ".join(shown(pilot.app).replace("│", " ").split())


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_a_key_ends_it_between_two_rows(app: MqloraApp, evaluator: FakeEvaluator, key: str) -> None:
    """Then it can begin again, and be refused; Esc without work closes."""
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        evaluator.moves("Loss of base", 0.5)
        await sees(pilot, "Loss of base: 50%")
        await pilot.press(key)
        await sees(pilot, "Ending …")
        evaluator.moves("Loss of base", 0.6)
        await sees(pilot, "Stopped; nothing of this evaluation is kept.")
        assert evaluator.ended == 1
        await pilot.press("e")
        await wait_for(pilot, lambda: evaluator.begun == 2)
        evaluator.comes_to(UserError("Memory is short", "close something"))
        await sees(pilot, "✗ Memory is short; close something.")
        await pilot.press("escape")
        await wait_for(pilot, lambda: not isinstance(app.screen, EvaluationDialog))


async def test_leaving_the_app_ends_it(app: MqloraApp, evaluator: FakeEvaluator) -> None:
    """After a question."""
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: evaluator.begun)
        await pilot.press("ctrl+q", "ctrl+q")
        await sees(pilot, "The evaluation is ended, and nothing of it is kept.")
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.return_code == 0)
    evaluator.moves("Loss of base", 0.5)
    assert app.engine.idle.wait(20)
    assert evaluator.ended == 1


async def test_nothing_is_evaluated_while_something_computes(
    app: MqloraApp, evaluator: FakeEvaluator
) -> None:
    """What is known can be looked at; Enter says why not."""
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        pretend(app, "running", 3)
        await pilot.press("enter")
        await sees(pilot, "✗ Training is running; do this when the run is paused or over.")
        pretend(app, "finished", 3)
        await wait_for(pilot, lambda: not app.run_state.is_training)
        app.engine.idle.clear()
        await pilot.press("enter")
        await sees(pilot, "✗ A chat, or another job, is using MLX; do this when that is over.")
        app.engine.idle.set()
    assert not evaluator.begun


@pytest.mark.parametrize("is_current", [True, False])
async def test_what_is_known_is_shown_at_once(
    app: MqloraApp, evaluator: FakeEvaluator, monkeypatch: pytest.MonkeyPatch, is_current: bool
) -> None:
    """In report and dialog; what no longer holds is called so, and can be made anew."""

    def known(_project: Project) -> KnownEvaluation:
        return KnownEvaluation(evaluation(), is_current)

    for module in ("report.report", "evaluation.evaluation"):
        monkeypatch.setattr(f"tui.app.screens.{module}.known_evaluation", known)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("6")
        await sees(pilot, "22 of 24 rows" if is_current else "has changed: press e to see that")
        await pilot.press("e")
        await sees(pilot, "24 rows of test.jsonl")
        await (sees_no_more if is_current else sees)(pilot, "have changed since")
        await pilot.press("enter")  # the focus is on the button that closes where nothing is to be evaluated
        if is_current:
            await wait_for(pilot, lambda: not isinstance(app.screen, EvaluationDialog))
        else:
            await wait_for(pilot, lambda: evaluator.begun)
    assert evaluator.begun == (not is_current)


async def test_what_the_model_says_steers_no_terminal(app: MqloraApp, evaluator: FakeEvaluator) -> None:
    """An answer is no markup; that nothing could be kept is told."""
    evaluator.not_kept = "the disk is full"
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        evaluator.comes_to(evaluation(answer=HOSTILE))
        await sees(pilot, "could not be kept: the disk is full")
        await scrolled_to(pilot, "[/INST] [bold]")


def test_what_rests_on_other_files_is_not_current(project: Project) -> None:
    """The newest is returned, and named as one that does not hold; without any there is none."""
    write_run(project, "finished")
    assert known_evaluation(project) is None
    keep_evaluation(project, evaluation())
    known = known_evaluation(project)
    assert known is not None and known.found == evaluation() and not known.is_current
