"""Configurations that are kept under names, in the project's folder `configurations/`."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from engine.config import TrainingConfig
from engine.errors import UserError, system_reason, write_fix
from engine.files import read_own
from engine.i18n import _, ngettext
from engine.project import Project
from engine.sanitize import HARMFUL, one_line

LONGEST = 60
"""Characters of a name."""
MOST = 200
"""Configurations that are listed."""
_END = ".json"
_DELETED = ".deleted"
"""Where the last one that was deleted lies until the next one is; it is not listed."""
_MOST_BYTES = 1 << 20
_FORBIDDEN = re.compile(r'[/\\:*?"<>|\n\t]')


@dataclass(frozen=True)
class NamedConfig:
    """One of them, or why it cannot be loaded."""

    name: str
    config: TrainingConfig | None
    error: UserError | None = None


def check_name(text: str) -> str:
    """Return a name without white space around it.

    Raises:
        UserError: no file can have it on every system, or it would not be seen as it is.
    """
    name = text.strip()
    if not name:
        raise UserError(_("The name is empty"), _("type one, such as: slow but sure"))
    if len(name) > LONGEST:
        fix = ngettext("take one of at most {n} letter", "take one of at most {n} letters", LONGEST)
        raise UserError(_("The name is too long"), fix.format(n=LONGEST))
    if name.startswith(".") or _FORBIDDEN.search(name) or HARMFUL.search(name):
        fix = _('take one without / \\ : * ? " < > | and without a point at its beginning')
        raise UserError(_("'{name}' cannot be a name").format(name=one_line(name, 80)), fix)
    return name


def is_taken(project: Project, name: str) -> bool:
    """Whether there is something of that name already."""
    return os.path.lexists(_path(project, name))


def save_named(project: Project, name: str, config: TrainingConfig) -> None:
    """Keep a configuration under a name, in the place of the one that had it.

    Raises:
        UserError: the name cannot be, or the file not be written.
    """
    path = _path(project, check_name(name))
    try:
        if path.parent.is_symlink():
            raise UserError(_("{path} is a link").format(path=path.parent), _("put a folder there"))
        config.save(path)
    except UserError:
        raise
    except OSError as error:
        problem = _("Cannot write {path}: {reason}").format(path=path, reason=system_reason(error))
        raise UserError(problem, write_fix(error)) from None


def delete_named(project: Project, name: str) -> None:
    """Delete a configuration; the last one that was deleted can be had back with `bring_back`.

    Raises:
        UserError: it cannot be done.
    """
    _move(project, _path(project, name), project.configs_dir / _DELETED)


def bring_back(project: Project, name: str) -> None:
    """Give the configuration that was deleted last its name again.

    Raises:
        UserError: the name was given to another one meanwhile, or it cannot be done.
    """
    _require_free(project, name)
    _move(project, project.configs_dir / _DELETED, _path(project, name))


def rename_named(project: Project, name: str, new: str) -> None:
    """Give a configuration another name.

    Raises:
        UserError: the name cannot be, is taken, or it cannot be done.
    """
    _require_free(project, check_name(new))
    _move(project, _path(project, name), _path(project, new.strip()))


def _require_free(project: Project, name: str) -> None:
    if is_taken(project, name):
        problem = _("There is a configuration {name} already").format(name=one_line(name, 80))
        raise UserError(problem, _("take another name, or delete that one first"))


def _move(project: Project, source: Path, target: Path) -> None:
    """Rename what is there, whatever it is: nothing is read and no link followed."""
    try:
        if project.configs_dir.is_symlink():
            raise UserError(_("{path} is a link").format(path=project.configs_dir), _("put a folder there"))
        os.replace(source, target)
    except OSError as error:
        problem = _("Cannot rename {path}: {reason}").format(path=source, reason=system_reason(error))
        raise UserError(problem, write_fix(error)) from None


def named_configs(project: Project) -> list[NamedConfig]:
    """Return what is kept, in the order of names, each checked; the first `MOST` of them."""
    try:
        names = sorted(entry.name for entry in os.scandir(project.configs_dir) if entry.name.endswith(_END))
    except OSError:
        return []
    return [_read(project, name.removesuffix(_END)) for name in names[:MOST] if not name.startswith(".")]


def _read(project: Project, name: str) -> NamedConfig:
    path = _path(project, name)
    try:
        read_own(path, _MOST_BYTES)  # no link, no pipe, nothing endless
        return NamedConfig(name, TrainingConfig.load(path))
    except UserError as error:
        return NamedConfig(name, None, error)
    except OSError as error:
        problem = _("Cannot read {path}: {reason}").format(path=path, reason=system_reason(error))
        return NamedConfig(name, None, UserError(problem, _("make it readable or take it away")))


def _path(project: Project, name: str) -> Path:
    return project.configs_dir / f"{name}{_END}"
