"""All places and dialogs in Portuguese; `test_portuguese.py` starts this in a process that speaks it."""

from engine.dataset.report import Fault, Place
from engine.i18n import language
from engine.project import Project
from tests.support.fake_engine import (
    SIZES,
    FakeEngine,
    data_report,
    ready,
    sees,
    sees_no_more,
    shown,
    wait_for,
)
from tests.support.fake_run import write_run
from tests.support.looks import faults_of
from tui.app.app import MqloraApp
from tui.app.keys import PLACES

from textual.pilot import Pilot

NAMES = ("Máquina", "Perfil", "Dados", "Treino", "Conversa", "Relatório", "Histórico")
FAULTS = (
    Fault("train.jsonl", 3, None, "empty_prompt", "error", "sem pergunta", "escreva uma"),
    Fault("train.jsonl", 2, None, "duplicate", "warning", "igual", "retire uma", Place("train.jsonl", 1)),
)
DIALOGS = {
    "hardware": {"g": "Modelos base"},
    "profile": {"e": "Todos os valores do treino"},
    "data": {"i": "Importar linhas", "x": "raio X", "p": "duplicados"},
    "train": {"R": "Treinar de novo?"},
    "chat": {"ctrl+t": "máximo de tokens"},
    "report": {"x": "Exportar", "c": "Pontos de verificação"},
}
"""By their place and key, what stands in them."""


def looked_at(app: MqloraApp) -> None:
    """Look whether the screen is Portuguese, and all of it is there."""
    assert list(faults_of(app)) == [], shown(app)


async def opened(pilot: Pilot[int], key: str, text: str) -> None:
    """Press a key and look at what it opens, and at its help."""
    before = pilot.app.screen
    await pilot.press(key)
    await wait_for(pilot, lambda: pilot.app.screen is not before)
    await sees(pilot, text)
    assert isinstance(pilot.app, MqloraApp)
    looked_at(pilot.app)


async def test_the_whole_app(app: MqloraApp, engine: FakeEngine, project: Project) -> None:
    """Each place, its help, what its keys open."""
    assert language() == "pt"
    write_run(project, "paused", 30)
    engine.data = data_report(*FAULTS)
    async with app.run_test(size=SIZES[0]) as pilot:
        await ready(pilot)
        for place, name in zip(PLACES, NAMES, strict=True):
            app.switch_mode(place)
            await sees(pilot, f"{list(PLACES).index(place) + 1} {name}")
            if place == "data":
                await wait_for(pilot, lambda: app.data is not None and not app.data_progress)
                await sees(pilot, "sem pergunta")
            looked_at(app)
            await opened(pilot, "f1", "Teclas")
            await pilot.press("escape")
            await sees_no_more(pilot, "Teclas")
            for key, text in DIALOGS.get(place, {}).items():
                await wait_for(
                    pilot, lambda: app.current_mode in app.screen_stack[0].__class__.__name__.lower()
                )
                await opened(pilot, key, text)
                await pilot.press("escape")
        await opened(pilot, "ctrl+p", "Para onde?")
