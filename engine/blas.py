"""A fast BLAS for MLX on Linux CPUs, loaded before the first `import mlx.core`.

The mlx-cpu wheel is linked with the reference BLAS (3-5 GFLOP/s in float32).
Its products are looked up as `cblas_sgemm`, so an OpenBLAS that is loaded
globally before it is found first and makes them 30-80 times as fast.
"""

import atexit
import ctypes
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine.cores import core_count
from engine.i18n import _

import platformdirs

_PROBE = """
import ctypes, sys
for path in sys.argv[1:]:
    library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
n = 64
a = (ctypes.c_float * (n * n))(*([1.0] * (n * n)))
c = (ctypes.c_float * (n * n))()
one = ctypes.c_float(1.0)
library.cblas_sgemm(101, 111, 111, n, n, n, one, a, n, a, n, ctypes.c_float(0.0), c, n)
sys.exit(0 if c[0] == n and c[n * n - 1] == n else 1)
"""


_VARIABLE = "OPENBLAS_NUM_THREADS"
_loaded: list[ctypes.CDLL] = []
"""The OpenBLAS that is in place, behind what it needs."""


@dataclass(frozen=True)
class BlasReport:
    """Which BLAS serves MLX's float32 products on this machine."""

    name: str
    """Such as "OpenBLAS" or "Accelerate"."""
    loaded: bool
    """Whether a fast BLAS is in place (always true where MLX brings one)."""
    problem: str = ""
    fix: str = ""


@cache
def load_blas() -> BlasReport:
    """Load the first OpenBLAS that works here; must run before `import mlx.core`.

    A library is tried in a child process first: one that was built for a
    larger instruction set ends the process that calls it. Nothing is raised:
    without OpenBLAS training still works, slowly, and the report says so.
    """
    if platform.system() != "Linux":
        return BlasReport("Accelerate", True)
    if "mlx.core" in sys.modules:
        return BlasReport("reference BLAS", False, _("MLX was imported before OpenBLAS"))
    problem = _("No OpenBLAS was found")
    for path in _candidates():
        for libraries in ([path], [*_carried_fortran(), path]):
            failure = _try_in_child(libraries)
            if not failure:
                with _threads_told():
                    _loaded.extend(ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL) for library in libraries)
                return BlasReport("OpenBLAS", True)
            problem = _("OpenBLAS does not run here ({reason})").format(reason=failure)
    fix = _("install one: on Debian and Ubuntu, apt-get install libopenblas0-pthread")
    return BlasReport("reference BLAS", False, problem, fix)


@contextmanager
def _threads_told() -> Iterator[None]:
    """Let OpenBLAS begin with all cores but one, unless the user has set how many; children are told nothing.

    See `engine.threads` for why, and for what becomes of it.
    """
    is_given = are_threads_given()
    os.environ.update(fixed_threads(os.environ))
    try:
        yield
    finally:
        if not is_given:
            del os.environ[_VARIABLE]


def fixed_threads(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a process is told to keep one number of threads: the user's, or one less than cores.

    Args:
        environment: of the process.
    """
    return {_VARIABLE: environment.get(_VARIABLE) or str(max(1, core_count() - 1))}


def are_threads_given() -> bool:
    """Whether the user says in the environment how many threads a product has."""
    return bool(os.environ.get(_VARIABLE))


def set_threads(count: int) -> None:
    """Let each product have so many threads from now on; nothing where OpenBLAS is not in place."""
    for library in _loaded[-1:]:
        library.openblas_set_num_threads(count)


def _candidates() -> Iterator[str]:
    for package, pattern in (("ngsolve_openblas", "libopenblas*.so*"), ("cmeel", "lib/libopenblas.so.0")):
        for folder in _package_folders(package):
            yield from (str(path) for path in sorted(folder.glob(pattern)))
    yield "libopenblas.so.0"


def _package_folders(package: str) -> list[Path]:
    """Return the folders of a package without importing it; cmeel's libraries lie in `cmeel.prefix`."""
    spec = importlib.util.find_spec(package)
    found = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    return [folder.parent / "cmeel.prefix" for folder in found] if package == "cmeel" else found


@cache
def _carried_fortran() -> tuple[str, ...]:
    """Return the Fortran runtime in the mlx-cpu wheel, in load order, as OpenBLAS looks for it.

    OpenBLAS wants `libgfortran.so.5`, which slim systems lack. The wheel
    carries that library under a name with a checksum; a copy with the plain
    name written back (it is shorter, so it fits) serves.
    """
    spec = importlib.util.find_spec("mlx")
    roots = [Path(folder).parent for folder in (spec.submodule_search_locations or ())] if spec else []
    for folder in (root / "mlx_cpu.libs" for root in roots):
        for runtime in folder.glob("libgfortran-*.so.5*"):
            plain, carried = b"libgfortran.so.5", runtime.name.encode()
            try:
                target = _cache() / runtime.stem / plain.decode()
                if not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    partial = target.with_suffix(f".{os.getpid()}")
                    partial.write_bytes(
                        runtime.read_bytes().replace(carried, plain.ljust(len(carried), b"\0"))
                    )
                    partial.replace(target)
            except OSError:
                return ()
            return (*(str(path) for path in folder.glob("libquadmath-*")), str(target))
    return ()


def _cache() -> Path:
    """Return the user's cache, or where that cannot be written a folder for this process alone.

    Raises:
        OSError: nothing can be written at all.
    """
    cache = Path(platformdirs.user_cache_dir("mqlora-tui"))
    try:
        cache.mkdir(parents=True, exist_ok=True)
        if os.access(cache, os.W_OK):
            return cache
    except OSError:
        pass  # no home, as in some containers
    private = tempfile.mkdtemp(prefix="mqlora-tui-")
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    return Path(private)


def _try_in_child(libraries: list[str]) -> str:
    """Multiply two small matrices with the last of `libraries`; return what went wrong, or nothing."""
    child = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _PROBE, *libraries], capture_output=True, text=True, check=False
    )
    if child.returncode == 0:
        return ""
    if child.returncode < 0:
        return _("it ends with signal {number}").format(number=-child.returncode)
    return child.stderr.strip().rpartition("\n")[2].removeprefix("OSError: ") or _("wrong result")


def has_compiler() -> bool:
    """Whether `mx.compile` can build CPU kernels: it calls `g++` at run time."""
    return shutil.which("g++") is not None
