"""Each check of the machine itself, on machines that are not here."""

import sys
from collections.abc import Callable
from pathlib import Path

from engine.hardware import mac
from engine.hardware.command import run_command
from engine.hardware.machine import check_chip, check_python, device_name
from engine.hardware.storage import Memory, check_disk, check_memory, is_writable, read_disk_free, read_memory
from engine.hardware.terminal import check_terminal

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


def answers(**outputs: str) -> Callable[[list[str]], str]:
    """Return a runner that answers by the last word of the command, else with nothing."""
    return lambda arguments: outputs.get(arguments[-1].replace(".", "_").replace("-", "_"), "")


M2_PRO = answers(machdep_cpu_brand_string="Apple M2 Pro\n", sysctl_proc_translated="0\n")


def m2_pro(arguments: list[str]) -> str:
    return IOREG if arguments[0] == "ioreg" else M2_PRO(arguments)


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
    found = check_disk(Path("/p"), free, needed, can_write=True)
    assert found.status == status
    assert ("20.0 GB" in found.fix) == (status != "ok")
    assert ("/p" in found.detail) == (status == "ok"), "the header has no room for a long path"


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """However much room there is; what is not there yet can be made where it will be."""
    in_the_way = tmp_path / "checkpoints_qlora"
    assert is_writable(in_the_way)
    in_the_way.touch()
    found = check_disk(tmp_path, 212 * GB, GB, is_writable(in_the_way))
    assert found.status == "error" and f"Nothing can be written in {tmp_path}" in found.detail


def test_disk_is_measured_where_the_folder_will_be(tmp_path: Path) -> None:
    """The checkpoint folder need not exist yet."""
    assert read_disk_free(tmp_path / "not" / "yet") > 0


# --- terminal ---


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


@pytest.mark.parametrize(("said", "status"), [("0\n", "warning"), ("1\n", "ok"), ("", "ok")])
def test_a_tmux_without_utf8_is_warned_of(said: str, status: str) -> None:
    """It draws signs as underscores, those of good and bad too."""
    environment = {"TERM": "screen", "TMUX": "/tmp/tmux,1,0"}
    assert check_terminal(environment, is_tty=True, size=(80, 24), run=lambda _command: said).status == status


def test_no_terminal_is_fine() -> None:
    """Scripts have none."""
    assert check_terminal({}, is_tty=False).status == "ok"


# --- the tools ---


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
    assert not mac.display_is_on(silent)
    assert not mac.lid_is_closed(silent)
