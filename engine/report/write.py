"""A report as files: one HTML page with its charts inside, Markdown with the charts beside it as SVG."""

import re
import shutil
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.files import partial_folder
from engine.i18n import _
from engine.project import Project
from engine.report.blocks import Report
from engine.report.contents import report_of
from engine.symbols import SYMBOLS
from engine.training.failures import explained_writes

from jinja2 import Environment, FileSystemLoader, StrictUndefined

HTML, MARKDOWN = "report.html", "report.md"
_TEMPLATES = Path(__file__).parent / "templates"
_GENERATOR = b'<meta name="generator" content="mqlora-tui">'
_HEAD_BYTES = 1024
"""From the beginning of a page within which it names its program."""
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~$&]|^[#+=-]|(?<=^\d)[.)])")
"""What Markdown, or HTML in it, may take for more than text, some of it only at the beginning."""


def write_report(project: Project) -> Path:
    """Write the report of a project's run into its folder `report`, in the language of this process.

    Returns:
        The HTML page; the same run gives the same bytes.

    Raises:
        UserError: there is no run, the folder holds what this program did not write, or cannot be written.
    """
    report, folder = report_of(project), project.report_dir
    files = {HTML: as_html(report), MARKDOWN: as_markdown(report)}
    files |= {f"{chart.name}.svg": chart.svg for chart in report.charts}
    with explained_writes(project.run_dir, "mqlora-tui report --save"):
        _require_ours(folder)
        with partial_folder(project.run_dir, folder.name) as made:
            for name, text in files.items():
                (made / name).write_text(text, encoding="utf-8")
            if folder.exists():
                shutil.rmtree(folder)
            made.rename(folder)
    return folder / HTML


def as_html(report: Report) -> str:
    """Return one page without scripts and without anything from elsewhere; all text is escaped."""
    return _environment(True).get_template("page.html").render(report=report, symbols=SYMBOLS)


def as_markdown(report: Report) -> str:
    """Return Markdown as GitHub has it, beside the charts' files; no text is taken for markup."""
    text = _environment(False).get_template("page.md").render(report=report, symbols=SYMBOLS)
    return re.sub(r"\n{3,}", "\n\n", text)


def _environment(is_html: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=is_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": _plain, "fence": _fence}
    return environment


def _plain(text: Any) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _fence(text: str) -> str:
    """Return what begins and ends a block of code that holds `text`."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(3, longest + 1)


def _require_ours(folder: Path) -> None:
    """Refuse a folder that this program did not make.

    Raises:
        UserError: it is a link, a file, or has no page of ours in it.
    """
    if not folder.is_symlink() and not folder.exists():
        return
    page = folder / HTML
    is_ours = folder.is_dir() and not folder.is_symlink() and page.is_file() and not page.is_symlink()
    if is_ours:
        with page.open("rb") as file:
            is_ours = _GENERATOR in file.read(_HEAD_BYTES)
    if not is_ours:
        raise UserError(
            _("{path} is no report that mqlora-tui wrote").format(path=folder),
            _("move it elsewhere or rename it, then run: mqlora-tui report --save"),
        )
