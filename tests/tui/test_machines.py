"""Which processes train together: chosen in the app, kept, started in the background, lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.cluster.host_file import read_hosts
from engine.errors import UserError
from engine.project import Project
from engine.training.events import Resumption
from engine.training.lock_file import Owner
from tests.support.fake_engine import EACH_SIZE, HOSTILE, ready, sees, sees_no_more, shown, wait_for
from tests.support.fake_run import LIMIT_S, write_run, write_state
from tests.support.tiny import owned_by
from tests.support.training_screen import Factory, open_train, use
from tui.app.app import MqloraApp
from tui.app.screens.machines.machines import MachinesDialog
from tui.cli.choose_world import chosen_world
from tui.run.machines import THIS_MACHINE, Machines, load_machines, machines_of

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

HOSTS = [
    {"ssh": "localhost", "ips": ["192.168.7.1"], "speed": 900},
    {"ssh": "mac2.local", "ips": ["192.168.7.2"], "speed": 450.5},
    {"ssh": "mac3.local", "ips": ["192.168.7.3"], "speed": 1},
]


class Background:
    """Processes that the app starts, which begin or are refused when the test says so."""

    def __init__(self) -> None:
        self.started: list[Sequence[str]] = []
        self.refusal: UserError | None = None
        self.goes_on = threading.Event()

    def spawn(self, _project: Project, arguments: Sequence[str]) -> tuple[Any, int]:
        """Stand in for `tui.run.background.spawn`."""
        self.started.append(arguments)
        return self, 0

    def wait_for_start(self, _project: Project, _child: Any, _begin: int) -> int:
        """Stand in for `tui.run.background.wait_for_start`."""
        assert self.goes_on.wait(LIMIT_S)
        if self.refusal:
            raise self.refusal
        return 1

    def wait(self) -> None:
        """Have ended."""


@pytest.fixture
def background(monkeypatch: pytest.MonkeyPatch) -> Iterator[Background]:
    background = Background()
    monkeypatch.setattr("tui.run.elsewhere.spawn", background.spawn)
    monkeypatch.setattr("tui.run.elsewhere.wait_for_start", background.wait_for_start)
    yield background
    background.goes_on.set()


@pytest.fixture
def host_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("engine.cluster.host_file.is_own", lambda address: address == "192.168.7.1")
    path = project.root / "cluster.json"
    path.write_text(json.dumps({"hosts": HOSTS}))
    return path


async def choose(pilot: Pilot[int], kind: int) -> None:
    """Open the dialog and choose one of the three kinds, by how far it is below the one before."""
    await pilot.press("m")
    await sees(pilot, "train on")
    await pilot.press("space", *["down"] * kind, "enter")
    await pilot.pause()


def news(pilot: Pilot[int]) -> str:
    """Return what the dialog says, however it is wrapped."""
    return str(pilot.app.screen.query_one("#machines-news", Static).content)


async def hears(pilot: Pilot[int], text: str) -> None:
    await wait_for(pilot, lambda: text in news(pilot))


async def closed(pilot: Pilot[int]) -> None:
    await wait_for(pilot, lambda: not isinstance(pilot.app.screen, MachinesDialog))


async def test_a_start_that_comes_to_nothing_does_not_leave_the_old_reason_on_top(
    app: MqloraApp, background: Background
) -> None:
    """Until it is dismissed, or tried again."""
    write_run(app.project, "failed", 30, reason="rank 2 has ended", lost_rank=2)
    machines(app.project, ranks=3)
    background.refusal = UserError("mac2 is a name that is not known here", "see: mqlora-tui check")
    background.goes_on.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_train(pilot)
        await sees(pilot, "rank 2 has ended")
        await pilot.press("enter")
        await sees(pilot, "It did not go on, for the reason below; saved up to step 30.", "✗ mac2 is a name")
        await sees_no_more(pilot, "rank 2 has ended")
        await pilot.press("escape")
        await sees(pilot, "rank 2 has ended")
        with owned_by(app.project, os.getppid()):
            await sees(pilot, f"Process {os.getppid()} trains")
            await pilot.press("enter")
            await sees(pilot, f"Process {os.getppid()} trains in this folder; a run begins or goes on when")


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_processes_are_chosen_and_started_in_the_background(
    app: MqloraApp, background: Background, size: tuple[int, int]
) -> None:
    """Never in the app's own process; what they are refused for is said on Train, and the key works again."""
    factory = use(app, Factory())
    background.refusal = UserError(f"no card {HOSTILE}", "buy one")
    async with app.run_test(size=size) as pilot:
        await open_train(pilot)
        await sees(pilot, "this machine alone; m chooses others")
        await choose(pilot, 1)
        await sees(pilot, "processes", "if one is lost")
        await pilot.press("down", "end", *["backspace"] * 3, "0", "enter")
        await hears(pilot, "✗ 0 processes cannot train together; give a number from 1 to 64.")
        await pilot.press("backspace", "2", "enter")
        await closed(pilot)
        await sees(
            pilot, "Enter starts", "with 2 processes of this machine", "The next runs train on: 2 processes"
        )
        assert load_machines(app.project) == Machines(ranks=2)
        await pilot.press("enter")
        await sees(pilot, "The run is starting in the background.")
        await pilot.press("enter", "ctrl+c")
        await sees(pilot, "The run is only starting")
        background.goes_on.set()
        await sees(pilot, "✗ no card", "buy one", "Enter starts")
        assert background.started == [["--ranks", "2"]] and factory.modes == []
        assert app.project.config_file.exists()  # which the other process reads


