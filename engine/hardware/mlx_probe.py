"""Child process that looks at MLX and prints what it found as one line of JSON.

MLX can end a process that has no usable device (an abort without Metal, an
illegal instruction on an old processor), so it is never tried in the app.
"""

import json
import platform
from typing import Any


def look() -> dict[str, Any]:
    """Return the fields of `engine.hardware.mlx_facts.MlxFacts`."""
    from engine.backend import BLAS, is_cpu, measure_gflops, mx

    info = mx.device_info()
    facts: dict[str, Any] = {"device": str(info.get("device_name", ""))}
    if is_cpu():
        facts["accelerator"] = "cpu"
        if platform.system() == "Linux":
            facts |= {
                "blas": BLAS.name,
                "blas_problem": "" if BLAS.loaded else BLAS.problem,
                "blas_fix": BLAS.fix,
                "gflops": measure_gflops(),
            }
    elif mx.metal.is_available():
        facts |= {"accelerator": "metal", "gpu_memory": info["max_recommended_working_set_size"]}
    else:
        facts |= {"accelerator": "cuda", "gpu_memory": info.get("free_memory") or info.get("total_memory")}
    return facts


if __name__ == "__main__":
    print(json.dumps(look()), flush=True)
