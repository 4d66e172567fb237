"""The one model that mlx-lm's server answers with, loaded and prompted as in this program's own chat."""

from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from engine import units
from engine.backend import compute_dtype, mx
from engine.config import TrainingConfig
from engine.dataset.batches.chat_template import ChatTemplate
from engine.dataset.batches.render import PLAIN_SEPARATOR
from engine.dataset.inspect.model_tokens import example_tokenizer
from engine.dataset.jsonl.turns import Message
from engine.errors import UserError
from engine.i18n import _
from engine.model.adapter import LoadedAdapter, load_adapter
from engine.model.loading import BaseModel, load_base
from engine.model_folder.context_length import context_length
from engine.model_folder.panics import refused_panics
from engine.model_folder.weights import embedding_rows
from engine.serve.proof import TOKENS, Expected, Scores, is_measurable

import numpy as np
from mlx_lm.models.cache import LRUPromptCache, make_prompt_cache
from mlx_lm.server import ModelProvider, ResponseGenerator
from mlx_lm.utils import maybe_set_recommended_wired_limit

_TOLERANCE = {mx.float32: 0.01}
_TOLERANCE_16_BIT = 0.25
"""In nats; of a sum of 16-bit numbers of a size of 32 the last bit is a quarter."""
_MOST_TOKENS = 32768
"""Of a prompt with its reply, where the model names no limit."""
_CACHES = 10
"""Conversations whose beginning is kept, as in mlx-lm."""

# What mlx-lm's own command line has as its defaults, but for origins: no page on the web may ask.
_SETTINGS: dict[str, Any] = {
    "model": None,
    "adapter_path": None,
    "draft_model": None,
    "trust_remote_code": False,
    "chat_template": "",
    "use_default_chat_template": False,
    "chat_template_args": {},
    "allowed_origins": [],
    "pipeline": False,
    "temp": 0.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "max_tokens": 512,
    "num_draft_tokens": 3,
    "decode_concurrency": 32,
    "prompt_concurrency": 8,
    "prefill_step_size": 2048,
    "prompt_cache_bytes": None,
    "kv_bits": None,
    "kv_group_size": 64,
    "quantized_kv_start": 0,
}


class ServedModel(ModelProvider):  # type: ignore[misc]
    """Holds one model; whatever a request names, no other is loaded."""

    def __init__(self, folder: Path, adapter: Path | None, prompts: Sequence[list[Message]]) -> None:
        """Prepare to load it, see `load_default`.

        Args:
            folder: of the base model.
            adapter: folder of the adapter; None serves the base model.
            prompts: what to compute for the proof.
        """
        super().__init__(Namespace(**_SETTINGS))
        self.expected: Future[list[Expected]] = Future()
        """What this program's own way makes of the prompts, once the model is loaded."""
        self.limit = context_length(folder) or _MOST_TOKENS
        """Most tokens of a prompt with its reply."""
        self.vocabulary = embedding_rows(folder)
        """How many tokens the model has; None where that is not known."""
        self.tolerance = _TOLERANCE.get(compute_dtype(), _TOLERANCE_16_BIT)
        """Largest difference between two ways of computing a log-probability."""
        self._folder, self._adapter, self._prompts = folder, adapter, prompts

    def load_default(self) -> None:
        """Load the model and compute what the proof needs; called on the one thread that computes."""
        try:
            self.expected.set_result(self._open())
        except Exception as error:  # raised again where the result is asked for
            self.expected.set_exception(error)

    def load(self, *_named: Any) -> tuple[Any, Any]:
        """Return the model and its tokenizer."""
        return self.model, self.tokenizer

    def _open(self) -> list[Expected]:
        maybe_set_recommended_wired_limit()
        base = load_base(self._folder)
        adapter = load_adapter(base.model, self._adapter) if self._adapter else None
        base.model.eval()
        _set_prompts(base, adapter)
        self.model, self.tokenizer = base.model, base.tokenizer
        self.model_key = (str(self._folder), None, None)
        self.is_batchable = all(hasattr(cache, "merge") for cache in make_prompt_cache(base.model))
        return self._expect(base, adapter)

    def _expect(self, base: BaseModel, adapter: LoadedAdapter | None) -> list[Expected]:
        """Compute prompts until one shows the adapter."""
        made: list[Expected] = []
        for messages in self._prompts:
            made.append(_expect(base, adapter, messages))
            if adapter is None or is_measurable(made[-1].shift, self.tolerance):
                break
        return made


