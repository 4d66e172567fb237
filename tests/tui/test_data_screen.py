"""3 Data: a verdict, the list of what is wrong, and any row as tokens."""

from engine.dataset.mending import Mended
from engine.dataset.preview import PreviewToken
from engine.dataset.report import Fault
from engine.errors import UserError
from engine.project import Project
from tests.tui.fake_engine import HOSTILE, SIZES, FakeEngine, data_report, ready, shown, wait_for
from tui.app import MqloraApp
from tui.screens.data import DataScreen
from tui.widgets.fault_table import MOST_ROWS, FaultTable
from tui.widgets.row_preview import RowPreview

import pytest
from textual.pilot import Pilot

EMPTY = Fault("train.jsonl", 12, None, "empty_completion", "error", "completion is empty", "write it")
LEAK = Fault("valid.jsonl", 5, None, "leak", "warning", "also in train (line 3)", "move or drop it")


async def opened(pilot: Pilot[int]) -> DataScreen:
    """Go to the data and wait for the report."""
    app = await ready(pilot)
    await pilot.press("3")
    await wait_for(pilot, lambda: app.data is not None and isinstance(app.screen, DataScreen))
    await wait_for(pilot, lambda: "train" in shown(app))
    assert isinstance(app.screen, DataScreen)
    return app.screen


@pytest.mark.parametrize("size", SIZES)
async def test_the_verdict_comes_first_with_the_counts(app: MqloraApp, size: tuple[int, int]) -> None:
    """Good data is said to be ready, with examples and token figures."""
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: "✓ Ready to train." in shown(app))
        text = " ".join(shown(app).split())
        assert "40 train · 6 valid" in text
        assert "371" in text and "median 61, 58 % trained, 1 cut at 384" in text


@pytest.mark.parametrize("size", SIZES)
async def test_each_fault_has_a_row_and_the_selected_one_its_fix(
    app: MqloraApp, engine: FakeEngine, size: tuple[int, int]
) -> None:
    """Line, set and reason of each fault are listed; the fix of the selected one is in full."""
    engine.data = data_report(EMPTY, LEAK)
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: "To mend it: write it." in shown(app))
        lines = shown(app).splitlines()
        assert any("✗" in line and "12  train  completion is empty" in line for line in lines)
        assert any("!" in line and "5  valid  also in train (line 3)" in line for line in lines)
        await pilot.press("down")
        await wait_for(pilot, lambda: "move or drop it." in " ".join(shown(app).split()))
        assert engine.rows[-1] == ("valid.jsonl", 5)


async def test_more_faults_than_can_be_read_are_counted(app: MqloraApp, engine: FakeEngine) -> None:
    """The table is capped and the total said in words."""
    engine.data = data_report(*[EMPTY] * (MOST_ROWS + 234))
    async with app.run_test() as pilot:
        screen = await opened(pilot)
        await wait_for(pilot, lambda: "The first 500 of 734." in shown(app))
        assert screen.query_one(FaultTable).row_count == MOST_ROWS


async def test_a_row_is_shown_as_tokens_with_its_marks(app: MqloraApp, engine: FakeEngine) -> None:
    """Trained tokens are underlined and bold, cut ones struck out, control tokens dim."""
    engine.tokens = (
        PreviewToken("<s>", trained=False, cut=False, special=True),
        PreviewToken("yes", trained=True, cut=False, special=False),
        PreviewToken("gone", trained=True, cut=True, special=False),
    )
    async with app.run_test() as pilot:
        screen = await opened(pilot)
        await wait_for(pilot, lambda: "<s>yesgone" in shown(app))
        content = screen.query_one("#row-text").render()
        marks = {content.plain[span.start : span.end]: str(span.style) for span in content.spans}
        assert marks == {"<s>": "dim", "yes": "bold underline", "gone": "strike dim"}
        assert "train.jsonl line 1: 3 tokens" in str(screen.query_one(RowPreview).border_title)


async def test_n_and_b_walk_through_the_file_and_o_changes_it(app: MqloraApp, engine: FakeEngine) -> None:
    """Any row can be looked at, not only the faulty ones."""
    async with app.run_test() as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: engine.rows == [("train.jsonl", 1)])
        for key, expected in (("n", 2), ("n", 3), ("b", 2), ("b", 1), ("b", 1)):
            count = len(engine.rows)
            await pilot.press(key)
            await wait_for(pilot, lambda count=count: len(engine.rows) > count)
            assert engine.rows[-1] == ("train.jsonl", expected)
        await pilot.press("o")
        await wait_for(pilot, lambda: engine.rows[-1] == ("valid.jsonl", 1))


