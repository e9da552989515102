"""A mirror of weights that sends slowly, in a process of its own: one that forks must have no threads."""

from __future__ import annotations

import contextlib
import hashlib
import io
import multiprocessing
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from multiprocessing.connection import Connection


def _weights() -> bytes:
    import torch

    file = io.BytesIO()
    torch.manual_seed(0)
    torch.save({"model_state": {"a": torch.rand(500_000)}}, file)
    return file.getvalue()


def _serve(connection: Connection) -> None:
    from tests.support.http_server import http_server

    body = _weights()
    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'

    def answer(to: BaseHTTPRequestHandler) -> None:
        span, known = to.headers.get("Range"), to.headers.get("If-Range")
        start = 0
        if span and known == etag:
            start = int(span.removeprefix("bytes=").partition("-")[0])
        if start >= len(body):
            to.send_response(416)
            to.send_header("Content-Length", "0")
            to.end_headers()
            return
        to.send_response(206 if start else 200)
        if start:
            to.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        to.send_header("Content-Length", str(len(body) - start))
        to.send_header("ETag", etag)
        to.end_headers()
        for first in range(start, len(body), 1 << 17):
            to.wfile.write(body[first : first + (1 << 17)])
            time.sleep(0.01)

    with http_server(answer) as server:
        connection.send(server.url())
        with contextlib.suppress(EOFError):
            connection.recv()


@contextlib.contextmanager
def slow_mirror() -> Iterator[str]:
    """Its address; whatever is asked for is the same file of 2 MB, with a version and in ranges."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.join(5)
        process.kill()
