"""The process in which atheris (libFuzzer) looks for inputs that reach new code of `engine.dataset`.

Started by `tests.campaigns.fuzz_data`, with the folder for crashes and then libFuzzer's own arguments.
"""

import contextlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["engine.dataset", "engine.sanitize"]):
    from tests.campaigns.fuzz_target import Target


def main() -> None:
    """Fuzz until libFuzzer ends the process."""
    target = Target(Path(sys.argv.pop(1)))

    def one_input(content: bytes) -> None:
        with contextlib.suppress(Exception):  # it is kept, and the search goes on
            target(content)

    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
