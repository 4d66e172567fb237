"""Several processes train as one: rows divided, messages that may be anything, sums, one run of two."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine.cluster import channel as channels
from engine.cluster.channel import CLOSED, LONGEST, Channel
from engine.cluster.collective import free_ports
from engine.cluster.peer import _environment
from engine.cluster.world import local_world
from engine.dataset.batches.divide import divide
from engine.errors import UserError
from engine.training.introduction import RunMessage
from engine.training.setup import shapes_for
from engine.training.state import RunState
from engine.training.step_rows import StepRows, random_key
from tests.support.ranks import train_together
from tests.support.steps import some_examples
from tests.support.tiny import RUN, metrics_rows, tiny_project, train

import pytest
from hypothesis import given
from hypothesis import strategies as st

_TOKENS = st.lists(st.integers(1, 1000), max_size=40)
_SPEEDS = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=6)


@given(_TOKENS, _SPEEDS)
def test_every_row_has_one_process(tokens: list[int], speeds: list[float]) -> None:
    """None is lost or twice there, each share is in order, and the same rows are divided alike."""
    shares = divide(tokens, speeds)
    assert sorted(row for share in shares for row in share) == list(range(len(tokens)))
    assert len(shares) == len(speeds) and all(share == sorted(share) for share in shares)
    assert shares == divide(list(tokens), list(speeds))


@given(_TOKENS, st.integers(1, 6))
def test_equal_processes_are_done_within_graham_s_bound(tokens: list[int], count: int) -> None:
    """The one that takes longest takes 4/3 of the best there could be at most."""
    shares = divide(tokens, [1.0] * count)
    longest = max(sum(tokens[row] for row in share) for share in shares)
    rising = sorted(tokens, reverse=True)
    pair = rising[count - 1] + rising[count] if len(rising) > count else 0
    best = max(sum(tokens) / count, max(tokens, default=0), pair)
    assert longest <= 4 / 3 * best + 1


def test_a_faster_process_has_more_rows() -> None:
    """Three times as fast: three quarters of the tokens; one a thousand times as slow: none of four rows."""
    shares = divide([10] * 40, [3.0, 1.0])
    assert [len(share) for share in shares] == [30, 10]
    assert divide([10] * 4, [1.0, 0.001])[1] == []


@pytest.mark.parametrize("speeds", [(1.0,), (1.0, 1.0), (3.0, 1.0), (1.0,) * 7])
def test_a_step_has_the_same_rows_whoever_computes_them(speeds: tuple[float, ...]) -> None:
    """Tokens of each step are one process's, also with more processes than rows and in the last step."""
    examples = some_examples(22)
    alone, shared = (
        StepRows(examples, shapes_for(examples, [], RUN, speeds=s), RUN, s) for s in ((1.0,), speeds)
    )
    for number in range(1, 13):
        [whole], shares = alone.shares(number), shared.shares(number)
        assert len(shares) == len(speeds)
        for name in ("real_tokens", "trained_tokens"):
            together = sum(getattr(batch, name) for share in shares for batch in share)
            assert together == sum(getattr(batch, name) for batch in whole)


def test_processes_and_steps_draw_different_numbers() -> None:
    """And the same ones every time."""
    keys = {random_key(5, number, rank) for number in range(50) for rank in range(4)}
    assert len(keys) == 200 and random_key(5, 3, 1) in keys


# Messages


@pytest.fixture
def pipes() -> Iterator[tuple[Any, Any]]:
    """A channel, and what writes to it from the other side."""
    reading, writing = os.pipe()
    other = os.fdopen(writing, "wb", 0)
    channel = Channel(os.fdopen(reading, "rb"), io.BytesIO())
    yield channel, other
    other.close()
    channel.close()


def test_messages_come_in_order_and_then_the_end(pipes: tuple[Any, Any]) -> None:
    """Signs of life are none of them; the last words are kept, whoever reads first."""
    channel, other = pipes
    other.write(b'{"kind":"a"}\n{"kind":"beat","phase":"sum"}\n{"kind":"failed","problem":"b"}\n')
    assert channel.receive(10) == {"kind": "a"}
    other.close()
    assert channel.last_words(10)["problem"] == "b" and channel.their_phase == "sum"
    assert channel.receive(10)["kind"] == "failed"
    assert channel.receive(10) is CLOSED and channel.receive(10) is CLOSED and channel.is_closed


@pytest.mark.parametrize(
    "line",
    [b"\xff\xfe\n", b"[]\n", b"7\n", b"{\n", b"null\n", b"[" * 100_000 + b"\n", b'{"kind":"a"}'],
    ids=["no text", "list", "number", "half", "null", "deep", "torn"],
)
def test_what_is_no_message_ends_the_channel(pipes: tuple[Any, Any], line: bytes) -> None:
    """A reader is told of the end, and nothing else."""
    channel, other = pipes
    other.write(line)
    if not line.endswith(b"\n"):
        other.close()
    assert channel.receive(10) is CLOSED and channel.is_closed
    assert channel.noise == line[:200].decode(errors="replace")  # kept to be shown


def test_a_line_without_end_is_not_kept() -> None:
    """Memory is bounded: it ends the channel at its longest."""
    channel = Channel(io.BytesIO(b" " * (LONGEST + 10)), io.BytesIO())
    assert channel.receive(10) is CLOSED


