"""Weights & Biases: a run on this disk, which its user may send later with `wandb sync`."""

import os

from engine.trackers.library import RunInfo, StepsOnce

_OFFLINE = "offline"


class WeightsAndBiases(StepsOnce):
    """One offline run a session, all with the number of the run, which the service joins."""

    def __init__(self, info: RunInfo, first: int) -> None:
        _stay_in(info)
        import wandb  # reads its environment when it is imported

        self._wandb = wandb
        quiet = wandb.Settings(
            silent=True,
            console="off",
            host="",
            disable_code=True,
            disable_git=True,
            disable_job_creation=True,
            save_code=False,
            x_disable_machine_info=True,
            x_disable_meta=True,
            x_disable_stats=True,
        )
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "mqlora-tui"),
            id=info.run,
            name=f"{info.project}-{info.run[:8]}",
            config=info.config,
            resume="allow",
            settings=quiet,
        )

    def close(self, is_finished: bool) -> None:
        """End the session; a run that is not finished may go on."""
        self._run.finish(exit_code=0)
        self._wandb.teardown()


def _stay_in(info: RunInfo) -> None:
    """Keep the library off the network and the home folder, unless its user chose a mode."""
    folder = str(info.folder)
    if "WANDB_MODE" not in os.environ:
        os.environ |= {"WANDB_MODE": _OFFLINE, "WANDB_CONFIG_DIR": f"{folder}/config"}
    os.environ |= {
        "WANDB_DIR": folder,
        "WANDB_CACHE_DIR": f"{folder}/cache",
        "WANDB_DATA_DIR": f"{folder}/data",
        "WANDB_ARTIFACT_DIR": f"{folder}/artifacts",
        "WANDB_ERROR_REPORTING": "false",
    }
