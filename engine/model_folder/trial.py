"""Loading a base model in a child process to see whether its weights are those that it needs.

Nothing but their names and shapes is read for that. What was found is kept for the same files,
so that it is done once.
"""

import hashlib
import json
import subprocess
from contextlib import suppress
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine import child_process
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.files import read_given, write_atomic
from engine.fingerprint import model_fingerprint
from engine.i18n import _
from engine.model_folder.usable import ModelFiles, require_usable

import platformdirs

LIMIT_S = 120.0
"""Seconds after which nothing is said about a model."""
_TRIED = 3
"""To be raised when more is tried: what is kept of earlier trials is then no answer any more."""
_USED = ("lora_targets", "lora_layers")
"""Settings that decide whether a model can be given an adapter."""


class ModelTrial:
    """A model folder that is looked at from outside at once, and loaded in a child in the meantime."""

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        """Look at the folder and start the child, unless it is known that the model loads.

        Args:
            folder: of the base model.
            config: of the run.

        Raises:
            UserError: the model cannot be used, as is seen from outside.
        """
        self.files: ModelFiles = require_usable(folder)
        self.folder, self._config = folder, config
        known = self._known()
        self.warnings: list[list[str]] = known or []
        """What is to be said about a model that loads, and what to do; complete after `require_loads`."""
        self._child = start_child(folder, config) if known is None else None

    def require_loads(self) -> None:
        """Wait for the child.

        Raises:
            UserError: the model cannot be loaded or given an adapter.
        """
        if self._child is None:
            return
        with self._child as child:
            alive, child.stdin = child.stdin, None  # `communicate` would close it, and so end the child
            try:
                output, _errors = child.communicate(timeout=LIMIT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                return
            finally:
                child.stdin = alive
        self._child = None
        answer = _parsed(output)
        if refused := answer.get("refused"):
            problem, fix = refused
            raise UserError(problem, fix)
        if answer.get("loads"):
            self.warnings = answer["warnings"]
            self._keep()
        elif answer.get("began"):
            raise UserError(
                _("Loading the base model in {folder} ended the process that tried it").format(
                    folder=self.folder
                ),
                _("use another base model"),
            )

    def end(self) -> None:
        """End the child if it is still there."""
        if self._child:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _keep(self) -> None:
        """Write down that the model loads."""
        if self._mark:
            with suppress(OSError):
                self._mark.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(self._mark, json.dumps(self.warnings))

    def _known(self) -> list[list[str]] | None:
        """Return the warnings about a model that is known to load; None where it has to be tried."""
        with suppress(OSError, ValueError):
            if self._mark and isinstance(found := json.loads(read_given(self._mark)), list):
                return found
        return None

    @cached_property
    def _mark(self) -> Path | None:
        """The file that is there once a model with the same files was loaded; None if they are unreadable."""
        settings = self._config.model_dump(mode="json", include=set(_USED))
        try:
            known = [_TRIED, version("mlx-lm"), version("mlx"), model_fingerprint(self.folder), settings]
        except OSError:
            return None
        name = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]
        return Path(platformdirs.user_cache_dir("mqlora-tui")) / "loads" / name


def start_child(folder: Path, config: TrainingConfig) -> "subprocess.Popen[bytes]":
    """Start the process that loads a model, see `engine.model.trial_child`."""
    return child_process.start(
        ["-m", "engine.model.trial_child", str(folder.absolute()), config.model_dump_json()]
    )


def _parsed(output: bytes) -> dict[str, Any]:
    """Return what the child said; nothing where MLX cannot be used at all."""
    answer: dict[str, Any] = {}
    for message in child_process.messages(output.splitlines()):
        answer |= message
    return answer
