"""An export from its beginning to its end: what is needed, the files, their score, and where they stay."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import UserError
from engine.export.commands import try_command
from engine.export.gguf_export import write_gguf_files
from engine.export.mlx_folder import mlx_bytes, write_mlx
from engine.export.peft_folder import require_same_projections, write_peft
from engine.export.score import KeptGain
from engine.export.scorer import NotScored, Scorer
from engine.export.space import require_space
from engine.export.targets import ExportRequest, OnProgress
from engine.files import partial_folder
from engine.i18n import _
from engine.model.adapter_file import AdapterFile
from engine.model_folder.new_folder import become, new_model_folder, refuse_existing
from engine.model_folder.settings import read_settings
from engine.project import Project
from engine.receipt.exported import export_receipt, is_export
from engine.receipt.form import Receipt
from engine.sanitize import one_line
from engine.units import size

REJECTED = "-rejected"
"""End of the name of an export that lost what was trained."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    folder: Path
    command: str
    """That tries it."""
    gain: KeptGain | None
    """None where there is nothing to score it with."""
    notes: tuple[str, ...] = ()
    """What the form cannot hold, in sentences."""


@dataclass
class Exporter:
    """One adapter and its base model, to be written in one or several forms."""

    project: Project
    base: Path
    adapter: AdapterFile
    progress: OnProgress
    scorer: Scorer
    base_name: str = ""
    """The base model's name on the hub, for PEFT's form."""
    _notes: list[str] = field(default_factory=list)

    def export(self, request: ExportRequest) -> Exported:
        """Write one form; its folder appears whole, with its receipt, or not at all.

        Raises:
            UserError: the form cannot hold this model, the name exists, the disk is too small, or the
                files keep less than half of what was trained (they stay under another name).
        """
        target = request.out or self.project.exports_dir / f"{self._name}-{request.label}"
        self._notes = []
        rejected = target.parent / f"{target.name}{REJECTED}"
        if not is_export(rejected):  # one of ours was kept to be looked at; the next takes its place
            refuse_existing(rejected)
        try:
            with new_model_folder(target) as folder:
                inner = self._inner(request, folder)
                inner.mkdir(parents=True, exist_ok=True)
                self._write(request, inner)
                gain = self._score(request, inner)
                self._leave_receipt(request, folder, gain)
                if gain and gain.is_lost:
                    if is_export(rejected):
                        rejected.rename(folder.with_name("before"))  # which goes with what is partial
                    become(folder, rejected)
                    raise _lost(gain, rejected, request)
        finally:
            with suppress(OSError):  # an export is in it
                self.project.exports_dir.rmdir()
        command = try_command(request, target, self._inner(request, target), self.adapter, self.base_name)
        return Exported(target, command, gain, tuple(self._notes))

    def compare(self, requests: Sequence[ExportRequest]) -> tuple[list[KeptGain], dict[str, str]]:
        """Score several forms, each in a folder that goes again.

        Returns:
            What each keeps; and why others cannot be written, by their labels.
        """
        rows, refused = [], dict[str, str]()
        self.project.root.mkdir(exist_ok=True)
        for request in requests:
            with partial_folder(self.project.root, "export") as folder:
                try:
                    self._write(request, folder)
                    if gain := self._score(request, folder):
                        rows.append(gain)
                except UserError as error:
                    refused[request.label] = str(error)
        if not rows and not refused:
            raise UserError(
                _("There is nothing to compare with: {path} has no rows").format(
                    path=self.project.valid_file
                ),
                _("put validation rows there"),
            )
        return rows, refused

    @property
    def _name(self) -> str:
        return one_line(self.base.name, 80)

    def _inner(self, request: ExportRequest, folder: Path) -> Path:
        """LM Studio wants PUBLISHER/NAME below its folder of models."""
        return folder / "mqlora" / f"{self._name}-tuned" if request.target == "lmstudio" else folder

    def _write(self, request: ExportRequest, folder: Path) -> None:
        if request.is_gguf:
            self._notes += write_gguf_files(self.base, self.adapter, request, folder, self.progress)
        elif request.target == "peft":
            config = read_settings(self.base / "config.json")
            require_same_projections(config.get("model_type"), self.adapter)
            write_peft(self.adapter, self.base_name, int(config["num_hidden_layers"]), folder)
        else:
            needed = mlx_bytes(self.base, request.width)
            require_space(folder, needed)
            stage = _("Writing the model ({size})").format(size=size(needed))
            self.progress(stage, 0.0)
            write_mlx(
                self.base,
                self.adapter,
                request.width,
                folder,
                lambda done, count: self.progress(stage, done / count),
            )

    def _score(self, request: ExportRequest, folder: Path) -> KeptGain | None:
        try:
            return self.scorer.score(request, folder)
        except NotScored as reason:
            self._notes.append(str(reason))
            return None

    def _leave_receipt(self, request: ExportRequest, folder: Path, gain: KeptGain | None) -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        losses = {"base": gain.base, "adapter": gain.adapter, gain.form: gain.export} if gain else {}
        export_receipt(folder, files, losses, None if request.adapter else self._run_receipt())

    def _run_receipt(self) -> Receipt | None:
        try:
            return Receipt.load(self.project.receipt_file)
        except UserError:  # an unfinished run has none
            return None


def _lost(gain: KeptGain, rejected: Path, request: ExportRequest) -> UserError:
    """Return the refusal of an export that lost what was trained."""
    if request.is_gguf and request.bits is not None:
        fix = _("export it without --bits, which keeps most, or with more of them")
    elif request.bits is not None:
        fix = _("export it with more bits, such as --bits 8 or --bits 16")
    else:
        fix = _("export it in another form, such as --to mlx --bits 16")
    return UserError(
        _(
            "{form} loses what was trained: loss {base:.2f} without the adapter, {adapter:.2f} with it, "
            "{export:.2f} exported; its files are in {folder} for you to look at"
        ).format(form=gain.form, base=gain.base, adapter=gain.adapter, export=gain.export, folder=rejected),
        fix,
    )
