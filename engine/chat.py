"""Streaming replies of a base model, with or without the trained adapter."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ChatSettings:
    """How a reply is drawn."""

    max_tokens: int = 256
    temperature: float = 0.0
    """0 takes the likeliest token each time."""


@dataclass(frozen=True)
class ReplyChunk:
    """A piece of a reply; the last one of a reply has `finished` set."""

    text: str
    """New text since the chunk before."""
    tokens: int
    """Tokens generated so far."""
    tokens_per_second: float
    finished: bool
