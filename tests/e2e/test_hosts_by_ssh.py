"""`hosts check` and `train --hosts` through a real SSH server, to other addresses of this machine."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.cluster.host_file import read_hosts
from engine.cluster.team import Team
from engine.cluster.world import PeerLost
from engine.project import Project
from tests.support.ranks import train_together
from tests.support.ssh_hosts import ssh_hosts, two_hosts
from tests.support.tiny import RUN, tiny_project
from tui.cli.main import main

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="macOS has no 127.0.0.2 unless it is told to"),
]
Check = Callable[..., dict[str, Any]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project on hosts that ssh reaches."""
    with ssh_hosts(tmp_path / "ssh", monkeypatch):
        project = tiny_project(tmp_path / "project")
        project.run_dir.mkdir()
        RUN.save(project.config_file)
        yield project


@pytest.fixture
def check(project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Check:
    """Checks a host file whose second host has other values; returns what `--json` prints."""

    def call(*options: str, **second: Any) -> dict[str, Any]:
        path = project.root / "hosts.json"
        path.write_text(json.dumps(two_hosts(**second)))
        arguments = ["-C", str(project.root), "hosts", "check", str(path), "--json", *options]
        monkeypatch.setattr(sys, "argv", ["mqlora-tui", *arguments])
        main()
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return call


def test_hosts_are_checked_measured_and_saved_and_train(
    check: Check, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is measured goes into the file beside what was there, and the run is made by both."""
    found = check("--save")
    assert [host["problems"] for host in found["hosts"]] == [[], []]
    this, other = found["hosts"]
    assert this["speed"] > 0 and other["speed"] > 0 and other["bandwidth"] > 1 and other["latency"] > 0
    assert found["saved"] and found["speedup"]["factor"] > 0
    path = project.root / "hosts.json"
    kept = json.loads(path.read_text())
    before = two_hosts()
    assert kept["envs"] == before["envs"]
    assert kept["hosts"][1] == before["hosts"][1] | {
        "speed": round(other["speed"], 1),
        "bandwidth": round(other["bandwidth"], 3),
        "latency": round(other["latency"], 3),
    }
    arguments = ["-C", str(project.root), "train", "--hosts", str(path), "--although-slower", "--json"]
    monkeypatch.setattr(sys, "argv", ["mqlora-tui", *arguments])
    assert main() == 0
    assert json.loads(project.state_file.read_text())["status"] == "finished"


def test_a_host_that_cannot_take_part_is_told_why(check: Check, project: Project, tmp_path: Path) -> None:
    """One sentence for each reason."""
    other = tiny_project(tmp_path / "other", train=21)
    told = {
        "no_such_name.invalid": "a name that is not known here",
        "stranger": "does not accept this user's key",
    }
    for name, reason in told.items():
        (problem,) = check(ssh=name)["hosts"][1]["problems"]
        assert reason in problem["problem"] and name in problem["problem"]
    for values, reason in (
        ({"python": "/no/python"}, "has no such Python"),
        ({"project": "/no/project"}, "has no such project folder"),
        ({"project": str(other.root)}, "the data files are not those of this machine"),
    ):
        found = check(**values)
        text = json.dumps(found)
        assert reason in text, text
        assert "Traceback" not in text


def test_a_run_that_cannot_begin_says_what_is_wrong_there(project: Project, tmp_path: Path) -> None:
    """With the host and the fix, whatever it is; the first of these through the whole program."""
    bare, greeting = tmp_path / "bare", tmp_path / "greeting"
    for script, text in ((bare, f"exec {sys.executable} -S"), (greeting, "echo Bom dia; exec false")):
        script.write_text(f'#!/bin/sh\n{text} "$@"\n')
        script.chmod(0o755)
    key = (tmp_path / "ssh" / "client_key.pub").read_text()
    (tmp_path / "ssh" / "known").write_text(f"changed {key}")  # which the server does not have
    path = project.root / "hosts.json"
    path.write_text(json.dumps(two_hosts(project="/no/project")))
    told = train_together(project, None, "--hosts", str(path))
    assert told.refusal.startswith("mac2: has no such project folder; copy the project")
    assert [event["name"] for event in told.events] == ["reaching"], "nothing is read before that"
    assert not project.state_file.exists()
    for second, reason, fix in (
        ({"python": "/no/python"}, "has no such Python", "name python for it"),
        ({"python": str(project.train_file)}, "does not let this user run that Python", "change its mode"),
        ({"python": str(bare)}, "its Python lacks", "install mqlora-tui there as here"),
        ({"python": str(greeting)}, "its login printed 'Bom dia'", "start files"),
        ({"ssh": "no_such_name.invalid"}, "is a name that is not known here", "correct ssh"),
        ({"ssh": "stranger"}, "does not accept this user's key", "ssh-copy-id stranger"),
        ({"ssh": "nobody@mac2"}, "does not accept this user's key", "USER@mac2"),
        ({"ssh": "changed"}, "another host key than before", "ssh-keygen -R changed"),
    ):
        path.write_text(json.dumps(two_hosts(**second)))
        with pytest.raises(PeerLost) as lost, Team(read_hosts(path), project) as team:
            team.others.ask("ready")
        assert reason in lost.value.problem and fix in lost.value.fix, lost.value
        assert lost.value.problem.startswith(f"{second.get('ssh', 'mac2')}: ")
