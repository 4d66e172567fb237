"""`export`: the trained adapter as files for other programs, and how much of the gain they keep."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from engine.export.targets import ExportRequest, compared
from engine.i18n import _, number
from engine.project import Project
from engine.units import size
from tui.cli.progress import stages
from tui.console import cell, err, out, print_json, say, table
from tui.words import kept_words

if TYPE_CHECKING:
    from engine.export.exporter import Exported
    from engine.export.score import KeptGain


def export(project: Project, request: ExportRequest, as_json: bool) -> None:
    """Write one form and say what it keeps and how to try it.

    Raises:
        UserError: see `engine.export.chosen` and `engine.export.exporter`.
    """
    from engine.export.chosen import exporter

    try:
        with stages(_("Reading the adapter")) as on_progress:
            done = exporter(project, request, on_progress).export(request)
    except KeyboardInterrupt:
        say(_("Ended; nothing was written."), err)
        raise
    if as_json:
        print_json(_told(done))
        return
    say(f"✓ {done.folder}")
    for note in done.notes:
        say(f"  {note}")
    if done.gain:
        say(f"  {kept_words(done.gain)}")
    say(_("Try it with:"))
    say(f"  {done.command}")


def compare(project: Project, request: ExportRequest, as_json: bool) -> None:
    """Write every form into a folder that goes again, and show what each keeps.

    Raises:
        UserError: see `engine.export.chosen` and `engine.export.exporter`.
    """
    from engine.export.chosen import exporter
    from engine.export.score import smallest_good

    with stages(_("Reading the adapter")) as on_progress:
        made = exporter(project, request, on_progress)
        rows, refused = made.compare(compared())
    best = smallest_good(rows)
    if as_json:
        told = [asdict(row) | {"kept": row.kept} for row in rows]
        print_json({"forms": told, "refused": refused, "best": best.form if best else None})
        return
    out.print(_table(rows, best))
    for form, reason in refused.items():
        say(_("{form}: {reason}").format(form=form, reason=reason))
    if best:
        say(_("★ {form} is the smallest that keeps 95 % of what was trained.").format(form=best.form))


def _told(done: "Exported") -> dict[str, Any]:
    gain = asdict(done.gain) | {"kept": done.gain.kept} if done.gain else None
    return {"folder": str(done.folder), "command": done.command, "notes": list(done.notes), "gain": gain}


def _table(rows: Sequence["KeptGain"], best: "KeptGain | None") -> Any:
    shown = table("", _("form"), _("size"), _("loss"), _("gain kept"), _("largest difference"), _("read by"))
    for row in rows:
        shown.add_row(
            "★" if row is best else "",
            cell(row.form),
            size(row.bytes),
            number(row.export, ".4f"),
            "" if row.kept is None else number(row.kept, ".1%"),
            number(row.difference, ".3f"),
            row.by,
        )
    if rows:
        shown.caption = _("base {base:.4f}, as trained {adapter:.4f}").format(
            base=rows[0].base, adapter=rows[0].adapter
        )
    return shown
