"""Which models are on this machine: in `models/`, and in the folders of other programs."""

from engine.find_models import linked_to_nothing, misplaced
from engine.hardware.report import HardwareReport
from engine.model_store.caches import find_cached
from engine.model_store.look import FoundModel, look, look_into_gguf
from engine.project import Project


def find_all(project: Project, report: HardwareReport) -> list[FoundModel]:
    """Return the models on this machine, those of the project first.

    Args:
        project: whose `models/` counts.
        report: of this machine, into whose memory a model has to fit.
    """
    found = [look("project", name, path, report) for name, path in project.models().items()]
    for folder in linked_to_nothing(project.models_dir):
        found.append(look("project", folder.name, folder, report))
    for name in misplaced(project.models_dir):
        found.append(look_into_gguf("project", name, project.models_dir / name, report))
    for cached in find_cached():
        describe = look if cached.path.is_dir() else look_into_gguf
        found.append(describe(cached.owner, cached.name, cached.path, report))
    return found
