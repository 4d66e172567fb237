"""A receipt beside what is here: whether the same run can be made, and whether it came out the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engine.errors import UserError, system_reason
from engine.fingerprint import data_fingerprint, file_sha256, model_fingerprint, template_fingerprint
from engine.i18n import _
from engine.project import Project
from engine.receipt.form import Losses, Machine, Receipt
from engine.sanitize import one_line

Agreement = Literal["same_bytes", "same_losses", "different"]
TOLERANCE = 0.01
"""Nats that rounding may make of a loss over a run; reports show no more digits."""


@dataclass(frozen=True)
class Difference:
    """Something is otherwise here than where the receipt was written."""

    what: str
    receipt: str
    here: str
    forbids: bool = False
    """Whether the same run cannot be made so."""


def base_here(project: Project, receipt: Receipt) -> str:
    """Return the name of the receipt's base model here: the one with the same files, else of the same name.

    A name in a receipt is looked up among the project's models and never followed as a path.

    Raises:
        UserError: there is none.
    """
    found = project.models()
    for name, folder in found.items():
        if model_fingerprint(folder) == receipt.base.fingerprint:
            return name
    if receipt.base.name in found:
        return receipt.base.name
    source = receipt.base.repository
    where = _("put it into models/") if not source else _("put {name} into models/")
    raise UserError(
        _("The base model '{name}' of the receipt is not here").format(name=one_line(receipt.base.name, 80)),
        where.format(name=one_line(f"{source} ({receipt.base.revision})", 160)),
    )


def differences(
    project: Project, receipt: Receipt, model: str, versions: dict[str, str], machine: Machine
) -> list[Difference]:
    """Return what is otherwise here.

    Args:
        project: where the run is to be made.
        receipt: of the run.
        model: name of the base model here.
        versions: that are installed.
        machine: this one.

    Raises:
        UserError: a data file cannot be read.
    """
    folder = project.models()[model]
    try:
        found = [*_data(project, receipt)]
        prints = model_fingerprint(folder), template_fingerprint(folder)
    except OSError as error:
        raise UserError(
            _("Cannot read {path}: {reason}").format(path=error.filename, reason=system_reason(error)),
            _("put the run's data and base model into this project"),
        ) from None
    if prints[0] != receipt.base.fingerprint:
        found.append(Difference(_("base model"), receipt.base.fingerprint[:12], prints[0][:12], forbids=True))
    if prints[1] != receipt.template:
        found.append(Difference(_("chat template or tokenizer"), receipt.template[:12], prints[1][:12], True))
    for name in sorted({*versions, *receipt.versions}):
        before, now = receipt.versions.get(name, "-"), versions.get(name, "-")
        if before != now:
            found.append(Difference(one_line(name, 40), one_line(before, 40), now))
    for field, what in (("chip", _("chip")), ("computes", _("computes with")), ("system", _("system"))):
        before, now = getattr(receipt.machine, field), getattr(machine, field)
        if before != now:
            found.append(Difference(what, one_line(before, 80), one_line(now, 80)))
    return found


def _data(project: Project, receipt: Receipt) -> Iterator[Difference]:
    both = data_fingerprint(project)
    if both == receipt.data.both:
        return
    named = False
    for path, expected in (
        (project.train_file, receipt.data.train),
        (project.valid_file, receipt.data.valid),
    ):
        if expected and (here := file_sha256(path.resolve())) != expected:
            named = True
            yield Difference(path.name, expected[:12], here[:12], forbids=True)
    if not named:
        yield Difference(_("data"), receipt.data.both[:12], both[:12], forbids=True)


@dataclass(frozen=True)
class Comparison:
    """How a run came out beside the one that a receipt is of."""

    agreement: Agreement
    figures: tuple[tuple[str, float | None, float | None], ...]
    """What was measured, in the receipt and here."""
    adapters: tuple[str | None, str | None]
    """SHA-256 of the adapter, in the receipt and here."""


def compare(receipt: Receipt, here: Receipt) -> Comparison:
    """Say whether two runs that rest on the same came out the same."""
    adapters = (receipt.adapter or receipt.last_adapter, here.adapter or here.last_adapter)
    figures = tuple(
        (name, getattr(receipt.losses, name), getattr(here.losses, name)) for name in Losses.model_fields
    )
    agreement: Agreement = "different"
    if adapters[0] and adapters[0] == adapters[1] and receipt.last_adapter == here.last_adapter:
        agreement = "same_bytes"
    elif receipt.losses.steps == here.losses.steps and all(
        _agree(before, now) for name, before, now in figures if name not in ("steps", "best_step")
    ):
        agreement = "same_losses"
    return Comparison(agreement, figures, adapters)


def _agree(before: float | None, now: float | None) -> bool:
    if before is None or now is None:
        return before is now
    return abs(before - now) <= TOLERANCE
