"""What is to be exported: an adapter, and the base model and settings that go with it."""

from pathlib import Path

from engine.errors import UserError
from engine.export.exporter import Exporter
from engine.export.scorer import Scorer
from engine.export.targets import ExportRequest, OnProgress
from engine.i18n import _
from engine.model.adapter_file import AdapterFile, read_adapter
from engine.model.adapter_match import require_its_base
from engine.model_folder.new_folder import refuse_existing
from engine.model_folder.source import read_source
from engine.model_folder.usable import require_usable
from engine.project import Project
from engine.sanitize import one_line
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.selected_config import adapter_model, selected_settings


def exporter(project: Project, request: ExportRequest, progress: OnProgress) -> Exporter:
    """Find adapter, base model and settings of an export.

    Raises:
        UserError: there is no such adapter or model, or the adapter is of another base model.
    """
    if request.out:
        refuse_existing(request.out)
    adapter = read_adapter(_adapter_folder(project, request))
    config = selected_settings(project)
    base = project.model_dir(_base_model(project, request, adapter) or config.model)
    base_name = _base_name(request, base) if request.target == "peft" else ""
    require_usable(base)
    require_its_base(adapter, base)
    scorer = Scorer(base, config, adapter, project.valid_file, progress)
    return Exporter(project, base, adapter, progress, scorer, base_name)


def _base_name(request: ExportRequest, base: Path) -> str:
    """Return the name by which PEFT loads the base model."""
    source = read_source(base)
    if name := request.base_name or (source.repository if source else ""):
        return name
    raise UserError(
        _("PEFT has to know the base model by its name on the hub, and {folder} does not say it").format(
            folder=base
        ),
        _("give its name, ORGANISATION/MODEL: --base-name, or 'base name' in the dialog"),
    )


def _base_model(project: Project, request: ExportRequest, adapter: AdapterFile) -> str:
    """Return the name of the base model that an adapter belongs to; empty where only the settings tell."""
    if not request.adapter:
        return adapter_model(project)
    return adapter.base_model if adapter.base_model in project.models() else ""


def _adapter_folder(project: Project, request: ExportRequest) -> Path:
    if request.adapter:
        return request.adapter
    if request.checkpoint:
        found = {path.name: path for path in checkpoint_folders(project.run_dir)}
        if request.checkpoint not in found:
            raise UserError(
                _("There is no checkpoint {name}").format(name=one_line(request.checkpoint, 80)),
                _("name one of: {names}").format(names=", ".join(found) or _("none is there")),
            )
        return found[request.checkpoint]
    if project.found_adapter is None:
        raise UserError(_("There is no adapter to export yet"), _("train first: mqlora-tui train"))
    return project.adapters_dir
