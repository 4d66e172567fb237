"""Parts of the self-test: what a Mac would answer, by stand-ins, and what figures mean."""

import getpass
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.hardware.keep_awake import start_detached
from engine.selftest import bug_report
from engine.selftest.machine_parts import display, watch_keep_awake
from engine.selftest.mlx_parts import judge_matmul, judge_memory, judge_modes
from engine.selftest.part import Skipped
from engine.selftest.process_memory import own_memory, parse_footprint
from engine.selftest.run_parts import judge_interruptions

import psutil
import pytest

FOOTPRINT = """\
======================================================================
python3.12 [4711]: 64-bit    Footprint: 1884592 B (16384 bytes per page)
======================================================================
     Dirty          Clean    Reclaimable    Regions    Category
 1000000 B            0 B            0 B          7    TOTAL

Auxiliary data:
    phys_footprint_peak: 2884592 B
    phys_footprint: 1884592 B
"""
GIB = 1024**3


# Memory


def test_the_footprint_of_this_process_is_asked_for_in_bytes() -> None:
    """The peak, which may come first, is another figure."""
    asked: list[list[str]] = []

    def run(arguments: list[str]) -> str:
        asked.append(arguments)
        return FOOTPRINT

    assert own_memory("Darwin", run) == 1_884_592
    assert asked == [["footprint", "-f", "bytes", "-p", str(os.getpid())]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  phys_footprint: 2.5 GB\n", 2.5 * GIB),
        ("phys_footprint: 16 KB", 16_384),
        ("", None),
        ("sudo?", None),
    ],
)
def test_a_footprint_may_have_another_unit_or_be_missing(text: str, expected: float | None) -> None:
    """Nothing is made up."""
    assert parse_footprint(text) == expected


def test_linux_tells_the_resident_memory(tmp_path: Path) -> None:
    """In units of 1024 bytes; not `Pss`, nor a file that is not there."""
    smaps = tmp_path / "smaps_rollup"
    smaps.write_text("55d0-7ffe ---p 00000000 00:00 0    [rollup]\nRss:    2048 kB\nPss:    1024 kB\n")
    assert own_memory("Linux", smaps=smaps) == 2 * 1024**2
    assert own_memory("Linux", smaps=tmp_path / "none") is None


def memory(**changes: object) -> dict[str, object]:
    figures = {"held": 100, "active": 100, "peak": 120, "process": 105, "is_shared": True}
    return {**figures, **changes}


def test_memory_figures_that_differ_are_reported_and_others_are_not() -> None:
    """A card's memory is no process's, and a system that does not tell is no fault."""
    assert judge_memory(memory()).status == "ok"
    assert judge_memory(memory(process=30)).status == "warning"
    assert judge_memory(memory(active=0)).status == "warning"
    for change in ({"process": None}, {"is_shared": False}):
        with pytest.raises(Skipped):
            judge_memory(memory(**change))


# Keeping awake, display


def helper(code: str) -> subprocess.Popen[bytes]:
    return start_detached([sys.executable, "-c", code])


STAYS = "import time; time.sleep(600)"


def listing(started: Sequence[subprocess.Popen[bytes]]) -> str:
    return "".join(f"   pid {one.pid}(caffeinate): [0x1] 00:00:00 PreventSystemSleep\n" for one in started)


def test_a_helper_that_is_listed_and_ends_is_fine() -> None:
    """What the real functions start is watched, and it is gone after."""
    started: list[subprocess.Popen[bytes]] = []

    def launch(arguments: list[str]) -> subprocess.Popen[bytes]:
        assert arguments[0] == "caffeinate"
        started.append(helper(STAYS))
        return started[-1]

    check = watch_keep_awake("Darwin", launch, lambda _arguments: listing(started))
    assert check.status == "ok" and "pmset lists it" in check.value
    assert len(started) == 1 and not psutil.pid_exists(started[0].pid)


