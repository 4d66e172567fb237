"""`models`, `get` and `convert` on the command line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

from tests.support.app_on_pty import wait_until
from tests.support.hub_stand_in import Hub, Repository, files_of, serving
from tests.support.tiny import write_model
from tui.cli.main import main

import pytest

Mqlora = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own: nothing of this machine's models is seen."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "XDG_DATA_HOME", "OLLAMA_MODELS"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def mqlora(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Mqlora:
    """Runs a command in an empty project, in this process."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mqlora-tui", *arguments])
        code = main()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serving(monkeypatch) as hub:
        hub.repositories["team/tiny"] = Repository(files_of(write_model(tmp_path / "source")))
        yield hub


def test_models_elsewhere_are_named_with_the_command_that_brings_them(mqlora: Mqlora, home: Path) -> None:
    """And the command does."""
    folder = write_model(home / ".lmstudio" / "models" / "team" / "tiny")
    code, out, _err = mqlora("models")
    assert code == 0 and "none; see what is offered with: " in out
    assert "LM Studio has:" in out and f"mqlora-tui get {folder} --link" in out
    code, out, _err = mqlora("get", str(folder), "--link")
    assert code == 0 and "models/tiny is there, team/tiny at ?" in out and "fits: " in out
    code, out, _err = mqlora("models", "--json")
    own, other = json.loads(out)["models"]
    assert (own["place"], own["name"], own["trainable"]) == ("project", "tiny", True)
    assert own["source"]["repository"] == "team/tiny" and other["command"].endswith("--link")


def test_what_is_offered(mqlora: Mqlora, home: Path) -> None:
    """Without a name; with what fits, and how to get one."""
    code, out, _err = mqlora("get")
    assert code == 0 and "mlx-community/Mistral-7B-Instruct-v0.3-4bit  4.1 GB" in out
    assert "mqlora-tui get mlx-community/Mistral-7B-Instruct-v0.3-4bit" in out
    code, out, _err = mqlora("get", "--json")
    assert {"repository", "size", "profile", "command"} == json.loads(out)["models"][0].keys()
    code, _out, err = mqlora("get", "--link")
    assert code == 2 and "none is named" in err


def test_a_model_of_the_hub(mqlora: Mqlora, hub: Hub) -> None:
    """It comes, is there already, and is told as JSON."""
    hub.repositories["team/tiny"].files["modeling.py"] = b"import os"
    code, out, _err = mqlora("get", "team/tiny")
    assert code == 0 and "models/tiny is there, team/tiny at " in out
    assert "not taken, for nothing here reads it: modeling.py" in out
    code, out, _err = mqlora("get", "team/tiny")
    assert code == 0 and "is there already, with the right checksums" in out
    code, out, _err = mqlora("get", "team/tiny", "--name", "second", "--json")
    told = json.loads(out)
    assert (told["name"], told["is_new"], told["source"]["repository"]) == ("second", True, "team/tiny")
    code, out, err = mqlora("get", "team/nothing", "--json")
    assert (
        code == 1 and "has no model team/nothing" in json.loads(out)["error"]["problem"] and "HF_TOKEN" in err
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_ctrl_c_says_how_to_go_on(mqlora: Mqlora, hub: Hub, number: signal.Signals, code: int) -> None:
    """In the middle of a file; `models` tells of it, and the same command goes on."""
    hub.holds = Event()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tui", "get", "team/tiny"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: bool(list(Path("models").glob(".get-tiny/parts/*.safetensors"))))
        wait_until(lambda: Path("models/.get-tiny/parts/model.safetensors").stat().st_size > 0)
        process.send_signal(number)
        _out, err = process.communicate(timeout=120)
    assert process.returncode == code and "Traceback" not in err
    assert "Stopped at " in err and "mqlora-tui get team/tiny" in err
    _code, out, _err = mqlora("models")
    assert "! tiny is unfinished: " in out and "mqlora-tui get team/tiny" in out
    hub.holds.set()
    hub.holds = None
    hub.requests.clear()
    assert mqlora("get", "team/tiny")[0] == 0
    [asked] = hub.ranges("model.safetensors")
    assert asked.startswith("bytes=")


def test_a_full_model_is_quantised(mqlora: Mqlora, tmp_path: Path) -> None:
    """Into a new folder, or refused with what helps."""
    full = write_model(tmp_path / "full", quantize=False)
    code, _out, err = mqlora("convert", str(full))
    assert code == 1 and "--group-size 32" in err
    code, out, _err = mqlora("convert", str(full), "--group-size", "32", "--name", "small")
    assert code == 0 and "models/small is there" in out
    code, _out, err = mqlora("convert", "small")
    assert code == 1 and "quantised already" in err
    code, _out, err = mqlora("convert", "nothing")
    assert code == 1 and "There is no folder nothing" in err
