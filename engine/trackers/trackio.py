"""trackio: a SQLite file, which its own dashboard draws."""

import os

from engine.trackers.library import RunInfo, StepsOnce

_PROJECT = "mqlora-tui"


class Trackio(StepsOnce):
    """One run in all its sessions, by its name."""

    def __init__(self, info: RunInfo, first: int) -> None:
        os.environ |= {"TRACKIO_DIR": str(info.folder), "HF_HUB_DISABLE_TELEMETRY": "1"}
        import trackio  # reads its environment when it is imported

        self._run = trackio.init(
            project=_PROJECT,
            name=f"{info.project}-{info.run[:8]}",
            config=info.config,
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def close(self, is_finished: bool) -> None:
        """End the session."""
        self._run.finish()
