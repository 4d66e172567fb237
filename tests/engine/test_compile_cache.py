"""A compiled function that was cut short must not end every later process."""

import os
import subprocess
import sys
from pathlib import Path

from engine.compile_cache import is_whole

import pytest

ROOT = Path(__file__).parents[2]
COMPILES = """
from engine.backend import mx
print(mx.compile(lambda x: mx.exp(x) * 2 + x)(mx.array([0.0, 1.0])).tolist())
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="macOS compiles for the GPU, in memory")


def compute(folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "TMPDIR": str(folder), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", COMPILES],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def age(path: Path) -> None:
    os.utime(path, (0, 0))


def test_a_damaged_function_is_compiled_anew(tmp_path: Path) -> None:
    """MLX itself would load the torn file and be killed by the system."""
    first = compute(tmp_path)
    assert first.returncode == 0
    libraries = list(tmp_path.glob("mlx/*/cpu/lib*.so"))
    if not libraries:
        pytest.skip("no C++ compiler: nothing is compiled here")
    for library in libraries:
        library.write_bytes(library.read_bytes()[:5000])
        age(library)
    again = compute(tmp_path)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert all(is_whole(library) for library in libraries)


def test_a_whole_function_and_a_young_one_stay(tmp_path: Path) -> None:
    """Another process may be writing it at this moment."""
    folder = tmp_path / "mlx" / "0.0" / "cpu"
    folder.mkdir(parents=True)
    whole, young = folder / "libwhole.so", folder / "libyoung.so"
    whole.write_bytes(Path(sys.executable).resolve().read_bytes())
    age(whole)
    young.write_bytes(b"\x7fELF")
    old = folder / "libold.so"
    old.write_bytes(b"\x7fELF")
    age(old)
    compute(tmp_path)
    assert whole.exists() and young.exists() and not old.exists()
