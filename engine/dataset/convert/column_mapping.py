"""Which columns of a table are used for what, and what becomes of the others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from engine.dataset.jsonl.field_names import is_speaker, is_who_speaks, part_of
from engine.dataset.jsonl.fields import OF_QUESTION, sense_of
from engine.dataset.jsonl.options import option_names
from engine.i18n import _
from engine.sanitize import one_line

SourceForm = Literal["pair", "alpaca", "messages", "sharegpt", "interactions", "transcript", "text"]
"""Two columns; instruction and input for the prompt; turns with role and content; turns with from and value;
turns that say whether the user speaks; turns in one text; one column of plain text."""
Fate = Literal["used", "kept", "meant", "unused"]
"""Of a field: mapped; kept in its row, since it changes what that means; question or answer by its name, but
not mapped; nothing of these."""
_MOST_FATES, _LONGEST_FATE = 1000, 1000
"""Sets of names whose fates are kept, and characters of each."""
_LISTED = 20


@dataclass(frozen=True)
class ColumnMapping:
    """Names of the columns that are used; empty where there is none."""

    form: SourceForm
    prompt: str = ""
    inputs: tuple[str, ...] = ()
    """Go below the prompt, each after a blank line, where they have a text; alone where that has none."""
    completion: str = ""
    system: str = ""
    turns: str = ""
    text: str = ""
    history: str = ""
    """Earlier questions with their answers, a list of pairs."""
    answer: str = ""
    """The one of several answers that is learned: a text, a turn, or turns."""
    ignored: tuple[str, ...] = ()
    """Columns that are named like a yes or a no and hold something else."""
    is_chosen: bool = False
    """Whether the user chose one of several answers, and so left the others out."""
    is_named: bool = False
    """Whether the user named the columns, and so left the others out."""
    is_fixed: bool = False
    """Whether it holds for all rows; else a row that it does not fit is read as its own fields say."""
    is_mixed: bool = False
    """Whether some of the first rows are of another form."""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that are used."""
        every = (self.prompt, *self.inputs, self.history, self.completion, self.system, self.turns)
        return tuple(name for name in (*every, self.answer, self.text) if name)

    @cached_property
    def options(self) -> tuple[str, ...]:
        """Those of the inputs that hold what whoever is asked chooses from."""
        return tuple(option_names(self.inputs))

    @property
    def makes_turns(self) -> bool:
        """Whether rows are written as conversations: all of a file in one form."""
        return bool(self.turns or self.system or self.history or self.is_mixed)

    def fates(self, names: Iterable[str]) -> dict[Fate, list[str]]:
        """Return the fields of a row by what becomes of them."""
        key = tuple(names)
        if found := self._known_fates.get(key):
            return found
        found = {"used": [], "kept": [], "meant": [], "unused": []}
        for name in key:
            found[self._fate_of(name)].append(name)
        if len(self._known_fates) < _MOST_FATES and sum(map(len, key)) < _LONGEST_FATE:
            self._known_fates[key] = found
        return found

    @cached_property
    def _known_fates(self) -> dict[tuple[str, ...], dict[Fate, list[str]]]:
        """Of the rows seen so far: those by the million have the same fields."""
        return {}

    def _fate_of(self, name: str) -> Fate:
        if name in self.columns:
            return "used"
        if self.honours(name):
            return "kept"
        return "meant" if is_meant(name) and not (self.answer and part_of(name) == "answer") else "unused"

    def honours(self, name: str) -> bool:
        """Whether a column that is not mapped still goes with its row, since it changes what that means."""
        if self.text and is_who_speaks(name):  # the check of rows refuses it beside a text
            return not self.is_named
        sense = sense_of(name)
        if sense == "preference":
            return not (self.is_named or self.is_chosen)
        if sense in OF_QUESTION:  # a conversation has no place for it: the check of rows says so
            return not self.is_named and not (self.prompt or self.inputs)
        return sense is not None and name not in self.ignored

    def words(self, columns: Iterable[str]) -> str:
        """Say how `columns` are read, and what becomes of the others."""
        names = {
            "pair": _("pairs"),
            "alpaca": _("Alpaca"),
            "messages": _("messages"),
            "sharegpt": _("ShareGPT"),
            "interactions": _("interactions"),
            "transcript": _("turns in one text"),
            "text": _("plain text"),
        }
        prompt = " + ".join(_shown(name) for name in (self.history, self.prompt, *self.inputs) if name)
        parts = [
            f"{left} → {right}"
            for left, right in (
                (_shown(self.system), _("system")),
                (prompt, _("prompt")),
                (_shown(self.completion), _("completion")),
                (_shown(self.turns), _("turns")),
                (_shown(self.answer), _("answer")),
                (_shown(self.text), _("text")),
            )
            if left
        ]
        said = _("read as {form}: {parts}").format(form=names[self.form], parts=", ".join(parts))
        if self.is_mixed:
            said = _("{said}; rows of other forms as their own fields say").format(said=said)
        return said + self._others([name for name in columns if name not in self.columns])

    def _others(self, names: Sequence[str]) -> str:
        """Say what becomes of the columns that are not mapped."""
        fates = self.fates(names)
        honoured, meant = fates["kept"], fates["meant"]
        # What is learned of rows without the chosen answer is counted at the end, where it is left out.
        unused = [name for name in fates["unused"] if not (self.is_chosen and is_meant(name))]
        left = meant if self.is_named else []
        compared = [] if self.is_named or self.is_mixed else meant
        said = ""
        for words, listed in (
            (_("; taken into account: {names}"), honoured),
            (_("; left out as you chose: {names}"), left),
            (_("; only compared: {names}"), compared),
            (_("; not used: {names}"), unused),
        ):
            said += words.format(names=list_names(listed)) if listed else ""
        return said


def is_meant(name: str) -> bool:
    """Whether a column of this name may belong to question or answer."""
    return (part_of(name) is not None and not is_speaker(name)) or sense_of(name) in OF_QUESTION


def _shown(name: str) -> str:
    """Return a name for people; in quotes where a comma in it would make two of it."""
    return f"'{one_line(name, 40)}'" if "," in name else one_line(name, 40)


def list_names(names: Sequence[str]) -> str:
    """Return names for people, `_LISTED` at most."""
    more = _(" and {n} more").format(n=len(names) - _LISTED) if len(names) > _LISTED else ""
    return ", ".join(_shown(name) for name in names[:_LISTED]) + more
