"""Checks of memory and disk."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from engine.hardware.report import Check
from engine.i18n import _
from engine.units import size

import psutil

GB = 1_000_000_000
CGROUP = Path("/sys/fs/cgroup")
LITTLE_MEMORY = 6 * GB
"""Below this the guide advises SAFE only."""
MUCH_SWAP = 2 * GB
LITTLE_DISK = 5 * GB
ADVISED_DISK = 20 * GB
"""The guide's advice; base models and archived runs take most of it."""


@dataclass(frozen=True)
class Memory:
    """Memory of this machine (or of the container it is confined to), in bytes."""

    total: int
    available: int
    swap_used: int
    own: int
    """Resident memory of this process: it is free again when the next run starts."""

    @property
    def obtainable(self) -> int:
        """Bytes a run can have without swapping."""
        return min(self.total, self.available + self.own)


def read_memory(cgroup: Path = CGROUP) -> Memory:
    """Measure the memory, mindful of a container's limit."""
    system = psutil.virtual_memory()
    total, available = system.total, system.available
    limit = _container_memory(cgroup)
    if limit and limit[0] < total:
        total, available = limit[0], min(available, limit[1])
    return Memory(total, available, psutil.swap_memory().used, psutil.Process().memory_info().rss)


def check_memory(memory: Memory) -> Check:
    """Check that memory is free and not already swapped out."""
    value = _("{total} ({gib:.0f} GiB), {free} free, {swap}").format(
        total=size(memory.total),
        gib=memory.total / 2**30,
        free=size(memory.available),
        swap=_("{swap} swap used").format(swap=size(memory.swap_used))
        if memory.swap_used
        else _("no swap used"),
    )
    if memory.obtainable < LITTLE_MEMORY:
        limit = size(LITTLE_MEMORY)
        detail = _("Below {limit} of free memory only SAFE is advised").format(limit=limit)
        return Check("memory", _("Memory"), value, "warning", detail, _("close other programs"))
    if memory.swap_used > MUCH_SWAP:
        detail = _("The system is swapping, which makes training slow")
        return Check("memory", _("Memory"), value, "warning", detail, _("close other programs"))
    return Check("memory", _("Memory"), value, "ok")


def read_disk_free(folder: Path) -> int:
    """Return the free bytes where `folder` is or would be made."""
    return shutil.disk_usage(_nearest(folder)).free


def is_writable(folder: Path) -> bool:
    """Whether files can be made in `folder`, or it can be made itself."""
    return os.access(_nearest(folder), os.W_OK | os.X_OK)


def _nearest(folder: Path) -> Path:
    """Return `folder`, or where it is not there yet the nearest one above it that is."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def check_disk(folder: Path, free: int, needed: int, can_write: bool) -> Check:
    """Check that the checkpoints of one run can be written, and find room, where the project is.

    Args:
        folder: of the project.
        free: bytes there.
        needed: bytes of one run.
        can_write: see `is_writable`.
    """
    value = _("{free} free; one run needs about {needed}").format(free=size(free), needed=size(needed))
    if not can_write:
        detail = _("Nothing can be written in {folder}").format(folder=folder)
        fix = _("make the folder writable, or work in another one: mqlora-tui -C FOLDER")
        return Check("disk", _("Disk"), value, "error", detail, fix)
    fix = _("free some space; {advised} are advised").format(advised=size(ADVISED_DISK))
    if free < needed:
        detail = _("The checkpoints of one run do not fit on this disk")
        return Check("disk", _("Disk"), value, "error", detail, fix)
    if free < LITTLE_DISK:
        return Check("disk", _("Disk"), value, "warning", _("The disk is nearly full"), fix)
    return Check("disk", _("Disk"), value, "ok", _("The project is {folder}").format(folder=folder))


def _container_memory(cgroup: Path) -> tuple[int, int] | None:
    """Return (limit, available) bytes of the control group; None without a limit.

    File pages count as used there, but are given back when memory is wanted.
    """
    try:
        limit = int((cgroup / "memory.max").read_text())
        used = int((cgroup / "memory.current").read_text())
        figures = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        return limit, max(0, limit - used + int(figures.get("file", 0)))
    except (OSError, ValueError):
        return None
