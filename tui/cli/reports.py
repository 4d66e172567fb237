"""The commands that look and print: demo, check, profiles, report."""

from dataclasses import asdict
from pathlib import Path

from engine.errors import UserError
from engine.evaluation.sentences import verdicts
from engine.hardware.probe import probe
from engine.hardware.report import Check
from engine.i18n import _, number
from engine.profiles import Offer
from engine.project import Project
from engine.sanitize import printable
from engine.shell import ended
from engine.training.selected_config import selected_settings
from engine.units import duration, size
from tui.cli.choose_config import recommendation
from tui.console import cell, model_taken, out, print_json, say, say_model, status_mark, table

from msgspec import to_builtins
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
    report = probe(project, selected_settings(project).model)
    if as_json:
        print_json({**asdict(report), "status": report.status})
    else:
        shown = table()
        for check in report.checks:
            shown.add_row(status_mark(check.status), cell(check.label), cell(check.value))
        out.print(shown)
        for check in report.checks:
            if check.detail:
                say(f" {status_mark(check.status)} {check.label}: {_sentences(check)}")
    return 1 if report.status == "error" else 0


def _sentences(check: Check) -> str:
    fix = ended(_("Fix: {fix}").format(fix=check.fix)) if check.fix else ""
    return f"{check.detail}. {fix}".strip()


def show_profiles(project: Project, as_json: bool) -> None:
    """Print the three profiles with their price, the recommended one marked."""
    config = selected_settings(project)
    advice = recommendation(project, config)
    if as_json:
        problem = str(_model_problem(project, config.model) or "")
        print_json(asdict(advice) | {"model": model_taken(project, config.model), "model_problem": problem})
        return
    say_model(project, config.model)
    shown = table(
        *("", _("profile"), _("peak"), _("steps"), _("time")),
        *(_("batch"), _("length"), _("rate"), _("epochs")),
    )
    for offer in advice.offers:
        mark = status_mark("ok") if offer.name == advice.name else Text(" " if offer.fits else "✗")
        values = offer.values
        batch = f"{values['batch_size']} x {values['gradient_accumulation']}"
        shown.add_row(
            mark,
            Text(offer.name, "bold" if offer.name == advice.name else ""),
            _peak(offer),
            "?" if offer.steps is None else str(offer.steps),
            "?" if offer.seconds is None else duration(offer.seconds),
            batch,
            str(values["max_seq_length"]),
            number(values["learning_rate"], "g"),
            str(values["num_epochs"]),
        )
    out.print(shown)
    say(f" ✓ {advice.name}: {advice.reason}")
    if refusal := _model_problem(project, config.model):
        say(f" {status_mark('warning')} {refusal}")


def _model_problem(project: Project, model: str) -> UserError | None:
    """Return what keeps a base model from being used: the figures need at most its settings."""
    from engine.model_folder.usable import require_usable

    try:
        require_usable(project.model_dir(model))
    except UserError as error:
        return error
    return None


def _peak(offer: Offer) -> str:
    if not offer.peak_memory:
        return "?"
    text = _("{size} measured") if offer.is_measured else _("{size} predicted")
    return text.format(size=size(offer.peak_memory))


def show_report(project: Project, is_saved: bool, as_json: bool) -> None:
    """Print the final report, with what an evaluation found; write it as files, if wanted.

    Raises:
        UserError: there is no run, or the files cannot be written.
    """
    from engine.analysis.report import as_dict, format_report
    from engine.analysis.summary import summarise
    from engine.analysis.verdict import judge
    from engine.evaluation.kept import known_evaluation

    summary = summarise(project)
    verdict, known = judge(summary), known_evaluation(project)
    page = _written(project) if is_saved else None
    if as_json:
        evaluation = {"is_current": known.is_current, **to_builtins(known.found)} if known else None
        print_json(as_dict(summary, verdict) | {"evaluation": evaluation, "saved": page and str(page)})
        return
    out.print(Text(printable(format_report(summary, verdict))), end="")
    if known and known.is_current:
        out.print()
        for remark in verdicts(known.found):
            say(f" {status_mark(remark.level)} {remark.text}")
    if page:
        say(_("✓ {path} written").format(path=page))


def _written(project: Project) -> Path:
    from engine.report.write import write_report

    return write_report(project)
