"""An evaluation from its beginning to its end: made before, or read, loaded, compared and kept."""

import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event as StopEvent

from engine.errors import UserError, system_reason
from engine.evaluation.copies import AdapterChanged, copied
from engine.evaluation.kept import keep_evaluation, key_of, read_evaluation
from engine.evaluation.request import Chosen, EvaluationRequest, OnProgress, choose
from engine.evaluation.results import Evaluation
from engine.files import NoPlainFile
from engine.i18n import _
from engine.project import Project

import msgspec

_TRIES = 5
"""To copy the adapters of a run that replaces them meanwhile."""


class Evaluator:
    """Compares a base model and adapters on it on the same rows. Use it on the thread that owns MLX."""

    def __init__(
        self,
        project: Project,
        request: EvaluationRequest,
        stop: StopEvent,
        on_progress: OnProgress = lambda stage, share: None,
    ) -> None:
        """Read nothing yet.

        Args:
            project: with models, data and run.
            request: what is compared, and on what.
            stop: set it to end the work after the row or the token at hand.
            on_progress: told what is being done, and which share of it is.
        """
        self._project, self._request, self._stop, self._tell = project, request, stop, on_progress
        self.was_kept = False
        """Whether what `run` returned was made before."""
        self.not_kept = ""
        """Why what `run` returned could not be kept; empty where it was."""

    def run(self) -> Evaluation | None:
        """Return what was found, and keep it in the run's folder; None if asked to stop before.

        Raises:
            UserError: model, adapter or rows cannot be used, or memory is short.
        """
        begin = time.monotonic()
        for tries_left in reversed(range(_TRIES)):
            chosen = choose(self._project, self._request)
            key = self._key(chosen)
            if kept := read_evaluation(self._project, key):
                self.was_kept = True
                return kept
            with suppress(AdapterChanged):
                found = self._found(chosen, key)
                break
            if not tries_left:
                raise UserError(
                    _("The adapters in {folder} change while they are read").format(
                        folder=self._project.run_dir
                    ),
                    _("evaluate when the run is paused or over"),
                )
        if found is None:
            return None
        found = msgspec.structs.replace(found, seconds=round(time.monotonic() - begin, 3))
        try:
            keep_evaluation(self._project, found)
        except OSError as error:
            self.not_kept = system_reason(error)
        return found

    def _key(self, chosen: Chosen) -> str:
        try:
            return key_of(self._project, chosen, self._request)
        except NoPlainFile as error:
            raise UserError(
                error.problem,
                _("name another file of rows with --file"),
            ) from None
        except UserError:
            raise
        except OSError as error:
            path, reason = error.filename or chosen.file, system_reason(error)
            raise UserError(
                _("Cannot read {path}: {reason}").format(path=path, reason=reason),
                _("name another file of rows with --file, or put it there"),
            ) from None

    def _found(self, chosen: Chosen, key: str) -> Evaluation | None:
        """Evaluate copies of the adapters; None if asked to stop.

        Raises:
            AdapterChanged: one of them is another one by now, or gone.
        """
        from engine.evaluation.scoring import Stopped
        from engine.training.memory_limits import limits_restored

        try:
            with limits_restored(), tempfile.TemporaryDirectory(prefix="mqlora-eval-") as folder:
                try:
                    copies = copied(chosen, Path(folder))
                except OSError as error:
                    raise UserError(
                        _("The adapters cannot be copied: {reason}").format(reason=system_reason(error)),
                        _("free some disk space for temporary files"),
                    ) from None
                return self._measure(chosen, key, copies)
        except Stopped:
            return None

    def _measure(self, chosen: Chosen, key: str, copies: Mapping[Path, Path]) -> Evaluation:
        from engine.dataset.inspect.model_tokens import example_tokenizer
        from engine.evaluation.comparison import Comparison
        from engine.evaluation.general_texts import general_texts
        from engine.evaluation.rows import compare_with_training, read_evaluation_rows
        from engine.evaluation.scoring import Stopped, VariantScorer, check_adapters, require_memory

        self._tell(_("Reading the rows"), 0.0)
        tokenize = example_tokenizer(chosen.base, chosen.config)
        rows = read_evaluation_rows(chosen.file, tokenize, chosen.config)
        training = compare_with_training(self._project.train_file, rows.rows, self._stop)
        try:
            settings = check_adapters(list(copies.values()), chosen.base)
        except UserError:
            check_adapters(list(copies), chosen.base)  # says the same of the folder that was named
            raise
        require_memory(chosen.base)
        if self._stop.is_set():
            raise Stopped
        self._tell(_("Loading the base model"), 0.0)
        scorer = VariantScorer(chosen.base, tokenize, settings, self._stop)
        texts, answers = general_texts(tokenize), self._request.answers
        return Comparison(scorer, rows, training, texts, answers, self._tell).evaluation(chosen, key, copies)
