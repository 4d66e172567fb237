"""What only macOS can tell. Each function asks one tool and takes the runner, so that tests can answer."""

import re

from engine.hardware.command import Run, run_command


def chip_name(run: Run = run_command) -> str:
    """Return the chip's name, such as "Apple M2 Pro"; empty if unknown."""
    return run(["sysctl", "-n", "machdep.cpu.brand_string"]).strip()


def gpu_cores(run: Run = run_command) -> int | None:
    """Return the number of GPU cores from the I/O registry."""
    found = re.search(r'"gpu-core-count" = (\d+)', run(["ioreg", "-rc", "AGXAccelerator", "-d", "1"]))
    return int(found[1]) if found else None


def is_translated(run: Run = run_command) -> bool:
    """Whether this process is an Intel program under Rosetta, where MLX does not run."""
    return run(["sysctl", "-n", "sysctl.proc_translated"]).strip() == "1"


def low_power_mode(run: Run = run_command) -> bool:
    """Whether the power settings now in use slow the chip down.

    `pmset -g` lists them as `lowpowermode 1`, on Macs that also have a high power mode
    as `powermode 1`.
    """
    return re.search(r"^\s*(lowpowermode|powermode)\s+1\b", run(["pmset", "-g"]), re.MULTILINE) is not None


def display_is_on(run: Run = run_command) -> bool:
    """Whether a display is powered.

    While one is, the power daemon of macOS 11 and newer holds an assertion against sleep with
    this name (createProxyAssertion in PMDisplay.m of Apple's published PowerManagement), and
    `pmset -g assertions` lists it to any user, over SSH too. Other ways fail there: on Apple
    silicon the registry's IODisplayWrangler has no power state, and CoreGraphics needs a
    graphical session.
    """
    return "Prevent sleep while display is on" in run(["pmset", "-g", "assertions"])


def lid_is_closed(run: Run = run_command) -> bool:
    """Whether the lid is shut.

    Desktop Macs have no lid and no such entry in the I/O registry (powerd reads it the same way,
    rootDomainClamshellState in PMDisplay.m).
    """
    return '"AppleClamshellState" = Yes' in run(["ioreg", "-r", "-k", "AppleClamshellState", "-d", "1"])
