"""What is said of a run whose process is gone: restarted machine, sudden end, odd clocks."""

from dataclasses import replace
from pathlib import Path

from engine.hardware.command import boot_id
from engine.training.crash import cut_off_reason
from engine.training.state import RunState

import pytest

STATE = RunState("running", "tiny", boot="a", updated="2026-01-31T23:59:10+00:00")


@pytest.mark.parametrize(
    ("boot", "expected"),
    [
        ("a", "the process ended without recording why after 31 Jan 23:59"),
        ("b", "the machine was restarted after 31 Jan 23:59"),
        ("", "the process ended without recording why after 31 Jan 23:59"),
    ],
)
def test_a_restart_is_told_from_a_sudden_end(
    monkeypatch: pytest.MonkeyPatch, boot: str, expected: str
) -> None:
    """By the identifier of the machine's start: a clock that was changed says nothing."""
    monkeypatch.setattr("engine.training.crash.boot_id", lambda: boot)
    assert cut_off_reason(STATE) == expected


def test_a_state_without_the_identifier_claims_no_restart() -> None:
    """Files of earlier versions have none."""
    assert "restarted" not in cut_off_reason(replace(STATE, boot=""))


def test_a_start_is_named_by_what_the_system_tells(tmp_path: Path) -> None:
    """Linux draws an identifier; macOS has a session UUID; elsewhere it is empty."""
    file = tmp_path / "boot_id"
    assert boot_id("Linux", file=file) == ""
    file.write_text("1c4e\n")
    assert boot_id("Linux", file=file) == "1c4e"
    asked: list[list[str]] = []

    def run(arguments: list[str]) -> str:
        asked.append(arguments)
        return "F00D-1\n"

    assert boot_id("Darwin", run) == "F00D-1"
    assert asked == [["sysctl", "-n", "kern.bootsessionuuid"]]
