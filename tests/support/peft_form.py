"""An adapter of ours written as PEFT writes one, by NumPy alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def as_peft(source: Path, folder: Path, **changes: Any) -> Path:
    """Write the adapter in `source`, of mlx-lm's form, into `folder` in PEFT's, and return that."""
    parameters = json.loads((source / CONFIG).read_text())["lora_parameters"]
    weights = {}
    for name, array in load_file(source / "adapters.safetensors").items():
        path, _dot, which = name.rpartition(".lora_")
        weights[f"base_model.model.{path}.lora_{which.upper()}.weight"] = np.ascontiguousarray(array.T)
    folder.mkdir(parents=True)
    save_file(weights, folder / WEIGHTS)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": parameters["rank"],
        "lora_alpha": parameters["scale"] * parameters["rank"],
        "target_modules": sorted({key.rpartition(".")[2] for key in parameters["keys"]}),
        "bias": "none",
    }
    (folder / CONFIG).write_text(json.dumps(config | changes))
    return folder
