"""The text to paste into a bug report: what was found where, and nothing that tells who the user is."""

import getpass
import platform
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engine.hardware.machine import device_key
from engine.hardware.storage import read_memory
from engine.i18n import _
from engine.units import size

_PACKAGES = ("mqlora-tui", "mlx", "mlx-lm")
_LEAST = 2
"""Letters of a name that is looked for: a shorter one is in every text."""


def system_facts() -> dict[str, str]:
    """Return versions, chip and memory, by name."""
    return {
        **{name: _version(name) for name in _PACKAGES},
        "Python": platform.python_version(),
        "OS": _system(),
        "chip": device_key(),
        "memory": size(read_memory().total),
    }


def private_words(project: Path) -> dict[str, str]:
    """Return what tells who or where the user is, each with what stands for it: longest first.

    Args:
        project: folder of the user's project.
    """
    words = {str(Path.home()): "~", str(project): "PROJECT"}
    with suppress(OSError, KeyError):  # nobody is known by this user's number
        words[getpass.getuser()] = "USER"
    host = socket.gethostname()
    words |= {host.partition(".")[0]: "HOST", host: "HOST"}
    return dict(sorted(words.items(), key=lambda item: len(item[0]), reverse=True))


def without(text: str, words: Mapping[str, str]) -> str:
    """Return a text without private words, see `private_words`, which may stand in it as whole words."""
    for word, instead in words.items():
        if len(word) >= _LEAST:
            text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", instead, text)
    return text


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return _("missing")


def _system() -> str:
    """Return the operating system with its version, such as "macOS 15.1 arm64"."""
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]} {platform.machine()}"
    name = platform.system()
    with suppress(OSError):
        name = platform.freedesktop_os_release().get("PRETTY_NAME", name)
    return f"{name}, {platform.system()} {platform.release()} {platform.machine()}"
