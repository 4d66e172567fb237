"""Chat against `mlx_lm.generate` and llama.cpp: tokens a second, and seconds to the first token.

    python -m benchmarks.chat MODEL [--adapter DIR] [--gguf FILE] [--prompt TEXT] [--max-tokens N]
        [--repetitions N]

MODEL is a base model's folder, `--adapter` a folder with an adapter; with one, chat is
measured with it and, in the same session, without it. Same prompt, likeliest tokens. The
sides alternate, each in a process of its own that is warmed up with a short reply.
tok/s count after the first token; "first s" is the time to the first token of the prompt,
"long s" that of a prompt of `--long` tokens and the template.

On a CPU mlx-lm runs on float32 weights with OpenBLAS (a copy, written by its own converter), and
once as installed, on the model as it is, which takes minutes: only `--slow-tokens` tokens,
neither warmed up nor with the long prompt; 0 leaves it out.

`--gguf` is the base model as `mqlora-tui export --to gguf` writes it: llama.cpp answers with that
(the extra `gguf-check`), whose 4-bit weights are those of MODEL.
"""

import argparse
import math
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

from benchmarks import replies
from benchmarks.replies import Question, Reply, Speaker, in_child
from benchmarks.variants import FLOAT32, INSTALLED, OURS
from benchmarks.workload import sample_rows
from engine.model_folder.tokenizer import load_tokenizer

PROMPT = "Write a long story about a small island in the Atlantic."
LLAMA_CPP = "llama.cpp"
_WARM_UP = Question("Hello", 4)
_MANY_ROWS = 400
"""Rows of the sample data whose prompts are more than long enough for a long prompt."""


@dataclass(frozen=True)
class Run:
    """One side's replies."""

    side: str
    mode: str
    """"adapter" or "base"."""
    reply: Reply
    long_first_s: float = math.nan
    """Seconds to the first token of the long prompt; nan where it was not asked."""


@dataclass
class Chats:
    """Runs both sides on one model."""

    model: Path
    adapter: Path | None
    question: Question
    long: Question
    gguf: Path | None = None
    """The base model's weights for llama.cpp, if that is to answer, too."""
    runs: list[Run] = field(default_factory=list)

    @property
    def modes(self) -> list[str]:
        """With the adapter if there is one, and without."""
        return ["adapter", "base"] if self.adapter else ["base"]

    def run(self, side: str, theirs: Path, repetitions: int) -> None:
        """Let all answer in turn, the first in every other repetition; mlx-lm with the model `theirs`."""
        with ExitStack() as stack:
            ours = stack.enter_context(Speaker(partial(replies.ours, self.model, self.adapter)))
            speakers = {
                mode: [(OURS, ours), (side, stack.enter_context(self._mlx_lm(mode, theirs, side == FLOAT32)))]
                for mode in self.modes
            }
            if self.gguf:
                llama = Speaker(partial(replies.llama_cpp, self.model, self.gguf))
                speakers["base"].append((LLAMA_CPP, stack.enter_context(llama)))
            for mode, sides in speakers.items():
                for _name, speaker in sides:
                    speaker.ask(replace(_WARM_UP, with_adapter=mode == "adapter"))
            for repetition in range(repetitions):
                for mode, sides in speakers.items():
                    for name, speaker in sides if repetition % 2 == 0 else sides[::-1]:
                        self._ask(name, mode, speaker, [self.question, self.long])

    def slow(self, tokens: int) -> None:
        """Let mlx-lm as installed answer on a CPU."""
        mode = self.modes[0]
        with self._mlx_lm(mode, self.model, False) as speaker:
            self._ask(INSTALLED, mode, speaker, [Question(self.question.text, tokens)])

    def summary(self) -> list[str]:
        """Return medians of each side and mode, ratios, and a warning where replies differ."""
        lines = []
        for mode in self.modes:
            sides = {run.side: self._of(run.side, mode) for run in self.runs if run.mode == mode}
            for side, runs in sides.items():
                figures = [median(column) for column in zip(*map(_figures, runs), strict=True)]
                lines.append(_line("med", side, mode, figures, runs[0].reply.tokens))
            ours = sides.pop(OURS)
            for side, runs in sides.items():
                lines.append(f"ours / {side}, {mode}: {_ratios(ours, runs)}")
            texts = {run.reply.text for run in [*ours, *sides.get(FLOAT32, [])]}
            if len(texts) > 1:
                lines.append(f"WARNING: the replies differ ({mode}): {sorted(texts)}")
        return lines

    def _mlx_lm(self, mode: str, model: Path, openblas: bool) -> Speaker:
        adapter = self.adapter if mode == "adapter" else None
        return Speaker(partial(replies.mlx_lm, model, adapter, openblas))

    def _of(self, side: str, mode: str) -> list[Run]:
        return [run for run in self.runs if (run.side, run.mode) == (side, mode)]

    def _ask(self, side: str, mode: str, speaker: Speaker, questions: list[Question]) -> None:
        """Ask, keep and print; the second question, if there is one, is the long one."""
        found = [speaker.ask(replace(question, with_adapter=mode == "adapter")) for question in questions]
        run = Run(side, mode, found[0], *(reply.first_s for reply in found[1:]))
        self.runs.append(run)
        number = str(len(self._of(side, mode)))
        print(_line(number, side, mode, _figures(run), run.reply.tokens), flush=True)


