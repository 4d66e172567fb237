"""Nothing that a small terminal cuts is lost: each long text can be read to its end with the keyboard."""

from engine.dataset.report import Fault
from engine.errors import UserError
from engine.project import Project
from tests.support.fake_engine import FakeEngine, data_report, ready, sees, shown, wait_for
from tests.support.fake_run import write_run
from tui.app.app import MqloraApp
from tui.run.status import RunStatus

from textual.pilot import Pilot

WORDS = [f"word{number}" for number in range(200)]


async def read_through(pilot: Pilot[int], *keys: str) -> str:
    """Go to a text with `keys`, then down in it; return all that was to be seen."""
    await pilot.press(*keys)
    seen = ""
    for _line in range(30):
        seen += shown(pilot.app)
        await pilot.press("down")
        await pilot.pause()
    return seen


async def test_a_long_fault(app: MqloraApp, engine: FakeEngine) -> None:
    """Its line in the table is cut; what it says and how it is mended are whole in the box below."""
    engine.data = data_report(
        Fault("train.jsonl", 3, None, "odd", "error", " ".join(WORDS), "the very last word")
    )
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("3")
        await sees(pilot, "1 row left out", "word0 word1")
        seen = await read_through(pilot, "tab")
        assert all(word in seen for word in WORDS) and "last word." in seen


async def test_what_a_profile_means(app: MqloraApp) -> None:
    """Also where a message takes part of the room."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("2")
        await sees(pilot, "is recommended")
        app.show_error(UserError(" ".join(WORDS[:50]), "the very last word"))
        await sees(pilot, "word49", "the very last word.")
        seen = await read_through(pilot)
        assert "adapter rank" in seen and "of every layer" in seen


async def test_why_a_run_failed(app: MqloraApp, project: Project) -> None:
    """In the first line of the training screen, and of the report."""
    reason = " ".join(WORDS[:45])
    write_run(project, "failed", 30, reason=reason)
    app.run_state = RunStatus("failed", 30)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        for key in "46":
            await pilot.press(key)
            await wait_for(pilot, lambda: "The run failed at step 30" in shown(app))
            await sees(pilot, reason)
