"""`serve` as its user meets it: a line to paste, an end without a trace, and refusals that help."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.project import Project
from engine.serve.port import listen, next_free
from tests.support.ports import unused_port
from tests.support.terminal import Terminal, process_is_gone
from tests.support.tiny import tiny_project, train

import psutil
import pytest


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a finished run."""
    project = tiny_project(tmp_path_factory.mktemp("trained") / "project")
    train(project)
    return project


def arguments(project: Project, *more: str) -> list[str]:
    return [sys.executable, "-m", "tui", "-C", str(project.root), "serve", *more]


@contextmanager
def started(project: Project, port: int, *more: str) -> Iterator[tuple["subprocess.Popen[str]", list[Any]]]:
    """Serve until it is ready; yield the process and what it said."""
    command = arguments(project, "--port", str(port), "--json", *more)
    # As a shell starts it, whatever the tests themselves were started with.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        said: list[Any] = []
        try:
            for line in process.stdout:
                said.append(json.loads(line))
                if said[-1].get("event") == "ready":
                    break
            else:
                raise AssertionError(process.stderr.read())
            yield process, said
        finally:
            process.kill()


def child_of(process: "subprocess.Popen[str]") -> int:
    """Return the process that serves."""
    (child,) = psutil.Process(process.pid).children()
    return int(child.pid)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_it_without_a_trace(trained: Project, number: signal.Signals) -> None:
    """With the usual exit code; no process goes on, and the port can be taken at once."""
    port = unused_port()
    with started(trained, port) as (process, _said):
        child = child_of(process)
        process.send_signal(number)
        assert process.wait(60) == (-number if number == signal.SIGKILL else 128 + number)
        assert process_is_gone(child)
        listen(port).close()


def test_the_line_that_it_prints_can_be_pasted(trained: Project) -> None:
    """It asks the tuned model, which answers; `curl` itself need not be here."""
    port = unused_port()
    with started(trained, port) as (process, said):
        ready = said[-1]
        assert (ready["model"], ready["shows_adapter"]) == ("tiny+adapter", True)
        words = shlex.split(ready["curl"])
        assert words[0] == "curl" and words[2::2] == ["-H", "-d"]
        name, _colon, value = words[3].partition(": ")
        request = urllib.request.Request(words[1], words[5].encode(), {name: value})
        with urllib.request.urlopen(request, timeout=120) as response:
            answer = json.load(response)
        assert answer["model"] == "tiny+adapter" and answer["choices"][0]["message"]["role"] == "assistant"
        os.kill(process.pid, signal.SIGINT)
        assert process.stdout is not None
        last = [json.loads(line) for line in process.stdout]
        assert last == [{"event": "request", "method": "POST", "path": "/v1/chat/completions", "status": 200}]


@pytest.mark.slow
def test_ctrl_c_on_a_terminal(trained: Project) -> None:
    """It says what is proven, and how it ends."""
    terminal = Terminal("-C", str(trained.root), "serve", "--base", "--port", str(unused_port()))
    terminal.wait_for("Ctrl+C ends it.")
    assert "log-probabilities are those computed here" in terminal.text and "tiny: http" in terminal.text
    terminal.press("\x03")
    assert terminal.wait() == 128 + signal.SIGINT
    assert "its port is free" in terminal.text and terminal.attributes() == terminal.first_attributes


@pytest.mark.slow
@pytest.mark.parametrize("end", ["q", "hang up", "SIGKILL"])
def test_the_app_takes_it_along(trained: Project, end: str) -> None:
    """Left, disconnected or killed: no process goes on, and the port can be taken."""
    terminal = Terminal("-C", str(trained.root))
    terminal.wait_for("Ready for")
    terminal.press("6")
    terminal.wait_for("Serve")
    terminal.press("s")
    terminal.wait_until(lambda: re.search(r"http://127\.0\.0\.1:\d+/v1", terminal.text), "an address")
    found = re.search(r"http://127\.0\.0\.1:(\d+)/v1", terminal.text)
    assert found
    family = psutil.Process(terminal.pid).children(recursive=True)
    (server,) = (process for process in family if "engine.serve.child" in process.cmdline())
    if end == "q":
        terminal.press("q")
        assert terminal.wait() == 0
    elif end == "hang up":
        terminal.hang_up()
        assert terminal.wait() == 128 + signal.SIGHUP
    else:
        psutil.Process(server.ppid()).kill()
    assert process_is_gone(server.pid)
    listen(int(found[1])).close()
    if end == "SIGKILL":
        terminal.kill()  # the guard, which says what happened


def refused(project: Project, *more: str) -> str:
    """Serve in vain and return what stderr says; nothing is left running."""
    done = subprocess.run(arguments(project, *more), capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done
    assert done.stdout == ""
    return done.stderr


def test_a_port_in_use_is_refused_with_the_next_free_one(trained: Project) -> None:
    """Before anything is loaded."""
    port = unused_port()
    with listen(port):
        text = refused(trained, "--port", str(port))
    assert f"Port {port} is in use" in text and f"serve --port {next_free(port + 1)}" in text


def test_without_an_adapter_the_fix_is_named(tmp_path: Path) -> None:
    """Train one, or serve the base model."""
    text = refused(tiny_project(tmp_path / "project"))
    assert "There is no adapter yet" in text and "mqlora-tui" in text and "serve --base" in text
    assert "no adapter in" in refused(tiny_project(tmp_path / "other"), "--adapter", str(tmp_path))


def test_an_adapter_of_another_model_is_refused(trained: Project, tmp_path: Path) -> None:
    """As it is loaded, with one sentence."""
    from tests.engine.conftest import copy_of
    from tests.support.tiny import write_model

    project = copy_of(trained, tmp_path / "project")
    folder = project.model_dir("tiny")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    write_model(folder, hidden_size=64)
    text = refused_after_stages(project)
    assert "Cannot use the adapter" in text and "Traceback" not in text


def refused_after_stages(project: Project) -> str:
    """As `refused`, where loading had begun."""
    command = arguments(project, "--port", str(unused_port()))
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    return done.stderr
