"""The Modelfile: how Ollama is to join a conversation, in Go's template language, as it was trained.

Ollama does not run a model's own jinja template. Its pieces are found here by rendering conversations of
markers, and what Ollama will then write is compared with the model's own template.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from engine.dataset.jsonl.turns import Message
from engine.errors import UserError
from engine.i18n import _

Render = Callable[[Sequence[Message]], str]
"""Writes a conversation up to where the answer begins, with the model's own template."""

_SYSTEM, _USER, _ANSWER = "SYSTEMmarker", "USERmarker", "ANSWERmarker"
_QUOTES = '"""'


@dataclass(frozen=True)
class ChatPieces:
    """What a chat template writes around each turn."""

    start: str
    """Before everything, where there is no system turn."""
    system: tuple[str, str] | None
    """Around a system turn, with what comes before everything; None where it is no turn of its own."""
    user: tuple[str, str]
    answer: tuple[str, str]
    generation: str
    """Where the answer begins."""

    def render(self, messages: Sequence[Message]) -> str:
        """Return what Ollama writes with `go_template`; a system turn that it cannot write is left out."""
        around = self._around
        has_system = "system" in around and any(turn["role"] == "system" for turn in messages)
        turns = (turn["content"].join(around[turn["role"]]) for turn in messages if turn["role"] in around)
        return "".join(chain([] if has_system else [self.start], turns, [self.generation]))

    def go_template(self) -> str:
        """Return the same in Go's template language."""
        roles = "{{- else ".join(
            f'if eq .Role "{role}" }}}}{_go(before)}{{{{ .Content }}}}{_go(after)}'
            for role, (before, after) in self._around.items()
        )
        turns = f"{{{{- range .Messages }}}}{{{{- {roles}{{{{- end }}}}{{{{- end }}}}"
        start = _go(self.start)
        if start and self.system:
            start = f"{{{{- if not .System }}}}{start}{{{{- end }}}}"
        return f"{start}{turns}{_go(self.generation)}"

    @property
    def _around(self) -> dict[str, tuple[str, str]]:
        """What is written around each role's turn."""
        roles = {"user": self.user, "assistant": self.answer}
        return roles | ({"system": self.system} if self.system else {})


def _go(text: str) -> str:
    """Return text as an action of Go's templates: nothing in it is trimmed or taken for an action."""
    if not text:
        return ""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'{{{{ "{quoted}" }}}}'


def chat_pieces(own: Render) -> tuple[ChatPieces | None, bool]:
    """Find the pieces of a chat template.

    Args:
        own: renders with the model's own template.

    Returns:
        The pieces, None if no conversation comes out as the model's own template writes it; and whether
        those with a system turn do too.
    """
    pieces = _found(own)
    if pieces is None:
        return None, False
    user: Message = {"role": "user", "content": "What?\n\n  Two lines."}
    answer: Message = {"role": "assistant", "content": "That."}
    system: Message = {"role": "system", "content": "Be short."}
    plain: list[list[Message]] = [[user], [user, answer, user], [user, answer, user, answer, user]]
    if not all(_agrees(own, pieces, messages) for messages in plain):
        return None, False
    with_system = all(_agrees(own, pieces, [system, *messages]) for messages in plain)
    return pieces, with_system and pieces.system is not None


def _agrees(own: Render, pieces: ChatPieces, messages: Sequence[Message]) -> bool:
    try:
        return own(messages) == pieces.render(messages)
    except Exception:  # a template may refuse a turn
        return False


def _found(own: Render) -> ChatPieces | None:
    user: Message = {"role": "user", "content": _USER}
    answer: Message = {"role": "assistant", "content": _ANSWER}
    asked, two = own([user]), own([user, answer, user])
    first, _user, rest = asked.partition(_USER)
    if not _user or not two.startswith(first + _USER):
        return None
    between, _answer, again = two[len(first) + len(_USER) :].partition(_ANSWER)
    middle, _user, end = again.partition(_USER)
    if not _answer or not _user or end != rest:
        return None
    after_user = _common_start(between, rest)
    generation = rest[len(after_user) :]
    # What the first turn has in front of what later ones have is written once, before everything.
    before_user = _common_end(first, middle)
    start, after_answer = first[: len(first) - len(before_user)], middle[: len(middle) - len(before_user)]
    system = _system(own, before_user)
    return ChatPieces(
        start, system, (before_user, after_user), (between[len(after_user) :], after_answer), generation
    )


def _system(own: Render, before_user: str) -> tuple[str, str] | None:
    """Return what stands around a system turn that is a turn of its own."""
    try:
        text = own([{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _USER}])
    except Exception:  # a template may refuse a system turn
        return None
    before, _system_found, rest = text.partition(_SYSTEM)
    middle, _user_found, _end = rest.partition(_USER)
    if not _system_found or not _user_found or not middle.endswith(before_user):
        return None
    return before, middle[: len(middle) - len(before_user)]


def _common_start(one: str, other: str) -> str:
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return one[:count]


def _common_end(one: str, other: str) -> str:
    return _common_start(one[::-1], other[::-1])[::-1]


def modelfile(model: str, adapter: str | None, pieces: ChatPieces | None, stops: Sequence[str]) -> str:
    """Return the text of a Modelfile.

    Args:
        model: name of the GGUF file beside it.
        adapter: name of the adapter's GGUF file; None for a merged model.
        pieces: of the chat template; None for a model without one: a question, a line break and its answer.
        stops: texts at which answers end.

    Raises:
        UserError: the template cannot be written in a Modelfile.
    """
    template = pieces.go_template() if pieces else '{{ .Prompt }}{{ "\\n" }}'
    if _QUOTES in template or any('"' in stop or "\n" in stop for stop in stops):
        raise UserError(
            _("The chat template of this model has quotes that a Modelfile cannot hold"),
            _("export it with --to llama.cpp"),
        )
    lines = [f"FROM ./{model}", *([f"ADAPTER ./{adapter}"] if adapter else [])]
    lines += [f"TEMPLATE {_QUOTES}{template}{_QUOTES}"]
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    return "\n".join([*lines, "PARAMETER temperature 0", "PARAMETER repeat_penalty 1"]) + "\n"
