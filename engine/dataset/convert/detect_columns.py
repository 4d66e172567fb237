"""What the columns of a table mean: as its names and first rows tell, or as the user says."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from engine.dataset.convert.ambiguous_columns import below_title, unclear
from engine.dataset.convert.column_mapping import ColumnMapping, SourceForm, list_names
from engine.dataset.convert.convert_row import fits
from engine.dataset.convert.records import Record
from engine.dataset.convert.tables import Table
from engine.dataset.convert.turns_column import turns_column
from engine.dataset.jsonl.field_names import is_who_speaks, of_part, part_of
from engine.dataset.jsonl.fields import YES_OR_NO, answer_of, says_nothing, sense_of
from engine.dataset.jsonl.learned import is_class_or_answer
from engine.dataset.jsonl.options import option_names
from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line


def detect(table: Table, answer: str = "") -> ColumnMapping | None:
    """Return what the columns of a table seem to mean, None where that is not clear.

    Args:
        table: whose columns are looked at.
        answer: name of the column with the answers to learn, where there are several.
    """
    if table.source.named_at:  # what is taken for their names is none
        return None
    rows = [item.value for item in table.sample if isinstance(item, Record)]
    is_table = table.source.format == "delimited"
    found = _reading(table.columns, rows, answer)
    if not is_table and not (found and all(fits(row, found) for row in rows)):
        found = _of_several(found, rows, answer)
    if not found:
        return None
    ignored = tuple(_ignored(table.columns, rows))
    return replace(found, ignored=ignored, is_fixed=is_table, is_chosen=bool(answer))


def _of_several(
    found: ColumnMapping | None, rows: Sequence[dict[str, Any]], answer: str
) -> ColumnMapping | None:
    """Return the reading of all columns, else the most common of single rows; marked where rows differ."""
    own = [reading for row in rows if (reading := _own(row, answer))]
    if not found and own:
        found = Counter(own).most_common(1)[0][0]
    if not found:
        return None
    return replace(found, is_mixed=any(not {*one.columns} <= {*found.columns} for one in own))


def reading_of(value: dict[str, Any], mapping: ColumnMapping) -> ColumnMapping:
    """Return how one row is read: as its table is, or where that does not fit as its own fields say."""
    has_answer = not mapping.answer or not says_nothing(value.get(mapping.answer))
    if mapping.is_named or (mapping.is_fixed and has_answer) or fits(value, mapping):
        return mapping
    own = _own(value, mapping.answer)
    return replace(own, ignored=mapping.ignored, is_chosen=mapping.is_chosen) if own else mapping


def _own(row: dict[str, Any], answer: str) -> ColumnMapping | None:
    """Return what a row's own fields mean; one without the chosen answer may have another to learn."""
    return _reading(_filled(row), [row], "" if says_nothing(row.get(answer)) else answer)


def _filled(row: dict[str, Any]) -> list[str]:
    return [name for name, cell in row.items() if name and not says_nothing(cell)]


def _reading(columns: Sequence[str], rows: Sequence[dict[str, Any]], answer: str) -> ColumnMapping | None:
    """Return what columns mean by their names and by what is in some rows; None where that is not clear."""
    names = [name for name in columns if name != answer and not (answer and sense_of(name) == "preference")]
    options = option_names(names)
    names = [name for name in names if name not in options]
    system = next((name for name in names if sense_of(name) == "system"), "")
    if found := turns_column(names, rows, answer):
        return replace(found, system=system)
    questions = of_part(names, "question") or of_part(names, "input")[:1]
    answers = [] if answer else of_part(names, "answer")
    if len(questions) == 1 and (answer or len(answers) == 1):
        extras = (*(name for name in names if _is_extra(name) and name not in questions), *options)
        history = "".join(of_part(names, "history")[:1])
        form: SourceForm = "alpaca" if extras or history else "pair"
        completion = "".join(answers)
        return ColumnMapping(form, questions[0], extras, completion, system, history=history, answer=answer)
    texts = of_part(names, "text")
    is_message = any(map(is_who_speaks, names))
    if len(texts) != 1 or of_part(names, "question") or answers or answer or is_message:
        return None
    return ColumnMapping("text", text=texts[0])


def _is_extra(name: str) -> bool:
    """Whether a column belongs to the question, and is no list of earlier turns."""
    return (part_of(name) == "input" or sense_of(name) == "context") and part_of(name) != "history"


