"""Chat on the command line: one reply, or a conversation."""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from engine import units
from engine.chat import ChatSession, ChatSettings, ReplyChunk, ReplyEnd, reading_words
from engine.chat_prompt import ContextFull
from engine.dataset.jsonl.turns import Message
from engine.errors import UserError, WrongUsage
from engine.i18n import _
from engine.project import Project
from engine.sanitize import printable
from engine.training.selected_config import adapter_model, selected_settings
from tui.console import err, model_taken, print_json, quote, refuse, say, say_model
from tui.terminal.settings import TerminalSettings
from tui.terminal.signals import leaving_signals, pausing_signals

Stop = Callable[[], bool]
_ERASE = "\x1b[K"
"""Erases the rest of a terminal's line."""
_LEAVE_LINE = b"\x1b[?2004l\r\n"
"""Ends what readline told the terminal of pasted text, and the line that was begun."""


@dataclass(frozen=True)
class Answering:
    """Who answers: the base model with or without an adapter."""

    with_adapter: bool = True
    adapter: Path | None = None
    """Folder of the adapter; None takes what is in `adapters/`."""


@dataclass(frozen=True)
class Asking:
    """How questions are answered."""

    session: ChatSession
    settings: ChatSettings
    with_adapter: bool

    def reply(self, messages: Sequence[Message], stop: Stop, sink: TextIO | None) -> tuple[str, ReplyChunk]:
        """Generate a reply, writing it to `sink` as it comes; return its text and its last chunk."""
        pieces: list[str] = []
        last = ReplyChunk("", 0, 0.0, "stopped")
        on_progress = partial(_show_reading, messages)
        for last in self.session.reply(messages, self.settings, self.with_adapter, stop, on_progress):
            if not pieces:
                _end_reading()
            if sink:
                sink.write(printable(last.text, before="".join(pieces[-1:])))
                sink.flush()
            if last.text:
                pieces.append(last.text)
        if sink and pieces:
            sink.write("\n")
            sink.flush()
        if last.end and (words := self._end_words(last.end)):
            say(words, err)
        return "".join(pieces).strip(), last

    def _end_words(self, end: ReplyEnd) -> str:
        if end == "stopped":
            return _("The reply was stopped.")
        if end == "length":
            return _("The reply was cut at {tokens}; --max-tokens allows more.").format(
                tokens=units.tokens(self.settings.max_tokens)
            )
        if end == "context":
            return _("The reply was cut: this model takes {limit}, the question among them.").format(
                limit=units.tokens(self.session.context_length or 0)
            )
        return ""


def reply_to_each(
    project: Project, prompts: Sequence[str], settings: ChatSettings, who: Answering, as_json: bool
) -> int:
    """Answer questions, each on its own; several are repeated before their answers.

    Returns:
        The exit code: 0, or 128 + the signal that ended it.

    Raises:
        UserError: a question is empty or too long, or model or adapter cannot be loaded.
    """
    if not all(prompt.strip() for prompt in prompts):
        raise WrongUsage(_("The prompt is empty"), _('ask something: --prompt "..."'))
    with leaving_signals() as (stop, received):
        model = _model(project, who)
        if not as_json:
            say_model(project, model)
        asking = Asking(_open(project, model, who), settings, who.with_adapter)
        for prompt in prompts:
            asking.session.check([_user(prompt)])
        for prompt in prompts:
            if stop.is_set():
                break
            if len(prompts) > 1 and not as_json:
                quote(f"> {prompt}")
            sink = None if as_json else sys.stdout
            text, last = asking.reply([_user(prompt)], stop.is_set, sink)
            if as_json:
                figures = {"tokens": last.tokens, "tokens_per_second": round(last.tokens_per_second, 2)}
                folder = asking.session.adapter if who.with_adapter else None
                named = {
                    "model": model_taken(project, model),
                    "adapter": folder is not None,
                    "adapter_path": folder and str(folder),
                }
                print_json({"prompt": prompt, "reply": text, **figures, **named, "end": last.end})
    return 128 + received[0] if received else 0


