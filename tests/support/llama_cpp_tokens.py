"""llama.cpp's own tokenizer, asked in a process of its own, whose server ends with it.

python -m tests.support.llama_cpp_tokens MODEL.gguf     (texts as JSON on the standard input)
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path


def llama_cpp_tokens(model: Path, texts: Sequence[str], with_start: bool = False) -> list[list[int]]:
    """Return the tokens of each text by llama.cpp.

    Args:
        model: GGUF file.
        texts: to be split; control tokens in them are told apart.
        with_start: with the token that it puts before a text, if the file says so.
    """
    asked = json.dumps({"texts": texts, "with_start": with_start})
    arguments = [sys.executable, "-m", "tests.support.llama_cpp_tokens", str(model)]
    done = subprocess.run(arguments, input=asked, stdout=subprocess.PIPE, text=True, check=True)
    found: list[list[int]] = json.loads(done.stdout.splitlines()[-1])
    return found


def _main() -> None:
    import xllamacpp

    asked = json.loads(sys.stdin.read())
    parameters = xllamacpp.CommonParams()
    parameters.model.path = sys.argv[1]
    parameters.n_ctx, parameters.n_parallel, parameters.warmup = 512, 1, False
    server = xllamacpp.Server(parameters)
    found = []
    for text in asked["texts"]:
        body = {"content": text, "add_special": asked["with_start"], "parse_special": True}
        request = urllib.request.Request(f"{server.listening_address}/tokenize", json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request) as reply:
            found.append(json.load(reply)["tokens"])
    print(json.dumps(found), flush=True)
    os._exit(0)  # its threads end with the process


if __name__ == "__main__":
    _main()
