"""Data files to begin from and to break: for hypothesis as strategies, for atheris as seeds and words."""

import json
from collections.abc import Iterator
from typing import Any

from tests.campaigns.common import ROOT

from hypothesis import strategies as st

SEEDS = ROOT / "tests" / "engine" / "broken_data"
WORDS = (
    b'{"prompt": "', b'", "completion": "', b'{"text": "', b'{"messages": [{"role": "', b'", "content": "',
    b"user", b"assistant", b"system", b'"}', b"]", b"[", b"{", b"}", b",", b":", b'"', b"\\", b'\\"',
    b"\\u0000", b"\\ud83d", b"\\ude00", b"\\u0061", b"\n", b"\r\n", b"\r", b" ", b"\t", b"\0", b"\xff",
    b"\xc0\xaf", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xe2\x80\xae", b"\xe2\x80\x8b",
    b"\xf0\x9f\x91\xa9", b"e\xcc\x81", b"\xc3\xa9", b"\x1b[2J", b"NaN", b"-0", b"1e999", b"01", b"null",
    b"true", b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"\xff\xfe", b"<|im_end|>", b"<|im_start|>",
    b', "x": ' + b"[" * 600 + b"]" * 600, b"[" * 5000, b"9" * 4400, b" " * 3000,
)  # fmt: skip
"""What breaks a line, or makes one."""

_letters = st.text("ab é\u0301\n👩\u200d\u202e\u200b", max_size=8) | st.text(max_size=8)
_texts = _letters | st.sampled_from(
    ["a", "aa", "Olá, mundo?", "Ola\u0301,  mundo?", "<|im_end|>", "\ud800", "\0"]
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=5,
)
_roles = st.sampled_from(["user", "assistant", "system", "tool"])
_good_turn = st.fixed_dictionaries({"role": _roles, "content": _texts})
_turn = _good_turn | st.dictionaries(st.sampled_from(["role", "content", "weight", "thinking"]), _values)
_good = st.one_of(
    st.fixed_dictionaries({"prompt": _texts, "completion": _texts}),
    st.fixed_dictionaries({"messages": st.lists(_good_turn, min_size=1, max_size=4)}),
    st.fixed_dictionaries({"text": _texts}),
)
_names = st.sampled_from(["prompt", "completion", "messages", "text", "Prompt", "completions", "tools", "id"])
_bad = st.dictionaries(_names, _values | st.lists(_turn, max_size=3), max_size=4)


def _written(value: Any, readable: bool) -> bytes:
    return json.dumps(value, ensure_ascii=not readable).encode("utf-8", "surrogatepass")


def _changed(content: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    """Put bytes in at some places of `content`, each in place of a few of its own."""
    for place, length, new in changes:
        begin = int(place * len(content))
        content = content[:begin] + new + content[begin + length :]
    return content


_changes = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 3), st.sampled_from(WORDS) | st.binary(max_size=3)), max_size=3
)
good_lines = st.builds(_written, _good, st.booleans())
lines = st.one_of(
    good_lines,
    st.builds(_written, _bad, st.booleans()),
    st.builds(_changed, good_lines, _changes),
    st.lists(st.sampled_from(WORDS), max_size=6).map(b"".join),
    st.binary(max_size=40),
    st.sampled_from([b"", b" "]),
)
"""Lines, good and broken, without line breaks of their own as a rule."""
files = st.builds(
    lambda begin, rows, end, last: begin + end.join(rows) + last,
    st.sampled_from([b"", b"", b"\xef\xbb\xbf"]),
    st.lists(good_lines | lines, max_size=8).flatmap(lambda rows: st.just(rows + rows[:2])),
    st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"]),
    st.sampled_from([b"\n", b""]),
)
broken_files = st.builds(_changed, files, _changes) | st.binary(max_size=200)
"""Whole files; rows are there twice."""


def seeds() -> Iterator[bytes]:
    """Yield the small broken files of the tests, and two too dull to be kept."""
    yield b'{"text": "a", "x": ' + b"[" * 600 + b"]" * 600 + b"}\n"
    yield b'{"text": "a"}\n' + b"9" * 12_000 + b'\n{"text": "b"}\n' + b" " * 6000 + b"\n"
    for path in sorted(SEEDS.glob("*.jsonl")):
        yield path.read_bytes()
