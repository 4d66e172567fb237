"""What the report suggests, each with a key: the command of an advice is done here instead of typed."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.analysis.verdict import Verdict
from engine.config import parse_assignment
from engine.i18n import _
from engine.i18n.numbers import with_separators
from engine.sanitize import one_line
from engine.shell import NAME
from tui.app.keys import doing, going_to
from tui.app.screens.shared.clicks import pressing

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

_KEYS = {
    "n": (_("First suggestion"), _("Do what is suggested first")),
    "u": (_("Second suggestion"), _("Do what is suggested second")),
    "v": (_("Third suggestion"), _("Do what is suggested third")),
}
"""What a report advises is one thing as a rule, and comes first."""
SUGGESTION_KEYS: list[BindingType] = [
    Binding(key, f"suggestion({index})", name, tooltip=text, show=False, id=f"report.suggestion_{key}")
    for index, (key, (name, text)) in enumerate(_KEYS.items())
]


@dataclass(frozen=True)
class Suggestion:
    """The command of an advice."""

    words: tuple[str, ...]
    """As a shell splits it, from its name on."""

    @property
    def values(self) -> dict[str, str] | None:
        """The settings of a run that is begun anew, those that change; None where none is begun anew."""
        if "--restart" not in self.words:
            return None
        return dict(parse_assignment(word) for before, word in pairwise(self.words) if before == "--set")

    @property
    def action(self) -> str:
        """What the app does where no run is begun anew."""
        return _ACTIONS[self.words[0]][0]

    @property
    def text(self) -> str:
        """What is done, in words."""
        values = self.values
        if values is None:
            return _ACTIONS[self.words[0]][1]
        changes = ", ".join(f"{name} {with_separators(value)}" for name, value in values.items())
        return _("train anew with {changes}").format(changes=changes) if changes else _("train anew")


_ACTIONS = {
    "train": (doing("train", "train.resume", "train.start"), _("go on with the run")),
    "validate": (doing("data", "data.check"), _("look at the data again")),
    "check": (doing("hardware", "hardware.check"), _("look at the machine again")),
    "monitor": (going_to("train"), _("look at the run")),
    "chat": (going_to("chat"), _("chat with it")),
    "plot": (doing("report", "report.charts"), _("draw the charts")),
    "export": (doing("report", "report.export"), _("export it")),
}
"""By the name of the command: what does the same in the app, and what that is in words."""


def suggestions_of(verdict: Verdict) -> list[Suggestion]:
    """Return what `verdict` advises, the most important first, then what can be done with the result."""
    found: list[Suggestion] = []
    others = [each.command for each in verdict.advice] + [each.command for each in verdict.next_steps]
    for command in [verdict.command, *others]:
        name, *words = shlex.split(command) or [""]
        suggestion = Suggestion(tuple(words))
        if name == NAME and words[0] in _ACTIONS and suggestion not in found:
            found.append(suggestion)
    return found[: len(_KEYS)]


class SuggestionLine(Static):
    """The suggestions with their keys, on as few lines as possible; invisible without any."""

    auto_links = False

    def show(self, suggestions: Sequence[Suggestion]) -> None:
        """Draw `suggestions`."""
        self.display = bool(suggestions)
        parts = [
            pressing(Content.assemble((f"{key} ", "bold $accent"), one_line(each.text, 200)), key)
            for key, each in zip(_KEYS, suggestions, strict=False)
        ]
        self.update(Content("   ").join(parts))
