"""Several models on the same rows, one after the other: losses, general texts, answers, and what they say."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from engine import units
from engine.errors import UserError
from engine.evaluation.answer_metrics import contains, figures, is_exact, loops, token_f1
from engine.evaluation.general_texts import GeneralTexts
from engine.evaluation.request import Chosen, OnProgress, Variant
from engine.evaluation.results import AskedRow, Evaluation, GeneralLoss, ScoredAnswer, VariantResult
from engine.evaluation.rows import EvaluationRows, TrainingRows
from engine.evaluation.scoring import VariantScorer
from engine.evaluation.sentences import called
from engine.evaluation.statistics import Resampled, resample
from engine.i18n import _

import numpy as np
from numpy.typing import NDArray

LONGER = 1.5
"""How much longer than the longest reference an answer may become."""
_LEAST_TOKENS, _MOST_TOKENS = 16, 512
"""Bounds of what an answer may have."""


class Comparison:
    """The rows and the loaded model, on which each variant does the same."""

    def __init__(
        self,
        scorer: VariantScorer,
        rows: EvaluationRows,
        training: TrainingRows,
        general: GeneralTexts,
        answers: int,
        tell: OnProgress,
    ) -> None:
        """Choose which rows are answered; compute nothing yet.

        Args:
            scorer: with the base model.
            rows: that all are compared on.
            training: what the training rows tell of them.
            general: the general paragraphs.
            answers: how many rows are answered at most.
            tell: told what is being done.
        """
        self._scorer, self._rows, self._training, self._tell = scorer, rows, training, tell
        self._general, self._wanted = general, answers
        self._asked = tuple(
            self._asked_row(index)
            for index in rows.spread(answers)
            if scorer.can_be_asked(rows.rows[index].question)
        )
        longest = max((each.tokens for each in self._asked), default=0)
        self._most = max(_LEAST_TOKENS, min(_MOST_TOKENS, math.ceil(longest * LONGER)))

    def evaluation(self, chosen: Chosen, key: str, copies: Mapping[Path, Path]) -> Evaluation:
        """Measure each variant in turn, and compare them.

        Args:
            chosen: the variants.
            key: of what they rest on.
            copies: of the folders of their adapters, which are read in the place of these.

        Raises:
            UserError: an adapter does not go with the model, or a loss is not finite.
            Stopped: somebody asked for that.
        """
        totals, general, answers = [], [], []
        for variant in chosen.variants:
            with self._scorer.wearing(copies[variant.folder] if variant.folder else None):
                totals.append(self._row_totals(variant))
                general.append(self._general_totals(variant))
                answers.append(self._answers(variant))
        on_rows = resample(np.stack(totals), self._rows.tokens)
        on_texts = resample(np.stack(general), self._general_tokens())
        results = [
            self._result(index, variant, on_rows, on_texts, answers[index])
            for index, variant in enumerate(chosen.variants)
        ]
        return Evaluation(
            key=key,
            made=datetime.now().isoformat(timespec="seconds"),
            seconds=0.0,
            model=chosen.model,
            file=str(chosen.file),
            source=chosen.source,
            lines=tuple(each.row.line for each in self._rows.rows),
            trained_tokens=tuple(self._rows.tokens.tolist()),
            left_out=self._rows.left_out,
            leaked=self._training.leaked,
            asked=self._asked,
            most_tokens=self._most,
            answers=self._wanted,
            variants=tuple(results),
        )

    def _row_totals(self, variant: Variant) -> NDArray[np.float64]:
        """Return the summed loss of each row, nats, shape (rows,).

        Raises:
            UserError: one is not finite.
        """
        stage = _("Scoring {name}").format(name=called(variant.name))
        examples = [example for each in self._rows.rows for example in each.examples]
        losses = self._scorer.losses(examples, lambda done: self._tell(stage, done / len(examples)))
        begins = np.cumsum([0, *(len(each.examples) for each in self._rows.rows)])[:-1]
        totals = np.add.reduceat(losses, begins)
        for each, total in zip(self._rows.rows, totals, strict=True):
            if not math.isfinite(total):
                raise UserError(
                    _("The loss of {name} on line {line} is not finite").format(
                        name=called(variant.name), line=each.row.line
                    ),
                    _("take another checkpoint, or put the model's or the adapter's own files there again"),
                )
        return totals

    def _general_totals(self, variant: Variant) -> NDArray[np.float64]:
        """Return the summed loss of each general paragraph, nats, shape (paragraphs,)."""
        stage, texts = _("General texts, {name}").format(name=called(variant.name)), self._general.all
        return self._scorer.losses(texts, lambda done: self._tell(stage, done / len(texts)))

    def _general_tokens(self) -> NDArray[np.int64]:
        return np.array([int(each.trained.sum()) for each in self._general.all], np.int64)

    def _asked_row(self, index: int) -> AskedRow:
        row = self._rows.rows[index]
        tokens = len(self._scorer.tokens(row.reference)) + 1  # the one that ends it
        return AskedRow(index, str(row.question[-1]["content"]).strip(), row.reference, tokens)

    def _answers(self, variant: Variant) -> tuple[ScoredAnswer, ...]:
        stage = _("Answers of {name} to {rows}, each of at most {tokens}").format(
            name=called(variant.name), rows=units.rows(len(self._asked)), tokens=units.tokens(self._most)
        )
        found = []
        for done, asked in enumerate(self._asked):
            self._tell(stage, done / len(self._asked))
            found.append(self._answer(asked))
        return tuple(found)

    def _answer(self, asked: AskedRow) -> ScoredAnswer:
        text, last = self._scorer.answer(self._rows.rows[asked.row].question, self._most)
        return ScoredAnswer(
            text=text,
            end="complete" if last.end is None or last.end == "stopped" else last.end,
            tokens=last.tokens,
            exact=is_exact(text, asked.reference),
            f1=token_f1(text, asked.reference),
            contains=contains(text, asked.reference),
            loops=loops(self._scorer.tokens(text)),
            copy_of=self._training.answers.line_of(text, asked.reference),
        )

    def _result(
        self,
        index: int,
        variant: Variant,
        on_rows: Resampled,
        on_texts: Resampled,
        answers: Sequence[ScoredAnswer],
    ) -> VariantResult:
        return VariantResult(
            name=called(variant.name),
            folder=str(variant.folder) if variant.folder else None,
            step=variant.step,
            loss=on_rows.loss(index),
            perplexity=on_rows.perplexity(index),
            row_losses=tuple(on_rows.row_losses[index].tolist()),
            change=on_rows.change(index) if index else None,
            general=self._general_loss(index, on_texts),
            answers=tuple(answers),
            figures=figures(answers, self._asked),
        )

    def _general_loss(self, index: int, on_texts: Resampled) -> GeneralLoss:
        tokens, english = self._general_tokens(), len(self._general.english)
        totals = on_texts.row_losses[index] * tokens
        return GeneralLoss(
            loss=float(on_texts.means[index]),
            english=float(totals[:english].sum() / tokens[:english].sum()),
            portuguese=float(totals[english:].sum() / tokens[english:].sum()),
            change=on_texts.change(index) if index else None,
        )
