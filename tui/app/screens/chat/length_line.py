"""Whether a question has room in the model's context, told while it is written."""

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from engine.chat_prompt import ContextFull, may_be_too_long, prompt_of
from engine.dataset.jsonl.turns import Message as Turn
from engine.errors import UserError
from engine.i18n import _
from engine.model_folder.context_length import context_length
from engine.project import Project

from textual import work
from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from tui.app.state import AppState

PATIENCE_S = 0.3
"""Pause in writing after which tokens are counted."""


class LengthLine(Static):
    """Says what is too long; counts, in a thread, only what may be."""

    DEFAULT_CSS = """
    LengthLine { height: auto; color: $warning; display: none; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._counted: list[Turn] = []
        self._error: ContextFull | None = None
        """Why these cannot be answered."""

    def refusal(self, turns: list[Turn], text: str) -> ContextFull | None:
        """Return why a question cannot be answered, as far as that is known by now."""
        return self._error if self._counted == _with(turns, text) else None

    def follow(self, model: str, turns: list[Turn], text: str) -> None:
        """Look at the question that is being written.

        Args:
            model: name of the base model; empty for the first.
            turns: that are sent along.
            text: of the question.
        """
        self._show([], None)
        self._count(model, _with(turns, text))

    @work(exclusive=True, exit_on_error=False)
    async def _count(self, model: str, turns: list[Turn]) -> None:
        await asyncio.sleep(PATIENCE_S)
        project = cast("AppState", self.app).project
        self._show(turns, await asyncio.to_thread(_refusal, project, model, turns))

    def _show(self, turns: list[Turn], error: ContextFull | None) -> None:
        self._counted, self._error = turns, error
        if self.display or error:
            self.update(Content(f"! {error.problem}; {error.fix}." if error else ""))
        self.display = error is not None


def _with(turns: list[Turn], text: str) -> list[Turn]:
    return [*turns, {"role": "user", "content": text}]


def _refusal(project: Project, model: str, turns: list[Turn]) -> ContextFull | None:
    """Return why a conversation leaves no room for an answer; what else is wrong is told when it is asked."""
    try:
        folder = project.model_dir(model)
        if may_be_too_long(turns, context_length(folder)):
            _prompt_of(folder).tokens(turns)
    except ContextFull as full:
        fix = _("begin a new conversation with Ctrl+N") if full.is_grown else full.fix
        full.fix = fix
        return full
    except UserError:
        pass
    return None


_prompt_of = lru_cache(maxsize=1)(prompt_of)
