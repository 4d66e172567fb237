"""`reproduce`: the run that a receipt is of, made again here and compared."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _, number
from engine.project import Project
from engine.receipt.compare import Comparison, Difference, base_here, compare, differences
from engine.receipt.form import Receipt
from engine.training.events import Mode
from engine.training.selected_config import selected_settings
from engine.training.state import RunState
from tui.cli.train import agree, train
from tui.console import cell, err, out, print_json, say, table


def reproduce(project: Project, path: Path, is_agreed: bool, only_compare: bool, as_json: bool) -> int:
    """Say what is otherwise here, make the run again and compare.

    Args:
        project: where it is made; a run that is there goes to its archive.
        path: of the receipt.
        is_agreed: do not ask.
        only_compare: take the finished run that is here.
        as_json: print an object a line.

    Returns:
        The exit code: 0 for the same bytes or losses, 1 for others, or that of the training.

    Raises:
        UserError: it is no receipt, or the run cannot be made here.
    """
    from engine.training.receipt import this_machine, versions  # imports MLX

    receipt = Receipt.load(path)
    model = base_here(project, receipt)
    found = differences(project, receipt, model, versions(), this_machine())
    _tell(found, as_json)
    if forbidding := [each.what for each in found if each.forbids]:
        raise UserError(
            _("The same run cannot be made here, for these are not the receipt's: {what}").format(
                what=", ".join(forbidding)
            ),
            _("put the run's own data and base model into this project"),
        )
    if not only_compare:
        settings = receipt.settings.updated({"model": model})
        mode = _mode(project, settings)
        agree(is_agreed, _("Train this run here?"), _("to compare the run that is here, add --compare"))
        code = train(project, settings, mode, as_json)
        if code:
            return code
    comparison = compare(receipt, _receipt_here(project, receipt))
    _say(comparison, as_json)
    return 0 if comparison.agreement != "different" else 1


def _mode(project: Project, settings: TrainingConfig) -> Mode:
    """Go on with an unfinished run of these settings; any other one is archived, and that is said."""
    state = RunState.load(project.state_file)
    if state is None:
        return "restart"
    if state.status != "finished" and selected_settings(project) == settings:
        say(_("The unfinished run of this receipt goes on."), err)
        return "resume"
    say(_("The run that is here goes to {folder}.").format(folder=project.run_dir / "archive"), err)
    return "restart"


def _receipt_here(project: Project, receipt: Receipt) -> Receipt:
    """Return the receipt of the run that is here.

    Raises:
        UserError: it is not finished, or rests on something else.
    """
    if not project.receipt_file.exists():
        raise UserError(
            _("The run here is not finished, so there is nothing to compare"),
            _("finish it with mqlora-tui train --resume, then compare with --compare"),
        )
    here = Receipt.load(project.receipt_file)
    both = receipt, here
    rest = [(one.settings.updated({"model": ""}), one.data.both, one.base.fingerprint) for one in both]
    if rest[0] != rest[1]:
        raise UserError(
            _("The finished run here rests on other data, another model or other settings"),
            _("leave --compare out to train the receipt's run"),
        )
    return here


def _tell(found: Sequence[Difference], as_json: bool) -> None:
    if as_json:
        print_json({"event": "differences", "differences": [asdict(each) for each in found]})
    elif not found:
        say(_("Data, base model, versions and machine are those of the receipt."))
    else:
        shown = table("", _("in the receipt"), _("here"))
        for each in found:
            shown.add_row(*(cell(value) for value in (each.what, each.receipt, each.here)))
        out.print(shown)


def _say(comparison: Comparison, as_json: bool) -> None:
    if as_json:
        print_json({"event": "compared", **asdict(comparison)})
        return
    shown = table("", _("in the receipt"), _("here"))
    for name, before, now in comparison.figures:
        shown.add_row(*(cell(value) for value in (_NAMES[name], _number(before), _number(now))))
    shown.add_row(cell(_("adapter")), *(cell((value or "-")[:12]) for value in comparison.adapters))
    out.print(shown)
    say(_VERDICTS[comparison.agreement])


def _number(value: float | None) -> str:
    return "-" if value is None else number(value, ".6g")


_NAMES = {
    "base": _("validation before training"),
    "best": _("best validation"),
    "best_step": _("at step"),
    "last": _("last validation"),
    "last_training": _("loss of the last step"),
    "steps": _("steps"),
}
_VERDICTS = {
    "same_bytes": _("✓ The same bytes."),
    "same_losses": _("✓ The same losses to rounding; the adapter's bytes differ."),
    "different": _("✗ Different."),
}
