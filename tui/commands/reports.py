"""The commands that look and print: demo, check, profiles, validate, report."""

from dataclasses import asdict

from engine.config import TrainingConfig
from engine.dataset.report import DataReport, Fault, FileReport
from engine.hardware.probe import probe
from engine.hardware.report import Check
from engine.i18n import _, ngettext
from engine.profiles import Offer
from engine.project import Project
from engine.text import one_line, printable
from engine.words import size
from tui.commands.output import out, print_json, say, status_mark
from tui.commands.selection import recommendation, selected_config

from rich.table import Table
from rich.text import Text

_LISTED_FAULTS = 50


def write_demo(project: Project, as_json: bool) -> None:
    """Write the built-in model and the sample data."""
    from engine.model.demo import install_demo

    report = install_demo(project) if as_json else install_demo(project, lambda stage: say(f"  {stage}"))
    if as_json:
        print_json(asdict(report))
        return
    written = (*report.data_written, *([report.model] * report.model_written))
    for path in (report.model, *report.data_written, *report.data_kept):
        say(
            _("✓ {path} written").format(path=path)
            if path in written
            else _("✓ {path} is there").format(path=path)
        )


def show_hardware(project: Project, as_json: bool) -> int:
    """Print the hardware report; 1 if something makes training impossible."""
    report = probe(project)
    if as_json:
        print_json({**asdict(report), "status": report.status})
    else:
        table = _table()
        for check in report.checks:
            table.add_row(status_mark(check.status), _text(check.label), _text(check.value))
        out.print(table)
        for check in report.checks:
            if check.detail:
                say(f" {status_mark(check.status)} {check.label}: {_sentences(check)}")
    return 1 if report.status == "error" else 0


def _sentences(check: Check) -> str:
    mend = _("To mend it: {fix}.").format(fix=check.fix) if check.fix else ""
    return f"{check.detail}. {mend}".strip()


def show_profiles(project: Project, as_json: bool) -> None:
    """Print the three profiles with their price, the recommended one marked."""
    advice = recommendation(project)
    if as_json:
        print_json(asdict(advice))
        return
    table = _table("", _("profile"), _("peak"), _("steps"), _("batch"), _("length"), _("rate"), _("epochs"))
    for offer in advice.offers:
        mark = status_mark("ok") if offer.name == advice.name else Text(" " if offer.fits else "✗")
        values = offer.values
        batch = f"{values['batch_size']} x {values['gradient_accumulation']}"
        table.add_row(
            mark,
            Text(offer.name, "bold" if offer.name == advice.name else ""),
            _peak(offer),
            "?" if offer.steps is None else str(offer.steps),
            batch,
            str(values["max_seq_length"]),
            f"{values['learning_rate']:g}",
            str(values["num_epochs"]),
        )
    out.print(table)
    say(f" ✓ {advice.name}: {advice.reason}")


def _peak(offer: Offer) -> str:
    if not offer.peak_memory:
        return "?"
    text = _("{size} measured") if offer.is_measured else _("{size} predicted")
    return text.format(size=size(offer.peak_memory))


def show_data(project: Project, as_json: bool, strict: bool = False) -> int:
    """Print the data report; 1 if the data cannot be trained on.

    Args:
        project: whose data are read.
        as_json: print all of it as one JSON object.
        strict: also 1 where there is an error or a warning.
    """
    from engine.dataset.check import check_data

    config = selected_config(project)
    report = check_data(project, config)
    if as_json:
        print_json({**asdict(report), "is_trainable": report.is_trainable})
    else:
        _print_data(report, config)
    has_faults = any(fault.severity != "note" for fault in report.faults)
    return 1 if not report.is_trainable or (strict and has_faults) else 0


def show_report(project: Project, as_json: bool) -> None:
    """Print the final report."""
    from engine.analysis.report import as_dict, format_report
    from engine.analysis.summary import summarise
    from engine.analysis.verdict import judge

    summary = summarise(project)
    verdict = judge(summary)
    if as_json:
        print_json(as_dict(summary, verdict))
    else:
        out.print(Text(printable(format_report(summary, verdict))), end="")


def _print_data(report: DataReport, config: TrainingConfig) -> None:
    for file in (report.train, report.valid):
        say(_file_line(file, config))
    if report.faults:
        table = _table("", _("line"), _("file"), _("what"), _("fix"))
        for fault in report.faults[:_LISTED_FAULTS]:
            table.add_row(*_fault_row(fault))
        out.print(table)
        if len(report.faults) > _LISTED_FAULTS:
            hidden = len(report.faults) - _LISTED_FAULTS
            say(_("and {count} more; all of them with --json").format(count=hidden))
    if report.is_trainable:
        say(_("✓ trainable: {steps} steps an epoch").format(steps=report.steps_per_epoch))
    else:
        say(_("✗ cannot be trained on: both files need at least one usable row"))


def _file_line(file: FileReport, config: TrainingConfig) -> str:
    counts = ngettext(
        "{file}: {examples} of {rows} row usable", "{file}: {examples} of {rows} rows usable", file.rows
    )
    text = counts.format(file=file.file, examples=file.examples, rows=file.rows)
    tokens = file.tokens
    if tokens is None:
        return text
    return text + _(
        "; tokens {shortest}-{longest}, median {median}, {share:.0%} trained, {cut} cut at {limit}"
    ).format(
        shortest=tokens.shortest,
        longest=tokens.longest,
        median=tokens.median,
        share=tokens.trained / max(1, tokens.total),
        cut=len(tokens.truncated_lines),
        limit=config.max_seq_length,
    )


def _fault_row(fault: Fault) -> tuple[Text, ...]:
    line = str(fault.line) if fault.line else ""
    mark = status_mark(fault.severity)
    return mark, Text(line, justify="right"), _text(fault.file), _text(fault.message), _text(fault.fix)


def _table(*columns: str) -> Table:
    table = Table(box=None, show_header=bool(columns), header_style="dim", pad_edge=True)
    for column in columns or ("", "", ""):
        table.add_column(column, overflow="fold")
    return table


def _text(value: str) -> Text:
    return Text(one_line(value, 200))
