"""Who may import what: light modules stay light, and the BLAS comes before MLX."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("mlx", "mlx_lm", "transformers", "matplotlib")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in ("engine", "tui")
    for path in (ROOT / package).rglob("*.py")
    if path.name != "__main__.py"
)
LIGHT = [
    "engine",
    "engine.chat",
    "engine.config",
    "engine.dataset.check",
    "engine.hardware.probe",
    "engine.memory",
    "engine.model_shape",
    "engine.model.demo",
    "engine.profiles",
    "engine.project",
    "engine.thread",
    "engine.training.events",
    "engine.training.state",
    "engine.analysis.charts",
    "engine.analysis.report",
    "tui.app",
    "tui.cli",
    "tui.run",
]


def run(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_imports_nothing_heavy(module: str) -> None:
    """Starting the app or reading a file must not wait for MLX."""
    found = run(f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])")
    assert found.strip() == "[]"


def test_the_engine_never_imports_the_app() -> None:
    """The engine works where Textual is not installed."""
    engine = [module for module in MODULES if module.startswith("engine") and "mlx_probe" not in module]
    loaded = "[m for m in ('textual', 'tui', 'typer') if m in sys.modules]"
    found = run(f"import sys, {', '.join(engine)}; print({loaded})")
    assert found.strip() == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="macOS brings its own fast BLAS")
@pytest.mark.parametrize(
    "module", [m for m in MODULES if m.startswith(("engine.model.", "engine.training."))]
)
def test_the_blas_is_loaded_before_mlx(module: str) -> None:
    """Whichever heavy module is imported first, float32 products are fast."""
    said = "import engine.backend; print(engine.backend.BLAS.problem)"
    assert "before" not in run(f"import {module}, sys\nif 'mlx.core' in sys.modules: {said}")
