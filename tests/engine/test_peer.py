"""Another process of a run as its owner sees it, without one: how it ended, and whether it is waited for."""

import sys
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

from engine.cluster.channel import CLOSED
from engine.cluster.peer import SSH, Peer
from engine.cluster.team import Team
from engine.cluster.world import Host, PeerLost, World, local_world
from engine.project import Project
from engine.training.asked_host import AskedHost
from engine.training.check_hosts import _each

import pytest

_SSH = """#!/bin/sh
for last; do :; done
exec sh -c "$last"
"""


@pytest.mark.parametrize(
    ("program", "code"),
    [("import os; os.kill(os.getpid(), 9)", -9), ("raise SystemExit(1)", 1), ("raise SystemExit(255)", 255)],
)
def test_how_a_process_on_another_machine_ended_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, code: int
) -> None:
    """Also by a signal, of which ssh itself tells nothing; the program stands in for a process of a run."""
    (tmp_path / "dies.py").write_text(program)
    ssh = tmp_path / "ssh"
    ssh.write_text(_SSH)
    ssh.chmod(0o755)
    monkeypatch.setenv(SSH, str(ssh))
    hosts = Host(), Host(ssh="mac2", python=sys.executable)
    peer = Peer(World("ring", hosts, (f"PYTHONPATH={tmp_path}",)), 1, Project(tmp_path), module="dies")
    while peer.exit_code is None:
        peer.wait()
    assert peer.exit_code == code
    peer.end()


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_lost_process_is_told_with_what_becomes_of_the_run(tmp_path: Path, goes_on: bool) -> None:
    """A run that goes on by itself asks nobody to go on with it; a log is named only where it has text."""
    channel = SimpleNamespace(last_words=lambda _seconds: CLOSED, was_heard=True)
    peer = SimpleNamespace(name="mac2", rank=1, channel=channel, exit_code=-9, told="", wait=lambda: None)
    peer.kill = lambda: None
    team = Team(local_world(2, "ring"), Project(tmp_path), goes_on=lambda rank: goes_on and rank == 1)
    team.loss.lose(cast(Peer, peer), CLOSED)
    with pytest.raises(PeerLost) as told:
        team.loss.require_none()
    lost = told.value
    assert lost.problem == "mac2 was ended by SIGKILL" and lost.goes_on == goes_on
    assert ("goes on without it" in lost.fix, "train --resume" in lost.fix) == (goes_on, not goes_on)
    assert "training.log" not in lost.fix


def test_only_machines_that_have_to_be_reached_are_waited_for(tmp_path: Path) -> None:
    """Until they answer, one is lost, or a pause is asked for; a process of this machine begins meanwhile."""
    hosts = Host(), Host(), Host(ssh="mac2", ips=("192.168.1.2",))
    team = Team(World("ring", hosts), Project(tmp_path))
    channels = [SimpleNamespace(was_heard=False), SimpleNamespace(was_heard=True)]
    peers: Any = [SimpleNamespace(rank=rank, channel=one) for rank, one in enumerate(channels, start=1)]
    team._started.peers[:] = peers
    team.reach(Event())
    channels[1].was_heard = False
    asked = Event()
    asked.set()
    team.reach(asked)
    team.loss._lost = PeerLost(2, "mac2: does not answer")
    with pytest.raises(PeerLost):
        team.reach(Event())


def test_who_interrupts_a_check_waits_for_no_host() -> None:
    """One of them may compute for minutes: it is ended, and who waits for its answer has none."""
    given_up = Event()

    def work(host: AskedHost) -> None:
        if host is interrupted:
            raise KeyboardInterrupt
        assert given_up.wait(60)

    interrupted, busy = (
        cast(AskedHost, SimpleNamespace(give_up=end)) for end in (lambda: None, given_up.set)
    )
    with pytest.raises(KeyboardInterrupt):
        _each([interrupted, busy], work)
    assert given_up.is_set()