def _ignored(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the columns that are named like a yes or a no, and hold neither in any row.

    Beside options the number of a label is that of one.
    """
    has_options = bool(option_names(columns))
    for name in columns:
        if sense_of(name) in YES_OR_NO:
            cells = [row[name] for row in rows if not says_nothing(row.get(name))]
            if has_options:
                cells = [cell for cell in cells if not is_class_or_answer(name, cell)]
            if all(answer_of(cell) is None and not is_class_or_answer(name, cell) for cell in cells):
                yield name


def choose(
    table: Table,
    prompt: str = "",
    completion: str = "",
    system: str = "",
    text: str = "",
    answer: str = "",
    inputs: Sequence[str] = (),
) -> ColumnMapping:
    """Return the mapping that was asked for; what was not is found by the names of the columns.

    Args:
        table: whose columns are mapped.
        prompt: name of its column; `completion` then has to be named as well.
        completion: name of its column.
        system: name of the column with the instructions for the assistant, for all forms but `text`.
        text: name of the column with plain text, instead of the others.
        answer: name of the column with the answers to learn, where a row has several (chosen, rejected).
        inputs: names of columns that go below the prompt.

    Raises:
        UserError: there is no such column, one is to be two things, names contradict each other, or
            none tells what is meant.
    """
    for name in (prompt, completion, system, text, answer, *inputs):
        if name != answer or table.has_all_columns or sense_of(answer) != "preference":
            _refuse_unknown(table, name)
    _refuse_contradictions(prompt, completion, system, text, answer)
    if not (table.source.has_header or prompt or text or answer) and len(table.columns) == 2:
        return ColumnMapping("pair", table.columns[0], completion=table.columns[1], is_fixed=True)
    found = _named(prompt, completion, text, answer, tuple(inputs)) or detect(table, answer)
    if not found or (system and found.form == "text"):
        raise unclear(table, answer)
    if prompt or text:
        rows = [item.value for item in table.sample if isinstance(item, Record)]
        found = replace(found, is_named=True, ignored=tuple(_ignored(table.columns, rows)))
    found = replace(found, system=system) if system else found
    refuse_twice(found)
    return found


def _named(
    prompt: str, completion: str, text: str, answer: str, inputs: tuple[str, ...]
) -> ColumnMapping | None:
    """Return the mapping whose columns are named; None where neither prompt nor text is."""
    if text:
        return ColumnMapping("text", text=text)
    if not prompt:
        return None
    return ColumnMapping("alpaca" if inputs else "pair", prompt, inputs, completion, answer=answer)


def _refuse_contradictions(prompt: str, completion: str, system: str, text: str, answer: str) -> None:
    if answer and (completion or text):
        raise UserError(_("An answer was chosen, and another column named"), _("name one of them"))
    if bool(prompt) != bool(completion or (answer and prompt)):
        raise UserError(_("A prompt needs a completion, and the other way round"), _("name both columns"))
    if text and (prompt or system):
        raise UserError(
            _("Plain text has neither prompt nor system"), _("name the text column only, or the others")
        )


def refuse_twice(mapping: ColumnMapping) -> None:
    """Refuse a column that is to be two things at once.

    Raises:
        UserError: there is one; with its name.
    """
    roles = {
        _("prompt"): (mapping.prompt, *mapping.inputs, mapping.history),
        _("completion"): (mapping.completion,),
        _("answer"): (mapping.answer,),
        _("turns"): (mapping.turns,),
        _("system"): (mapping.system,),
    }
    for name in mapping.columns:
        taken = [role for role, names in roles.items() for other in names if other == name]
        if len(taken) > 1 and taken[0] == taken[1]:
            raise UserError(
                _("Column '{name}' is chosen twice for {role}").format(
                    name=one_line(name, 40), role=taken[0]
                ),
                _("choose another column, or leave one out"),
            )
        if len(taken) > 1:
            raise UserError(
                _("Column '{name}' is chosen for both {one} and {other}").format(
                    name=one_line(name, 40), one=taken[0], other=taken[1]
                ),
                _("choose another column for one of them"),
            )


def _refuse_unknown(table: Table, name: str) -> None:
    if name and name not in table.columns and table.source.named_at:
        raise below_title(table)
    if name and name not in table.columns:
        raise UserError(
            _("{path} has no column '{name}'").format(path=table.source.path, name=name),
            _("name one of: {names}").format(names=list_names(table.columns)),
        )
