"""What is served is the trained model: the same numbers as mlx-lm's own loading gives, and no other model."""

import http.client
import json
import threading
from collections.abc import Generator as Yields
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.project import Project
from engine.serve.handler import Server
from engine.serve.port import ADDRESS, listen
from engine.serve.proof import prompts, prove
from engine.serve.served_model import Generator, ServedModel
from engine.training.events import Event
from tests.engine.conftest import copy_of
from tests.support.ports import unused_port
from tests.support.tiny import write_tokenizer

import numpy as np
import pytest

ASKED = [{"role": "user", "content": "Quanto é 3 mais 3?"}]
TOLERANCE = 0.01


class Serving:
    """A server in this process, with its requests."""

    def __init__(self, server: Server, served: ServedModel) -> None:
        self.server, self.served = server, served
        self.port: int = server.server_address[1]
        self.told: list[tuple[str, str, int]] = []

    def ask(
        self, asked: dict[str, Any], path: str = "/v1/chat/completions", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Send a request and return the status and the answer."""
        return self.send("POST", path, json.dumps(asked).encode(), headers)

    def send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        """Send anything."""
        connection = http.client.HTTPConnection(ADDRESS, self.port, timeout=120)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"{}")
        finally:
            connection.close()

    def scores(self, asked: dict[str, Any]) -> list[tuple[int, float]]:
        """Return tokens with their log-probabilities."""
        status, answer = self.ask({**asked, "logprobs": True, "temperature": 0, "max_tokens": 5})
        assert status == 200, answer
        return [(one["id"], one["logprob"]) for one in answer["choices"][0]["logprobs"]["content"]]


@contextmanager
def serving(project: Project, adapter: Path | None, key: str = "") -> Yields[Serving, None, None]:
    """Serve the tiny model of a project."""
    served = ServedModel(project.model_dir("tiny"), adapter, prompts(project))
    generator = Generator(served)
    try:
        served.expected.result()
        told: list[tuple[str, str, int]] = []

        def tell(method: str, path: str, status: int) -> None:
            told.append((method, path, status))

        with Server(listen(unused_port()), served, generator, "tiny+adapter", key, tell) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            made = Serving(server, served)
            made.told = told
            yield made
            server.shutdown()
    finally:
        generator.stop_and_join()


@pytest.fixture(scope="module")
def tuned(finished: tuple[Project, list[Event]]) -> Yields[Serving, None, None]:
    """The adapter of a finished run, served."""
    project, _events = finished
    with serving(project, project.adapters_dir) as made:
        yield made


def reference(project: Project, adapter: bool) -> list[tuple[int, float]]:
    """Return the first five tokens as mlx-lm itself loads and prompts the model."""
    import mlx.core as mx
    from mlx_lm import load
    from mlx_lm.generate import generate_step

    folder = str(project.adapters_dir) if adapter else None
    model, tokenizer = load(str(project.model_dir("tiny")), adapter_path=folder)
    prompt = mx.array(tokenizer.apply_chat_template(ASKED, add_generation_prompt=True))
    steps = generate_step(prompt, model, max_tokens=5)
    return [(int(token), float(scores[token])) for token, scores in steps]


def test_the_tuned_model_answers_with_the_numbers_of_mlx_lm(
    tuned: Serving, finished: tuple[Project, list[Event]]
) -> None:
    """Its own loader and the packed weights give the same log-probabilities, and the base model others."""
    ours, theirs = tuned.scores({"messages": ASKED}), reference(finished[0], adapter=True)
    assert [token for token, _score in ours] == [token for token, _score in theirs]
    np.testing.assert_allclose([s for _t, s in ours], [s for _t, s in theirs], atol=0.02)
    base = reference(finished[0], adapter=False)
    assert abs(base[0][1] - ours[0][1]) > 0.1 or base[0][0] != ours[0][0]


def test_the_proof_holds_and_shows_the_adapter(tuned: Serving) -> None:
    """The served numbers are those computed without HTTP; without the adapter they are others."""
    proof = prove(tuned.served.expected.result(), tuned.port, "", True, TOLERANCE)
    assert proof.difference < 1e-3 and proof.shows_adapter and proof.tokens > 1


def test_a_server_of_the_base_model_proves_nothing(finished: tuple[Project, list[Event]]) -> None:
    """What a server would give that left the adapter out is refused."""
    project, _events = finished
    with serving(project, project.adapters_dir) as made, serving(project, None) as base:
        with pytest.raises(UserError, match="answers otherwise"):
            prove(made.served.expected.result(), base.port, "", True, TOLERANCE)
        without = [replace(each, ours=each.base) for each in base.served.expected.result()]
        assert prove(without, base.port, "", False, TOLERANCE).shift is None


def test_an_adapter_that_changes_nothing_is_said_to(
    finished: tuple[Project, list[Event]], tmp_path: Path
) -> None:
    """B is zero: the numbers agree, and nothing shows the adapter."""
    import mlx.core as mx

    project = copy_of(finished[0], tmp_path / "project")
    weights = mx.load(str(project.adapter_file))
    mx.save_safetensors(
        str(project.adapter_file),
        {name: array * (0 if name.endswith("lora_b") else 1) for name, array in weights.items()},
    )
    with serving(project, project.adapters_dir) as made:
        proof = prove(made.served.expected.result(), made.port, "", True, TOLERANCE)
        assert proof.shift == 0 and not proof.shows_adapter


def test_clients_wait_for_the_proof(finished: tuple[Project, list[Event]]) -> None:
    """Before it only who knows the key is answered, and nobody is told of."""
    project, _events = finished
    with serving(project, None, key="secret") as made:
        assert made.ask({"messages": ASKED})[0] == 503
        assert made.ask({"messages": ASKED, "max_tokens": 1}, **{"X-Proof": "secret"})[0] == 200
        assert made.told == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "elsewhere.example"}, 403),
        ({}, 200),
    ],
    ids=str,
)
def test_pages_from_elsewhere_may_not_ask(tuned: Serving, headers: dict[str, str], status: int) -> None:
    """A browser on this machine lets any page send a request to it."""
    assert tuned.ask({"messages": ASKED, "max_tokens": 1}, **headers)[0] == status


def test_only_the_served_model_is_named(tuned: Serving) -> None:
    """Not the user's other ones, of which mlx-lm would make a list."""
    status, answer = tuned.send("GET", "/v1/models", None, {})
    assert (status, [model["id"] for model in answer["data"]]) == (200, ["tiny+adapter"])
    assert tuned.send("GET", "/health", None, {}) == (200, {"status": "ok"})


@pytest.mark.parametrize("length", ["-1", "x", str(1 << 40), ""])
def test_a_request_of_no_reasonable_length_is_refused(tuned: Serving, length: str) -> None:
    """Nothing is read for it, and the next one is answered."""
    status, _answer = tuned.send("POST", "/v1/completions", None, {"Content-Length": length})
    assert status in (411, 413)
    assert tuned.ask({"prompt": "Olá", "max_tokens": 1}, "/v1/completions")[0] == 200


def test_too_long_a_prompt_is_refused_and_the_server_goes_on(tuned: Serving) -> None:
    """The model names no limit of its own here, so the server's holds."""
    status, answer = tuned.ask({"messages": [{"role": "user", "content": "a" * 40_000}]})
    assert status == 400 and "32,768" in answer["error"]
    assert len(tuned.scores({"messages": ASKED})) == 5


def test_a_refused_model_or_adapter_asks_nobody(tuned: Serving) -> None:
    """The path of a request is told of without control codes; its words are not."""
    assert tuned.ask({"messages": ASKED, "adapters": "/etc"})[0] == 400
    assert tuned.ask({"messages": ASKED}, path="/v1/\x1b[2J".encode("unicode_escape").decode())[0] == 404
    assert tuned.told[-2:] == [
        ("POST", "/v1/chat/completions", 400),
        ("POST", "/v1/\\x1b[2J", 404),
    ]


def test_settings_of_the_template_hold(finished: tuple[Project, list[Event]], tmp_path: Path) -> None:
    """An adapter that was trained without thinking is prompted so, whatever mlx-lm's server would do."""
    project = copy_of(finished[0], tmp_path / "project")
    thinking = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n"
        "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}{% endif %}"
    )
    write_tokenizer(project.model_dir("tiny"), thinking)
    config = json.loads((project.adapters_dir / "adapter_config.json").read_text())
    counts = []
    for settings in ({}, {"enable_thinking": False}):
        (project.adapters_dir / "adapter_config.json").write_text(
            json.dumps(config | {"chat_template_kwargs": settings})
        )
        with serving(project, project.adapters_dir) as made:
            _status, answer = made.ask({"messages": ASKED, "max_tokens": 1})
            counts.append(answer["usage"]["prompt_tokens"])
    assert counts[1] - counts[0] == len("<think></think>")


def test_a_model_without_a_template_is_prompted_as_it_was_trained(
    finished: tuple[Project, list[Event]], tmp_path: Path
) -> None:
    """The question and a line break, not the roles that mlx-lm's server would write."""
    project = copy_of(finished[0], tmp_path / "project")
    write_tokenizer(project.model_dir("tiny"), None)
    with serving(project, project.adapters_dir) as made:
        _status, answer = made.ask({"messages": ASKED, "max_tokens": 1})
        assert answer["usage"]["prompt_tokens"] == len((ASKED[0]["content"] + "\n").encode())
