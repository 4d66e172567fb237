"""Each check on machines that are not here, and the real probe on this one."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from engine.hardware import ORDER, Check, HardwareReport, iter_checks, mac, mlx_facts, probe
from engine.hardware.command import run_command
from engine.hardware.machine import check_chip, check_python, device_name
from engine.hardware.mlx_facts import MlxFacts, check_blas, check_mlx, read_facts
from engine.hardware.project_checks import check_data, check_model, count_rows
from engine.hardware.session import check_power, check_terminal
from engine.hardware.storage import Memory, check_disk, check_memory, read_disk_free, read_memory
from engine.project import Project

import pytest

GB = 1_000_000_000

# What the tools print on a MacBook Pro, cut to a few lines.
IOREG = """+-o AGXAcceleratorG14X  <class AGXAcceleratorG14X, id 0x1000004a5, registered, matched, active>
    {
      "IOClass" = "AGXAcceleratorG14X"
      "gpu-core-count" = 19
      "model" = "Apple M2 Pro"
    }
"""
PMSET = """System-wide power settings:
Currently in use:
 standby              1
 Sleep On Power Button 1
 womp                 1
 powernap             1
 sleep                1 (sleep prevented by caffeinate)
 lowpowermode         {low}
 displaysleep         10
"""
PMSET_POWERMODE = """Currently in use:
 standby              1
 powermode            {mode}
 tcpkeepalive         1
"""


def answers(**outputs: str) -> Callable[[list[str]], str]:
    """Return a runner that answers by the last word of the command, else with nothing."""
    return lambda arguments: outputs.get(arguments[-1].replace(".", "_").replace("-", "_"), "")


M2_PRO = answers(machdep_cpu_brand_string="Apple M2 Pro\n", sysctl_proc_translated="0\n")


def m2_pro(arguments: list[str]) -> str:
    return IOREG if arguments[0] == "ioreg" else M2_PRO(arguments)


def pmset(output: str) -> Callable[[list[str]], str]:
    return lambda arguments: output if arguments == ["pmset", "-g"] else ""


def child(code: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


# --- chip and Python ---


def test_a_mac_names_its_chip_and_gpu_cores() -> None:
    """sysctl tells the chip, the I/O registry the cores."""
    assert device_name("Darwin", m2_pro) == "Apple M2 Pro, 19 GPU cores"


def test_a_mac_that_hides_its_cores_still_names_its_chip() -> None:
    """Virtual Macs have no such registry entry."""
    assert device_name("Darwin", M2_PRO) == "Apple M2 Pro"


def test_linux_names_the_processor(tmp_path: Path) -> None:
    """/proc/cpuinfo tells the model."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(
        "processor\t: 0\nmodel name\t: AMD EPYC 9R14\nprocessor\t: 1\nmodel name\t: AMD EPYC 9R14\n"
    )
    assert device_name("Linux", cpuinfo=cpuinfo, cores=2) == "AMD EPYC 9R14, 2 cores"
    assert device_name("Linux", cpuinfo=cpuinfo, cores=1) == "AMD EPYC 9R14, 1 core"


def test_a_processor_without_a_name_is_called_by_its_kind(tmp_path: Path) -> None:
    """64-bit ARM kernels list no model name."""
    assert device_name("Linux", cpuinfo=tmp_path / "none", cores=4).endswith(", 4 cores")


def test_apple_silicon_is_fine() -> None:
    """The chip MLX is made for."""
    assert check_chip("Apple M2 Pro", "Darwin", "arm64", m2_pro).status == "ok"


def test_an_intel_mac_is_refused() -> None:
    """There is no MLX for it."""
    found = check_chip("Intel(R) Core(TM) i7", "Darwin", "x86_64", answers())
    assert found.status == "error"
    assert "Intel Macs" in found.detail


