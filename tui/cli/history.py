"""`history`: the present run and those in the archive, with what differs between them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from engine.i18n import _, number
from engine.project import Project
from engine.runs.differences import differing_settings, setting_text, widths_that_fit
from engine.runs.places import run_places
from engine.runs.record import RunRecord, describe
from engine.symbols import spark
from engine.units import duration, nats
from tui.console import cell, out, print_json, say, status_mark, table
from tui.run.headline import run_sign

from rich.text import Text

_GAP = 2
"""Blank columns beside each column of the table."""


def show_history(project: Project, as_json: bool) -> None:
    """Print every run of the project, the newest first."""
    records = [describe(place) for place in run_places(project)]
    differing = differing_settings(records)
    if as_json:
        print_json({"runs": [as_dict(record) for record in records], "differing_settings": differing})
        return
    if not records:
        say(_("No run in {folder}; start one with: mqlora-tui train").format(folder=project.run_dir))
        return
    names = _print_table(records, differing)
    for record in records:
        for text in (*told_of(record), _rest(record, differing[len(names) :])):
            if text:
                say(f" {mark_of(record)} {record.place.label}: {text}")


def _print_table(records: Sequence[RunRecord], differing: Sequence[str]) -> Sequence[str]:
    """Print a line for each run and return the settings that had room in it."""
    heads = ("", _("run"), _("loss"), _("best"), _("steps"), _("time"))
    rows = [(mark_of(record), cell(record.place.short_label), *_figures(record)) for record in records]
    cells = zip(map(Text, heads), *rows, strict=True)
    taken = sum(max(text.cell_len for text in column) + _GAP for column in cells)
    names = differing[: len(widths_that_fit(records, differing, out.width - taken, _GAP))]
    shown = table(*heads, *names)
    for column in shown.columns:
        column.no_wrap = True
    for record, row in zip(records, rows, strict=True):
        shown.add_row(*row, *(cell(setting_text(record, name)) for name in names))
    out.print(shown)
    return names


def _rest(record: RunRecord, names: Sequence[str]) -> str:
    """Return the settings for which the table has no room."""
    return "  ".join(f"{name} {setting_text(record, name)}" for name in names) if record.settings else ""


def mark_of(record: RunRecord) -> Text:
    """Return the symbol of how good a run is; what is no run is marked as wrong."""
    if record.summary is None or record.verdict is None:
        return status_mark("error")
    return status_mark(run_sign(record.summary, record.verdict))


def told_of(record: RunRecord) -> list[str]:
    """Return what is said of a run: its verdict, what is wrong with its folder, and its note."""
    verdict = [record.verdict.headline] if record.verdict else []
    problem = [f"{record.problem}."] if record.problem else []
    note = [_("note: {note}").format(note=record.note)] if record.note else []
    return [*verdict, *problem, *note]


def as_dict(record: RunRecord) -> dict[str, Any]:
    """Return what is known of a run as one JSON-ready object; null stands for what is not known."""
    run, verdict, place = record.summary, record.verdict, record.place
    return {
        "name": place.name,
        "folder": str(place.folder),
        "is_present": place.is_present,
        "problem": record.problem,
        "note": record.note,
        "started": record.started or None,
        "status": run.status if run else None,
        "level": verdict.level if verdict else None,
        "headline": verdict.headline if verdict else None,
        "model": run.model if run else None,
        "steps": run.steps if run else None,
        "total_steps": run.total_steps if run else None,
        "duration_s": run.duration_s if run else None,
        "last_loss": run.last_loss if run else None,
        "best_val_loss": run.best_val_loss if run else None,
        "best_step": run.best_step if run else None,
        "settings": record.values or None,
        "origin": asdict(record.origin),
        "curve": record.curve,
    }


def _figures(record: RunRecord) -> tuple[Text, ...]:
    """Return the cells between the name of a run and its settings."""
    run = record.summary
    if run is None:
        return (Text(),) * 4
    best = "-" if run.best_val_loss is None else nats(run.best_val_loss)
    curve = spark(record.curve, min(record.curve, default=0.0))
    return Text(curve), Text(best), Text(number(run.steps)), Text(duration(run.duration_s))
