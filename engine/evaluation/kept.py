"""Evaluations that are kept in the run's folder: found again by all that they rest on, or made anew."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UserError
from engine.evaluation.request import ANSWERED, BASE, BEST, LAST, SAME, Chosen, EvaluationRequest, choose
from engine.evaluation.results import Evaluation, is_sound
from engine.files import read_own, write_atomic
from engine.fingerprint import given_sha256, installed_versions, model_fingerprint
from engine.project import Project
from engine.sanitize import json_text

import msgspec

FORMAT = 2
"""Of kept evaluations; one of another number is made anew."""
_NAME = re.compile(r"[0-9a-f]{32}\.json")
_LETTERS = 32
_DECODER = msgspec.json.Decoder(Evaluation)


@dataclass(frozen=True)
class KnownEvaluation:
    """An evaluation that was made before."""

    found: Evaluation
    is_current: bool
    """Whether it is what evaluating base, best and last would find now: nothing it rests on has changed."""


def key_of(project: Project, chosen: Chosen, request: EvaluationRequest) -> str:
    """Return the SHA-256 of all that an evaluation rests on: it comes out the same where that is the same.

    Contents count, not where they are: a project that was moved keeps what is known of it.

    Raises:
        OSError: a file cannot be read.
    """
    rests_on = {
        "format": FORMAT,
        "versions": installed_versions(),
        "model": (chosen.model, model_fingerprint(chosen.base)),
        "variants": [(each.name, each.step, each.digest) for each in chosen.variants],
        "rows": (chosen.file.name, chosen.source, given_sha256(chosen.file)),
        "training": given_sha256(project.train_file) if project.train_file.exists() else None,
        "config": chosen.config.model_dump(
            mode="json",
            include={"max_seq_length", "mask_history", "prompt_loss_weight", "train_on_template_text"},
        ),
        "answers": request.answers,
    }
    return hashlib.sha256(json.dumps(rests_on, sort_keys=True).encode()).hexdigest()


def read_evaluation(project: Project, key: str) -> Evaluation | None:
    """Return the kept evaluation with a key; None where there is none, or it is damaged."""
    found = _read(project.evaluations_dir / f"{key[:_LETTERS]}.json")
    return found if found and found.key == key else None


def keep_evaluation(project: Project, found: Evaluation) -> None:
    """Write an evaluation into the run's folder.

    Raises:
        OSError: it cannot be written.
        UserError: the project's folder is gone.
    """
    project.make_run_dir()
    project.evaluations_dir.mkdir(exist_ok=True)
    text = json_text(msgspec.to_builtins(found), indent=1)
    write_atomic(project.evaluations_dir / f"{found.key[:_LETTERS]}.json", text + "\n")


def known_evaluation(project: Project) -> KnownEvaluation | None:
    """Return what is known of a run's best and last adapter: the present evaluation, else the newest one.

    However many answers were asked for; those of other adapters or of a file that was named do not count.
    """
    kept = list(filter(_is_of_run, kept_evaluations(project)))
    if not kept:  # nothing need be hashed
        return None
    with suppress(UserError, OSError):  # adapter, model or rows are not there any more
        chosen = choose(project, EvaluationRequest())
        for answers in dict.fromkeys((ANSWERED, *(each.answers for each in kept))):
            key = key_of(project, chosen, EvaluationRequest(answers=answers))
            if found := next((each for each in kept if each.key == key), None):
                return KnownEvaluation(found, True)
    return KnownEvaluation(kept[0], False)


def kept_evaluations(project: Project) -> Iterator[Evaluation]:
    """Yield the evaluations of a run that can be read, the newest first."""
    return filter(None, map(_read, _newest_first(project.evaluations_dir)))


def _is_of_run(found: Evaluation) -> bool:
    names = {part for each in found.variants for part in each.name.split(SAME)}
    return found.source != "given" and names <= {BASE, BEST, LAST}


def _newest_first(folder: Path) -> Iterator[Path]:
    found: list[tuple[float, Path]] = []
    with suppress(OSError):
        for entry in os.scandir(folder):
            if _NAME.fullmatch(entry.name):
                found.append((entry.stat(follow_symlinks=False).st_mtime, Path(entry.path)))
    return (path for _time, path in sorted(found, reverse=True))


def _read(path: Path) -> Evaluation | None:
    try:
        found = _DECODER.decode(read_own(path))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found if is_sound(found) else None
