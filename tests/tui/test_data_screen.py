"""3 Data: a verdict, the list of what is wrong, and any row as tokens."""

from dataclasses import replace
from threading import Event

from engine.config import TrainingConfig
from engine.dataset.convert.clean import Cleaned
from engine.dataset.convert.imported import Imported
from engine.dataset.inspect.check import OnCheckProgress
from engine.dataset.inspect.preview import PreviewToken
from engine.dataset.report import Fault, Place
from engine.errors import Cancelled, UserError
from engine.project import Project
from tests.support.fake_engine import (
    EACH_SIZE,
    HOSTILE,
    FakeEngine,
    data_report,
    ready,
    sees,
    sees_no_more,
    shown,
    wait_for,
)
from tests.support.screens import EMPTY, LEAK, opened
from tui.app.app import MqloraApp
from tui.app.screens.data.row_preview import RowPreview

import pytest
from textual.content import Content
from textual.pilot import Pilot
from textual.screen import ModalScreen


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_the_verdict_comes_first_with_the_counts(app: MqloraApp, size: tuple[int, int]) -> None:
    """Good data is said to be ready, with examples and token figures."""
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: "✓ Ready to train." in shown(app))
        text = " ".join(shown(app).split())
        assert "40 train · 6 valid" in text
        assert "371 tokens, median 61, 58 % trained" in text
        assert "1 row cut at 384: 87 tokens lost · an epoch: 10 steps, 2,440 tokens" in text
        assert text.count("▁▁▂▂▂▃▃▃") == (3 if size[1] >= 34 else 1)  # prompts, answers and both


async def test_the_hours_of_a_run_are_reported_for_each_profile(app: MqloraApp) -> None:
    """As soon as a speed is known; before that it is said when it will be."""
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: "a run: ? hours" in shown(app))
        known = app.recommendation
        assert known is not None
        seconds = {"SAFE": 2460.0, "BALANCED": 7800.0, "PERFORMANCE": 5700.0}
        offers = tuple(replace(offer, seconds=seconds[offer.name]) for offer in known.offers)
        app.recommendation = replace(known, offers=offers)
        text = "a run: SAFE 41 min · BALANCED 2 h 10 min · PERFORMANCE 1 h 35 min"
        await wait_for(pilot, lambda: text in shown(app))


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_each_fault_has_a_row_and_the_selected_one_its_fix(
    app: MqloraApp, engine: FakeEngine, size: tuple[int, int]
) -> None:
    """Line, set and reason of each fault are listed; the fix of the selected one is in full."""
    engine.data = data_report(EMPTY, LEAK)
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: "Fix: write it." in shown(app))
        lines = shown(app).splitlines()
        assert any("✗" in line and "12  train  completion is empty" in line for line in lines)
        assert any("!" in line and "5  valid  also in train (line 3)" in line for line in lines)
        await pilot.press("down")
        await wait_for(pilot, lambda: "move or drop it." in " ".join(shown(app).split()))
        assert engine.rows[-1] == ("valid.jsonl", 5)


async def test_a_row_is_shown_as_tokens_with_its_marks(app: MqloraApp, engine: FakeEngine) -> None:
    """Trained tokens are underlined and bold, cut ones struck out, control tokens dim."""
    engine.tokens = (
        PreviewToken("<s>", trained=False, cut=False, special=True, ids=(1,)),
        PreviewToken("yes", trained=True, cut=False, special=False, ids=(2,)),
        PreviewToken("gone", trained=True, cut=True, special=False, ids=(3,)),
    )
    async with app.run_test() as pilot:
        screen = await opened(pilot)
        await wait_for(pilot, lambda: "<s>yesgone" in shown(app))
        content = screen.query_one("#row-text").render()
        assert isinstance(content, Content)
        marks = {content.plain[span.start : span.end]: str(span.style) for span in content.spans}
        assert marks == {"<s>": "dim", "yes": "bold underline", "gone": "strike dim"}
        assert "train.jsonl line 1: 3 tokens" in str(screen.query_one(RowPreview).border_title)


