"""Rendering a chat template in a child process first, with little time and memory.

    python -m engine.model_folder.template_trial      (standard input: the template)

`engine.model_folder.template_sandbox` bounds what a template does here. But texts multiplied by each
other, lists in lists and the like grow inside a single call, where nobody can count; a process of its
own can be ended there. What came to its end once is remembered by its text.
"""

import hashlib
import math
import resource
import subprocess
import sys
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine import child_process
from engine.files import write_atomic

import platformdirs
import psutil

_LIMIT_S = 120.0
"""Seconds of the clock after which nothing is said about a template."""
_MOST_S = 10
"""Of computing besides what the child has spent before; any template in use takes milliseconds."""
_MOST_BYTES = 1 << 30
"""Of memory, besides what the child has before it renders."""
_RENDERED = "rendered"
_TOOLS = [{"type": "function", "function": {"name": "f", "description": "g", "parameters": {}}}]


@lru_cache(64)
def comes_to_an_end(source: str) -> bool:
    """Whether a chat template renders, or refuses, some conversations within bounds; tried once.

    Where the system has no process to give, nothing is said against it: its steps are counted all the same.

    Args:
        source: of the template.
    """
    known = hashlib.sha256(f"{version('jinja2')} {source}".encode(errors="surrogatepass")).hexdigest()
    mark = Path(platformdirs.user_cache_dir("mqlora-tui")) / "templates" / known[:32]
    with suppress(OSError):
        if mark.exists():
            return True
    try:
        child = child_process.start(["-m", "engine.model_folder.template_trial"])
    except OSError:
        return True
    with child:
        try:
            output, _errors = child.communicate(source.encode(errors="surrogatepass"), _LIMIT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            return True
    if output.decode().strip() != _RENDERED:
        return False
    with suppress(OSError):
        mark.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(mark, "")
    return True


def conversations() -> list[list[dict[str, Any]]]:
    """Return what a template is tried with: none to four turns, with and without a system text, and many."""
    turns = [{"role": role, "content": f"What is {role}?"} for role in ("user", "assistant")] * 2
    system = {"role": "system", "content": "Be brief."}
    long = [{**turn, "content": "word " * 2000} for turn in turns * 10]
    return [[], *([*first, *turns[:n]] for first in ([], [system]) for n in range(1, 5)), long]


def main() -> None:
    """Render the template on standard input, and say that it came to its end."""
    source = sys.stdin.buffer.read().decode(errors="surrogatepass")
    from engine.model_folder.template_sandbox import TooMuch, render  # before there are limits

    with suppress(Exception):
        render("", [])
    _limit()
    for messages in conversations():
        for variables in ({}, {"add_generation_prompt": True}, {"tools": _TOOLS}):
            try:
                render(source, messages, bos_token="<s>", eos_token="</s>", **variables)
            except (TooMuch, MemoryError):
                return
            except Exception:  # a template may refuse what it likes
                continue
    print(_RENDERED)


def _limit() -> None:
    """Let this process be ended where it takes too much; macOS knows no limit of memory."""
    times = resource.getrusage(resource.RUSAGE_SELF)
    spent = math.ceil(times.ru_utime + times.ru_stime)  # for imports: many seconds with PyTorch among them
    resource.setrlimit(resource.RLIMIT_CPU, (spent + _MOST_S, spent + _MOST_S + 1))
    with suppress(OSError, ValueError):
        most = psutil.Process().memory_info().vms + _MOST_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
