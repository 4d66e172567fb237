"""Parts of this program that run in a process of their own: what ends that process ends nothing else.

Such a part is a module, such as `engine.fit.measuring_child`, started with `start`. It answers on its
standard output with one JSON object a line (`answer`, read by `messages`), and calls `end_with_parent`
where nobody but its parent wants the answer.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

Child = subprocess.Popen[bytes]
_ROOT = Path(__file__).parents[1]
"""Where `engine` is found, installed or not."""


def start(arguments: Sequence[str], errors: IO[bytes] | int = subprocess.DEVNULL) -> Child:
    """Start this Python with `arguments`, such as ("-m", MODULE), and pipes for its input and output.

    It gets a session of its own: a Ctrl+C at the terminal is meant for this process, which ends it then.

    Args:
        arguments: of Python.
        errors: where its error output goes.

    Raises:
        OSError: the system has no process to give.
    """
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=_ROOT,
        stdin=subprocess.PIPE,  # closed when this process ends, however that happens
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    )


def messages(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield what a child answers; other lines on its output, and one torn by its death, are left out."""
    for line in lines:
        with suppress(ValueError):
            if isinstance(message := json.loads(line), dict):
                yield message


def answer(**message: Any) -> None:
    """Say something to the parent; called in the child."""
    print(json.dumps(message), flush=True)


def end_with_parent() -> None:
    """From now on end this process as soon as its standard input is closed: whoever asked is gone."""
    threading.Thread(target=_wait_for_end, daemon=True).start()


def _wait_for_end() -> None:
    with suppress(OSError):
        os.read(0, 1)  # not through `sys.stdin`, whose lock a thread may not hold at exit
    os._exit(1)
