"""Child process that loads a base model's tokenizer and the model without its numbers, and adapts it.

    python -m engine.model.trial_child FOLDER CONFIG      (CONFIG: a configuration as JSON)

It prints one JSON object a line: `{"began": true}` once MLX is there, and at the end
`{"loads": true, "warnings": [[problem, fix], ...]}` or `{"refused": [problem, fix]}`, see
`engine.model_folder.trial`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from engine.child_process import answer, end_with_parent
from engine.config import TrainingConfig
from engine.dataset.inspect.model_tokens import example_tokenizer, stop_faults
from engine.errors import UserError
from engine.model.adapter import attach_adapter
from engine.model.loading import open_model


def main() -> None:
    """Try what the command line names and print the answer."""
    end_with_parent()
    answer(began=True)
    answer(**try_model(Path(sys.argv[1]), TrainingConfig.parse(json.loads(sys.argv[2]))))
    os._exit(0)  # all is said: the threads of MLX and of the tokenizer have nothing to bring to an end


def try_model(folder: Path, config: TrainingConfig) -> dict[str, Any]:
    """Load a model's tokenizer, open the model and give it an adapter; return the answer."""
    try:
        # The tokenizer first, as in training: of two faults both tell the same.
        tokenize = example_tokenizer(folder, config)
        attach_adapter(open_model(folder), config)
    except UserError as error:
        return {"refused": [error.problem, error.fix]}
    warnings = [fault for fault in stop_faults(folder, tokenize) if fault.severity == "warning"]
    return {"loads": True, "warnings": [[fault.message, fault.fix] for fault in warnings]}


if __name__ == "__main__":
    main()
