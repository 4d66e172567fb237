"""What scores rows with llama.cpp; started by `engine.export.llama_cpp`."""

import json
import os
import sys
from typing import Any

from engine.child_process import answer, end_with_parent
from engine.cores import core_count

_LIKELY = 2000
"""Tokens that are asked for first; a rarer one asks for all."""


def main() -> None:
    """Read one line of JSON and answer with one log-probability a line."""
    asked = json.loads(sys.stdin.readline())
    end_with_parent()
    server = open_server(asked)
    for row in asked["rows"]:
        for place in row["trained"]:
            answer(log_probability=_log_probability(server, row["tokens"], place, asked))
    os._exit(0)  # its threads end with the process


def open_server(asked: dict[str, Any]) -> Any:
    """Load what `asked` names (`model`, `adapter`, `context`) on all cores; return an `xllamacpp.Server`."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = asked["model"]
    parameters.n_ctx = asked["context"]
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = core_count()
    parameters.warmup = False
    if asked["adapter"]:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path, adapter.scale = asked["adapter"], 1.0
        parameters.lora_adapters = [adapter]
    return xllamacpp.Server(parameters)


def _log_probability(server: Any, tokens: list[int], place: int, asked: dict[str, Any]) -> float:
    """Return the log-probability of `tokens[place]` after those before it.

    The token that is drawn is always the same plain one: of one that ends the answer, or of half a letter,
    nothing is told. Probabilities are those before the bias that draws it.
    """
    for count in (min(_LIKELY, asked["vocabulary"]), asked["vocabulary"]):
        reply = server.handle_completions(
            {
                "prompt": tokens[:place],
                "n_predict": 1,
                "n_probs": count,
                "temperature": 0.0,
                "cache_prompt": True,
                "logit_bias": [[asked["plain"], 1000.0]],
            }
        )
        (first, *_rest) = reply["choices"][0]["logprobs"]["content"]
        for one in first["top_logprobs"]:
            if one["id"] == tokens[place]:
                return float(one["logprob"])
    raise LookupError(tokens[place])


if __name__ == "__main__":
    main()
