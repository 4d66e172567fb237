"""Who may import what: light modules stay light, and the BLAS comes before MLX."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("mlx", "mlx_lm", "transformers", "matplotlib")
APP = ("textual", "tui", "typer")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in ("engine", "tui")
    for path in (ROOT / package).rglob("*.py")
    if path.name != "__main__.py"
)
LIGHT = [
    "engine",
    "engine.chat",
    "engine.cluster.host_file",
    "engine.cluster.peer",
    "engine.cluster.speedup",
    "engine.config",
    "engine.dataset.inspect.check",
    "engine.evaluation.evaluator",
    "engine.evaluation.sentences",
    "engine.hardware.probe",
    "engine.memory.predict",
    "engine.model_folder.dimensions",
    "engine.model.demo",
    "engine.model_store.convert",
    "engine.model_store.inventory",
    "engine.profiles",
    "engine.project",
    "engine.receipt.compare",
    "engine.runs.changes",
    "engine.runs.differences",
    "engine.selftest.run",
    "engine.serve.child",
    "engine.serve.server",
    "engine.worker",
    "engine.training.check_hosts",
    "engine.training.events",
    "engine.training.state",
    "engine.analysis.charts",
    "engine.analysis.report",
    "tui.app.app",
    "tui.cli.main",
    "tui.app.run",
]


_WATCH = """
import sys
from importlib import import_module

class Heavy(ImportError):
    pass

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            blas = "after" if hasattr(sys.modules.get("engine.backend"), "BLAS") else "before"
            raise Heavy(f"{name} is imported {blas} the BLAS")
"""
"""Code of a child process, in which `sys.meta_path.insert(0, Watch())` forbids what is `HEAVY`."""


def told_by_a_process(code: str) -> list[str]:
    """Run Python in the checkout and return the lines it prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_light_modules_import_nothing_heavy() -> None:
    """Starting the app or reading a file must not wait for MLX."""
    code = f"""HEAVY = {HEAVY}
{_WATCH}
sys.meta_path.insert(0, Watch())
for name in {LIGHT}:
    try:
        import_module(name)
    except Heavy as error:
        print(f"{{name}}: {{error}}")
"""
    assert told_by_a_process(code) == []


def test_the_engine_never_imports_the_app() -> None:
    """The engine works where Textual is not installed."""
    engine = [module for module in MODULES if module.startswith("engine") and "mlx_probe" not in module]
    code = f"""HEAVY = {APP}
{_WATCH}
sys.meta_path.insert(0, Watch())
for name in {engine}:
    import_module(name)
print(len({engine}))
"""
    assert told_by_a_process(code) == [str(len(engine))]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="macOS brings its own fast BLAS")
def test_the_blas_is_loaded_before_mlx() -> None:
    """Whichever module is imported first: where MLX is asked for, `engine.backend` has loaded the BLAS.

    A tokenizer alone, which brings no MLX, may come before.
    """
    left_out = ("mlx_probe", "transformers_import")
    modules = [module for module in MODULES if module.startswith("engine") and not module.endswith(left_out)]
    code = f"""HEAVY = ("mlx", "mlx_lm", "transformers")
{_WATCH}
import engine.blas
engine.blas.load_blas()  # asks where MLX lies; later calls find the answer in its cache
sys.meta_path.insert(0, Watch())
reached = 0
for name in {modules}:
    for other in [loaded for loaded in sys.modules if loaded.startswith("engine.")]:
        if other != "engine.blas":
            del sys.modules[other]
    try:
        import_module(name)
    except Heavy as error:
        reached += 1
        if "after" not in str(error):
            print(f"{{name}}: {{error}}")
print(f"{{reached}} reached MLX")
"""
    *early, last = told_by_a_process(code)
    assert early == [] and int(last.split()[0]) > 25


def test_mlx_lm_is_imported_where_few_files_may_be_open() -> None:
    """It asks for more, and where these are not allowed it would fail."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); import engine.model.loading"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_pytorch_is_not_imported_for_a_tokenizer(tmp_path: Path) -> None:
    """Where it is installed, broken or not; what wants it afterwards still finds it."""
    package, facts = tmp_path / "torch", tmp_path / "torch-2.9.0.dist-info"
    package.mkdir()
    facts.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.9.0\n")
    code = (
        "import importlib.util, sys; import engine.transformers_import; "
        "assert 'torch' not in sys.modules and importlib.util.find_spec('torch')"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize(("name", "error"), [("LlamaConfig", ""), ("nothing_such", "cannot import name")])
def test_names_of_all_models_are_looked_for_when_somebody_asks(name: str, error: str) -> None:
    """transformers reads the 1,600 files of its models for them; single models are imported without."""
    code = f"""
import engine.transformers_import, sys
from transformers import LlamaConfig, AutoTokenizer
import transformers.models.gemma.configuration_gemma
assert type(sys.modules["transformers.models"]).__name__ == "module"
from transformers.models import llama, {name} as asked
assert asked is LlamaConfig is llama.LlamaConfig
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (not error) and error in done.stderr