def test_rosetta_is_told_from_an_intel_mac() -> None:
    """An Intel Python on Apple silicon is mended by another Python, not by another Mac."""
    found = check_chip("Apple M2", "Darwin", "x86_64", answers(sysctl_proc_translated="1\n"))
    assert found.status == "error"
    assert "Rosetta" in found.detail
    assert "arm64" in found.fix


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10, 14), "error"), ((3, 11, 0), "ok"), ((3, 13, 1), "ok"), ((4, 0, 0), "ok")]
)
def test_python_is_new_enough_from_3_11(version: tuple[int, ...], status: str) -> None:
    """The version is shown either way."""
    found = check_python(version)
    assert found.status == status
    assert found.value == ".".join(map(str, version))


# --- memory and disk ---


def test_memory_is_shown_in_both_units() -> None:
    """A Mac sold with 16 GB has 17.2 decimal ones; saying both avoids a riddle."""
    found = check_memory(Memory(17_179_869_184, 9_400_000_000, 0, 0))
    assert found.value == "17.2 GB (16 GiB), 9.4 GB free, no swap used"
    assert found.status == "ok"


@pytest.mark.parametrize(
    ("memory", "status"),
    [
        (Memory(16 * GB, 6 * GB, 0, 0), "ok"),
        (Memory(16 * GB, 6 * GB - 1, 0, 0), "warning"),
        (Memory(16 * GB, 4 * GB, 0, 2 * GB), "ok"),
        (Memory(16 * GB, 9 * GB, 2 * GB, 0), "ok"),
        (Memory(16 * GB, 9 * GB, 2 * GB + 1, 0), "warning"),
    ],
)
def test_short_memory_and_swapping_are_warned_of(memory: Memory, status: str) -> None:
    """What this process holds counts as free: the next run takes its place."""
    found = check_memory(memory)
    assert found.status == status
    assert bool(found.fix) == (status != "ok")


def test_no_more_than_all_memory_can_be_had() -> None:
    """Shared pages are counted twice by available and own memory."""
    assert Memory(8 * GB, 7 * GB, 0, 3 * GB).obtainable == 8 * GB


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    """Its file pages can be given back, so they are free."""
    (tmp_path / "memory.max").write_text("1000000000\n")
    (tmp_path / "memory.current").write_text("700000000\n")
    (tmp_path / "memory.stat").write_text("anon 300000000\nfile 400000000\n")
    found = read_memory(tmp_path)
    assert found.total == GB
    assert found.available == 700_000_000


@pytest.mark.parametrize("limit", ["max\n", "999999999999999999\n", ""])
def test_without_a_container_limit_the_machine_counts(tmp_path: Path, limit: str) -> None:
    """`max` means none."""
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("file 0\n")
    assert read_memory(tmp_path).total == read_memory(tmp_path / "none").total


@pytest.mark.parametrize(
    ("free", "needed", "status"),
    [
        (212 * GB, GB, "ok"),
        (5 * GB, GB, "ok"),
        (5 * GB - 1, GB, "warning"),
        (GB, GB, "warning"),
        (GB - 1, GB, "error"),
        (6 * GB, 7 * GB, "error"),
    ],
)
def test_disk_must_hold_one_run(free: int, needed: int, status: str) -> None:
    """Below what a run writes it is an error, below 5 GB a warning that names the advised 20 GB."""
    found = check_disk(free, needed)
    assert found.status == status
    assert ("20.0 GB" in found.fix) == (status != "ok")


def test_disk_is_measured_where_the_folder_will_be(tmp_path: Path) -> None:
    """The checkpoint folder need not exist yet."""
    assert read_disk_free(tmp_path / "not" / "yet") > 0


# --- power and terminal ---


@pytest.mark.parametrize(
    ("battery", "output", "status", "value"),
    [
        (None, "", "ok", "no battery"),
        ((71.0, False), PMSET.format(low=0), "warning", "battery 71 %"),
        ((71.4, True), PMSET.format(low=0), "ok", "plugged in, battery 71 %"),
        ((71.0, True), PMSET.format(low=1), "warning", "plugged in, battery 71 %"),
        ((100.0, True), PMSET_POWERMODE.format(mode=0), "ok", "plugged in, battery 100 %"),
        ((100.0, True), PMSET_POWERMODE.format(mode=1), "warning", "plugged in, battery 100 %"),
        ((100.0, True), PMSET_POWERMODE.format(mode=2), "ok", "plugged in, battery 100 %"),
        (None, PMSET.format(low=1), "warning", "no battery"),
    ],
)
def test_power_that_will_not_last_or_slows_down_is_warned_of(
    battery: tuple[float, bool] | None, output: str, status: str, value: str
) -> None:
    """On battery, or plugged in with Low Power Mode on (powermode 2 is the high one)."""
    found = check_power(battery, "Darwin", pmset(output))
    assert (found.status, found.value) == (status, value)