def long_prompt(model: Path, tokens: int) -> str:
    """Return text of so many tokens."""
    text = " ".join(pair["prompt"] for pair in islice(sample_rows(), _MANY_ROWS))
    encoded = load_tokenizer(model)(text, add_special_tokens=False, return_offsets_mapping=True)
    end: int = encoded["offset_mapping"][tokens - 1][1]
    return text[:end]


def _figures(run: Run) -> tuple[float, float, float]:
    return run.reply.tokens_per_second, run.reply.first_s, run.long_first_s


def _line(number: str, side: str, mode: str, figures: "list[float] | tuple[float, ...]", tokens: int) -> str:
    rate, first, long = figures
    return f"{number:>3} {side:<18} {mode:<8} {rate:9.3f} {first:9.3f} {long:9.3f} {tokens:7}"


def _ratios(ours: list[Run], theirs: list[Run]) -> str:
    """Compare runs of the same repetition: speeds and, the other way round, waits."""
    found = []
    for name, place, power in (("tok/s", 0, 1), ("first token", 1, -1), ("first token, long", 2, -1)):
        pairs = zip(ours, theirs, strict=False)
        each = [(_figures(a)[place] / _figures(b)[place]) ** power for a, b in pairs]
        if not math.isnan(each[0]):
            found.append(f"{name} {median(each):.3f}x ({min(each):.3f} to {max(each):.3f})")
    return ", ".join(found)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("model", type=Path, help="folder of the base model")
    add("--adapter", type=Path, help="folder of an adapter")
    add("--gguf", type=Path, help="file of the base model for llama.cpp")
    add("--prompt", default=PROMPT)
    add("--max-tokens", type=int, default=64)
    add("--long", type=int, default=1000, help="tokens of the long prompt")
    add("--repetitions", type=int, default=3, help="replies of each side")
    add("--slow-tokens", type=int, default=3, help="of mlx-lm as installed on a CPU")
    return parser.parse_args()


def main() -> None:
    """Let both sides answer in turn and print."""
    options = _options()
    model: Path = options.model.resolve()
    question = Question(options.prompt, options.max_tokens)
    chats = Chats(
        model, options.adapter, question, Question(long_prompt(model, options.long), 1), options.gguf
    )
    on_cpu = in_child(replies.computes_on_cpu)
    print(f"run {'side':<18} {'mode':<8} {'tok/s':>9} {'first s':>9} {'long s':>9} {'tokens':>7}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        side, theirs = (FLOAT32, Path(folder) / "float32") if on_cpu else (INSTALLED, model)
        if on_cpu:
            in_child(replies.write_float32, model, theirs)
        chats.run(side, theirs, options.repetitions)
    if on_cpu and options.slow_tokens:
        chats.slow(options.slow_tokens)
    print("\n".join(chats.summary()))


if __name__ == "__main__":
    main()
