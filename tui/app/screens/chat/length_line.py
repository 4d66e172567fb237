"""Whether a question has room in the model's context, told while it is written."""

import asyncio
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.chat_prompt import ContextFull, may_be_too_long, prompt_of
from engine.dataset.jsonl.turns import Message as Turn
from engine.errors import UserError
from engine.i18n import _
from engine.model_folder.context_length import context_length
from engine.project import Project
from tui.app.jobs.adapters import base_for

from textual import work
from textual.content import Content
from textual.widgets import Static

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
        self._followed: tuple[Project, str, Path | None, list[Turn]] | None = None

    def refusal(self, turns: list[Turn], text: str) -> ContextFull | None:
        """Return why a question cannot be answered, as far as that is known by now."""
        return self._error if self._counted == _with(turns, text) else None

    def follow(
        self, project: Project, model: str, adapter: Path | None, turns: list[Turn], text: str
    ) -> None:
        """Look at the question that is being written, unless it is the one before, for the same model.

        Args:
            project: whose models and adapter these are.
            model: name of the base model; empty for the first.
            adapter: folder of the one that answers; None for what is in `adapters/`.
            turns: that are sent along.
            text: of the question.
        """
        followed = project, model, adapter, _with(turns, text)
        if followed != self._followed:
            self._followed = followed
            self._show([], None)
            self._count(*followed)

    @work(exclusive=True, exit_on_error=False)
    async def _count(self, project: Project, model: str, adapter: Path | None, turns: list[Turn]) -> None:
        await asyncio.sleep(PATIENCE_S)
        self._show(turns, await asyncio.to_thread(_refusal, project, model, adapter, turns))

    def _show(self, turns: list[Turn], error: ContextFull | None) -> None:
        self._counted, self._error = turns, error
        if self.display or error:
            self.update(Content(f"! {error.problem}; {error.fix}." if error else ""))
        self.display = error is not None


def _with(turns: list[Turn], text: str) -> list[Turn]:
    return [*turns, {"role": "user", "content": text}]


def _refusal(project: Project, model: str, adapter: Path | None, turns: list[Turn]) -> ContextFull | None:
    """Return why a conversation leaves no room for an answer; what else is wrong is told when it is asked."""
    try:
        folder = project.model_dir(base_for(project, adapter, model) if adapter else model)
        if may_be_too_long(turns, context_length(folder)):
            replace(_prompt_of(folder), settings=_template_settings(project, adapter)).tokens(turns)
    except ContextFull as full:
        fix = _("begin a new conversation with Ctrl+N") if full.is_grown else full.fix
        full.fix = fix
        return full
    except UserError:
        pass
    return None


def _template_settings(project: Project, adapter: Path | None) -> dict[str, Any]:
    """Return the chat template's variables with which the adapter is asked: they may write tokens too."""
    from engine.model.adapter_file import adapter_origin  # imports MLX, which computes nothing here
    from engine.model.mlx_lm_adapter import TEMPLATE_SETTINGS

    folder = adapter or (project.adapters_dir if project.found_adapter else None)
    return dict(adapter_origin(folder).get(TEMPLATE_SETTINGS, {})) if folder else {}


_prompt_of = lru_cache(maxsize=1)(prompt_of)