def test_pmset_is_not_asked_outside_macos() -> None:
    """A runner that is called fails this test."""

    def refuse(arguments: list[str]) -> str:
        raise AssertionError(arguments)

    assert check_power((50.0, True), "Linux", refuse).status == "ok"


@pytest.mark.parametrize(
    ("environment", "value"),
    [
        ({"TERM": "xterm-256color"}, "local, 80x24, 256 colours"),
        ({"TERM": "xterm-256color", "SSH_CONNECTION": "a b c d"}, "SSH, 80x24, 256 colours"),
        ({"TERM": "screen", "SSH_TTY": "/dev/pts/0"}, "SSH, 80x24, 16 colours"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "local, 80x24, 16 million colours"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "local, 80x24, no colours"),
        ({"TERM": "dumb"}, "local, 80x24, no colours"),
        ({}, "local, 80x24, no colours"),
    ],
)
def test_the_terminal_is_described(environment: dict[str, str], value: str) -> None:
    """Where it is, how large and how colourful."""
    found = check_terminal(environment, is_tty=True, size=(80, 24))
    assert (found.value, found.status) == (value, "ok")


@pytest.mark.parametrize("size", [(79, 24), (80, 23)])
def test_a_small_terminal_is_warned_of(size: tuple[int, int]) -> None:
    """The screens are made for 80x24."""
    assert check_terminal({"TERM": "xterm"}, is_tty=True, size=size).status == "warning"


def test_no_terminal_is_fine() -> None:
    """Scripts have none."""
    assert check_terminal({}, is_tty=False).status == "ok"


# --- MLX ---


def test_facts_of_the_child_are_read() -> None:
    """The last line of its output counts; libraries may print before."""
    facts = {"accelerator": "metal", "device": "Apple M2 Pro", "gpu_memory": 11 * GB}
    found = read_facts(child(f"print('a warning'); print({json.dumps(facts)!r})"))
    assert found == MlxFacts("metal", "Apple M2 Pro", 11 * GB)
    assert check_blas(found) is None
    checked = check_mlx(found)
    assert checked.status == "ok"
    assert checked.value.endswith("Metal, 11.0 GB")


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "instruction"),
        (
            "import os; os.write(2, b'no Metal device'); os.abort()",
            "SIGABRT; no Metal",
        ),
        ("import no_such_module", "not installed"),
        ("raise RuntimeError('driver too old')", "driver too old"),
        ("print('not JSON')", "not JSON"),
        ("print('[1]')", "does not start"),
        ("raise SystemExit(3)", "no message"),
    ],
)
def test_a_child_that_dies_becomes_an_error_with_advice(code: str, problem: str) -> None:
    """A crash of MLX must not be one of the app."""
    found = check_mlx(read_facts(child(code)))
    assert found.status == "error"
    assert problem in found.detail
    assert found.fix


def test_a_child_that_hangs_is_ended() -> None:
    """A GPU driver can block; the report says so and the child is gone."""
    hanging = child("import time; time.sleep(600)")
    found = read_facts(hanging, timeout=0.05)
    assert "did not answer" in found.problem
    assert hanging.returncode is not None


def test_what_the_child_prints_cannot_steer_the_terminal() -> None:
    """Control characters of an error message are made visible."""
    found = read_facts(child("raise RuntimeError('\\x1b[2J')"))
    assert "\x1b" not in found.problem


