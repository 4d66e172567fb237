"""Evaluations as `engine.evaluation.evaluator` returns them, made up."""

from engine.evaluation.results import (
    AnswerFigures,
    AskedRow,
    Change,
    Estimate,
    Evaluation,
    GeneralLoss,
    ScoredAnswer,
    VariantResult,
)

ROWS = 24


def evaluation(key: str = "0" * 64, answer: str = "It is 2.", asked: int = 4) -> Evaluation:
    """Return base, best and last on 24 rows; the adapters are better by 1.93 ± 0.11 nats a token."""
    return Evaluation(
        key=key,
        made="2026-01-01T12:00:00+00:00",
        seconds=12.5,
        model="toy",
        file="data/test.jsonl",
        source="test",
        lines=tuple(range(1, ROWS + 1)),
        trained_tokens=(10,) * ROWS,
        left_out=(),
        leaked=(3,),
        asked=tuple(
            AskedRow(row, f"How much is {row} and 1?", f"It is {row + 1}.", 5) for row in range(asked)
        ),
        most_tokens=16,
        answers=10,
        variants=(
            variant("base", None, 3.2, asked, "It depends."),
            variant("best", 40, 1.27, asked, answer),
            variant("last", 60, 1.31, asked, answer),
        ),
    )


def variant(name: str, step: int | None, loss: float, asked: int, answer: str) -> VariantResult:
    """Return one model; rows differ a little, and row `n` gains 0.01 n less than the mean."""
    is_base = step is None
    change = Change(Estimate(loss - 3.2, loss - 3.31, loss - 3.09), ROWS - 2, ROWS)
    general = Change(Estimate(0.15 if name == "last" else 0.02, 0.01, 0.2), 3, 16)
    return VariantResult(
        name=name,
        folder=None if is_base else f"checkpoints_qlora/{name}",
        step=step,
        loss=Estimate(loss, loss - 0.1, loss + 0.1),
        perplexity=Estimate(2.718**loss, 2.718 ** (loss - 0.1), 2.718 ** (loss + 0.1)),
        row_losses=tuple(loss + (0 if is_base else 0.01 * row) for row in range(ROWS)),
        change=None if is_base else change,
        general=GeneralLoss(2.9, 2.8, 3.0, None if is_base else general),
        answers=(ScoredAnswer(answer, "complete", 6, False, 0.5, True, False, None),) * asked,
        figures=AnswerFigures(0.25, 0.5, 0.75, 1.0, 1.1, 0.0, 0) if asked else None,
    )
