"""Whether a model's tokenizer, chat template and stop tokens go together, and with the model."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.batches.chat_template import NO_THINKING, ChatTemplate, TemplateError, UnknownToken
from engine.dataset.batches.tokenize import Example, ExampleTokenizer
from engine.dataset.jsonl.row import Row
from engine.dataset.report import Fault, Severity
from engine.errors import UserError
from engine.find_models import label
from engine.i18n import _, ngettext
from engine.model_folder.stops import stop_tokens
from engine.model_folder.tokenizer import load_tokenizer, template_file, template_fix
from engine.model_folder.weights import embedding_rows
from engine.sanitize import one_line

_ASKED = ({"role": "user", "content": "What is asked?"}, {"role": "assistant", "content": "What is said."})
_PROBES = (Row(1, _ASKED), Row(1, ({"role": "system", "content": "What is wanted."}, *_ASKED)))
"""A chat template that takes neither takes no row."""


def example_tokenizer(folder: Path, config: TrainingConfig) -> ExampleTokenizer:
    """Return what turns rows into the examples of a run with a base model.

    Raises:
        UserError: the tokenizer or its chat template cannot be used for any row, or the model has no
            vector for a token that every row has.
    """
    tokenizer = load_tokenizer(folder)
    vocabulary = embedding_rows(folder)
    stops = stop_tokens(folder, tokenizer, vocabulary)
    if tokenizer.chat_template:
        _require_steady(folder, ChatTemplate(tokenizer))
    tokenize = ExampleTokenizer(tokenizer, config, stops, vocabulary)
    refusals = [refusal for row in _PROBES if (refusal := _refusal(tokenize, row))]
    for refusal in refusals:
        if isinstance(refusal, UnknownToken):
            raise UserError(
                _("The tokenizer in {folder} is not that of its model: {reason}").format(
                    folder=folder, reason=refusal
                ),
                refusal.fix,
            )
    if len(refusals) == len(_PROBES):
        raise UserError(
            _("The chat template in {path} takes no row: {reason}").format(
                path=template_file(folder), reason=refusals[0]
            ),
            template_fix(),
        )
    return tokenize


def _require_steady(folder: Path, template: ChatTemplate) -> None:
    """Refuse a chat template under which nothing can be found again.

    Raises:
        UserError: it writes a conversation otherwise the next time.
    """
    if not all(map(template.is_steady, (*(row.messages for row in _PROBES), [*_ASKED, *_ASKED]))):
        raise UserError(
            _("The chat template in {path} writes the same conversation differently each time").format(
                path=template_file(folder)
            ),
            _("take out there what it draws at random, or use another base model"),
        )


def _refusal(tokenize: ExampleTokenizer, row: Row) -> TemplateError | None:
    try:
        tokenize(row)
    except TemplateError as error:
        return error
    return None


def token_faults(folder: Path, tokenize: ExampleTokenizer) -> tuple[Fault, ...]:
    """Return what is to be said about every row under a model: how it is joined, and whether its end stops.

    Args:
        folder: of the base model.
        tokenize: of it.
    """
    found = []
    if not tokenize.has_template:
        joined = _("the model has no chat template: a question and its answer are joined by a line break")
        fix = _("nothing, if it is a base model")
        found.append(_fault(folder, "no_template", "note", joined, fix))
    if not tokenize.ends_answers:
        found.append(_endless(folder, tokenize.has_template))
    elif tokenize.has_template and (mark := tokenize.end_mark) and mark not in tokenize.stop_marks:
        found.append(_stops_elsewhere(folder, tokenize, mark))
    return (*found, *stop_faults(folder, tokenize))


def _endless(folder: Path, has_template: bool) -> Fault:
    text = _("the tokenizer has no end token to put after an answer: the model will not learn to stop")
    fix = _("name one as eos_token in tokenizer_config.json, or use another base model")
    if has_template:
        text = _("the chat template in {file} puts no end token after an answer: no model learns to stop so")
        fix = _("let it write the end token there, or use a base model whose chat template ends each turn")
    text = text.format(file=template_file(folder).name)
    return _fault(folder, "no_end_of_turn", "warning", text, fix)


def _stops_elsewhere(folder: Path, tokenize: ExampleTokenizer, mark: str) -> Fault:
    message = _("answers end with {mark}, at which this model does not stop: it stops at {stops}").format(
        mark=one_line(repr(mark), 40), stops=_listed(tokenize.stop_marks)
    )
    fix = _("chat here stops at both; for other programs add {id} to eos_token_id in {file}").format(
        id=tokenize.token_id(mark), file="generation_config.json"
    )
    return _fault(folder, "stop_token", "warning", message, fix)


def stop_faults(folder: Path, tokenize: ExampleTokenizer) -> tuple[Fault, ...]:
    """Return what is to be said about stop tokens that the model's files name and it does not have.

    Args:
        folder: of the base model.
        tokenize: of it.
    """
    unusable = tokenize.stops.unusable
    if not unusable:
        return ()
    ends = {tokenize.end_mark} - {""} if tokenize.has_template else set[str]()
    marks = tokenize.stop_marks | ends
    message = ngettext(
        "{values} is no token at which the model can stop; chat stops at {stops}",
        "{values} are no tokens at which the model can stop; chat stops at {stops}",
        len(unusable),
    ).format(values=one_line(", ".join(map(str, unusable)), 160), stops=_listed(marks))
    fix = _("correct {files}, or copy the model's files again from its publisher").format(
        files=", ".join(sorted({named.file for named in unusable}))
    )
    is_harmless = marks and all(named.value is None for named in unusable)
    return (_fault(folder, "unusable_stop", "note" if is_harmless else "warning", message, fix),)


def _listed(marks: Collection[str]) -> str:
    return one_line(", ".join(map(repr, sorted(marks))), 80) or _("nothing")


def template_settings(examples: Sequence[Example]) -> dict[str, Any]:
    """Return the chat template's variables for the prompts of a run.

    Args:
        examples: of the training file.
    """
    if examples and not any(example.thinks for example in examples):
        return dict(NO_THINKING)
    return {}


def model_fault(folder: Path, error: UserError) -> Fault:
    """Return a refusal of a base model as a fault."""
    return _fault(folder, "model", "error", error.problem, error.fix)


def _fault(folder: Path, kind: str, severity: Severity, message: str, fix: str) -> Fault:
    return Fault(one_line(f"models/{label(folder)}", 60), 0, None, kind, severity, message, fix)
