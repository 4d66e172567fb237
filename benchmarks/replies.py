"""Timed replies of a model: by this engine's chat, by mlx-lm's and llama.cpp's, each in its own process.

mlx-lm is called as its own command calls it: `load`, the chat template, `stream_generate`.
Nothing here imports `engine.backend` or MLX before a function says so: as installed, mlx-lm
computes with the BLAS that MLX's wheel is linked with.
"""

import contextlib
import importlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, ParamSpec, Self, TypeVar

from engine.dataset.jsonl.turns import Message
from engine.project import Project

P = ParamSpec("P")
T = TypeVar("T")
_CONTEXT = 4096
"""Tokens of a conversation that llama.cpp makes room for."""


@dataclass(frozen=True)
class Question:
    """One user turn, and how long the reply may be."""

    text: str
    max_tokens: int
    with_adapter: bool = True
    """For a session of ours, which can turn it off; mlx-lm has the one that it was loaded with."""


@dataclass(frozen=True)
class Reply:
    """What came, and when."""

    text: str
    tokens: int
    first_s: float
    """Seconds from the question, not tokenised yet, to the first token."""
    tokens_per_second: float
    """After the first token; nan for fewer than two."""


Ask = Callable[[Question], Iterator[tuple[str, int]]]
"""Yields each piece of a reply with the tokens generated so far."""


def in_child(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a fresh process and return its result, or raise its exception."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def computes_on_cpu() -> bool:
    """Whether MLX has no GPU here."""
    from engine.backend import is_cpu

    return is_cpu()


def write_float32(model: Path, target: Path) -> None:
    """Write a copy of a model with all weights unpacked and in float32, with mlx-lm's own converter."""
    importlib.import_module("engine.backend")
    from mlx_lm import convert

    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        convert(str(model), str(target), dequantize=True, dtype="float32")


def ours(model: Path, adapter: Path | None) -> Ask:
    """Open a `ChatSession` of a project with the model and, if there is one, the adapter.

    Raises:
        UserError: the model or the adapter cannot be loaded.
    """
    from engine.chat import ChatSession, ChatSettings

    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        project.models_dir.mkdir()
        (project.models_dir / "model").symlink_to(model.resolve(), target_is_directory=True)
        if adapter:
            project.run_dir.mkdir()
            project.adapters_dir.symlink_to(adapter.resolve(), target_is_directory=True)
        session = ChatSession(project)

    def ask(question: Question) -> Iterator[tuple[str, int]]:
        turns: list[Message] = [{"role": "user", "content": question.text}]
        settings = ChatSettings(question.max_tokens)
        for chunk in session.reply(turns, settings, question.with_adapter):
            if not chunk.end:
                yield chunk.text, chunk.tokens

    return ask


def mlx_lm(model: Path, adapter: Path | None, openblas: bool) -> Ask:
    """Load a model with mlx-lm, with OpenBLAS loaded before MLX if wanted."""
    if openblas:
        importlib.import_module("engine.backend")
    from mlx_lm import load, stream_generate
    from mlx_lm.sample_utils import make_sampler

    loaded, tokenizer = load(str(model), adapter_path=str(adapter) if adapter else None)[:2]
    sampler = make_sampler(0.0)

    def ask(question: Question) -> Iterator[tuple[str, int]]:
        turns = [{"role": "user", "content": question.text}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        prompt = tokenizer.encode(text, add_special_tokens=False)
        limit = question.max_tokens
        for response in stream_generate(loaded, tokenizer, prompt, max_tokens=limit, sampler=sampler):
            yield response.text, response.generation_tokens

    return ask


def llama_cpp(model: Path, gguf: Path) -> Ask:
    """Load a GGUF file with llama.cpp, on all cores; prompts are those of the folder `model`."""
    from engine.export.llama_cpp_child import open_server
    from engine.model_folder.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(model)
    server = open_server({"model": str(gguf), "adapter": "", "context": _CONTEXT})

    def ask(question: Question) -> Iterator[tuple[str, int]]:
        turns = [{"role": "user", "content": question.text}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        asked = {
            "prompt": tokenizer.encode(text, add_special_tokens=False),
            "n_predict": question.max_tokens,
            "temperature": 0.0,
            "cache_prompt": False,
            "stream": True,
        }
        pieces: SimpleQueue[dict[str, Any] | None] = SimpleQueue()

        def reply() -> None:
            server.handle_completions(asked, pieces.put)
            pieces.put(None)

        Thread(target=reply, daemon=True).start()
        for tokens, piece in enumerate(iter(pieces.get, None), 1):
            (choice,) = piece["choices"]
            if choice["finish_reason"] is None:
                yield choice["text"], tokens

    return ask


class Speaker:
    """A process that holds a model and answers; one at a time is asked, the others wait."""

    def __init__(self, load: Callable[[], Ask]) -> None:
        """Start it; it begins to load."""
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self._opened = self._pool.submit(_open, load)

    def ask(self, question: Question) -> Reply:
        """Let it answer; raises what loading has raised."""
        self._opened.result()
        return self._pool.submit(_answer, question).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        """End the process."""
        self._pool.shutdown()


_asked: list[Ask] = []
"""What the process of a `Speaker` answers with."""


def _open(load: Callable[[], Ask]) -> None:
    _asked.append(load())


def _answer(question: Question) -> Reply:
    return timed(_asked[0](question))


def timed(pieces: Iterable[tuple[str, int]]) -> Reply:
    """Take the pieces of a reply, each with the tokens generated so far, and note when they come.

    Raises:
        ValueError: nothing comes.
    """
    begin = time.perf_counter()
    text, moments = "", []
    for piece, tokens in pieces:
        text += piece
        moments.append((time.perf_counter(), tokens))
    if not moments:
        raise ValueError("the reply is empty")
    (first, one), (last, count) = moments[0], moments[-1]
    rate = (count - one) / (last - first) if count > one else float("nan")
    return Reply(text, count, first - begin, rate)
