"""How quick the app is: first paint, event-loop lag while training, bytes sent to the terminal.

    python -m benchmarks.app DIR      DIR: a project with a base model and data; it is copied, not touched

First paint is the time from starting the process to the screen's title on a real
pty. Lag is how late a 10 ms timer of the app's event loop fires while a real run
trains on the engine's thread.
"""

import asyncio
import os
import pty
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from engine.project import Project

STARTS = 7
LAG_SECONDS = 45.0
TICK = 0.01


def first_paint(root: Path) -> float:
    """Return the seconds from start to the first picture of the hardware screen."""
    begin = time.perf_counter()
    pid, master = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-m", "tui", "-C", str(root)])
    seen = b""
    while b"Hardware" not in seen:
        seen += os.read(master, 65536)
    seconds = time.perf_counter() - begin
    os.kill(pid, 15)
    try:
        while os.read(master, 65536):
            pass
    except OSError:
        pass
    os.waitpid(pid, 0)
    return seconds


async def training_lag(root: Path) -> list[float]:
    """Return how late each tick came, in seconds, while the app trains and shows its plot."""
    from tui.app.app import MqloraApp

    app = MqloraApp(Project(root))
    late = []
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("4")
        await asyncio.sleep(5)
        await pilot.press("enter")
        while not app.training.status().step:
            await asyncio.sleep(0.1)
        end = time.perf_counter() + LAG_SECONDS
        while time.perf_counter() < end:
            due = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            late.append(time.perf_counter() - due)
        app.training.pause()
        await app.training.wait()
    app.engine.close()
    return late


def percentile(values: list[float], share: float) -> float:
    """Return the value below which `share` of all values lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    """Measure on a copy of the project and print."""
    source = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(source / "data", root / "data")
        (root / "models").symlink_to(source / "models")
        paints = [first_paint(root) for _ in range(STARTS)]
        print(f"first paint: median {statistics.median(paints):.2f} s, best {min(paints):.2f} s of {STARTS}")
        late = asyncio.run(training_lag(root))
    ticks = f"{len(late)} ticks in {LAG_SECONDS:.0f} s"
    figures = "  ".join(f"{name} {1000 * percentile(late, share):.1f} ms" for name, share in
                        (("median", 0.5), ("p99", 0.99), ("worst", 1.0)))  # fmt: skip
    print(f"event-loop lag while training: {figures}  ({ticks})")


if __name__ == "__main__":
    main()
