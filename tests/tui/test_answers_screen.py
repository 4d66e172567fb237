"""Watching a model learn: one question from step to step, beside the base model, during a run and after."""

from tests.support.fake_engine import HOSTILE, SIZES, ready, sees, sees_no_more, shown, wait_for
from tests.support.fake_run import answered, write_run
from tui.app.app import MqloraApp
from tui.app.screens.answers.answers import AnswersScreen
from tui.app.screens.answers.box import AnswerBox
from tui.app.screens.answers.timeline import Timeline
from tui.app.screens.report.report import ReportScreen
from tui.app.screens.train.train import TrainScreen

import pytest
from textual.pilot import Pilot

FIRST = (
    (None, "Não sei bem."),
    (20, "A capital é Porto."),
    (40, "A capital é Lisboa."),
    (60, "A capital é Lisboa."),
)


async def opened(pilot: Pilot[int]) -> AnswersScreen:
    """Go to the training screen, and from there to the answers."""
    app = await ready(pilot)
    await pilot.press("4")
    await wait_for(pilot, lambda: isinstance(app.screen, TrainScreen) and "w Answers" in shown(app))
    await pilot.press("w")
    await wait_for(pilot, lambda: isinstance(app.screen, AnswersScreen) and app.screen.is_mounted)
    assert isinstance(app.screen, AnswersScreen)
    return app.screen


@pytest.mark.parametrize("size", [SIZES[0], pytest.param(SIZES[1], marks=pytest.mark.slow)])
async def test_one_question_is_watched_through_time(app: MqloraApp, size: tuple[int, int]) -> None:
    """The newest answer first; arrows go through the steps, n and b through the questions."""
    write_run(app.project, "paused", 60)
    answered(app.project, "Qual é a capital?", *FIRST)
    answered(app.project, HOSTILE, (None, "a"), (40, f"b {HOSTILE}"))
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot)
        await sees(pilot, "Question 1 of 2: Qual é a capital?", "base model", "Não sei bem.", "step 60")
        await sees(
            pilot,
            "The same as step 40.",
            "20  40  ▸=60◂",
            "2.5 % of the training time",
            "answers_percent allows 5.",
        )
        base, trained = screen.query(AnswerBox)
        assert (base.region.y == trained.region.y) == (size != SIZES[0])
        await pilot.press("left")
        await sees(pilot, "A capital é ▸Lisboa◂.", "Before, step 20:", "A capital é ▸Porto◂.", "▸40◂")
        await pilot.press("home")
        await sees(pilot, "step 20", "Before, the base model:", "Não sei bem", "▸20◂")
        await pilot.press("left", "right", "right", "right", "right")
        await sees(pilot, "The same as step 40.")
        await pilot.press("left", "n")
        await sees(pilot, "Question 2 of 2: [/INST] [bold]", "step 40", "\\x1b[2J")
        assert "\x1b" not in shown(app) and "\u202e" not in shown(app)
        await pilot.press("b", "end")
        await sees(pilot, "Question 1 of 2", "▸=60◂")
        answered(app.project, "Qual é a capital?", (80, "Lisboa, claro."))
        await sees(pilot, "step 80", "▸80◂", "▸Lisboa, claro◂.")
        await pilot.press("escape")
        await wait_for(pilot, lambda: isinstance(app.screen, TrainScreen))


async def test_the_report_opens_the_same_view(app: MqloraApp) -> None:
    """After the run; it says that it can, and Escape goes back there."""
    write_run(app.project, "finished")
    answered(app.project, "Qual é a capital?", *FIRST)
    async with app.run_test(size=SIZES[0]) as pilot:
        await ready(pilot)
        await pilot.press("6")
        await sees(pilot, "w shows what was answered")
        app.project.prompts_file.write_text("Qual é a capital?\nE a moeda?\n")
        await pilot.press("w")
        await sees(pilot, "Question 1 of 1: Qual é a capital?", "step 60", "6 Report: answers")
        await sees(pilot, "1 of the 2 questions of prompts.txt is followed: the last validation did not")
        answered(app.project, "E a cor?", (60, "Azul."))
        app.project.prompts_file.write_text("E a moeda?\nQual é a capital?\nE a cor?\n")
        await sees(pilot, "2 of the 3 questions of prompts.txt are followed")
        await pilot.press("w")
        await wait_for(pilot, lambda: isinstance(app.screen, ReportScreen))


async def test_a_run_that_kept_no_answers_says_why(app: MqloraApp) -> None:
    """Not that a run answers questions, as this one did not."""
    write_run(app.project, "finished")
    app.project.prompts_file.write_text("Qual é a capital?\n")
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        await sees(pilot, "This run kept no answers: 5 % of its time")


async def test_without_answers_it_says_how_to_get_some(app: MqloraApp) -> None:
    """A file to write, a validation to wait for, a file in the way; then the answers, without a key."""
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        await sees(pilot, "write one question a line into data/prompts.txt")
        app.project.prompts_file.write_text("Qual é a capital?\n")
        await sees(pilot, "No answer yet: a run answers the questions of data/prompts.txt")
        app.project.run_dir.mkdir()
        app.project.answers_file.mkdir()
        await sees(pilot, "The answers of this run cannot be read.", "is a folder")
        app.project.answers_file.rmdir()
        answered(app.project, "Qual é a capital?", (None, "Não sei."))
        await sees(pilot, "Não sei.", "Its first answer comes with a validation")
        await sees_no_more(pilot, "n/b", "←/→")


async def test_the_line_of_steps_shows_the_chosen_one_wherever_it_is(app: MqloraApp) -> None:
    """Of many steps those around it, with a sign that there are more."""
    write_run(app.project, "paused", 60)
    answered(app.project, "?", *((step, str(step)) for step in range(100, 10_000, 50)))
    async with app.run_test(size=SIZES[0]) as pilot:
        screen = await opened(pilot)
        line = screen.query_one(Timeline)
        await sees(pilot, "9,900  ▸9,950◂")
        assert str(line.content).startswith("…  ") and not str(line.content).endswith("…")
        await pilot.press("home")
        await sees(pilot, "▸100◂  150")
        await pilot.press(*["right"] * 20)
        await sees(pilot, "1,050  ▸1,100◂  1,150")
        assert str(line.content).startswith("…  ") and str(line.content).endswith("  …")
        assert len(str(line.content)) <= line.content_size.width