async def test_machines_of_a_host_file(app: MqloraApp, background: Background, host_file: Path) -> None:
    """A wrong one is refused in one sentence; a right one is listed; one of its hosts can be left out."""
    (app.project.root / "w.json").write_text("{")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_train(pilot)
        await choose(pilot, 2)
        field = pilot.app.screen.query_one("#machines-hosts", Input)
        field.value = "w.json"
        await pilot.press("down", "enter")
        await hears(pilot, "w.json is no host file that can be used: it is not JSON from line 1, column 2")
        field.value = "cluster.json"
        await sees(pilot, "mac2.local", "192.168.7.2", "speed 450.5", "speed 900", "this machine ")
        assert "✗" not in news(pilot)
        await pilot.press("down", "space", "down", "enter")
        await wait_for(pilot, lambda: "left out        mac2.local" in shown(pilot.app))
        await pilot.press("down", "space", "down", "enter", "enter")
        await closed(pilot)
        await sees(pilot, "Enter starts", "with 2 machines of cluster.json")
        await pilot.press("enter")
        await wait_for(pilot, lambda: background.started)
    left = app.project.run_dir / "hosts.json"
    assert background.started == [["--hosts", str(left), "--go-on-with-fewer"]]
    assert [host.ssh for host in read_hosts(left).hosts] == ["localhost", "mac3.local"]
    kept = Machines(ranks=2, hosts=str(host_file), without=1, go_on_with_fewer=True)
    assert load_machines(app.project) == kept


def machines(project: Project, **values: Any) -> Machines:
    chosen = Machines(**values)
    chosen.save(project)
    return chosen


async def test_a_lost_process_is_named(app: MqloraApp) -> None:
    """What ended the run, how it goes on, and how without it; a process of this machine is not awaited."""
    lost = {"reason": "rank 2 has ended; what is saved is kept", "lost_rank": 2}
    write_run(app.project, "failed", 30, **lost)
    app.machines = Machines(ranks=3)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_train(pilot)
        await sees(pilot, "rank 2 has ended", "with 3 processes of this machine; m chooses fewer.")
        app.machines = Machines(ranks=2, hosts="/x/cluster.json")
        await sees(pilot, "Enter goes on from the last checkpoint with 2 machines of", "m chooses others.")
        write_state(app.project, "failed", 30, **lost, hosts=("localhost", "mac2.local", f"mac3{HOSTILE}"))
        await sees(pilot, "Enter goes on with 2 machines of cluster.json once mac3", "m chooses without it.")
        app.machines = Machines(ranks=2, hosts="/x/cluster.json", without=2)
        await sees(pilot, "Enter goes on from the last checkpoint with 2 machines of cluster.json.")
        app.machines = THIS_MACHINE
        await sees(pilot, "Enter goes on from the last checkpoint on this machine alone; m chooses others.")