async def test_f_writes_a_mended_copy(
    app: MqloraApp, engine: FakeEngine, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says where it is and what it holds, or in a sentence why there is none."""
    answers = [UserError("No row of train.jsonl can be kept", "write it"), None]

    def mend_data(of: Project, _config: object) -> Mended:
        if error := answers.pop(0):
            raise error
        return Mended(of.data_dir / "mended", 1100, 12, ())

    def told() -> str:
        return " ".join(f"{note.title} {note.message}" for note in app._notifications)

    monkeypatch.setattr("engine.dataset.mending.mend_data", mend_data)
    async with app.run_test() as pilot:
        await opened(pilot)
        await pilot.press("f")
        await wait_for(pilot, lambda: "No row of train.jsonl can be kept." in shown(app))
        await pilot.press("f")
        await wait_for(pilot, lambda: f"{project.data_dir / 'mended'}: 1,100 train, 12 valid" in told())


async def test_a_row_that_cannot_be_used_is_shown_as_it_stands(
    app: MqloraApp, engine: FakeEngine, project: Project
) -> None:
    """The reason and the raw line are there, harmless."""
    project.train_file.write_text('{"prompt": "[/INST] [bold]\x1b[2J')
    engine.tokens = UserError("Line 1 of train.jsonl: not JSON", "mend it")
    async with app.run_test() as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: '{"prompt": "[/INST] [bold]\\x1b[2J' in shown(app))
        assert "not JSON; mend it." in shown(app)


async def test_hostile_text_in_data_is_shown_as_it_is(app: MqloraApp, engine: FakeEngine) -> None:
    """Markup and control codes in faults and tokens neither break nor reach the terminal."""
    engine.data = data_report(Fault("train.jsonl", 1, 1, "x", "error", HOSTILE, HOSTILE))
    engine.tokens = (PreviewToken(HOSTILE, trained=True, cut=False, special=False),)
    async with app.run_test() as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: shown(app).count("[/INST] [bold]\\x1b[2J") >= 3)
        assert "\x1b" not in shown(app) and "\u202e" not in shown(app)


async def test_data_is_checked_once_and_again_for_other_values(app: MqloraApp, engine: FakeEngine) -> None:
    """Coming back costs nothing; another max_seq_length or the r key reads the files again."""
    async with app.run_test() as pilot:
        await opened(pilot)
        await pilot.press("1")
        await opened(pilot)
        assert len(engine.data_configs) == 1
        await pilot.press("r")
        await wait_for(pilot, lambda: len(engine.data_configs) == 2 and app.data is not None)
        await pilot.press("1")
        app.choose_config(app.config.updated({"max_seq_length": 99}))
        assert app.data is None
        await opened(pilot)
        assert engine.data_configs[-1].max_seq_length == 99


async def test_without_a_model_the_sample_is_offered(app: MqloraApp, engine: FakeEngine) -> None:
    """No base model: said in the verdict, and `d` writes it and checks again."""
    engine.data = data_report(model="")
    async with app.run_test() as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: "No base model" in shown(app) and "Write sample" in shown(app))
        engine.data = data_report()
        await pilot.press("d")
        await wait_for(pilot, lambda: "Ready to train." in shown(app))
        assert engine.demos == [app.project.root]


async def test_a_sample_that_cannot_be_written_is_explained(
    app: MqloraApp, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal and a defect while writing the sample both end on the screen."""
    failures: list[Exception] = [UserError("No [network]", "try again"), OSError("disk [full]")]

    def install_demo(*_arguments: object) -> None:
        raise failures.pop(0)

    monkeypatch.setattr("engine.model.demo.install_demo", install_demo)
    engine.data = data_report(model="")
    async with app.run_test() as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: "Write sample" in shown(app))
        for expected in ("No [network].", "disk [full]"):
            await pilot.press("d")
            await wait_for(pilot, lambda expected=expected: expected in shown(app))


async def test_enter_leads_on_to_training(app: MqloraApp, engine: FakeEngine) -> None:
    """Enter goes on, with and without faults."""
    engine.data = data_report(EMPTY)
    async with app.run_test() as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: "completion is empty" in shown(app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.current_mode == "train")


@pytest.mark.parametrize("faults", [(), (EMPTY, LEAK)])
async def test_enter_goes_on_to_training(
    app: MqloraApp, engine: FakeEngine, faults: tuple[Fault, ...]
) -> None:
    """Enter does what the footer says, with and without faults in the table."""
    engine.data = data_report(*faults)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert "Enter Go on" in shown(app)
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.current_mode == "train")
