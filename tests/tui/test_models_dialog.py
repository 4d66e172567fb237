"""The dialog that brings in a base model: what is here, what is offered, and what came of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from engine.model_folder.source import read_source
from engine.model_store import download, inventory
from engine.model_store.caches import Cached
from engine.model_store.shortlist import SHORTLIST
from engine.project import Project
from tests.support.fake_engine import EACH_SIZE, ready, sees, sees_no_more, shown, wait_for
from tests.support.gguf_files import write_gguf
from tests.support.hub_stand_in import Hub, Repository, files_of, serving
from tests.support.tiny import write_model
from tui.app.app import MqloraApp
from tui.app.screens.models.models import ModelsDialog

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

NAME = SHORTLIST[0].repository


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.setattr(download, "PAUSES_S", ())
    with serving(monkeypatch) as hub:
        hub.repositories[NAME] = Repository(files_of(write_model(tmp_path / "source")))
        yield hub


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Cached]:
    """What other programs have on this machine: nothing, until a test adds to it."""
    cached: list[Cached] = []
    monkeypatch.setattr(inventory, "find_cached", lambda: iter(cached))
    return cached


async def opened(pilot: Pilot[int]) -> MqloraApp:
    """Open the dialog from the Hardware place and wait for its list."""
    app = await ready(pilot)
    await pilot.press("g")
    await sees(pilot, "Base models", "mlx-community/Mistral-7B-Instruct-v0.3-4bit")
    return app


async def hears(pilot: Pilot[int], *texts: str) -> None:
    """Wait until the dialog says all these texts below its list, however they are wrapped."""

    def are_said() -> bool:
        lines = pilot.app.screen.query("#models-detail, #models-news").results(Static)
        said = " ".join(str(line.content) for line in lines)
        return all(text in said for text in texts)

    await wait_for(pilot, are_said)


async def closed(pilot: Pilot[int]) -> None:
    await wait_for(pilot, lambda: not isinstance(pilot.app.screen, ModelsDialog))


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_one_of_those_offered_is_downloaded(
    app: MqloraApp, project: Project, hub: Hub, elsewhere: list[Cached], size: tuple[int, int]
) -> None:
    """Enter alone; then the machine is looked at again."""
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await hears(pilot, "Enter downloads about 4.1 GB from the hub.")
        await pilot.press("enter")
        await closed(pilot)
        await sees(pilot, "Mistral-7B-Instruct-v0.3-4bit is in models/.")
    source = read_source(project.models_dir / "Mistral-7B-Instruct-v0.3-4bit")
    assert source is not None and source.repository == NAME


async def test_the_list_begins_on_the_model_that_is_trained(
    app: MqloraApp, project: Project, elsewhere: list[Cached]
) -> None:
    """Else on one that can be had and fits; each with the profile that the machine's own place advises."""
    shutil.rmtree(project.models_dir / "toy")
    write_model(project.models_dir / "toy")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await hears(pilot, "It is in models/ already.")
        assert app.recommendation is not None
        offered = next(line for line in shown(app).splitlines() if "Qwen2.5-0.5B" in line)
        assert app.recommendation.name in offered


async def test_esc_ends_a_download_and_enter_goes_on(
    app: MqloraApp, project: Project, hub: Hub, elsewhere: list[Cached]
) -> None:
    """What is there stays; the row says so."""
    hub.holds = Event()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        await hears(pilot, "Downloading", "Esc ends it")
        part = project.models_dir / ".get-Mistral-7B-Instruct-v0.3-4bit" / "parts" / "model.safetensors"
        await wait_for(pilot, lambda: part.exists() and part.stat().st_size > 0)
        await pilot.press("escape")
        hub.holds.set()
        hub.holds = None
        await hears(pilot, "Ended. What is downloaded stays", "Enter goes on with it")
        await sees(pilot, "unfinished")
        hub.requests.clear()
        await pilot.press("enter")
        await closed(pilot)
    assert [part[:6] for part in hub.ranges("model.safetensors")] == ["bytes="]


async def test_a_refusal_is_told_and_forgotten_on_another_row(
    app: MqloraApp, hub: Hub, elsewhere: list[Cached]
) -> None:
    """The second model is not on this hub."""
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("down", "enter")
        await hears(pilot, "✗", f"has no model {SHORTLIST[1].repository}", "check the name")
        await pilot.press("up")
        await sees_no_more(pilot, "has no model")
        await pilot.press("escape")
        await closed(pilot)


async def test_models_of_other_programs_are_linked_or_converted(
    app: MqloraApp, project: Project, hub: Hub, elsewhere: list[Cached], tmp_path: Path
) -> None:
    """What cannot be used says why, and Enter does nothing with it."""
    folder = write_model(tmp_path / "studio" / "team" / "linked")
    broken = write_model(tmp_path / "studio" / "team" / "broken")
    (broken / "tokenizer.json").unlink()
    write_gguf(tmp_path / "small.gguf")
    elsewhere += [
        Cached("lm_studio", broken, "team/broken"),
        Cached("lm_studio", folder, "team/linked"),
        Cached("ollama", tmp_path / "small.gguf", "small:1b"),
    ]
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await sees(pilot, "team/linked  (LM Studio)")
        await hears(pilot, f"Enter links its files: {folder}")
        await pilot.press("up")
        await sees(pilot, "✗ team/broken", "tokenizer")
        await hears(pilot, "lacks", "tokenizer.json")
        await pilot.press("enter")
        await hears(pilot, "There is nothing to bring in of this one.")
        await pilot.press("down", "enter")
        await closed(pilot)
        assert (project.models_dir / "linked" / "config.json").is_symlink()
        await wait_for(pilot, lambda: app.hardware is not None)
        await opened(pilot)
        await sees(pilot, "small:1b  (Ollama)")
        while "Enter converts it" not in shown(pilot.app):
            await pilot.press("down")
            await pilot.pause()
        app.engine.idle.clear()  # as while a run goes on
        await pilot.press("enter")
        await hears(pilot, "A run, or a chat, is using MLX")
        app.engine.idle.set()
        await pilot.press("enter")
        await closed(pilot)
        await sees(pilot, "small-1b is in models/")
    source = read_source(project.models_dir / "small-1b")
    assert source is not None and source.way == "gguf"


async def test_an_odd_name_steers_no_terminal(
    app: MqloraApp, hub: Hub, elsewhere: list[Cached], tmp_path: Path
) -> None:
    """Neither as markup nor as a control code."""
    elsewhere.append(Cached("exo", write_model(tmp_path / "x"), "[bold]x[/]\x1b[2J"))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await sees(pilot, "[bold]x[/]\\x1b[2J")
