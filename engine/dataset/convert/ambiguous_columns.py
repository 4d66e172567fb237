"""Why nobody but the user can tell what the columns of a table mean, and what they have to say."""

import shlex
from collections.abc import Sequence

from engine.dataset.convert.column_mapping import list_names
from engine.dataset.convert.header_line import reads_like_row
from engine.dataset.convert.records import Record
from engine.dataset.convert.tables import Table
from engine.dataset.jsonl.field_names import is_who_speaks, of_part, part_of, plain
from engine.dataset.jsonl.fields import sense_of
from engine.dataset.jsonl.refusals import is_worse
from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line

_SAID = ("content", "message", "body")
"""Columns with a message, besides those of a text."""


def unclear(table: Table, answer: str = "") -> UserError:
    """Return the refusal of a table whose columns do not say what they mean.

    Args:
        table: that is refused.
        answer: name of the column with the answers to learn, where it was said.
    """
    path = table.source.path
    if refusal := _without_names(table) or _other_program(table) or _several(table, answer):
        return refusal
    if not answer and (refusal := _of_messages(table)):
        return refusal
    if answer:
        return UserError(
            _("The question to '{name}' is not known among: {names}").format(
                name=one_line(answer, 40), names=list_names(table.columns)
            ),
            _("name its column: --prompt COLUMN --answer {name}").format(name=_word(answer)),
        )
    if answers := answers_of(table):
        if is_worse(answers[0]):
            return UserError(
                _("{path} has no answers to learn, only those that are worse: {names}").format(
                    path=path, names=list_names(answers)
                ),
                _("add a column with the better ones"),
            )
        return UserError(
            _("{path} holds answers to choose between").format(path=path),
            _("say which are to be learned: --answer {name}").format(name=_word(answers[0])),
        )
    if len(table.columns) == 1:
        return UserError(
            _("{path} has one column only, '{name}'").format(path=path, name=one_line(table.columns[0], 40)),
            _("where it holds plain text to continue: --text {name}").format(name=_word(table.columns[0])),
        )
    fix = _("name them: --prompt COLUMN --completion COLUMN [--system COLUMN], or --text COLUMN")
    if table.source.format == "delimited" and table.source.has_header:
        fix = _("{fix}, or --no-header where these are a row").format(fix=fix)
    return UserError(
        _("What the columns of {path} mean is not known: {names}").format(
            path=path, names=list_names(table.columns)
        ),
        fix,
    )


def _without_names(table: Table) -> UserError | None:
    """Return the refusal of a table whose columns have no names, as no row can be read or none names them."""
    path = table.source.path
    if table.source.named_at:
        return below_title(table)
    first = next((item for item in table.sample if not isinstance(item, Record)), None)
    if not table.columns and not first:
        return UserError(
            _("The first line of {path} names no column").format(path=path),
            _("say that there is no header: --no-header"),
        )
    if not table.columns and first:
        return UserError(
            _("No row of {path} can be read; {where}: {reason}").format(
                path=path, where=table.where(first.place), reason=first.reason
            ),
            first.fix,
        )
    if lacks_header(table):
        return UserError(
            _("The first line of {path} looks like a row, not like names of columns: {names}").format(
                path=path, names=list_names(table.columns)
            ),
            _("say that there is no header: --no-header"),
        )
    return None


def below_title(table: Table) -> UserError:
    """Return the refusal of a table above whose names of columns something else stands."""
    return UserError(
        _("The first line of {path} does not look like names of columns; line {line} does").format(
            path=table.source.path, line=table.source.named_at
        ),
        _("skip what stands above it: --skip-lines {count}").format(count=table.source.named_at - 1),
    )


def _word(name: str) -> str:
    """Return a name as it can be pasted into a command."""
    return one_line(shlex.quote(name), 200)


def _several(table: Table, answer: str) -> UserError | None:
    """Return the refusal of a table with more than one column that may be the question, or the answer."""
    questions, answers = questions_of(table), [] if answer else of_part(table.columns, "answer")
    if len(questions) < 2 and len(answers) < 2:
        return None
    learned = f"--answer {_word(answer)}" if answer else f"--completion {_word((answers or ['COLUMN'])[0])}"
    asked = questions or of_part(table.columns, "input")[:1] or ["COLUMN"]
    joined = " ".join(f"--prompt {_word(name)}" for name in asked)
    if len(questions) > 1:
        problem = _("Several columns of {path} may hold the question: {names}")
        fix = _("name the one to use, or to join them: {options}")
    else:
        problem = _("Several columns of {path} may hold the answer: {names}")
        fix = _("name the one to learn, such as: {options}")
    names = list_names(questions if len(questions) > 1 else answers)
    return UserError(
        problem.format(path=table.source.path, names=names), fix.format(options=f"{joined} {learned}")
    )


def questions_of(table: Table) -> Sequence[str]:
    """Return the columns whose names say that they hold the question."""
    return of_part(table.columns, "question")


def _other_program(table: Table) -> UserError | None:
    """Return the refusal of a file whose rows are inside one of its fields."""
    path, first = table.source.path, next(item for item in table.sample if isinstance(item, Record)).value
    if isinstance(first.get("mapping"), dict):
        return UserError(
            _("{path} is an export of ChatGPT, whose conversations are trees of drafts").format(path=path),
            _('write each as a line {"messages": [...]}, with the turns that were kept'),
        )
    inside = [
        name
        for name, cell in first.items()
        if isinstance(cell, list) and cell and all(isinstance(item, dict) for item in cell)
        if part_of(name) is None and sense_of(name) in (None, "trained")
    ]
    if len(table.sample) > 1 or not inside:
        return None
    inside.sort(key=lambda name: ("train" not in name.casefold(), -len(first[name])))
    name = one_line(inside[0], 40)
    if len(inside) > 1:
        problem = _("{path} is one object with several lists of rows: {names}")
        fix = _("save the one to train on, such as '{name}', alone as a file, and import this")
    else:
        problem = _("{path} is one object, and its rows stand in its list '{name}'")
        fix = _("save that list alone as a file, and import this")
    return UserError(problem.format(path=path, name=name, names=list_names(inside)), fix.format(name=name))


def _of_messages(table: Table) -> UserError | None:
    """Return the refusal of a table whose rows are single messages: which belong together it does not say."""
    who = [name for name in table.columns if is_who_speaks(name)]
    said = [name for name in table.columns if part_of(name) == "text" or plain(name) in _SAID]
    if not who or len(said) != 1:
        return None
    return UserError(
        _("Each row of {path} is one message, with who speaks in '{name}'").format(
            path=table.source.path, name=one_line(who[0], 40)
        ),
        _(
            'write each conversation as a line {{"messages": [...]}}; '
            "or, where it is plain text to continue: --text {name}"
        ).format(name=_word(said[0])),
    )


def lacks_header(table: Table) -> bool:
    """Whether the first line of a table, which is taken for the names of its columns, reads like a row."""
    source = table.source
    return source.format == "delimited" and source.has_header and reads_like_row(table.columns)


def answers_of(table: Table) -> list[str]:
    """Return the columns with several answers of a row, of which one may be learned, the worse ones last.

    Where there are such as chosen and rejected, a plain answer or a conversation is one of them.
    """
    several = [name for name in table.columns if sense_of(name) == "preference"]
    if not several:
        return []
    plain = of_part(table.columns, "answer") + of_part(table.columns, "turns")
    return sorted([*several, *plain], key=is_worse)
