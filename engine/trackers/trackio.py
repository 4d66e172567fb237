"""trackio: a SQLite file, which its own dashboard draws."""

import os
from typing import Any, ClassVar

from engine.trackers.library import Row, RunInfo, figures

_PROJECT = "mqlora-tui"


class Trackio:
    """One run in all its sessions, by its name."""

    can_replace: ClassVar[bool] = False

    def __init__(self, info: RunInfo, first: int) -> None:
        os.environ |= {"TRACKIO_DIR": str(info.folder), "HF_HUB_DISABLE_TELEMETRY": "1"}
        import trackio  # reads its environment when it is imported

        self._run: Any = trackio.init(
            project=_PROJECT,
            name=f"{info.project}-{info.run[:8]}",
            config=info.config,
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, row: Row) -> None:
        """Take one step."""
        self._run.log(figures(row), step=row["step"])

    def rewind(self, step: int) -> None:
        """Never called: a step that was taken stays."""
        raise NotImplementedError(step)

    def flush(self) -> None:
        """Nothing: a thread of its own writes twice a second."""

    def close(self, is_finished: bool) -> None:
        """End the session."""
        self._run.finish()
