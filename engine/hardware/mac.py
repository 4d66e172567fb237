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
