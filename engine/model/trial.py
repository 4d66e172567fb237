"""Child process that loads a base model without its numbers, gives it an adapter, and loads its tokenizer.

    python -m engine.model.trial FOLDER CONFIG      (CONFIG: a configuration as JSON)

It prints one JSON object a line: `{"began": true}` once MLX is there, and at the end
`{"loads": true}` or `{"refused": [problem, fix]}`, see `engine.model_folder.trial`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.model_tokens import example_tokenizer
from engine.errors import UserError
from engine.model.adapter import attach_adapter
from engine.model.loading import open_model


def main() -> None:
    """Try what the command line names and print the answer."""
    _tell(began=True)
    try:
        folder = Path(sys.argv[1])
        model, _settings = open_model(folder)
        config = TrainingConfig.parse(json.loads(sys.argv[2]))
        attach_adapter(model, config)
        example_tokenizer(folder, config)
        _tell(loads=True)
    except UserError as error:
        _tell(refused=[error.problem, error.fix])


def _tell(**message: Any) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