def converse(project: Project, settings: ChatSettings, who: Answering) -> int:
    """Answer questions read from standard input until it ends.

    On a terminal Ctrl+C ends a reply, and between replies the conversation, and
    what is refused can be asked otherwise.

    Returns:
        The exit code: 0, or 128 + the signal that ended it.

    Raises:
        UserError: model or adapter cannot be loaded, or a question from a file or pipe is refused.
    """
    is_terminal = sys.stdin.isatty()
    with leaving_signals() as (_stop, received):
        model = _model(project, who)
        say_model(project, model)
        asking = Asking(_open(project, model, who), settings, who.with_adapter)
    if received:
        return 128 + received[0]
    if is_terminal:
        say(_("Ask something; an empty line or Ctrl+D ends the conversation."), err)
    messages: list[Message] = []
    for question in _questions(is_terminal):
        with leaving_signals(can_go_on=is_terminal) as (stop, received):
            try:
                _converse_on(asking, messages, question, stop.is_set)
            except UserError as error:
                if not is_terminal:
                    raise
                refuse(error)
        if received and not (is_terminal and received == [signal.SIGINT]):
            return 128 + received[-1]
    return 0


def _converse_on(asking: Asking, messages: list[Message], question: str, stop: Stop) -> None:
    """Answer the next question; one without an answer is left out of the conversation."""
    asked = [*messages, _user(question)]
    try:
        text, _last = asking.reply(asked, stop, sys.stdout)
    except ContextFull as full:
        if not full.is_grown:
            raise
        raise UserError(full.problem, _("leave with Ctrl+D and begin anew: mqlora-tui chat")) from None
    if text:
        messages[:] = [*asked, {"role": "assistant", "content": text}]
    else:
        say(_("There is no answer, so the question is left out from here on."), err)


def _model(project: Project, who: Answering) -> str:
    """Return the name of the base model: the adapter's, else the selected one; empty for the first."""
    if not who.adapter:
        return adapter_model(project) or selected_settings(project).model
    from engine.model.adapter_file import adapter_base

    made_for = adapter_base(who.adapter)
    return made_for if made_for in project.models() else selected_settings(project).model


def _open(project: Project, model: str, who: Answering) -> ChatSession:
    session = ChatSession(project, model, who.adapter)
    if who.with_adapter and session.warning:
        say(session.warning, err)
    if who.with_adapter and not session.has_adapter:
        say(_("There is no adapter yet: the base model answers. Train one with: mqlora-tui train"), err)
    return session


def _questions(is_terminal: bool) -> Iterator[str]:
    """Yield what is typed, to the first empty line, or each line of a file or pipe that is not empty."""
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # refused where the question is looked at
    if is_terminal:
        with suppress(ImportError):
            import readline  # noqa: F401  # a terminal's own lines end after 1024 or 4096 characters
    while True:
        try:
            question = _ask("> " if is_terminal else "").strip()
        except EOFError:
            return
        if question:
            yield question
        elif is_terminal:
            return


def _ask(prompt: str) -> str:
    """Read a line; a signal ends the program from here, where nothing is held."""
    terminal = TerminalSettings.save()

    def leave(received: list[int]) -> None:
        terminal.restore(full_screen=False)
        if prompt and select.select([], [1], [], 0)[1]:
            os.write(1, _LEAVE_LINE)
        os._exit(128 + received[-1])

    with pausing_signals(leave):
        return input(prompt)


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _show_reading(messages: Sequence[Message], read: int, total: int) -> None:
    """Say on a terminal how much of the prompt is read, on the line that is there."""
    if err.is_terminal:
        words = reading_words(messages, read / total)
        err.file.write(f"\r{words}{_ERASE}")
        err.file.flush()


def _end_reading() -> None:
    if err.is_terminal:
        err.file.write(f"\r{_ERASE}")
        err.file.flush()
