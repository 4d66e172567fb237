"""What an export is asked for: the choices of `mqlora-tui export`."""

import os
from pathlib import Path
from typing import Any

from engine.analysis.facts import RunSummary
from engine.export.targets import BITS, TARGETS, ExportRequest, Target
from engine.i18n import _
from engine.sanitize import one_line
from tui.app.screens.shared.choice import Picker
from tui.app.screens.shared.line_input import LineInput

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Select, Static

_NOTES: dict[Target, str] = {
    "ollama": _("GGUF files, and a Modelfile with the chat template in Ollama's language"),
    "llama.cpp": _("GGUF files for llama.cpp"),
    "lmstudio": _("a model folder of MLX's form, laid out as LM Studio on a Mac wants it"),
    "mlx": _("one model folder of MLX's form, the adapter merged into it"),
    "peft": _("the adapter alone, for PEFT and vLLM, which load the full-precision base model by its name"),
    "gguf": _("GGUF files for any program that reads them"),
}


class ExportForm(Vertical):
    """One line for each choice; those that the chosen program does not have are not shown."""

    def __init__(self, summary: RunSummary) -> None:
        """Prepare the form.

        Args:
            summary: of the run whose adapters can be exported.
        """
        super().__init__()
        self._summary = summary

    def compose(self) -> ComposeResult:
        """Yield the fields, each behind its name."""
        yield from _field(_("program"), _picker("export-target", [(name, name) for name in TARGETS]))
        yield Static(id="export-note", markup=False)
        yield from _field(_("bits"), _picker("export-bits", _widths(TARGETS[0])))
        yield from _field(_("adapter"), _picker("export-adapter", self._adapters()))
        hub_name = LineInput(
            id="export-base",
            compact=True,
            placeholder=_("ORGANISATION/MODEL; empty: what its folder says"),
        )
        yield from _field(_("base name"), hub_name)
        folder = LineInput(id="export-out", compact=True, placeholder=_("empty: a new one in exports/"))
        yield from _field(_("folder"), folder)

    def request(self, root: Path) -> ExportRequest:
        """Return what is asked for.

        Args:
            root: that a folder is named from.
        """
        out = self._text("#export-out").strip("'\"")
        return ExportRequest(
            self._target,
            self._chosen("bits"),
            self._chosen("adapter"),
            out=root / os.path.expanduser(out) if out else None,
            base_name=self._text("#export-base") if self._target == "peft" else "",
        )

    @property
    def _target(self) -> Target:
        target: Target = self._chosen("target")
        return target

    def _chosen(self, name: str) -> Any:
        return self.query_one(f"#export-{name}", Picker).value

    def _text(self, selector: str) -> str:
        return self.query_one(selector, LineInput).value.strip()

    def _adapters(self) -> list[tuple[str, str]]:
        """Return the best adapter, which has no name of its own, and the checkpoints, the newest first."""
        checkpoints = [point.path.name for point in reversed(self._summary.checkpoints)]
        return [(_("the best one"), ""), *((one_line(name, 60), name) for name in checkpoints)]

    @on(Select.Changed, "#export-target")
    def _show_program(self) -> None:
        """Offer what the chosen program has."""
        target, bits = self._target, self.query_one("#export-bits", Picker)
        self.query_one("#export-note", Static).update(_NOTES[target])
        before, widths = bits.value, _widths(target)
        bits.set_options(_prompts(widths))
        if before in [width for _label, width in widths]:
            bits.value = before
        self.query_one("#export-bits-line").display = len(widths) > 1
        self.query_one("#export-base-line").display = target == "peft"


def _widths(target: Target) -> list[tuple[str, int | None]]:
    """Return what a program's files can have for each weight; None is the base model as it is."""
    merged: list[tuple[str, int | None]] = [
        (_("{bits} bits, base and adapter merged").format(bits=bits), bits)
        for bits in sorted(BITS[target], reverse=True)
    ]
    if ExportRequest(target).is_merged:
        return merged
    return [(_("the base model as it is, the adapter beside it"), None), *merged]


def _field(name: str, editor: Widget) -> ComposeResult:
    with Horizontal(classes="export-line", id=f"{editor.id}-line"):
        yield Static(name, classes="field-name")
        yield editor


def _picker(id_: str, options: list[tuple[str, Any]]) -> Picker:
    return Picker(_prompts(options), value=options[0][1], allow_blank=False, compact=True, id=id_)


def _prompts(options: list[tuple[str, Any]]) -> list[tuple[Content, Any]]:
    return [(Content(label), value) for label, value in options]
