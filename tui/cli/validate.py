"""The command `validate`: what is known of the data, in words or as JSON."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from engine import units
from engine.config import TrainingConfig
from engine.dataset.report import DataReport, Fault, FileReport
from engine.errors import UserError
from engine.estimate import Estimate, estimates
from engine.i18n import _, ngettext
from engine.profiles import NAMES, plain_profile
from engine.project import Project
from engine.training.selected_config import selected_settings
from engine.units import duration
from tui.console import cell, err, out, print_json, say, say_model, status_mark, table
from tui.shell import fix_of
from tui.words import progress_words

from rich.text import Text

if TYPE_CHECKING:
    from engine.dataset.convert.clean import OnCleanProgress  # imports numpy


_LISTED_FAULTS = 50


def show_data(project: Project, as_json: bool, strict: bool = False) -> int:
    """Print the data report; 1 if the data cannot be trained on.

    Args:
        project: whose data is read.
        as_json: print all of it as one JSON object.
        strict: also 1 where there is an error or a warning.
    """
    config = selected_settings(project)
    if not as_json:
        say_model(project, config.model)
    report = _checked(project, config)
    wanted = _estimates(project, config, report)
    if as_json:
        print_json(
            {
                **asdict(report),
                "is_trainable": report.is_trainable,
                "estimates": [asdict(estimate) for estimate in wanted],
            }
        )
    else:
        _print_data(project, report, config, wanted)
    has_faults = any(fault.severity != "note" for fault in report.faults)
    return 1 if not report.is_trainable or (strict and has_faults) else 0


def _checked(project: Project, config: TrainingConfig) -> DataReport:
    """Check the data; on a terminal, say on stderr how far that is."""
    from engine.dataset.inspect.check import check_stages

    with data_progress() as on_progress:
        return list(check_stages(project, config, on_progress))[-1]


def _estimates(project: Project, config: TrainingConfig, report: DataReport) -> tuple[Estimate, ...]:
    """Return what a run takes under each profile."""
    from engine.fit.speeds import known_speeds  # imports numpy

    configs = {name: plain_profile(name, config) for name in NAMES}
    return estimates(report, configs, known_speeds(project, config))


def _print_data(
    project: Project, report: DataReport, config: TrainingConfig, wanted: tuple[Estimate, ...]
) -> None:
    for file in (report.train, report.valid):
        say(_file_line(file, config))
    if report.faults:
        from engine.dataset.convert.clean import dropped_rows  # imports numpy

        shown = table("", _("line"), _("file"), _("what"), _("fix"))
        for fault in report.faults[:_LISTED_FAULTS]:
            shown.add_row(*_fault_row(fault))
        out.print(shown)
        if len(report.faults) > _LISTED_FAULTS:
            hidden = len(report.faults) - _LISTED_FAULTS
            say(_("and {count} more; all of them with --json").format(count=hidden))
        dropped = dropped_rows(report)
        is_wrong = any(f.severity != "note" and (f.file, f.line) in dropped for f in report.faults)
        if report.is_trainable and is_wrong:
            text = _("Copies of both files without {rows} of these are written by: mqlora-tui clean")
            say(text.format(rows=units.rows(len(dropped))))
    if any(fault.severity == "error" for fault in report.model_faults):
        say(_("✗ cannot be trained on: the base model cannot be used"))
        return
    if not report.is_trainable:
        say(_("✗ cannot be trained on: both files need at least one usable row"))
        return
    say(_("✓ trainable: {steps} an epoch").format(steps=units.steps(report.steps_per_epoch)))
    if not report.model:
        say(_("Tokens are not counted, since there is no base model to train yet."))
        try:
            project.model_dir(config.model)
        except UserError as error:
            say(str(error))
    if report.train.tokens:
        for estimate in wanted:
            say(_estimate_line(estimate))
        if any(estimate.seconds is None for estimate in wanted):
            say(_("  How long that takes is known after a run, or after: mqlora-tui fit --all"))
        if config.max_steps:
            text = _("  max_steps={n} of the selected configuration ends each of them earlier")
            say(text.format(n=config.max_steps))


def _estimate_line(estimate: Estimate) -> str:
    text = _("  {profile}: {steps}, {tokens} an epoch").format(
        profile=f"{estimate.profile:<11}",
        steps=units.steps(estimate.steps),
        tokens=units.tokens(estimate.tokens or 0),
    )
    if estimate.seconds is None:
        return text
    return text + _(", about {time}").format(time=duration(estimate.seconds))


def _file_line(file: FileReport, config: TrainingConfig) -> str:
    usable = ngettext(
        "{file}: {examples} of {rows} row usable", "{file}: {examples} of {rows} rows usable", file.rows
    )
    text = usable.format(file=file.file, examples=file.usable_rows, rows=file.rows)
    tokens = file.tokens
    if tokens is None:
        return text
    return text + _(
        "; tokens {shortest:,}-{longest:,}, median {median:,}, {share:.0%} trained, "
        "{rows} cut at {limit} ({cut})"
    ).format(
        shortest=tokens.shortest,
        longest=tokens.longest,
        median=tokens.median,
        share=tokens.trained / max(1, tokens.total),
        rows=units.rows(len(tokens.truncated_lines)),
        limit=config.max_seq_length,
        cut=units.tokens(tokens.cut),
    )


def _fault_row(fault: Fault) -> tuple[Text, ...]:
    line = str(fault.line) if fault.line else ""
    if fault.column:
        line += f":{fault.column}"
    mark = status_mark(fault.severity)
    return (
        mark,
        Text(line, justify="right"),
        cell(fault.file),
        cell(fault.message),
        cell(fix_of(fault, fault.fix)),
    )


@contextmanager
def data_progress() -> "Iterator[OnCleanProgress]":
    """Return what is to be told, which shows it where stderr is a terminal."""
    if not err.is_terminal:
        yield lambda stage, file, lines: None
        return
    with err.status(Text(_("Reading the data …"))) as status:
        yield lambda stage, file, lines: status.update(Text(progress_words(stage, file, lines)))