@pytest.mark.parametrize(
    ("facts", "status", "value"),
    [
        (MlxFacts(blas="OpenBLAS", gflops=245.4), "ok", "OpenBLAS, 245 GFLOP/s in float32"),
        (MlxFacts(blas="OpenBLAS", gflops=19.0), "warning", "OpenBLAS, 19 GFLOP/s in float32"),
        (
            MlxFacts(blas="reference BLAS", blas_problem="none found", blas_fix="install one", gflops=4.5),
            "warning",
            "reference BLAS, 4 GFLOP/s in float32",
        ),
    ],
)
def test_the_speed_of_the_blas_is_judged(facts: MlxFacts, status: str, value: str) -> None:
    """The figure is measured, so a slow OpenBLAS is seen too."""
    found = check_blas(facts)
    assert found is not None
    assert (found.status, found.value) == (status, value)


def test_a_missing_compiler_is_mentioned(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLX builds its CPU kernels with g++ at run time."""
    monkeypatch.setattr(mlx_facts, "has_compiler", lambda: False)
    assert check_mlx(MlxFacts(blas="OpenBLAS", gflops=200.0)).status == "warning"
    assert check_mlx(MlxFacts("metal", "Apple M2")).status == "ok"


def test_a_missing_mlx_lm_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLX alone loads no model."""
    monkeypatch.setattr(mlx_facts, "_version", lambda package: "0.32.4" if package == "mlx" else "")
    found = check_mlx(MlxFacts("cuda", "NVIDIA H100", 79 * GB))
    assert found.status == "error"
    assert found.value == "mlx 0.32.4, mlx-lm missing, CUDA, NVIDIA H100, 79.0 GB"


# --- model and data ---


def make_model(root: Path, bits: int | None = 4) -> Path:
    folder = root / "models" / "small-4bit"
    folder.mkdir(parents=True)
    sizes = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "vocab_size": 500,
    }
    quantization = {"quantization": {"bits": bits, "group_size": 64}} if bits else {}
    (folder / "config.json").write_text(json.dumps(sizes | quantization))
    (folder / "model.safetensors").write_bytes(b"\0" * 2_000_000)
    (folder / "tokenizer.json").write_text("{}")
    return folder


def make_data(root: Path, train: bytes | None, valid: bytes | None) -> None:
    (root / "data").mkdir(exist_ok=True)
    for name, content in (("train", train), ("valid", valid)):
        if content is not None:
            (root / "data" / f"{name}.jsonl").write_bytes(content)


def test_a_whole_model_is_described(tmp_path: Path) -> None:
    """Folder, bits and size of the weights."""
    make_model(tmp_path)
    found = check_model(Project(tmp_path))
    assert (found.value, found.status) == ("models/small-4bit, 4-bit, 2 MB", "ok")


def test_a_missing_model_points_to_the_demo(tmp_path: Path) -> None:
    """The way out needs no knowledge of model hubs."""
    found = check_model(Project(tmp_path))
    assert found.status == "error"
    assert "mqlora-tui demo" in found.fix


@pytest.mark.parametrize("lost", ["model.safetensors", "tokenizer.json"])
def test_an_incomplete_model_is_an_error(tmp_path: Path, lost: str) -> None:
    """The missing file is named."""
    (make_model(tmp_path) / lost).unlink()
    found = check_model(Project(tmp_path))
    assert found.status == "error"
    assert lost in found.detail


def test_a_missing_shard_is_an_error(tmp_path: Path) -> None:
    """The index tells which files belong to the model."""
    folder = make_model(tmp_path)
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    found = check_model(Project(tmp_path))
    assert found.status == "error"
    assert "model-00002-of-00002.safetensors" in found.detail
    assert "lacks model.safetensors" not in found.detail


def test_a_broken_model_description_is_an_error(tmp_path: Path) -> None:
    """It is shown as a check, not raised."""
    (make_model(tmp_path) / "config.json").write_text("{}")
    found = check_model(Project(tmp_path))
    assert found.status == "error"
    assert "config.json" in found.detail


def test_weights_that_are_not_quantised_are_warned_of(tmp_path: Path) -> None:
    """They train, but take four times the memory."""
    make_model(tmp_path, bits=None)
    found = check_model(Project(tmp_path))
    assert found.status == "warning"
    assert "not quantised" in found.value


def test_rows_are_counted_without_blank_lines(tmp_path: Path) -> None:
    """A last line without a line break is a row; line ends of Windows make none."""
    file = tmp_path / "rows"
    file.write_bytes(b'{"a": 1}\n\n  \r\n{"a": 2}\r\n\xff\xfe\n{"a": 3}')
    assert count_rows(file) == 4
    assert count_rows(tmp_path / "none") is None


