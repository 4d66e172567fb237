"""The contents of a run's report: verdict, figures, charts, evaluation, settings, what it was made of."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from engine.analysis.facts import RunSummary
from engine.analysis.figures import figures_of
from engine.analysis.headline import sign_of
from engine.analysis.remedies import Level
from engine.analysis.summary import summarise
from engine.analysis.verdict import Verdict, judge
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _, number
from engine.i18n.languages import language
from engine.project import Project
from engine.receipt.form import Receipt
from engine.report.blocks import Block, Command, Paragraph, Report, Section, Sign, Table
from engine.report.evaluation import evaluation_section
from engine.report.run_charts import run_charts
from engine.sanitize import one_line
from engine.setting_words import help_text, setting_text
from engine.units import nats, size

_SIGNS: dict[Level, Sign] = {"ok": "ok", "attention": "warning", "wrong": "error"}
_TAGS = {"en": "en", "pt": "pt-PT"}
"""Of languages, as BCP 47 has them."""
_DIGITS = 12
"""Of a hash that are shown."""


def report_of(project: Project) -> Report:
    """Return the report of the project's run.

    Raises:
        UserError: there is no run.
    """
    summary = summarise(project)
    verdict = _portable(judge(summary), summary.root)
    sections = (
        Section(_("What to do next"), tuple(_advice(verdict))),
        Section(_("Figures"), tuple(_figures(summary))),
        Section(_("Charts"), run_charts(project)),
        evaluation_section(project),
        Section(_("Settings"), tuple(_settings(summary.config))),
        Section(_("What it was made of"), tuple(_origin(project))),
        Section(_("Checkpoints"), tuple(_checkpoints(summary))),
    )
    title = _("Training report: {model}").format(model=one_line(summary.model, 80))
    opening: list[Block] = [Paragraph(verdict.headline, _sign(summary, verdict))]
    if verdict.command:
        text = _("Do this next; commands are for the project's folder:")
        opening += [Paragraph(text), Command(verdict.command)]
    whole = tuple(section for section in sections if section.blocks)
    return Report(title, _TAGS[language()], tuple(opening), whole)


def _portable(verdict: Verdict, root: Path) -> Verdict:
    """Return a verdict without paths of this machine: its commands are for the project's folder."""

    here = Path.cwd()
    folders = [root, *([root.relative_to(here)] if root.is_relative_to(here) and root != here else [])]
    prefix = re.compile(rf"(?<![^\s'=])(?:{'|'.join(re.escape(os.fspath(folder)) for folder in folders)})/")

    def named(command: str) -> str:
        program, gap, rest = command.partition(" ")
        return prefix.sub("", f"{Path(program).name}{gap}{rest}")

    return replace(
        verdict,
        command=named(verdict.command),
        advice=tuple(replace(item, command=named(item.command)) for item in verdict.advice),
        next_steps=tuple(replace(step, command=named(step.command)) for step in verdict.next_steps),
    )


def _sign(summary: RunSummary, verdict: Verdict) -> Sign:
    sign = sign_of(summary, verdict.level)
    return "note" if sign in ("running", "paused") else _SIGNS[verdict.level]


def _advice(verdict: Verdict) -> Iterator[Block]:
    """Yield each advice and next step with its command, but for the one that stands at the top."""
    for advice in verdict.advice:
        yield Paragraph(advice.text, "note" if advice.level == "ok" else _SIGNS[advice.level])
        if advice.command and advice.command != verdict.command:
            yield Command(advice.command)
    for step in verdict.next_steps:
        if step.command != verdict.command:
            yield Paragraph(f"{step.text}:")
            yield Command(step.command)


def _figures(summary: RunSummary) -> Iterator[Block]:
    for parts in figures_of(summary):
        if parts:
            yield Paragraph(" · ".join(parts))
    if summary.epoch_losses:
        heads = (_("epoch"), _("mean training loss"))
        yield Table(heads, tuple((number(epoch + 1), nats(loss)) for epoch, loss in summary.epoch_losses))


def _settings(config: TrainingConfig | None) -> Iterator[Block]:
    """Yield all settings; those that are not the default are marked."""
    if config is None:
        return
    usual = TrainingConfig()
    rows = tuple(
        (
            name,
            _value(config, name),
            "" if getattr(config, name) == getattr(usual, name) else _value(usual, name),
            help_text(name),
        )
        for name in TrainingConfig.model_fields
    )
    heads = (_("setting"), _("value"), _("default, where it is another"), _("what it is"))
    yield Table(heads, rows, is_numeric=False)


def _value(config: TrainingConfig, name: str) -> str:
    return one_line(setting_text(name, getattr(config, name))) or "–"


def _origin(project: Project) -> Iterator[Block]:
    """Yield hashes, versions and machine of a finished run; a receipt that is none says nothing."""
    with suppress(UserError, OSError):
        receipt = Receipt.load(project.receipt_file)
        rows = [
            (_("base model"), one_line(receipt.base.name), _short(receipt.base.fingerprint)),
            ("train.jsonl", "", _short(receipt.data.train)),
            ("valid.jsonl", "", _short(receipt.data.valid)),
            (_("adapter"), "", _short(receipt.adapter)),
            (_("machine"), one_line(f"{receipt.machine.chip}, {receipt.machine.system}"), ""),
            (_("computed by"), one_line(receipt.machine.computes), ""),
            *((one_line(name), one_line(version), "") for name, version in sorted(receipt.versions.items())),
        ]
        yield Table((_("part"), _("name or version"), "SHA-256"), tuple(rows), is_numeric=False)


def _short(digest: str | None) -> str:
    return f"{digest[:_DIGITS]}…" if digest else "–"


def _checkpoints(summary: RunSummary) -> Iterator[Block]:
    rows = tuple(
        (number(each.step), number(each.epoch + 1), size(each.bytes), _below(each.path, summary.root))
        for each in summary.checkpoints
    )
    if rows:
        yield Table((_("step"), _("epoch"), _("size"), _("folder")), rows, is_numeric=False)


def _below(path: Path, root: Path) -> str:
    return one_line(str(path.relative_to(root) if path.is_relative_to(root) else path), 200)
