"""What the user chose for the app itself, in all projects: its look, and how a run makes itself noticed."""

import os
from itertools import count
from pathlib import Path
from typing import Literal

from engine.errors import UserError, system_reason, write_fix
from engine.files import NoPlainFile, read_own, write_json
from engine.i18n import _
from engine.values import json_reason

import msgspec
import platformdirs

FORMAT = 1
"""Of the file; one with a higher number is left as it is."""
_MOST_BYTES = 64 << 10
ThemeName = Literal["mqlora", "light", "contrast", "terminal"]


class AppSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Look and signals; as in the file, whose fields may be left out."""

    format: int = FORMAT
    theme: ThemeName = "mqlora"
    title: bool = True
    """Whether the title of the terminal says how the run is."""
    bell: bool = True
    """Whether the terminal's bell rings at a pause, a failure and the end of a run."""
    notification: bool = True
    """Whether the desktop is notified of them, by a terminal that is known to do that."""


class DamagedSettings(UserError):
    """The file is there and says nothing that can be used."""


def settings_file() -> Path:
    """Return where the settings are, for all projects of this user."""
    return Path(platformdirs.user_config_dir("mqlora-tui")) / "settings.json"


def load_settings() -> AppSettings:
    """Read the settings; where there are none, return those of the beginning.

    Raises:
        UserError: the file is damaged, of a later version, no plain file or cannot be read.
    """
    path = settings_file()
    try:
        content = read_own(path, _MOST_BYTES)
    except NoPlainFile:
        raise
    except FileNotFoundError:
        return AppSettings()
    except OSError as error:
        raise UserError(
            _("Cannot read the app's settings in {path}: {reason}").format(
                path=path, reason=system_reason(error)
            ),
            _("make that file readable"),
        ) from None
    return _decoded(path, content)


def _decoded(path: Path, content: bytes) -> AppSettings:
    try:
        if _format_of(content) > FORMAT:
            raise UserError(
                _("{path} was written by a later version of mqlora-tui").format(path=path),
                _("use that version, or take the file away"),
            )
        return msgspec.json.decode(content, type=AppSettings)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise DamagedSettings(
            _("The app's settings in {path} cannot be used: {reason}").format(
                path=path, reason=json_reason(error)
            ),
            _("correct that, or change a setting: the file is then kept beside the new one"),
        ) from None


def _format_of(content: bytes) -> int:
    """Return the number of a file's format, whatever else is in it."""

    class Numbered(msgspec.Struct):
        format: int = FORMAT

    return msgspec.json.decode(content, type=Numbered).format


def save_settings(settings: AppSettings) -> None:
    """Write the settings; a damaged file that is there is renamed and stays.

    Raises:
        UserError: they cannot be written, or the file is a later version's.
    """
    path = settings_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            load_settings()
        except DamagedSettings:
            path.rename(_free_name(path))
        write_json(path, msgspec.to_builtins(settings))
    except NoPlainFile:
        raise
    except OSError as error:
        raise UserError(
            _("Cannot write the app's settings to {path}: {reason}").format(
                path=path, reason=system_reason(error)
            ),
            write_fix(error),
        ) from None


def _free_name(path: Path) -> Path:
    """Return a name beside `path` that nothing has."""
    names = (path.with_name(f"{path.stem}.damaged-{number}{path.suffix}") for number in count(1))
    return next(name for name in names if not os.path.lexists(name))