def test_both_data_files_are_counted(tmp_path: Path) -> None:
    """The value names both."""
    make_data(tmp_path, b"{}\n" * 1850, b"{}\n" * 95)
    found = check_data(Project(tmp_path))
    assert (found.value, found.status) == ("1,850 train, 95 valid", "ok")


@pytest.mark.parametrize(
    ("train", "valid", "named"),
    [
        (None, b"{}\n", "train.jsonl does not exist"),
        (b"\n", b"{}\n", "train.jsonl has no rows"),
        (b"{}\n", None, "valid.jsonl does not exist"),
        (b"{}\n", b"", "valid.jsonl has no rows"),
    ],
)
def test_missing_or_empty_data_is_an_error(
    tmp_path: Path, train: bytes | None, valid: bytes | None, named: str
) -> None:
    """The first file that cannot be used is named with the way out."""
    make_data(tmp_path, train, valid)
    found = check_data(Project(tmp_path))
    assert found.status == "error"
    assert named in found.detail
    assert "mqlora-tui demo" in found.fix


# --- the whole ---


def test_the_runner_answers_with_nothing_where_a_tool_is_missing_or_fails() -> None:
    """Reading a report never raises because of a tool."""
    assert run_command(["no-such-tool-here"]) == ""
    assert run_command([sys.executable, "-c", "print('half'); raise SystemExit(1)"]) == ""
    assert run_command([sys.executable, "-c", "print('whole')"]) == "whole\n"


def test_mac_functions_survive_silence() -> None:
    """Every tool may be missing or forbidden."""
    silent = answers()
    assert mac.chip_name(silent) == ""
    assert mac.gpu_cores(silent) is None
    assert not mac.is_translated(silent)
    assert not mac.low_power_mode(silent)


def test_quick_checks_come_before_the_one_of_mlx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The screen can show all else while MLX starts; leaving early ends the child."""
    started: list[subprocess.Popen[str]] = []

    def hang() -> "subprocess.Popen[str]":
        started.append(child("import time; time.sleep(600)"))
        return started[0]

    monkeypatch.setattr("engine.hardware.mlx_facts.start_probe", hang)
    looking = iter_checks(Project(tmp_path))
    quick = [next(looking).id for _ in range(8)]
    looking.close()
    assert set(quick) == set(ORDER) - {"mlx", "blas"}
    assert started[0].returncode is not None


def test_a_dead_mlx_leaves_a_whole_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else is still reported, in the screen's order."""
    monkeypatch.setattr("engine.hardware.mlx_facts.start_probe", lambda: child("import os; os.abort()"))
    report = probe(Project(tmp_path))
    assert [check.id for check in report.checks] == [name for name in ORDER if name != "blas"]
    assert report.status == "error"
    assert report.memory_available <= report.memory_total


def test_the_real_machine_is_reported(tmp_path: Path) -> None:
    """MLX starts here in its child; model and data are what is missing."""
    report = probe(Project(tmp_path))
    errors = {check.id for check in report.checks if check.status == "error"}
    assert errors == {"model", "data"}
    assert report.accelerator in ("metal", "cuda", "cpu")
    assert (report.gpu_memory is None) == (report.accelerator == "cpu")


def test_the_worst_check_is_the_status() -> None:
    """An error outweighs a warning."""

    def status(*found: Check) -> str:
        return HardwareReport(found, 0, 0, 0, "cpu", "").status

    ok, warning, error = Check("a", "", "", "ok"), Check("b", "", "", "warning"), Check("c", "", "", "error")
    assert (status(), status(ok, warning), status(warning, error)) == ("ok", "warning", "error")


def test_importing_it_never_imports_mlx() -> None:
    """The app imports this before it knows whether MLX can start."""
    code = (
        "import sys, engine.hardware, engine.profiles, engine.memory; "
        "print([m for m in sys.modules if m.split('.')[0] in ('mlx', 'mlx_lm', 'numpy', 'textual', 'typer')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
