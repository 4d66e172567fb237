"""A stand-in for the hub of models on loopback: it speaks what huggingface_hub asks for.

Model information, the tree of a commit, and files, large ones through a redirect as the hub's own are; with
ETag, X-Repo-Commit, Range, and the codes by which the library tells a gated model from a missing one.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

POINTER = 130
"""Bytes of what git keeps in the place of a large file."""


def commit_of(files: dict[str, bytes]) -> str:
    """A name for a commit that is another one for other files."""
    digest = hashlib.sha1()
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + hashlib.sha1(files[name]).digest())
    return digest.hexdigest()


@dataclass
class Repository:
    files: dict[str, bytes]
    gated: bool = False
    token: str = ""
    """Without which nobody is told that there is such a model."""
    branches: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit and files of a branch or commit."""
        known = {"main": self.files, **self.branches}
        known |= {commit_of(files): files for files in known.values()}
        return (commit_of(known[revision]), known[revision]) if revision in known else None


@dataclass
class Hub:
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and Range of each request."""
    cuts: list[int] = field(default_factory=list)
    """After so many bytes of the next large files the connection is cut."""
    ignores_range: bool = False
    sends: dict[str, bytes] = field(default_factory=dict)
    """What is sent in place of a file's own bytes."""
    fails: dict[str, int] = field(default_factory=dict)
    """Status with which requests are answered whose path ends so."""
    sent: Event = field(default_factory=Event)
    """Set when a large file is cut or held."""
    holds: Event | None = None
    """If given, a large file stops in its middle until this is set."""
    address: str = ""

    def ranges(self, name: str) -> list[str]:
        """The Range of each request for the bytes of a large file."""
        return [
            part for method, path, part in self.requests if method == "GET" and path.endswith(f"/cdn/{name}")
        ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path, self.headers.get("Range", "")))
        for end, status in self.hub.fails.items():
            if path.endswith(end):
                return self._refuse(status, "")
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path):
            return self._describe(found[1], found[2] or "revision", found[3] or "main")
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._resolve(found[1], found[2], found[3])
        if found := re.fullmatch(r"/([^/]+/[^/]+)/cdn/([^/]+)", path):
            return self._send_large(found[1], found[2])
        return self._refuse(404, "")

    def _repository(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit and files that are asked for; otherwise that is refused."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        repository = self.hub.repositories.get(name)
        found = repository.at(revision) if repository else None
        if token == "stale":
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif repository is None or (repository.token and token != repository.token):
            self._refuse(404 if token else 401, "RepoNotFound")
        elif found is None:
            self._refuse(404, "RevisionNotFound")
        else:
            return found
        return None

    def _describe(self, name: str, what: str, revision: str) -> None:
        found = self._repository(name, revision)
        if found is None:
            return
        commit, files = found
        if what == "tree":
            self._json([_tree_entry(file, content) for file, content in files.items()])
            return
        siblings = [_sibling(file, content) for file, content in files.items()]
        self._json({"id": name, "modelId": name, "sha": commit, "siblings": siblings, "tags": []})

    def _resolve(self, name: str, revision: str, file: str) -> None:
        found = self._repository(name, revision)
        if found is None:
            return
        if self.hub.repositories[name].gated and "Authorization" not in self.headers:
            self._refuse(401, "GatedRepo")
            return
        if self.hub.repositories[name].gated:
            self._refuse(403, "GatedRepo")
            return
        commit, files = found
        content = files[file]
        if _is_large(file):
            self.send_response(302)
            self.send_header("Location", f"{self.hub.address}/{name}/cdn/{file}")
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("X-Repo-Commit", commit)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send(
            self.hub.sends.get(file, content), {"X-Repo-Commit": commit, "ETag": f'"{git_sha1(content)}"'}
        )

    def _send_large(self, name: str, file: str) -> None:
        content = next(found for files in self._all(name) if (found := files.get(file)) is not None)
        self._send(self.hub.sends.get(file, content), {}, can_be_cut=True)

    def _all(self, name: str) -> list[dict[str, bytes]]:
        repository = self.hub.repositories[name]
        return [repository.files, *repository.branches.values()]

    def _send(self, content: bytes, headers: dict[str, str], can_be_cut: bool = False) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(asked[1]) if asked and not self.hub.ignores_range else 0
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.send_header("Accept-Ranges", "bytes")
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if can_be_cut and self.hub.holds:
            self.wfile.write(content[begin : begin + (len(content) - begin) // 2])
            self.wfile.flush()
            self.hub.sent.set()
            self.hub.holds.wait(60)
            self.close_connection = True
        elif can_be_cut and self.hub.cuts:
            self.wfile.write(content[begin : begin + self.hub.cuts.pop(0)])
            self.wfile.flush()
            self.hub.sent.set()
            self.close_connection = True
        else:
            self.wfile.write(content[begin:])

    def _json(self, value: Any) -> None:
        self._send(json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str, message: str = "") -> None:
        body = b'{"error":"no"}'
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        if message:
            self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _is_large(name: str) -> bool:
    return name.endswith((".safetensors", ".bin", ".gguf"))


def git_sha1(content: bytes) -> str:
    """What git calls a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _sibling(name: str, content: bytes) -> dict[str, Any]:
    told: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git_sha1(content)}
    if _is_large(name):
        sha256 = hashlib.sha256(content).hexdigest()
        told["lfs"] = {"size": len(content), "sha256": sha256, "pointerSize": POINTER}
    return told


def _tree_entry(name: str, content: bytes) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": git_sha1(content)}
    if _is_large(name):
        sha256 = hashlib.sha256(content).hexdigest()
        told["lfs"] = {"size": len(content), "oid": sha256, "pointerSize": POINTER}
    return told


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that this process, and those that it starts, take for the hub."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        if hub.holds:
            hub.holds.set()
        server.shutdown()
        server.server_close()
        thread.join()


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder as a repository has them."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
