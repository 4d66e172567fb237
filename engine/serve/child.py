"""Child process that serves a model to other programs of this machine.

    python -m engine.serve.child ORDER      (ORDER: a JSON object, see `engine.serve.server`)

It prints one JSON object a line: `{"phase": ...}` as it goes on, `{"ready": ...}` with the proof,
`{"request": ...}` for each request that was answered, and `{"refused": [problem, fix]}` where it cannot
begin or go on. It ends with its standard input.
"""

import json
import logging
import os
import secrets
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.child_process import answer, end_with_parent
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line
from engine.serve.port import ADDRESS, listen

_said = threading.Lock()


def main() -> None:
    """Serve what the command line names."""
    end_with_parent()
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    logging.disable(logging.CRITICAL)  # it quotes what clients send
    try:
        _serve(**json.loads(sys.argv[1]))
    except UserError as error:
        _say(refused=[error.problem, error.fix])
    except Exception as defect:  # nobody reads this process's error output: its parent tells it
        reason = one_line(f"{type(defect).__name__}: {defect}", 300)
        problem = _("Something unexpected happened ({reason})").format(reason=reason)
        _say(refused=[problem, _("see if the machine is fine with: mqlora-tui check")])
    os._exit(1)  # whatever threads still do


def _serve(root: str, model: str, adapter: str, name: str, port: int) -> None:
    """Serve until this process ends.

    Args:
        root: of the project.
        model: name of the base model.
        adapter: folder of the adapter; empty serves the base model.
        name: of what is served.
        port: on `ADDRESS`.

    Raises:
        UserError: it cannot begin or go on.
    """
    listening = listen(port)
    _say(phase="loading")
    # Only now: they import MLX, and huggingface_hub reads once whether it may use the network.
    from engine.serve.handler import Server
    from engine.serve.proof import prompts, prove
    from engine.serve.served_model import Generator, ServedModel

    project = Project(Path(root))
    served = ServedModel(project.model_dir(model), Path(adapter) if adapter else None, prompts(project))
    generator = Generator(served)
    expected = served.expected.result()
    _say(phase="proving")
    server = Server(listening, served, generator, name, secrets.token_hex(), _tell)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    proof = prove(expected, port, server.key, bool(adapter), served.tolerance)
    server.key = ""
    figures = asdict(proof) | {"shows_adapter": proof.shows_adapter}
    _say(ready={"model": name, "address": ADDRESS, "port": port, "proof": figures})
    generator.join()
    raise UserError(
        _("The model broke off while it answered: {reason}").format(reason=one_line(generator.broke, 200)),
        _("start it again, with less memory in use by other programs"),
    )


def _tell(method: str, path: str, status: int) -> None:
    _say(request={"method": method, "path": path, "status": status})


def _say(**message: Any) -> None:
    """Answer from any thread, a whole line at a time."""
    with _said:
        answer(**message)


if __name__ == "__main__":
    main()