async def look(pilot: Pilot[int], engine: FakeEngine, key: str) -> None:
    """Press a key and wait until the engine is asked for a row."""
    count = len(engine.rows)
    await pilot.press(key)
    await wait_for(pilot, lambda: len(engine.rows) > count)


async def test_n_and_b_walk_through_the_file_and_o_changes_it(app: MqloraApp, engine: FakeEngine) -> None:
    """Any row can be looked at, not only the faulty ones."""
    async with app.run_test() as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: engine.rows == [("train.jsonl", 1)])
        for key, expected in (("n", 2), ("n", 3), ("b", 2), ("b", 1), ("b", 1)):
            await look(pilot, engine, key)
            assert engine.rows[-1] == ("train.jsonl", expected)
        await pilot.press("o")
        await wait_for(pilot, lambda: engine.rows[-1] == ("valid.jsonl", 1))


async def test_f_writes_a_cleaned_copy(
    app: MqloraApp, engine: FakeEngine, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says where it is and what it holds, or in a sentence why there is none."""
    answers = [UserError("No row of train.jsonl can be kept", "write it"), None]

    def clean_data(of: Project, _config: object, **_watch: object) -> Cleaned:
        if error := answers.pop(0):
            raise error
        return Cleaned(of.data_dir / "mended", 1100, 12, ())

    monkeypatch.setattr("engine.dataset.convert.clean.clean_data", clean_data)
    engine.data = data_report(EMPTY)
    async with app.run_test() as pilot:
        await opened(pilot)
        await pilot.press("f")
        await wait_for(pilot, lambda: "No row of train.jsonl can be kept." in shown(app))
        await pilot.press("f")
        await wait_for(
            pilot,
            lambda: f"{project.data_dir / 'mended'}: 1,100 train, 12 valid, 0 rows dropped" in app.notice,
        )
        await sees_no_more(pilot, "No row of train.jsonl")


async def test_a_row_that_cannot_be_used_is_shown_as_it_stands(
    app: MqloraApp, engine: FakeEngine, project: Project
) -> None:
    """The reason and the raw line are there, harmless."""
    project.train_file.write_text('{"prompt": "[/INST] [bold]\x1b[2J')
    engine.tokens = UserError("Line 1 of train.jsonl: not JSON", "mend it")
    async with app.run_test() as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: '{"prompt": "[/INST] [bold]\\x1b[2J' in shown(app))
        await sees(pilot, "not JSON; mend it.")


async def test_hostile_text_in_data_is_shown_as_it_is(app: MqloraApp, engine: FakeEngine) -> None:
    """Markup and control codes in faults and tokens neither break nor reach the terminal."""
    engine.data = data_report(Fault("train.jsonl", 1, 1, "x", "error", HOSTILE, HOSTILE))
    engine.tokens = (PreviewToken(HOSTILE, trained=True, cut=False, special=False, ids=(4,)),)
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
    """No base model: said in the verdict, and `w` writes it and checks again."""
    engine.data = data_report(model="")
    async with app.run_test() as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: "No base model" in shown(app) and "Write sample" in shown(app))
        engine.data = data_report()
        await pilot.press("S")
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
            await pilot.press("S")
            await sees(pilot, expected)


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
        await sees(pilot, "Enter Go on")
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.current_mode == "train")


async def test_progress_is_reported_and_escape_ends_the_check(
    app: MqloraApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known by then stays, and is said to be a part; `r` checks again."""
    asked: list[TrainingConfig] = []

    def check_stages(
        _project: Project, config: TrainingConfig, on_progress: OnCheckProgress, cancel: Event
    ) -> object:
        asked.append(config)
        yield replace(data_report(EMPTY), stage="read")
        on_progress("counted", "train.jsonl", 120_000)
        assert cancel.wait(20)
        raise Cancelled

    monkeypatch.setattr("engine.dataset.inspect.check.check_stages", check_stages)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("3")
        await wait_for(pilot, lambda: "line 120,000 … Esc ends it." in " ".join(shown(app).split()))
        await wait_for(pilot, lambda: "completion is empty" in shown(app))
        await pilot.press("r")  # not while the check is under way
        await pilot.press("escape")
        await wait_for(pilot, lambda: "Checked in part; r checks the whole." in shown(app))
        assert len(asked) == 1
        await sees(pilot, "completion is empty")
        await pilot.press("r")
        await wait_for(pilot, lambda: len(asked) == 2)
        await pilot.press("escape")


async def test_a_check_in_part_finds_nothing_wrong_only_so_far(
    app: MqloraApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither while it is under way nor when it was ended are the rows all said to be right."""

    def check_stages(
        _project: Project, _config: TrainingConfig, _on_progress: OnCheckProgress, cancel: Event
    ) -> object:
        yield replace(data_report(), stage="read")
        assert cancel.wait(20)
        raise Cancelled

    monkeypatch.setattr("engine.dataset.inspect.check.check_stages", check_stages)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("3")
        await sees(pilot, "Nothing is wrong so far.", "Esc ends it.")
        await pilot.press("escape")
        await sees(pilot, "Nothing is wrong so far.", "Checked in part; r checks the whole.")


async def test_after_an_import_the_data_are_checked_again(
    app: MqloraApp, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an import nothing is read again; while the data are read there is none."""

    class Dialog(ModalScreen[Imported | None]):
        BINDINGS = [("y", "done"), ("z", "dismiss(None)")]  # noqa: RUF012
        is_to_be_used = False

        def action_done(self) -> None:
            self.dismiss(Imported(app.project.data_dir, 1, 1, {}, ()))

    monkeypatch.setattr("tui.app.screens.import_table.import_table.ImportDialog", Dialog)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await wait_for(pilot, lambda: not app.data_progress)
        app.data_progress = "reading"
        await pilot.press("i")
        assert app.screen is screen
        await sees(pilot, "The data is being read.")
        app.data_progress = ""
        await pilot.press("i")
        await wait_for(pilot, lambda: isinstance(app.screen, Dialog))
        await pilot.press("z")
        assert len(engine.data_configs) == 1
        await sees_no_more(pilot, "being read")
        await pilot.press("i", "y")
        await wait_for(pilot, lambda: len(engine.data_configs) == 2)


@pytest.mark.parametrize(("faults", "model"), [((), "toy"), ((EMPTY, LEAK), "toy"), ((EMPTY, LEAK), "")])
async def test_the_footer_has_room_for_help(
    app: MqloraApp, engine: FakeEngine, faults: tuple[Fault, ...], model: str
) -> None:
    """At 80 columns, whatever is on offer."""
    paired = replace(LEAK, other=Place("train.jsonl", 3))
    engine.data = data_report(*faults, *([paired] if faults else []), model=model)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)

        def footer() -> str:
            return shown(app).splitlines()[-1]

        await wait_for(pilot, lambda: "? Help" in footer() and ("f Clean" in footer()) == bool(faults))
        assert ("S Write sample" in footer()) == (not model) == ("x X-ray" not in footer())
        assert "e Edit" in footer()


async def test_what_is_wrong_with_the_model_is_reported_without_a_row(
    app: MqloraApp, engine: FakeEngine
) -> None:
    """It is no row of a file: none is read, and none is said to be left out."""
    fault = Fault("models/toy", 0, None, "model", "error", "the weights are cut off", "download them again")
    engine.data = replace(data_report(), model="", model_faults=(fault,))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("3")
        await sees(pilot, "The base model cannot be used", "─ models/toy ─", "the weights are cut off.")
        assert "left out" not in shown(app) and "line 1" not in shown(app)
