"""5 Chat: the answer, and what the training changed."""

import threading
from concurrent.futures import Future
from typing import ClassVar

from engine.chat import ChatSettings
from engine.dataset.turns import Message as Turn
from engine.errors import UserError
from engine.i18n import _
from tui.chat_job import ChatJob, CreateSession, Question, create_session, model_to_ask
from tui.messages import ReplyDone, ReplyPiece
from tui.screens.base import PlaceScreen
from tui.screens.chat_settings import ChatSettingsScreen
from tui.widgets.chat_state import ChatState
from tui.widgets.chat_turn import ChatTurn, Speaker
from tui.widgets.prompt import Prompt

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

_HINT = _(
    "Write a question and press Enter; Ctrl+J begins another line of it.\n"
    "What was said before is sent along, Ctrl+N begins anew.\n"
    "Ctrl+R asks every line of data/prompts.txt."
)


class ChatScreen(PlaceScreen):
    """A conversation with the tuned model, on request with the base model beside it."""

    PLACE: ClassVar[str] = _("5 Chat")
    create_session: ClassVar[CreateSession] = staticmethod(create_session)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter,i",
            "write",
            _("Write"),
            tooltip=_("Go to the input line"),
            key_display="Enter",
            id="chat.write",
        ),
        Binding("escape", "stop", _("Stop"), tooltip=_("Stop the reply"), id="chat.stop"),
        Binding(
            "escape",
            "leave",
            _("Leave line"),
            tooltip=_("Leave the input line, so that single keys work"),
            id="chat.leave",
        ),
        Binding(
            "ctrl+b,b", "base", _("Base beside"), tooltip=_("Also answer without the adapter"), id="chat.base"
        ),
        Binding(
            "ctrl+r,p",
            "prompts",
            _("Prompts"),
            tooltip=_("Ask every line of data/prompts.txt on its own"),
            id="chat.prompts",
        ),
        Binding(
            "ctrl+t,t", "settings", _("Settings"), tooltip=_("Length and temperature"), id="chat.settings"
        ),
        Binding(
            "ctrl+n,n", "new", _("New"), tooltip=_("Begin a new conversation"), show=False, id="chat.new"
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.settings = ChatSettings()
        self.base_beside = False
        self._turns: list[Turn] = []
        self._waiting: list[str] = []
        """Lines of prompts.txt still to be asked."""
        self._job: Future[None] | None = None
        self._stop = threading.Event()

    def compose_body(self) -> ComposeResult:
        """Yield state, conversation and input line."""
        yield ChatState(id="chat-state")
        yield VerticalScroll(Static(_HINT, id="chat-hint", markup=False), id="chat-turns", can_focus=False)
        yield Prompt(_("Ask something"))

    def on_mount(self) -> None:
        """Get ready; the model is loaded with the first question."""
        self._model = ChatJob(self.mqlora.project, self.post_message, type(self).create_session)
        self.watch(self.app, "run_state", self._follow_run)
        self.query_one(Prompt).focus()

    def on_screen_resume(self) -> None:
        """Say what there is to talk to."""
        self._show_state()

    def on_unmount(self) -> None:
        """End a reply, so that the app can end."""
        self._stop.set()

    @property
    def is_replying(self) -> bool:
        """Whether a question is being answered."""
        return self._job is not None

    @property
    def _model_name(self) -> str:
        return model_to_ask(self.mqlora.project, self.mqlora.config.model)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what makes sense for the input line and the reply."""
        if action == "stop":
            return self.is_replying
        if action in ("write", "leave"):
            return isinstance(self.focused, Prompt) == (action == "leave")
        if action in ("prompts", "new"):
            return None if self.is_replying else True
        return super().check_action(action, parameters)

    @on(Prompt.Sent)
    def _send(self, event: Prompt.Sent) -> None:
        text = event.prompt.text.strip()
        if self.is_replying:
            self.show_error(
                UserError(_("A reply is being written"), _("wait for its end, or stop it with Esc"))
            )
        elif text and self._ask(text):
            event.prompt.clear()

    def action_write(self) -> None:
        """Go to the input line."""
        self.query_one(Prompt).focus()

    def action_stop(self) -> None:
        """Stop the reply and the prompts still to come."""
        self._waiting.clear()
        self._stop.set()

    def action_leave(self) -> None:
        """Take the cursor off the input line."""
        self.set_focus(None)

    def action_base(self) -> None:
        """Turn the base model's answer on or off."""
        self.base_beside = not self.base_beside
        self._show_state()

    def action_new(self) -> None:
        """Begin a new conversation."""
        self._turns.clear()
        self.query(ChatTurn).remove()
        self.query_one("#chat-hint").display = True

    def action_settings(self) -> None:
        """Ask for length and temperature."""
        self.app.push_screen(ChatSettingsScreen(self.settings), self._use_settings)

    def action_prompts(self) -> None:
        """Ask every line of prompts.txt, each on its own."""
        path = self.mqlora.project.prompts_file
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n")  # as rows are
        except OSError:
            lines = []
        self._waiting = [line.strip() for line in lines if line.strip()]
        if not self._waiting:
            problem = _("There is no question in {path}").format(path=path)
            self.show_error(UserError(problem, _("write one question a line into it")))
        self._ask_next_prompt()

    def _use_settings(self, settings: ChatSettings | None) -> None:
        if settings:
            self.settings = settings
            self._show_state()

    def _ask_next_prompt(self) -> None:
        if self._waiting:
            self._turns.clear()
            if not self._ask(self._waiting.pop(0)):
                self._waiting.clear()

    def _ask(self, text: str) -> bool:
        """Send a question to the engine; False if that is not possible now."""
        if self.is_replying:
            return False
        if self.mqlora.training.is_running:
            problem = _("Training is running, so the model is busy")
            self.show_error(UserError(problem, _("pause it with Ctrl+C to chat")))
            return False
        self.clear_error()
        self._turns.append({"role": "user", "content": text})
        self._add(ChatTurn("user", text))
        self._stop = threading.Event()
        question = Question(list(self._turns), self.base_beside)
        self._job = self.mqlora.engine.submit(
            self._model.answer, question, self._model_name, self.settings, self._stop
        )
        self._show_state()
        return True

    def _add(self, turn: ChatTurn) -> None:
        turns = self.query_one("#chat-turns", VerticalScroll)
        self.query_one("#chat-hint").display = False
        turns.mount(turn)
        turns.anchor()

    @on(ReplyPiece)
    async def _write(self, piece: ReplyPiece) -> None:
        if not self.is_attached:  # the app ends
            return
        speaker: Speaker = "tuned" if piece.tuned else "base"
        last = self.query(ChatTurn).last()
        if last.speaker != speaker:
            last = ChatTurn(speaker)
            await self.query_one("#chat-turns").mount(last)
        last.write(piece.text, piece.tokens, piece.tokens_per_second)
        if piece.finished and (piece.tuned or self._turns[-1]["role"] == "user"):
            self._turns.append({"role": "assistant", "content": last.text})

    @on(ReplyDone)
    def _finish(self, done: ReplyDone) -> None:
        self._job = None
        if not self.is_attached:
            return
        if done.error:
            self.show_error(done.error)
            self._waiting.clear()
        if self._turns and self._turns[-1]["role"] == "user":
            self._turns.pop()  # an unanswered question would break the alternation of turns
        self._show_state()
        self._ask_next_prompt()

    def _follow_run(self) -> None:
        """Leave the memory to training; the next question loads the newest adapter."""
        if self.mqlora.training.is_running:
            self._stop.set()
            self._model.forget()

    def _show_state(self) -> None:
        self.refresh_bindings()
        state = self.query_one(ChatState)
        state.show_state(
            self.mqlora.project, self._model_name, self.settings, self.base_beside, self.is_replying
        )
