"""A base model in memory and one adapter after the other on it: what each loses, and what it answers.

Adapters are added in mlx-lm's layers, as in the chat, and come off again. The loss is that of training's
validation (`engine.training.loss`), one example at a time, so that it is known of each row.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event as StopEvent
from typing import Any

from engine.backend import is_cpu
from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.micro_batch import MicroBatch, micro_batches
from engine.dataset.batches.tokenize import Example, ExampleTokenizer
from engine.dataset.jsonl.turns import Message
from engine.errors import UserError
from engine.i18n import _
from engine.model.adapter import load_adapter
from engine.model.adapter_file import read_adapter
from engine.model.adapter_match import require_its_base
from engine.model.loading import load_base
from engine.model_folder.dimensions import Device, ModelDimensions
from engine.reply import ChatSettings, Replier, ReplyChunk
from engine.training.memory_limits import limit_cache, read_budget
from engine.training.scores import evaluate, make_scores
from engine.units import sizes_apart

import numpy as np
from numpy.typing import NDArray

_BESIDE = 1.1
"""Memory of activations and of what is read, as a factor of the weights."""


class Stopped(Exception):
    """Somebody asked to stop before the work was done."""


def require_memory(folder: Path) -> None:
    """Refuse to load a base model that does not fit now.

    Raises:
        UserError: it does not.
    """
    budget, sizes = read_budget(), ModelDimensions.read(folder)
    limit_cache(budget)
    if sizes is None:
        return
    device: Device = "cpu" if is_cpu() else "gpu"
    needed = int(sizes.weight_bytes(device, resident=is_cpu()) * _BESIDE)
    if needed > budget.free:
        needs, has = sizes_apart(needed, budget.free)
        raise UserError(
            _("An evaluation takes {needed} of memory, and {free} are free").format(needed=needs, free=has),
            _("close other programs, or wait until a run here has ended"),
        )


def check_adapters(folders: Sequence[Path], base: Path) -> dict[str, Any]:
    """Refuse adapters that cannot be used, before anything is computed.

    Returns:
        The chat template's variables for the prompts that the first one was trained on.

    Raises:
        UserError: one is damaged, or was trained on another base model.
    """
    settings: dict[str, Any] = {}
    for folder in reversed(folders):
        adapter = read_adapter(folder)
        require_its_base(adapter, base)
        settings = adapter.template_settings
    return settings


class VariantScorer:
    """A loaded base model, whose adapters change. Make it and use it on one thread, as a `Replier`."""

    def __init__(
        self, folder: Path, tokenize: ExampleTokenizer, settings: Mapping[str, Any], stop: StopEvent
    ) -> None:
        """Load the base model.

        Args:
            folder: of it.
            tokenize: what makes its examples.
            settings: variables of the chat template for prompts.
            stop: once set, all work ends with `Stopped`: after an example, or after a token.

        Raises:
            UserError: it cannot be loaded.
        """
        base = load_base(folder)
        self._model, self._tokenizer, self._stop = base.model, base.tokenizer, stop
        self._replier = Replier(base, tokenize, settings)

    @contextmanager
    def wearing(self, adapter: Path | None) -> Iterator[None]:
        """Put an adapter on the base model for the time of a block; None leaves it as it is.

        Raises:
            UserError: it does not go with this model.
        """
        loaded = load_adapter(self._model, adapter) if adapter else None
        self._model.eval()
        try:
            yield
        finally:
            if loaded:
                loaded.turn(False)

    def losses(self, examples: Sequence[Example], on_done: Callable[[int], None]) -> NDArray[np.float64]:
        """Return the summed loss of each example's trained tokens, nats, shape (examples,).

        Args:
            examples: each with a trained token.
            on_done: told how many are scored.

        Raises:
            Stopped: see `__init__`.
        """
        totals = [0.0]
        batches = [_alone(example) for example in examples]
        for scored in evaluate(self._model, make_scores(self._model), batches):
            totals.append(scored.total)
            on_done(scored.batches)
            self._require_going_on()
        self._model.eval()  # `evaluate` leaves it ready to be trained, with dropout
        return np.diff(totals)

    def can_be_asked(self, question: Sequence[Message]) -> bool:
        """Whether the model takes a conversation, and has room for an answer."""
        try:
            self._replier.prompt(question)
        except UserError:
            return False
        return True

    def answer(self, question: Sequence[Message], most_tokens: int) -> tuple[str, ReplyChunk]:
        """Return the likeliest next turn, and its last chunk, which says how it ended.

        Args:
            question: the conversation.
            most_tokens: of the answer.

        Raises:
            Stopped: see `__init__`.
        """
        pieces, last = [], ReplyChunk("", 0, 0.0, "stopped")
        for last in self._replier.reply(question, ChatSettings(most_tokens), stop=self._stop.is_set):
            pieces.append(last.text)
        self._require_going_on()
        return "".join(pieces).strip(), last

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text by itself, without start and end."""
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def _require_going_on(self) -> None:
        if self._stop.is_set():
            raise Stopped


def _alone(example: Example) -> MicroBatch:
    """Return an example as a micro-batch of its own, of its own length."""
    shape = BatchShape.full(1, len(example.tokens), int(example.trained.sum()))
    (batch,) = micro_batches([example], [shape])
    return batch
