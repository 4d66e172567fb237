"""`eval`: base model and adapters on the same rows, as tables and sentences, or as JSON."""

import os
import threading
from collections.abc import Callable, Iterable

from engine.evaluation.evaluator import Evaluator
from engine.evaluation.request import EvaluationRequest
from engine.evaluation.results import Evaluation
from engine.evaluation.sentences import (
    Remark,
    answer_remarks,
    headline,
    label,
    remarks_on_rows,
    row_change,
    verdicts,
    worst_and_best,
)
from engine.evaluation.tables import Words, answers_table, asked_words, losses_table
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line
from engine.units import moment, signed
from tui.cli.progress import stages
from tui.console import cell, err, out, print_json, say, status_mark, table
from tui.terminal.signals import leaving_signals

import msgspec
from rich.table import Table
from rich.text import Text

_LETTERS = 140
"""Of a question or an answer in the list."""


def evaluate(project: Project, request: EvaluationRequest, as_json: bool) -> int:
    """Evaluate and print what was found; return the exit code: 0, or 128 + the signal that ended it.

    Raises:
        UserError: see `engine.evaluation.evaluator`.
    """
    tell_of_the_end = _told_once()

    def end(code: int) -> None:
        tell_of_the_end()
        os._exit(code)

    with leaving_signals(end=end) as (stop, received), stages(_("Reading the rows")) as on_progress:
        evaluator = Evaluator(project, request, stop, on_progress)
        found = evaluator.run()
    if received or found is None:
        tell_of_the_end()
        return 128 + received[-1]
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        _show(found, evaluator.was_kept)
    if evaluator.not_kept:
        say(_("What was found could not be kept: {reason}").format(reason=evaluator.not_kept), err)
    return 0


def _told_once() -> Callable[[], None]:
    """Return what says that a signal ended the work, the first time that it is called."""
    lock = threading.Lock()

    def tell() -> None:
        if lock.acquire(blocking=False):
            if err.is_terminal:
                err.show_cursor(True)  # the bar hides it
            say(_("Stopped; nothing of this evaluation is kept."), err)

    return tell


def _show(found: Evaluation, was_kept: bool) -> None:
    say(headline(found))
    _say_all(remarks_on_rows(found))
    _print(losses_table(found))
    _say_all(verdicts(found))
    if found.asked:
        say(asked_words(found))
        _print(answers_table(found))
        _say_all(answer_remarks(found))
        _show_worst_and_best(found)
    if was_kept:
        say(_("Evaluated on {moment}; nothing has changed since.").format(moment=moment(found.made)), err)


def _say_all(remarks: Iterable[Remark]) -> None:
    for remark in remarks:
        say(f" {status_mark(remark.level)} {remark.text}")


def _print(words: Words) -> None:
    shown = table(*words.heads)
    for name, *figures in words.rows:
        shown.add_row(cell(name), *figures)
    out.print(shown)


def _show_worst_and_best(found: Evaluation) -> None:
    """Print the answers of the base model and of the first adapter beside each other."""
    worst, best = worst_and_best(found)
    name = label(found.variants[1])
    least, most = _("Rows that gained least with {name}:"), _("Rows that gained most with {name}:")
    for title, places in ((least, worst), (most, best)):
        if places:
            say(title.format(name=name))
            for place in places:
                _show_row(found, place)


def _show_row(found: Evaluation, place: int) -> None:
    """Print a row's question beside its answer, and below the base model's answer beside the adapter's."""
    asked, base, tuned = found.asked[place], found.variants[0], found.variants[1]
    text = _("line {line}, {change} nats a token")
    say(f" {text.format(line=found.lines[asked.row], change=signed(row_change(found, place), 2))}")
    shown = Table.grid(padding=(0, 1), expand=True)
    for _half in range(2):
        shown.add_column(no_wrap=True)
        shown.add_column(ratio=1, overflow="fold")
    shown.add_row(f"  {_('asked')}", _cut(asked.question), f"  {_('wanted')}", _cut(asked.reference))
    answers = (_cut(each.answers[place].text) for each in (base, tuned))
    shown.add_row(f"  {_('base')}", next(answers), f"  {_('tuned')}", next(answers))
    out.print(shown)


def _cut(text: str) -> Text:
    return Text(one_line(text, _LETTERS))
