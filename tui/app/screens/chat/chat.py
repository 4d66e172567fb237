"""5 Chat: the answer, and what the training changed."""

import asyncio
from dataclasses import replace
from typing import ClassVar

from engine.chat import ChatSettings
from engine.dataset.convert import additions
from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import printable
from tui.app.jobs.adapters import ChatAdapter, find_adapters
from tui.app.jobs.chat import questions_of
from tui.app.screens.chat.adapters import AdaptersScreen
from tui.app.screens.chat.asking import AskingScreen
from tui.app.screens.chat.keys import CHAT_KEYS, OF_A_CONVERSATION, OF_A_REPLY, WHY_NOT
from tui.app.screens.chat.length_line import LengthLine
from tui.app.screens.chat.log import ChatLog
from tui.app.screens.chat.prompt import Prompt
from tui.app.screens.chat.right_answer import RightAnswerScreen
from tui.app.screens.chat.settings import ChatSettingsScreen
from tui.app.screens.chat.state_line import ChatState
from tui.app.screens.chat.turn import ChatTurn
from tui.app.screens.shared.unsaved import FormResult

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import TextArea


class ChatScreen(AskingScreen):
    """A conversation with the tuned model, on request with the base model beside it."""

    PLACE: ClassVar[str] = _("5 Chat")
    AUTO_FOCUS = ""  # who has left the input line finds it left below a closed dialog
    WHY_NOT = WHY_NOT
    BINDINGS: ClassVar[list[BindingType]] = CHAT_KEYS

    _command = ""
    """Joins the answers that were saved to the training rows; empty where none was."""

    def compose_body(self) -> ComposeResult:
        """Yield state, conversation and input line."""
        yield ChatState(id="chat-state")
        yield ChatLog()
        yield LengthLine()
        yield Prompt(_("Ask something"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what makes sense for the input line and the reply."""
        if action == "stop":
            return self.is_replying
        if action in ("write", "leave"):
            return isinstance(self.focused, Prompt) == (action == "leave")
        if action in OF_A_REPLY:
            return bool(self.last_asked) and not self.is_replying
        if action in OF_A_CONVERSATION:
            return bool(self.query(ChatTurn))
        if action == "base":
            return any(state.has_model for state in self.query(ChatState))
        if action == "copy_command":
            return bool(self._command)
        return super().check_action(action, parameters)

    @on(Prompt.Sent)
    def _send(self, event: Prompt.Sent) -> None:
        text = event.prompt.text.strip()
        if not text:
            self.mqlora.show_notice(_("There is no question in the line; write one."))
        elif error := self.query_one(LengthLine).refusal(self.turns, text):
            self.show_error(error)
        elif self.ask(text):
            event.prompt.keep()

    @on(TextArea.Changed)
    def _look_at_length(self) -> None:
        text, adapter = self.query_one(Prompt).text.strip(), self.adapter.folder
        self.query_one(LengthLine).follow(self.project, self.model_name, adapter, self.turns, text)

    def show_state(self) -> None:
        """Say who answers, and whether the question in the line has room there."""
        super().show_state()
        self._look_at_length()

    def action_write(self) -> None:
        """Go to the input line."""
        self.query_one(Prompt).focus()

    def action_stop(self) -> None:
        """Stop the reply and the prompts still to come."""
        self.stop_work()

    def action_leave(self) -> None:
        """Take the cursor off the input line."""
        self.set_focus(None)

    def action_base(self) -> None:
        """Turn the base model's answer on or off."""
        self.base_beside = not self.base_beside
        self.show_state()

    def action_new(self) -> None:
        """Begin a new conversation."""
        self.stop_work()
        self.clear_error()  # such as that the conversation is too long
        self.turns.clear()
        self.last_asked.clear()
        self.log_of_turns.clear()
        self.show_state()

    def action_settings(self) -> None:
        """Ask for length, temperature and seed."""
        self.app.push_screen(ChatSettingsScreen(self.settings), self._use_settings)

    def action_prompts(self) -> None:
        """Ask every line of prompts.txt, each on its own."""
        if self.is_busy():
            return
        questions = questions_of(self.mqlora.project)
        if not questions:
            problem = _("There is no question in {path}").format(path=self.mqlora.project.prompts_file)
            self.show_error(UserError(problem, _("write one question a line into it")))
        self.ask_each(questions)

    def action_again(self) -> None:
        """Ask the last question once more, with the next seed; the answer before is left out."""
        if self.is_busy():
            return
        if not self.settings.temperature:
            notice = _("At temperature 0 the answer would be the same; Ctrl+T sets another.")
            self.mqlora.show_notice(notice)
            return
        seed = (self.settings.seed or 0) + 1
        self.settings = replace(self.settings, seed=seed)
        self.ask(self._take_back(), _("again, with seed {seed}").format(seed=seed))

    def action_edit(self) -> None:
        """Put the last question into the input line; it and its answer are left out from here on."""
        prompt = self.query_one(Prompt)
        if self.is_busy():
            return
        if prompt.text:
            self.mqlora.show_notice(_("There is another question in the line; send it, or empty it first."))
            return
        prompt.offer(self._take_back())
        prompt.focus()
        self.refresh_bindings()

    def _take_back(self) -> str:
        """Leave the last question and its answer out of the conversation, and return the question."""
        *self.turns, question = self.last_asked
        self.last_asked = []
        self.log_of_turns.last.say(_("left out from here on"))
        return str(question["content"])

    def action_plain(self) -> None:
        """Show replies as they were written, or their Markdown laid out."""
        self.log_of_turns.toggle_plain()
        is_plain = self.log_of_turns.is_plain
        self.mqlora.show_notice(_("Replies as they were written.") if is_plain else _("Markdown laid out."))

    def action_copy_reply(self) -> None:
        """Copy the newest reply."""
        if reply := self.log_of_turns.reply:
            self._copy(reply)
        else:
            self.mqlora.show_notice(_("There is no reply yet."))

    def action_copy_all(self) -> None:
        """Copy the conversation."""
        self._copy(self.log_of_turns.said)

    def action_copy_command(self) -> None:
        """Copy the command that joins saved answers to the training rows."""
        self._copy(self._command)

    def _copy(self, text: str) -> None:
        self.app.copy_to_clipboard(printable(text))
        self.mqlora.show_notice(_("Copied."))

    @work
    async def action_adapters(self) -> None:
        """Choose the checkpoint to talk to."""
        found = await asyncio.to_thread(find_adapters, self.project)
        chosen = await self.answer_to(AdaptersScreen(found, self.adapter))
        self._use_adapter(chosen)

    def _use_adapter(self, adapter: ChatAdapter | None) -> None:
        if adapter:
            self.adapter = adapter
            self.show_state()

    @work
    async def action_right_answer(self) -> None:
        """Let the last answer be corrected and saved as a row of training data."""
        turns = list(self.last_asked)
        is_answered = self.turns[:-1] == turns
        answer = str(self.turns[-1]["content"]).strip() if is_answered else ""
        as_turns = await asyncio.to_thread(additions.has_turns, self.mqlora.project)
        saved = await self.answer_to(RightAnswerScreen(turns, answer, as_turns))
        if saved and saved.values:
            self._add(saved.values)
        if saved and saved.then:
            self.mqlora.run_in_turn(saved.then)

    @work(exit_on_error=False)
    async def _add(self, addition: additions.Addition) -> None:
        project = self.mqlora.project
        try:
            count = await asyncio.to_thread(additions.add, project, addition)
            self._command = await asyncio.to_thread(additions.joining_command, project)
        except UserError as error:
            self.show_error(error)
            return
        said = _(
            "Saved as row {count:,} of data/{name}. "
            "The next run trains on it after (Ctrl+L copies it): {command}"
        )
        self.mqlora.show_notice(
            said.format(count=count, name=project.additions_file.name, command=self._command)
        )

    def _use_settings(self, answer: FormResult[ChatSettings] | None) -> None:
        if answer and answer.values:
            self.settings = answer.values
            self.show_state()
        if answer and answer.then:
            self.mqlora.run_in_turn(answer.then)
