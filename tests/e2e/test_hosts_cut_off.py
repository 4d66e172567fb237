"""A run over a network whose cable is pulled: another network namespace is another machine."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.training.checkpoint import newest_checkpoint
from tests.support.ssh_hosts import ssh_hosts, two_hosts
from tests.support.tiny import long_project

import psutil
import pytest

HERE, THERE = "10.213.77.1", "10.213.77.2"
ENDS_S = 60
"""Seconds after the cut in which all processes end, on both machines."""


@contextmanager
def other_machine() -> Iterator[tuple[str, list[str]]]:
    """Make a network namespace behind a cable; yield the cable's end here, and what starts programs there.

    Where the kernel can, packets take 20 ms and one in a hundred is lost.
    """
    name = f"mq{os.getpid()}"
    here, there = f"{name}a", f"{name}b"
    within = ["ip", "netns", "exec", name]
    commands = [
        ["ip", "link", "add", here, "type", "veth", "peer", "name", there],
        ["ip", "link", "set", there, "netns", name],
        ["ip", "address", "add", f"{HERE}/30", "dev", here],
        ["ip", "link", "set", here, "up"],
        [*within, "ip", "address", "add", f"{THERE}/30", "dev", there],
        [*within, "ip", "link", "set", there, "up"],
        [*within, "ip", "link", "set", "lo", "up"],
    ]
    if subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True).returncode:
        pytest.skip("no network namespace can be made")
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True)
        slow = ["tc", "qdisc", "add", "dev", here, "root", "netem", "delay", "20ms", "loss", "1%"]
        with contextlib.suppress(OSError):
            subprocess.run(slow, check=False, capture_output=True)
        yield here, within
    finally:
        subprocess.run(["ip", "link", "delete", here], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def processes_there() -> list[psutil.Process]:
    """Return the processes that train for an owner elsewhere."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_rank = "engine.training.rank" in process.cmdline()
            if is_rank and process.environ().get("SSH_CONNECTION", "").split(" ")[2:3] == [THERE]:
                found.append(process)
    return found


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip"), reason="needs root and ip"
)
def test_a_pulled_cable_ends_the_run_on_both_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a minute, with the host named and a checkpoint of what was computed."""
    with (
        other_machine() as (cable, within),
        ssh_hosts(tmp_path / "ssh", monkeypatch, THERE, within),
    ):
        project = long_project(tmp_path / "project")
        content = two_hosts(ips=[THERE])
        content["hosts"][0]["ips"] = [HERE]
        path = project.root / "hosts.json"
        path.write_text(json.dumps(content))
        command = [sys.executable, "-P", "-m", "tui", "-C", str(project.root)]
        run = subprocess.Popen(
            [*command, "train", "--hosts", str(path), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert run.stdout is not None
            made = 0
            for line in run.stdout:
                made += json.loads(line).get("event") == "step_done"
                if made == 5:
                    break
            assert made == 5, run.stderr.read() if run.stderr else ""
            there = processes_there()
            assert len(there) == 1
            subprocess.run(["ip", "link", "set", cable, "down"], check=True)
            limit = time.monotonic() + ENDS_S
            _rest, told = run.communicate(timeout=ENDS_S)
            _gone, left = psutil.wait_procs(there, timeout=limit - time.monotonic())
        finally:
            run.kill()
        assert run.returncode == 1
        assert "mac2" in told, told
        assert left == []
        checkpoint, damaged = newest_checkpoint(project.run_dir)
        assert checkpoint is not None and checkpoint.progress.step >= 5 and not damaged