def test_a_helper_that_does_nothing_is_reported() -> None:
    """Not listed: a warning. Ended at once or not there: a failure."""
    unlisted = watch_keep_awake("Darwin", lambda _a: helper(STAYS), lambda _a: "pid 1(powerd)", patience_s=0)
    assert unlisted.status == "warning" and "may go to sleep" in unlisted.detail

    def ended(_arguments: list[str]) -> subprocess.Popen[bytes]:
        process = helper("raise SystemExit(64)")
        process.wait()
        return process

    refused = watch_keep_awake("Darwin", ended, lambda _a: "")
    assert refused.status == "error" and "exit code 64" in refused.detail

    def missing(_arguments: list[str]) -> subprocess.Popen[bytes]:
        raise FileNotFoundError

    assert watch_keep_awake("Darwin", missing, lambda _a: "").status == "error"


def test_the_display_of_a_mac_is_reported() -> None:
    """From `pmset` and `ioreg`; a `pmset` without an answer is no display that is off."""
    answers = {
        "pmset": "pid 90(powerd): PreventUserIdleSystemSleep named: Prevent sleep while display is on",
        "ioreg": '"AppleClamshellState" = Yes',
    }
    assert display("Darwin", lambda arguments: answers[arguments[0]]).value == "on, lid closed"
    assert display("Darwin", lambda arguments: "none").value == "off, lid open or none"
    with pytest.raises(Skipped, match="did not answer"):
        display("Darwin", lambda arguments: "")


def test_linux_skips_what_is_for_a_mac() -> None:
    """With the reason."""
    for part in (watch_keep_awake, display):
        with pytest.raises(Skipped, match="a Mac"):
            part("Linux")


# Figures of MLX and of verify-resume


def test_a_wrong_product_is_reported_by_its_dtype() -> None:
    """NaN is no small error."""
    figures = {"device": "Apple M2", "errors": {"float32": 5e-4, "bfloat16": 4e-3}, "gflops": 900.0}
    assert judge_matmul(figures).status == "ok"
    for error in (0.3, float("nan")):
        check = judge_matmul({**figures, "errors": {"float32": 3e-7, "bfloat16": error}})
        assert check.status == "error" and "wrongly in bfloat16" in check.detail


def test_modes_with_other_losses_are_reported() -> None:
    """A GPU's bfloat16 may differ by more than a CPU's float32."""
    times = {"packed": 0.002, "transient": 0.001, "resident": 0.0005}

    def judged(loss: float, is_cpu: bool) -> str:
        losses = {"packed": 2.0, "transient": 2.0, "resident": loss}
        return judge_modes({"seconds": times, "losses": losses, "is_cpu": is_cpu}).status

    assert judged(2.00001, True) == judged(2.01, False) == "ok"
    assert judged(2.01, True) == judged(2.5, False) == judged(float("nan"), False) == "error"
    with pytest.raises(Skipped, match="not quantised"):
        judge_modes({"seconds": {}, "losses": {}})


def test_what_verify_resume_found_is_reported() -> None:
    """A difference by its file; a run that was never hit proves nothing."""
    points = [{"kind": "step", "hit": True}, {"kind": "pause", "hit": True}]
    files = [{"file": "state.json", "identical": True}]
    verdict = {"identical": True, "steps": 6, "interruptions": points, "files": files, "leftovers": []}
    assert judge_interruptions(verdict).value == "6 steps, kills: 1, pauses: 1; no byte differs"
    assert judge_interruptions({**verdict, "interruptions": []}).status == "warning"
    other = judge_interruptions({**verdict, "identical": False, "files": [{**files[0], "identical": False}]})
    assert other.status == "error" and "state.json" in other.detail


# The text for a bug report


def test_nothing_tells_who_the_user_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Home folder, name and host, as whole words; parts of other words stay."""
    monkeypatch.setattr(Path, "home", lambda: Path("/Users/ana"))
    monkeypatch.setattr(getpass, "getuser", lambda: "ana")
    monkeypatch.setattr(socket, "gethostname", lambda: "anas-mac.local")
    text = "Cannot read /Users/ana/llm/x of ana on anas-mac (anas-mac.local) in /Volumes/x; banana"
    words = bug_report.private_words(Path("/Volumes/x"))
    assert bug_report.without(text, words) == "Cannot read ~/llm/x of USER on HOST (HOST) in PROJECT; banana"


def test_a_mac_is_named_by_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by its kernel's."""
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(platform, "mac_ver", lambda: ("15.1", ("", "", ""), "arm64"))
    assert bug_report.system_facts()["OS"] == "macOS 15.1 arm64"
