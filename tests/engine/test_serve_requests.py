"""What the server may be asked, and what a hostile client on this machine is refused."""

import json
from typing import Any

from engine.errors import UserError
from engine.serve.port import ADDRESS, listen
from engine.serve.requests import RefusedRequest, vetted
from tests.support.ports import unused_port

import pytest

CHAT = "/v1/chat/completions"
ASKED = {"messages": [{"role": "user", "content": "Olá"}]}


def passed(asked: Any, path: str = CHAT) -> dict[str, Any]:
    """Return what is left of a request for a model of 320 tokens."""
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    value: dict[str, Any] = json.loads(vetted(path, body, "tiny+adapter", 320))
    return value


@pytest.mark.parametrize(
    "more",
    [
        {"adapters": "/etc"},
        {"draft_model": "/etc"},
        {"num_draft_tokens": 3},
        {"chat_template_kwargs": {"chat_template": "{{ 1 }}"}},
        {"role_mapping": {"user": "x"}},
        {"response_format": {"type": "json_object"}},
        {"n": 2},
        {"tool_choice": "none"},
        {"logit_bias": {"320": 1}},
        {"logit_bias": {"-1": 1}},
        {"logit_bias": {"²": 1}},
        {"max_tokens": 0},
        {"max_tokens": 10**9},
        {"max_tokens": "5"},
        {"temperature": -1},
        {"top_logprobs": 11},
        {"seed": 1 << 64},
        {"stop": [""]},
        {"messages": []},
        {"messages": "Olá"},
        {"messages": [{"role": "root", "content": "x"}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}
            ]
        },
        {"messages": [{"role": "user", "content": "x", "image": "http://x"}]},
    ],
    ids=str,
)
def test_what_the_server_may_not_be_asked_is_refused(more: dict[str, Any]) -> None:
    """Nothing is passed over in silence, and nothing reaches another file or the network."""
    with pytest.raises(RefusedRequest) as refusal:
        passed(ASKED | more)
    assert refusal.value.status == 400
    assert next(iter(more)) in str(refusal.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"temperature": NaN}',
        b'{"prompt": "\\ud800"}',
        b"\xff",
        b'{"max_tokens": ' + b"9" * 5000 + b"}",
    ],
    ids=range(7),
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """Also what would end a parser, or a tokenizer."""
    with pytest.raises(RefusedRequest, match="no JSON in UTF-8"):
        passed(body)


@pytest.mark.parametrize("name", ["/etc", "tiny", "gpt-4"])
def test_another_model_is_not_silently_replaced(name: str) -> None:
    """Who asks for the base model does not get the tuned one."""
    with pytest.raises(RefusedRequest, match=r"tiny\+adapter") as refusal:
        passed(ASKED | {"model": name})
    assert refusal.value.status == 404


@pytest.mark.parametrize("named", [{}, {"model": "default_model"}, {"model": "tiny+adapter"}], ids=str)
def test_what_may_be_asked_is_passed_on(named: dict[str, str]) -> None:
    """Settings that count are kept, those that change no reply are taken out."""
    settings = {"max_tokens": 7, "temperature": 0, "logit_bias": {"319": -1}, "stop": ["x"], "stream": True}
    without_effect = {"user": "me", "n": 1, "response_format": {"type": "text"}, "tool_choice": "auto"}
    left = passed(ASKED | settings | without_effect | named)
    assert left == ASKED | settings | {"model": "tiny+adapter"}


def test_a_text_is_a_request_of_its_own() -> None:
    """Each address takes its own form."""
    assert passed({"prompt": "Olá"}, "/v1/completions")["prompt"] == "Olá"
    with pytest.raises(RefusedRequest, match="'prompt' is wrong"):
        passed(ASKED, "/v1/completions")


def test_control_codes_of_a_client_are_not_sent_back() -> None:
    """A refusal may be printed by whoever asked."""
    with pytest.raises(RefusedRequest) as refusal:
        passed(ASKED | {"\x1b[2J": 1})
    assert "\x1b" not in str(refusal.value)


def test_a_port_in_use_is_refused_with_a_free_one() -> None:
    """The one that is named can be taken."""
    port = unused_port()
    with listen(port):
        with pytest.raises(UserError, match=f"Port {port} is in use") as refusal:
            listen(port)
        named = int(refusal.value.fix.rpartition(" ")[2])
        with listen(named) as other:
            assert other.getsockname() == (ADDRESS, named)
    listen(port).close()  # given up, it is free again
