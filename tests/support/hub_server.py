"""A small Hugging Face Hub on loopback: repositories are made, files uploaded and fetched again."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.http_server import http_server, respond

_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_COMMIT = re.compile(r"/api/models/([^/]+/[^/]+)/commit/main")
_PREUPLOAD = re.compile(r"/api/models/([^/]+/[^/]+)/preupload/main")
_REPOSITORY = re.compile(r"/api/models/([^/]+/[^/]+)")


@dataclass
class Repository:
    """What was uploaded.

    Attributes:
        private: Whether only its owner sees it.
        files: Content by path.
        commit: Of the last upload.
    """

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commit: str = "0" * 40


@dataclass
class Hub:
    """The server's state.

    Attributes:
        url: For HF_ENDPOINT.
        repositories: By "user/name".
        requests: Method and path of each request so far.
    """

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        """Do what a request asks for."""
        length = int(to.headers.get("Content-Length") or 0)
        body = to.rfile.read(length) if length else _chunked(to)
        path = to.path.partition("?")[0]
        self.requests.append(f"{to.command} {path}")
        if path == "/api/repos/create":
            self._create(to, json.loads(body))
        elif found := _PREUPLOAD.fullmatch(path):
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                for f in json.loads(body)["files"]
            ]
            _json(to, {"files": files})
        elif found := _COMMIT.fullmatch(path):
            self._commit(to, found[1], body)
        elif (found := _FILE.fullmatch(path)) and found[3] in self._files(found[1], found[2]):
            content, commit = self._files(found[1], found[2])[found[3]], self.repositories[found[1]].commit
            etag = '"' + hashlib.sha256(content).hexdigest() + '"'
            respond(to, body=content, X_Repo_Commit=commit, ETag=etag)
        elif (found := _REPOSITORY.fullmatch(path)) and found[1] in self.repositories:
            _json(to, {"id": found[1], "private": self.repositories[found[1]].private, "siblings": []})
        elif path == "/api/validate-yaml":
            _json(to, {"errors": [], "warnings": []})
        else:
            respond(to, 404, body=b"{}", X_Error_Code="RepoNotFound")

    def _files(self, name: str, revision: str) -> dict[str, bytes]:
        repository = self.repositories.get(name)
        known = repository is not None and revision in ("main", repository.commit)
        return repository.files if repository is not None and known else {}

    def _create(self, to: BaseHTTPRequestHandler, wanted: dict[str, Any]) -> None:
        name = f"{wanted.get('organization') or 'me'}/{wanted['name']}"
        if name in self.repositories:
            _json(to, {"error": "You already created this model repo", "url": f"{self.url}/{name}"}, 409)
            return
        private = wanted.get("private") or wanted.get("visibility") == "private"
        self.repositories[name] = Repository(bool(private))
        _json(to, {"url": f"{self.url}/{name}"})

    def _commit(self, to: BaseHTTPRequestHandler, name: str, lines: bytes) -> None:
        repository = self.repositories[name]
        for line in lines.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                repository.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        repository.commit = hashlib.sha1(lines).hexdigest()
        url = f"{self.url}/{name}/commit/{repository.commit}"
        _json(to, {"commitUrl": url, "commitOid": repository.commit, "success": True})


def _chunked(to: BaseHTTPRequestHandler) -> bytes:
    """The body of a request that comes in pieces."""
    parts = []
    if to.headers.get("Transfer-Encoding", "").lower() == "chunked":
        while size := int(to.rfile.readline(), 16):
            parts.append(to.rfile.read(size))
            to.rfile.readline()
        to.rfile.readline()
    return b"".join(parts)


def _json(to: BaseHTTPRequestHandler, value: Any, code: int = 200) -> None:
    respond(to, code, body=json.dumps(value).encode(), Content_Type="application/json")


@contextlib.contextmanager
def hub_server() -> Iterator[Hub]:
    """Serve an empty Hub until the block ends."""
    hub = Hub()
    with http_server(hub.answer) as server:
        hub.url = server.url()
        yield hub