class Generator(ResponseGenerator):  # type: ignore[misc]
    """Answers requests on its thread; refuses prompts for which the model has no room."""

    def __init__(self, served: ServedModel) -> None:
        self._served = served
        self.broke = ""
        """Why the thread ended, if it did."""
        super().__init__(served, LRUPromptCache(_CACHES))

    def _generate(self) -> None:
        try:
            super()._generate()
        except BaseException as error:  # also a panic in Rust; mlx-lm would only log it
            self.broke = str(error) or type(error).__name__
        finally:
            mx.clear_streams()  # they must not outlive their thread

    def _tokenize(self, tokenizer: Any, request: Any, args: Any) -> Any:
        with refused_panics(_("Splitting a text into tokens")):
            made = super()._tokenize(tokenizer, request, args)
            for word in args.stop_words:
                if not tokenizer.encode(word, add_special_tokens=False):
                    raise UserError(_("'stop' holds a text without a token"), _("leave it out"))
        room = self._served.limit - len(made[0])
        if not made[0] or room <= 0:
            raise UserError(
                _("The prompt has {tokens}, and this model takes {limit:,} with the reply").format(
                    tokens=units.tokens(len(made[0])), limit=self._served.limit
                ),
                _("ask something else"),
            )
        args.max_tokens = min(args.max_tokens, room)
        return made


def _set_prompts(base: BaseModel, adapter: LoadedAdapter | None) -> None:
    """Let the server write prompts as the chat does, and stop where trained answers end."""
    tokenizer = base.tokenizer
    trained = example_tokenizer(base.folder, TrainingConfig())
    if trained.end_mark:
        tokenizer.eos_token_ids |= {trained.token_id(trained.end_mark)}
    template = ChatTemplate(tokenizer, is_today=True) if trained.has_template else None
    settings = adapter.template_settings if adapter else {}
    start = trained.decode(trained.start_ids)

    def written(
        messages: list[Message], add_generation_prompt: bool = False, tools: Any = None, **_others: Any
    ) -> str:
        """Return a prompt; other variables of the template are those of the training."""
        if template:
            return template.render(messages, tools or (), add_generation_prompt, **settings)
        return start + "".join(turn["content"] + PLAIN_SEPARATOR for turn in messages)

    # mlx-lm's own places for a function that writes conversations.
    tokenizer._chat_template = written
    tokenizer.has_chat_template = True


def _expect(base: BaseModel, adapter: LoadedAdapter | None, messages: list[Message]) -> Expected:
    prompt: list[int] = base.tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    tokens, ours = list(prompt), list[Scores]()
    while len(ours) < TOKENS:
        ours.append(_scores(base, tokens)[-1])
        tokens.append(int(ours[-1].argmax()))
        if tokens[-1] in base.tokenizer.eos_token_ids:
            break
    without = np.stack(ours)
    if adapter:
        adapter.turn(False)
        without = _scores(base, tokens[:-1])[-len(ours) :]
        adapter.turn(True)
    return Expected(messages, np.stack(ours), without, tokens[len(prompt) :])


def _scores(base: BaseModel, tokens: list[int]) -> Scores:
    """Return the log-probabilities of every next token, shape (places, vocabulary)."""
    logits = base.model(mx.array(tokens)[None])[0, -TOKENS:].astype(mx.float32)
    return np.array(logits - mx.logsumexp(logits, axis=-1, keepdims=True))
