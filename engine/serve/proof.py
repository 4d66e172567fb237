"""That what is served is the tuned model: log-probabilities from outside, beside those computed here.

A reply may look fine although it is the base model's, or its prompt another one than was trained.
Numbers do not: the same prompt through the server and through this program's own way gives the
same log-probabilities, and without the adapter others.
"""

import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.jsonl.turns import Message
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.serve.port import ADDRESS

import numpy as np
from numpy.typing import NDArray

TOKENS = 8
"""Of a reply that are compared, at most."""
MOST_PROMPTS = 8
"""That are tried until one shows the adapter."""
_ROWS = 200
"""Of a data file that are looked at for prompts."""
_LONGEST = 2000
"""Characters of a prompt."""
_TIMEOUT_S = 600.0
_USUAL: list[Message] = [{"role": "user", "content": "What is the capital of Portugal?"}]

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Expected:
    """What this program's own way makes of a prompt."""

    messages: list[Message]
    ours: Scores
    """Log-probabilities of all tokens after the prompt and each token of `reply`, shape (n, vocabulary)."""
    base: Scores
    """The same without the adapter; those of `ours` where there is none."""
    reply: list[int]
    """The n likeliest tokens, one after the other."""

    @property
    def shift(self) -> float:
        """Largest difference that the adapter makes to the log-probability of a token of `reply`."""
        places = np.arange(len(self.reply))
        return float(np.abs(self.ours[places, self.reply] - self.base[places, self.reply]).max())


@dataclass(frozen=True)
class Proof:
    """How the served model compares."""

    difference: float
    """Largest difference to the log-probabilities computed here."""
    shift: float | None
    """Largest difference that the adapter makes to the same; None where the base model is served."""
    tolerance: float
    """Largest difference that counts as none."""
    tokens: int
    """That were compared."""

    @property
    def shows_adapter(self) -> bool:
        """Whether what the adapter makes of these prompts can be told from what the base model does."""
        return self.shift is not None and is_measurable(self.shift, self.tolerance)


def is_measurable(shift: float, tolerance: float) -> bool:
    """Whether a difference is so large that no served model could be near both sides of it."""
    return shift > 2 * tolerance


def prompts(project: Project) -> list[list[Message]]:
    """Return the beginnings of the first short conversations of the data, to the first answer."""
    for path in (project.valid_file, project.train_file):
        try:
            rows = [row for row in islice(read_rows(path), _ROWS) if isinstance(row, Row)]
        except (UserError, OSError):
            continue
        if found := [asked for row in rows if (asked := _asked(row))]:
            return found[:MOST_PROMPTS]
    return [_USUAL]


def _asked(row: Row) -> list[Message]:
    roles = [turn["role"] for turn in row.messages]
    if row.tools or "assistant" not in roles or roles[0] not in ("system", "user"):
        return []
    asked = [*row.messages[: roles.index("assistant")]]
    is_short = sum(len(turn["content"]) for turn in asked) <= _LONGEST
    is_plain = all(turn["role"] in ("system", "user") for turn in asked)
    return asked if is_short and is_plain else []


def prove(expected: Sequence[Expected], port: int, key: str, has_adapter: bool, tolerance: float) -> Proof:
    """Ask the server what this program has computed, and compare.

    Args:
        expected: of one prompt or several.
        port: of the server on `ADDRESS`.
        key: lets a request through that is no client's.
        has_adapter: whether the tuned model is served.
        tolerance: largest difference that counts as none.

    Raises:
        UserError: it answers otherwise.
    """
    difference, tokens = 0.0, 0
    for each in expected:
        served = _ask(each, port, key)
        for place, (token, score) in enumerate(served[: len(each.reply)]):
            difference = max(difference, abs(score - float(each.ours[place, token])))
            tokens += 1
            if token != each.reply[place]:  # as likely: from here on the two read different texts
                break
    shift = max(each.shift for each in expected) if has_adapter else None
    if not tokens or not difference <= tolerance:
        raise UserError(
            _("The server answers otherwise than this program: a log-probability differs by {n:.3f}").format(
                n=difference
            ),
            _("chat without it: mqlora-tui chat"),
        )
    return Proof(difference, shift, tolerance, tokens)


def _ask(expected: Expected, port: int, key: str) -> list[tuple[int, float]]:
    """Return the likeliest tokens of a reply with their log-probabilities."""
    asked = {"messages": expected.messages, "max_tokens": len(expected.reply), "logprobs": True}
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=_TIMEOUT_S)
    try:
        headers = {"Content-Type": "application/json", KEY_HEADER: key}
        connection.request("POST", "/v1/chat/completions", json.dumps({**asked, "temperature": 0.0}), headers)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        found = answer["choices"][0]["logprobs"]["content"]
        return [(int(one["id"]), float(one["logprob"])) for one in found]
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        raise UserError(
            _("The server gave no log-probabilities, so nothing proves which model it serves"),
            _("chat without it: mqlora-tui chat"),
        ) from None
    finally:
        connection.close()


KEY_HEADER = "X-Proof"
"""Header of a request that is answered before the proof is there."""
