"""`tuning.json`: what is tried, so that a tuning that was ended goes on; read back with distrust."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from engine.config import TrainingConfig
from engine.errors import UserError, system_reason
from engine.files import read_own, write_json
from engine.fingerprint import given_sha256, model_fingerprint
from engine.i18n import _
from engine.project import Project
from engine.runs.places import archived
from engine.sanitize import one_line
from engine.training.lock import lock_owner
from engine.training.lock_file import Owner
from engine.tuning.plan import MOST, Candidate

import msgspec

FORMAT = 1
"""Of the file."""
_Name = Annotated[str, msgspec.Meta(pattern=r"^tune [^/\\\x00-\x1f]{1,70}$")]
"""Of a folder in the archive; it cannot lead out of it."""


class TriedRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A candidate and its run."""

    values: dict[str, int | float]
    """Settings that differ from the chosen ones."""
    folder: _Name
    """Its name in the archive."""


class Tuning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is tried."""

    format: int
    key: str
    """Hash of chosen settings, base model and data, see `key_of`."""
    config: dict[str, Any]
    """The chosen settings."""
    runs: Annotated[tuple[TriedRun, ...], msgspec.Meta(min_length=2, max_length=MOST)]

    @property
    def chosen(self) -> TrainingConfig:
        """The settings that all others are compared with.

        Raises:
            UserError: a value is none that this version takes.
        """
        return TrainingConfig.parse(self.config, "tuning.json")

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates in their order."""
        return tuple(Candidate(dict(run.values)) for run in self.runs)

    def projects(self, project: Project) -> tuple[Project, ...]:
        """Return the project as each run sees it: its folder is in the archive."""
        return tuple(archived(project, run.folder).project for run in self.runs)


@dataclass(frozen=True)
class TunedRun:
    """A candidate's run that is trained now."""

    project: Project
    """As its run sees it: its folder is in the archive."""
    place: int
    """Among the candidates, from 0."""
    count: int
    """Candidates in all."""


def key_of(project: Project, chosen: TrainingConfig) -> str:
    """Return the SHA-256 of what a tuning rests on.

    Raises:
        UserError: model or data are not there, or cannot be read.
    """
    try:
        rests_on = {
            "config": chosen.model_dump(mode="json"),
            "model": model_fingerprint(project.model_dir(chosen.model)),
            "data": [given_sha256(path) for path in (project.train_file, project.valid_file)],
        }
    except OSError as error:
        raise UserError(
            _("Cannot read {path}: {reason}").format(path=error.filename, reason=system_reason(error)),
            _("put the data there: mqlora-tui validate tells what is missing"),
        ) from None
    return hashlib.sha256(json.dumps(rests_on, sort_keys=True).encode()).hexdigest()


def planned(project: Project, key: str, tried: tuple[Candidate, ...], chosen: TrainingConfig) -> Tuning:
    """Return a tuning that is to begin; each candidate gets a folder of its own in the archive."""
    taken: set[str] = set()
    runs = []
    for candidate in tried:
        folder = _free_name(project, f"tune {candidate.folder_name(chosen)}"[:60], taken)
        taken.add(folder)
        runs.append(TriedRun(candidate.values, folder))
    return Tuning(FORMAT, key, chosen.model_dump(mode="json"), tuple(runs))


def _free_name(project: Project, name: str, taken: set[str]) -> str:
    tries = (name if number == 1 else f"{name} ({number})" for number in range(1, 10_000))
    return next(each for each in tries if each not in taken and not (project.archive_dir / each).exists())


def save_tuning(project: Project, tuning: Tuning) -> None:
    """Write what is tried.

    Raises:
        OSError: it cannot be written.
    """
    write_json(project.tuning_file, msgspec.to_builtins(tuning))


def load_tuning(project: Project) -> Tuning | None:
    """Return what is tried; None where nothing is.

    Raises:
        UserError: the file is damaged, or of another version.
    """
    try:
        found = _DECODER.decode(read_own(project.tuning_file))
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _useless(project.tuning_file, one_line(str(error), 120)) from None
    if found.format != FORMAT:
        raise _useless(project.tuning_file, _("it is of another version"))
    return found


def tuned_run(project: Project, owner: Owner) -> TunedRun | None:
    """Return the run that a process trains in a tuning of the project; None if it trains in none now.

    Args:
        project: whose tuning it is.
        owner: the process that holds the project's own run folder, as a tuning does to its end.
    """
    try:
        tuning = load_tuning(project)
    except (UserError, OSError):
        return None
    runs = tuning.projects(project) if tuning else ()
    for place, run in enumerate(runs):
        if (trains := lock_owner(run)) and trains.pid == owner.pid:
            return TunedRun(run, place, len(runs))
    return None


def _useless(path: Path, reason: str) -> UserError:
    return UserError(
        _("Cannot go on with the tuning in {path}: {reason}").format(path=path, reason=reason),
        _("begin anew with: mqlora-tui tune --restart"),
    )


_DECODER: "msgspec.json.Decoder[Tuning]" = msgspec.json.Decoder(Tuning)