def test_sending_to_one_that_is_gone_closes_the_channel() -> None:
    """Nothing is raised: whoever watches finds out."""
    reading, writing = os.pipe()
    os.close(reading)
    silent, kept_open = os.pipe()
    channel = Channel(os.fdopen(silent, "rb"), os.fdopen(writing, "wb", 0))
    channel.send("a")
    assert channel.is_closed
    os.close(kept_open)


def test_on_another_machine_an_unplugged_owner_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It closes nothing: its silence has to do."""
    channel: Any = SimpleNamespace(is_closed=False, silence=60.0)

    def leave(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.2 50000 10.0.0.3 22")
    monkeypatch.setattr("os._exit", leave)
    with pytest.raises(SystemExit):
        channels._end_with_owner(channel)


def test_on_its_own_machine_a_stopped_owner_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where who trains is logged in there by ssh."""
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.2 50000 10.0.0.3 22")
    assert "SSH_CONNECTION" not in _environment(local_world(2, "ring"), 1)


MESSAGE: dict[str, Any] = {
    "kind": "run", "rank": 1, "project": "/p", "addresses": ["127.0.0.1"], "speeds": [1.0, 1.0],
    "sharing_memory": 2, "divisor": 1, "config": {}, "prints": {}, "versions": {}, "is_resumed": False,
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"rank": 0}, {"rank": 10**9}, {"speeds": [0.0, 1.0]}, {"speeds": []}, {"divisor": 0},
        {"addresses": ["a"] * 9}, {"addresses": "127.0.0.1"}, {"config": []}, {"prints": {"data": 1}},
        {"project": "p" * 5000}, {"sharing_memory": 0}, {"speeds": [float("nan"), 1.0]},
    ],
)  # fmt: skip
def test_a_message_that_is_not_the_owner_s_is_refused(change: dict[str, Any]) -> None:
    """In a sentence, before anything of it is used."""
    assert RunMessage.parse(MESSAGE).rank == 1
    with pytest.raises(UserError, match="cannot be read; use the same version"):
        RunMessage.parse(MESSAGE | change)


# Sums and a run, by real processes

_SHARE = """
import json, sys
import numpy as np
from engine.backend import mx
from engine.cluster.collective import Ring
rank, ports = int(sys.argv[1]), json.loads(sys.argv[2])
ring = Ring("ring", rank, ports)
numbers = np.array([-0.0, np.nan, np.inf, -np.inf, 1e-45, 1.0], np.float32)
odd = np.array([0x7FC00001, 0xFFFFFFFF, 0x80000000], np.uint32)
arrays = {
    "floats": mx.array(numbers), "payloads": mx.array(odd).view(mx.float32),
    "half": mx.array(numbers).astype(mx.float16), "brain": mx.array(numbers).astype(mx.bfloat16),
    "bytes": mx.array([255, 0, 128], mx.uint8), "long": mx.array([2**63 - 1, -2**63], mx.int64),
    "truth": mx.array([True, False]), "scalar": mx.array(7, mx.uint64), "grid": mx.arange(6.0).reshape(2, 3),
    "empty": mx.zeros((0, 3)),
}
if rank:
    arrays = {name: mx.ones_like(array) for name, array in arrays.items()}
shared = ring.share(arrays)
as_bytes = lambda a: np.array(a.reshape(-1).view(mx.uint8)).tobytes().hex() if a.size else ""
total = ring.sum(mx.array([1.0 + rank, 0.1]))
told = lambda arrays: {n: [as_bytes(a), str(a.dtype), list(a.shape)] for n, a in arrays.items()}
print(json.dumps([told(shared), as_bytes(total)]))
if rank == 0:
    print(json.dumps(told(arrays)))
"""


def test_arrays_are_shared_bit_for_bit() -> None:
    """Minus zero, what is no number with what it carries, all kinds of numbers; a sum has equal bytes."""
    ports = json.dumps([free_ports(["127.0.0.1"]), free_ports(["127.0.0.1"])])
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    processes = [
        subprocess.Popen([sys.executable, "-c", _SHARE, str(rank), ports], stdout=subprocess.PIPE, env=paths)
        for rank in range(2)
    ]
    first, second = (process.communicate()[0].splitlines() for process in processes)
    shared, own = json.loads(first[0]), json.loads(first[1])
    assert shared == json.loads(second[0]) and shared[0] == own
    assert own["floats"][0].startswith("00000080")  # minus zero


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """Losses of steps and validations to rounding; how many train is in the events and in the state."""
    config = RUN.updated({"num_epochs": 1})
    together, alone = tiny_project(tmp_path / "two"), tiny_project(tmp_path / "one")
    told = train_together(together, config, "--ranks", "2")
    assert told.refusal == "" and told.last == "finished"
    train(alone, config)
    rows, wanted = metrics_rows(together), metrics_rows(alone)
    for row, other in zip(rows, wanted, strict=True):
        assert row["loss"] == pytest.approx(other["loss"], abs=1e-5) and row["tokens"] == other["tokens"]
        assert row["val_loss"] == (other["val_loss"] and pytest.approx(other["val_loss"], abs=1e-5))
    [started] = [event for event in told.events if event["event"] == "started"]
    state = RunState.load(together.state_file)
    assert started["ranks"] == 2 and state is not None and state.ranks == 2
    assert not together.log_file.exists()
