"""Checks of the chip and of Python."""

import platform
import re
import sys
from pathlib import Path

from engine.cores import core_count
from engine.hardware import mac
from engine.hardware.command import Run, run_command
from engine.hardware.report import Check
from engine.i18n import _, ngettext
from engine.i18n.texts import in_english
from engine.sanitize import one_line

CPUINFO = Path("/proc/cpuinfo")
OLDEST_PYTHON = (3, 11)


def device_name(
    system: str = platform.system(), run: Run = run_command, cpuinfo: Path = CPUINFO, cores: int | None = None
) -> str:
    """Return the chip in words: "Apple M2 Pro, 19 GPU cores" or "AMD EPYC, 2 cores"."""
    return ", ".join(_device(system, run, cpuinfo, cores))


def device_key() -> str:
    """Return the same of this machine in English, whatever language is spoken: for files."""
    return ", ".join(map(in_english, _device()))


def _device(
    system: str = platform.system(), run: Run = run_command, cpuinfo: Path = CPUINFO, cores: int | None = None
) -> list[str]:
    """Return the chip's name, and in words how many cores it has where that is known."""
    if system == "Darwin":
        name, count, unit = mac.chip_name(run), mac.gpu_cores(run), _("{n} GPU cores")
    else:
        count = cores or core_count()
        name, unit = _cpu_model(cpuinfo), ngettext("{n} core", "{n} cores", count)
    named = one_line(name or platform.machine(), 60) or _("unknown chip")
    return [named, unit.format(n=count)] if count else [named]


def check_chip(
    device: str, system: str = platform.system(), machine: str = platform.machine(), run: Run = run_command
) -> Check:
    """Check that MLX is made for this chip."""
    if system == "Darwin" and machine != "arm64":
        if mac.is_translated(run):
            detail = _("This Python is an Intel program under Rosetta; MLX needs a native one")
            fix = _("install Python for Apple silicon (arm64) and make a new virtual environment with it")
        else:
            detail, fix = _("MLX does not run on Intel Macs"), _("use a Mac with Apple silicon, or Linux")
        return Check("chip", _("Chip"), device, "error", detail, fix)
    return Check("chip", _("Chip"), device, "ok")


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Check:
    """Check that Python is new enough."""
    value = ".".join(str(part) for part in version)
    if version >= OLDEST_PYTHON:
        return Check("python", _("Python"), value, "ok")
    wanted = ".".join(str(part) for part in OLDEST_PYTHON)
    return Check(
        "python",
        _("Python"),
        value,
        "error",
        _("Python {wanted} or newer is needed").format(wanted=wanted),
        _("make a virtual environment with a newer Python"),
    )


def _cpu_model(cpuinfo: Path) -> str:
    """Return the processor's name; 64-bit ARM kernels list none."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(errors="replace"), re.MULTILINE)
    except OSError:
        return ""
    return found[1].strip() if found else ""