async def test_a_take_over_brings_the_run_to_the_machines(
    app: MqloraApp, background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process is paused, the run goes on with those chosen; where it has them, nothing is to do."""
    monkeypatch.setattr("os.kill", lambda _pid, _number: None)
    monkeypatch.setattr("tui.run.other_process.may_train", lambda _process, _lock: True)
    app.machines = machines(app.project, ranks=2)
    factory = use(app, Factory())
    write_run(app.project, "running", 30)
    async with app.run_test(size=(80, 24)) as pilot:
        with owned_by(app.project, os.getppid()):
            await open_train(pilot)
            await sees(pilot, "t Take over")
            await pilot.press("t")
            await sees(pilot, "Take the run over?", "goes on with 2 processes")
            await pilot.press("enter")
            await sees(pilot, "the run goes on with 2 processes of this machine once it is saved")
            write_state(app.project, "paused", 31)
        await wait_for(pilot, lambda: background.started == [["--ranks", "2", "--resume"]])
    assert factory.modes == []


async def test_a_run_of_several_is_called_so(app: MqloraApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its process was started, not as is chosen now; and Ctrl+C is for all of them."""
    asked: list[int] = []
    monkeypatch.setattr("os.kill", lambda _pid, number: asked.append(number))
    monkeypatch.setattr("tui.run.other_process.may_train", lambda _process, _lock: True)
    monkeypatch.setattr("tui.run.view.machines_of", lambda owner: Machines(ranks=2 if owner else 1))
    app.machines = machines(app.project, ranks=2)
    write_run(app.project, "running", 30)
    async with app.run_test(size=(80, 24)) as pilot:
        with owned_by(app.project, os.getppid()):
            await open_train(pilot)
            await sees(
                pilot, f"2 processes of this machine, led by process {os.getppid()}", "pauses them all"
            )
            await sees_no_more(pilot, "Take over")
            await pilot.press("ctrl+c", "ctrl+c")
            await sees(pilot, "2 processes of this machine are asked to pause")
    assert asked == [signal.SIGINT]


async def test_a_damaged_choice_is_not_trained_without(app: MqloraApp) -> None:
    """Neither by this process nor by another."""
    factory = use(app, Factory())
    app.project.run_dir.mkdir()
    (app.project.run_dir / "machines.json").write_text('{"ranks": 1e9}')
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await open_train(pilot)
        await pilot.press("enter")
        await sees(pilot, "machines.json cannot be used", "choose them again: m on Train")
    assert factory.modes == []


def test_the_options_of_a_resumption(app: MqloraApp, background: Background) -> None:
    """What is agreed to in the app is agreed to there."""
    machines(app.project, ranks=4, go_on_with_fewer=True)
    app.training.start(None, "resume", Resumption(halve_micro_batch=True, accept_versions=True))
    background.goes_on.set()
    options = ["--ranks", "4", "--go-on-with-fewer", "--resume", "--half-micro-batch", "--accept-versions"]
    assert background.started == [options]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), THIS_MACHINE),
        (("--ranks", "3"), Machines(ranks=3)),
        (("--ranks=3", "--resume"), Machines(ranks=3)),
        (("--hosts", "gone.json"), Machines(ranks=0, hosts="gone.json")),
    ],
)
def test_what_a_process_was_started_with(options: Sequence[str], found: Machines) -> None:
    """Its own command line says so."""
    command = [sys.executable, "-c", "print(flush=True); input()", "train", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        assert machines_of(Owner(process.pid, socket.gethostname())) == found
    assert machines_of(Owner(process.pid, "elsewhere")) == THIS_MACHINE


@pytest.mark.parametrize(
    ("found", "ranks", "backend"), [([], 1, "ring"), (["nvidia0", "nvidia1"], 2, "nccl")]
)
def test_as_many_processes_as_pay(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    found: list[str],
    ranks: int,
    backend: str,
) -> None:
    """One a card; on a CPU or a Mac's one GPU several bring next to nothing."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setattr("tui.cli.choose_world.cards", lambda: found)
    world = chosen_world("auto", None, False)
    assert (world.size, world.backend) == (ranks, backend)
    assert ("trains alone" in capsys.readouterr().err) == (ranks == 1)


@pytest.mark.parametrize(("ranks", "is_told"), [("2", False), ("3", True)])
def test_more_processes_than_cores_are_told_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ranks: str, is_told: bool
) -> None:
    """They are started all the same: who asks for them may know why."""
    monkeypatch.setattr("tui.cli.choose_world.cards", list)
    monkeypatch.setattr("tui.cli.choose_world.core_count", lambda: 2)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    assert chosen_world(ranks, None).size == int(ranks)
    assert ("more than 2 bring nothing" in " ".join(capsys.readouterr().err.split())) == is_told


@pytest.mark.parametrize("text", ["", "abc", "-1", "0", "65", "9" * 5000, "2.0", "٢"])
def test_what_is_no_number_of_processes_is_refused(text: str) -> None:
    """An empty one too: nothing that was given is left out without a word."""
    with pytest.raises(UserError) as refused:
        chosen_world(text, None)
    assert "1 to 64" in refused.value.fix and len(refused.value.problem) < 100


def test_a_host_file_of_one_host_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nobody to train with, nor anybody to lose."""
    path = tmp_path / "hosts.json"
    path.write_text('[{"ips": ["127.0.0.1"]}]')
    assert chosen_world(None, path).size == 1
    assert "names one host: this machine trains alone" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(UserError, match="needs several"):
        chosen_world(None, path, go_on_with_fewer=True)
