"""What a request may ask of the server; everything else is refused, and nothing passed over in silence.

A client on this machine is as hostile as one elsewhere. mlx-lm's server would load other models and
adapters for it, fetch pictures from the network, run a chat template that it sends, and add to
the scores of tokens that the model does not have.
"""

import json
from typing import Annotated, Any, Literal

from engine.i18n import _
from engine.sanitize import one_line

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

MOST_BYTES = 8 << 20
"""Of a request; a conversation of a million tokens has no more."""
_MOST_MESSAGES = 4096
_MOST_TOOLS = 256

Share = Annotated[float, Field(ge=0, le=1)]
Penalty = Annotated[float, Field(ge=-100, le=100)]
Tokens = Annotated[int, Field(ge=1, le=1 << 20)]
Window = Annotated[int, Field(ge=0, le=1 << 20)]
Json = dict[str, Any]


class RefusedRequest(Exception):
    """A request that is not answered, with the status that HTTP has for that."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(one_line(reason, 300))
        self.status = status


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class _TextPart(_Strict):
    type: Literal["text"]
    text: str


class _Turn(_Strict):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | Annotated[list[_TextPart], Field(max_length=_MOST_MESSAGES)] | None = None
    name: str | None = None
    tool_calls: Annotated[list[Json], Field(max_length=_MOST_TOOLS)] | None = None
    tool_call_id: str | None = None


class _OnlyText(_Strict):
    type: Literal["text"]


class _StreamOptions(_Strict):
    include_usage: bool = False


class _Settings(_Strict):
    """How a reply is drawn, in the names of OpenAI's interface and of mlx-lm's server."""

    model: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    top_p: Share | None = None
    top_k: Annotated[int, Field(ge=0, le=1 << 20)] | None = None
    min_p: Share | None = None
    repetition_penalty: Annotated[float, Field(ge=0, le=100)] | None = None
    repetition_context_size: Window | None = None
    presence_penalty: Penalty | None = None
    presence_context_size: Window | None = None
    frequency_penalty: Penalty | None = None
    frequency_context_size: Window | None = None
    xtc_probability: Share | None = None
    xtc_threshold: Share | None = None
    logit_bias: Annotated[dict[str, Penalty], Field(max_length=1024)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=10)] | None = None
    seed: Annotated[int, Field(ge=0, le=(1 << 63) - 1)] | None = None
    stop: str | Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=16)] | None = None
    # What changes no reply, and the one value of what would.
    user: str | None = Field(None, exclude=True)
    metadata: Json | None = Field(None, exclude=True)
    store: bool | None = Field(None, exclude=True)
    n: Literal[1] | None = Field(None, exclude=True)
    response_format: _OnlyText | None = Field(None, exclude=True)
    tool_choice: Literal["auto"] | None = Field(None, exclude=True)
    parallel_tool_calls: Literal[True] | None = Field(None, exclude=True)

    @field_validator("logit_bias")
    @classmethod
    def _of_numbers(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        if value and not all(key.isascii() and key.isdigit() and len(key) < 10 for key in value):
            raise ValueError("not a number of a token")
        return value


class Chat(_Settings):
    """A request to `/v1/chat/completions`."""

    messages: Annotated[list[_Turn], Field(min_length=1, max_length=_MOST_MESSAGES)]
    tools: Annotated[list[Json], Field(max_length=_MOST_TOOLS)] | None = None


class Text(_Settings):
    """A request to `/v1/completions`."""

    prompt: Annotated[str, Field(min_length=1)]


FORMS: dict[str, type[_Settings]] = {
    "/v1/completions": Text,
    "/v1/chat/completions": Chat,
    "/chat/completions": Chat,
}


def vetted(path: str, body: bytes, model: str, vocabulary: int | None) -> bytes:
    """Return the body of a request with nothing in it but what the server may be asked.

    Args:
        path: that was asked for, one of `FORMS`.
        body: as it came.
        model: name of what is served.
        vocabulary: tokens that the model has; None where that is not known.

    Raises:
        RefusedRequest: it asks for something else.
    """
    try:
        asked = json.loads(body.decode("utf-8"), parse_constant=_no_number)
        json.dumps(asked, ensure_ascii=False).encode("utf-8")  # half a letter is no text
    except (ValueError, RecursionError):
        raise RefusedRequest(400, _("the request is no JSON in UTF-8")) from None
    form = FORMS[path]
    try:
        request = form.model_validate(asked)
    except ValidationError as error:
        raise RefusedRequest(400, _reason(error)) from None
    if request.model not in (None, model, "default_model"):
        raise RefusedRequest(
            404, _("the model served here is {model}; leave 'model' out or name that").format(model=model)
        )
    _require_known(request, vocabulary)
    values = request.model_dump(exclude_none=True, exclude={"model"})
    return json.dumps(values | {"model": model}).encode()


def _require_known(request: _Settings, vocabulary: int | None) -> None:
    biased = request.logit_bias or {}
    if biased and (vocabulary is None or any(int(key) >= vocabulary for key in biased)):
        raise RefusedRequest(400, _("'logit_bias' names a token that the model does not have"))


def _no_number(_text: str) -> None:
    raise ValueError


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(one_line(str(part), 40) for part in first["loc"]) or _("the request")
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        return _("'{name}' cannot be asked of this server").format(name=where)
    return _("'{name}' is wrong: {reason}").format(name=where, reason=first["msg"])
