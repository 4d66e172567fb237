"""Chat on the command line: one reply, or a conversation."""

import sys
from collections.abc import Sequence
from threading import Event
from typing import TextIO

from engine.chat import ChatSession, ChatSettings
from engine.dataset.turns import Message
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.text import printable
from engine.training.state import RunState
from tui.commands.output import err, print_json, quote, say
from tui.signals import pausing_signals


def reply_to_each(
    project: Project, prompts: Sequence[str], settings: ChatSettings, with_adapter: bool, as_json: bool
) -> None:
    """Answer questions, each on its own; several are repeated before their answers. Ctrl+C ends it.

    Raises:
        UserError: a question is empty, or model or adapter cannot be loaded.
    """
    if not all(prompt.strip() for prompt in prompts):
        raise UserError(_("The prompt is empty"), _('ask something: --prompt "..."'))
    session = _open(project, with_adapter)
    adapted = with_adapter and session.has_adapter
    with pausing_signals() as (stop, _received):
        for prompt in prompts:
            if stop.is_set():
                break
            if len(prompts) > 1 and not as_json:
                quote(f"> {prompt}")
            sink = None if as_json else sys.stdout
            text, tokens, speed = _reply(session, [_user(prompt)], settings, with_adapter, stop, sink)
            if as_json:
                figures = {"tokens": tokens, "tokens_per_second": round(speed, 2)}
                print_json({"prompt": prompt, "reply": text, **figures, "adapter": adapted})


def converse(project: Project, settings: ChatSettings, with_adapter: bool) -> None:
    """Answer questions read from standard input until it ends; Ctrl+C ends a reply."""
    session = _open(project, with_adapter)
    messages: list[Message] = []
    is_terminal = sys.stdin.isatty()
    if is_terminal:
        say(_("Ask something; an empty line or Ctrl+D ends the conversation."), err)
    while question := _ask(is_terminal):
        messages.append(_user(question))
        with pausing_signals() as (stop, _received):
            text, _tokens, _speed = _reply(session, messages, settings, with_adapter, stop, sink=sys.stdout)
        messages.append({"role": "assistant", "content": text})


def _open(project: Project, with_adapter: bool) -> ChatSession:
    state = RunState.load(project.state_file)
    session = ChatSession(project, state.model if state else "")
    if with_adapter and not session.has_adapter:
        say(_("There is no adapter yet: the base model answers. Train one with: mqlora-tui train"), err)
    return session


def _ask(is_terminal: bool) -> str:
    try:
        return input("> " if is_terminal else "").strip()
    except (EOFError, KeyboardInterrupt):
        return ""


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _reply(
    session: ChatSession,
    messages: Sequence[Message],
    settings: ChatSettings,
    with_adapter: bool,
    stop: Event,
    sink: TextIO | None,
) -> tuple[str, int, float]:
    """Generate a reply, writing it to `sink` as it comes; return text, tokens and tokens a second."""
    pieces: list[str] = []
    tokens, speed = 0, 0.0
    for chunk in session.reply(messages, settings, with_adapter, stop):
        if sink:
            sink.write(printable(chunk.text, before="".join(pieces[-1:])))
            sink.flush()
        if chunk.text:
            pieces.append(chunk.text)
        tokens, speed = chunk.tokens, chunk.tokens_per_second
    if sink:
        sink.write("\n")
    return "".join(pieces).strip(), tokens, speed
