"""What the columns of a table mean: found, shown, and changed with lists of choices."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.i18n import _, number
from engine.sanitize import one_line
from tui.app.screens.shared.choice import Choice

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from engine.dataset.convert.column_mapping import ColumnMapping, SourceForm
    from engine.dataset.convert.source import Source
    from engine.dataset.convert.tables import Table

_MOST_COLUMNS = 200
"""So many can be chosen from; a list of more is slow, and nobody reads it."""
SelectOptions = list[tuple[str, Any]]


class Head(NamedTuple):
    """How a delimited text begins."""

    has_names: bool
    """Whether a line names the columns."""
    skipped: int
    """Lines passed over above it."""

    @classmethod
    def of(cls, source: "Source") -> "Head":
        """Return how a file is read."""
        return cls(source.has_header, source.title_lines)


class ImportColumns(Vertical):
    """One list for how rows are read, and one for each column that this takes."""

    def __init__(self) -> None:
        super().__init__()
        self._found: ColumnMapping | None = None
        self._table: Table | None = None

    def compose(self) -> ComposeResult:
        """Yield the lists, each behind its name."""
        names = {
            "header": _("first line"),
            "form": _("read as"),
            "prompt": _("prompt"),
            "below": _("and below it"),
            "completion": _("completion"),
            "answer": _("answer"),
            "text": _("text"),
            "system": _("system"),
        }
        for id_, name in names.items():
            with Horizontal(classes="import-line"):
                yield Static(name, classes="field-name")
                yield Choice([("", None)], allow_blank=False, compact=True, id=f"import-{id_}")

    def show(self, table: "Table", found: "ColumnMapping | None") -> None:
        """Offer the columns of a table, with what was found chosen."""
        from engine.dataset.convert.ambiguous_columns import answers_of, questions_of

        self._found, self._table = found, table
        self._offer("header", _heads(table.source), Head.of(table.source))
        answers: SelectOptions = [
            (_("— none is learned —"), ""),
            *((name, name) for name in answers_of(table)),
        ]
        self._offer("answer", answers, found.answer if found else "")
        used = found.columns if found else ()
        columns: SelectOptions = [
            (name, name) for name in dict.fromkeys((*used, *table.columns[:_MOST_COLUMNS]))
        ]
        prompts: SelectOptions = [(name, (name,)) for name, _value in columns]
        prompt = (found.prompt, *found.inputs) if found and found.prompt else ()
        joined = prompt or tuple(questions_of(table))
        if len(joined) > 1:
            prompts.insert(0, (" + ".join(joined), joined))
        choose: SelectOptions = [(_("— choose a column —"), "")]
        self._offer("form", self._forms(), _family(found))
        self._offer("prompt", [(choose[0][0], ()), *prompts], prompt)
        self._offer("below", [(_("— nothing —"), ""), *columns], "")
        self._offer("completion", choose + columns, found.completion if found else "")
        self._offer("text", choose + columns, found.text if found else "")
        self._offer("system", [(_("— none —"), ""), *columns], found.system if found else "")
        self.show_lists()

    def show_lists(self) -> None:
        """Show only the lists that the chosen form takes."""
        from engine.dataset.convert.ambiguous_columns import answers_of

        form = self._value("form")
        shown = {"form", "system"} if form == "turns" else {"form", "text"}
        if form == "pair":
            shown = {"form", "prompt", "below", "completion", "system"}
        if self._table and self._table.source.format == "delimited":
            shown |= {"header"}
        if self._table and answers_of(self._table):
            shown |= {"answer"}
        if self._value("answer"):
            shown -= {"completion", "text"}
        for choice in self.query(Choice):
            if choice.parent is not None:
                choice.parent.display = (choice.id or "").removeprefix("import-") in shown

    def question(self, table: "Table") -> str:
        """Return what is to be said of a table whose meaning is not known.

        Args:
            table: whose columns are shown.
        """
        from engine.dataset.convert.ambiguous_columns import answers_of, lacks_header, questions_of

        if table.source.named_at:
            return _("line {line} seems to name the columns: say so where it does").format(
                line=number(table.source.named_at)
            )
        if lacks_header(table):
            return _("its first line reads like a row: say so where it is one")
        if answers_of(table) and not self._value("answer"):
            return _("it holds answers to choose between: say which are learned")
        if len(questions_of(table)) > 1:
            return _("several columns may hold the prompt: choose or join them")
        return _("say which columns hold the prompt and the completion")

    @property
    def mapping(self) -> "ColumnMapping | None":
        """What is chosen; None while a column is missing."""
        from engine.dataset.convert.column_mapping import ColumnMapping
        from engine.dataset.convert.detect_columns import detect

        form, system = self._value("form"), self._value("system")
        prompt = self._prompt
        if (answer := self._value("answer")) and self._table:
            found = detect(self._table, answer)
            if found and prompt in ((), (found.prompt, *found.inputs)):
                return replace(found, system=system)
            return self._pair(prompt, system, answer=answer) if prompt else None
        if form == "turns" and self._found:
            return replace(self._found, system=system)
        if form == "text":
            text = self._value("text")
            return ColumnMapping("text", text=text, is_named=True) if text else None
        completion = self._value("completion")
        if not prompt or not completion:
            return None
        found = self._found
        if found and (found.prompt, *found.inputs, found.completion) == (*prompt, completion):
            return replace(found, system=system)
        return self._pair(prompt, system, completion)

    @property
    def _prompt(self) -> tuple[str, ...]:
        """The columns that are chosen for the prompt, one below the other; none without a first."""
        prompt: tuple[str, ...] = self._value("prompt")
        return (*prompt, self._value("below")) if prompt and self._value("below") else prompt

    def _pair(
        self, prompt: tuple[str, ...], system: str, completion: str = "", answer: str = ""
    ) -> "ColumnMapping":
        """Return the mapping of columns that were chosen: what belongs to none of them is left out."""
        from engine.dataset.convert.column_mapping import ColumnMapping

        form: SourceForm = "pair" if len(prompt) == 1 else "alpaca"
        named = ColumnMapping(form, prompt[0], prompt[1:], completion, system, answer=answer, is_named=True)
        return replace(named, ignored=self._found.ignored) if self._found else named

    def _forms(self) -> SelectOptions:
        forms: SelectOptions = [(_("prompt and completion"), "pair"), (_("plain text"), "text")]
        if self._found and self._found.turns:
            forms.insert(0, (_("turns of {column}").format(column=self._found.turns), "turns"))
        return forms

    def _offer(self, name: str, options: SelectOptions, value: Any) -> None:
        choice = self.query_one(f"#import-{name}", Choice)
        choice.set_options([(Content(one_line(label, 60)), item) for label, item in options])
        choice.value = value

    def _value(self, name: str) -> Any:
        return self.query_one(f"#import-{name}", Choice).value


def _heads(source: "Source") -> SelectOptions:
    """Return how a file may begin: as it is read now, as it seems to, and in the two usual ways."""
    heads: SelectOptions = [(_("names the columns"), Head(True, 0)), (_("is a row"), Head(False, 0))]
    if skipped := source.title_lines or max(0, source.named_at - 1):
        words = _("is passed over; line {n} names the columns").format(n=number(skipped + 1))
        heads.append((words, Head(True, skipped)))
    return heads


def _family(found: "ColumnMapping | None") -> str:
    """Return which of the offered forms a mapping is of."""
    if found is None:
        return "pair"
    return "turns" if found.turns else "text" if found.text else "pair"
