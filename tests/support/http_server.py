"""An HTTP server on loopback that answers as a test wants, well or badly."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


class HttpServer(ThreadingHTTPServer):
    """Answers GET, HEAD and POST: one answer for everything, or one for each path.

    Attributes:
        paths: The path of every request so far.
        headers: The headers of every request so far.
    """

    daemon_threads = True

    def __init__(self, answers: Answer | Mapping[str, Answer]) -> None:
        paths: list[str] = []
        headers: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                paths.append(self.path)
                headers.append(dict(self.headers.items()))
                answer = answers if callable(answers) else answers[self.path]
                try:
                    answer(self)
                except OSError:  # the reader may go at any time
                    self.close_connection = True

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.paths = paths
        self.headers = headers

    def url(self, path: str = "", user: str = "") -> str:
        """The address of a path; `user` is "name:password@" or empty."""
        return f"http://{user}127.0.0.1:{self.server_port}{path}"


@contextlib.contextmanager
def http_server(answers: Answer | Mapping[str, Answer]) -> Iterator[HttpServer]:
    """Serve in a thread until the block ends."""
    with HttpServer(answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def respond(
    to: BaseHTTPRequestHandler,
    code: int = 200,
    *,
    body: bytes = b"",
    length: int | None = None,
    **headers: str,
) -> None:
    """Send a response whose body is announced as `length` bytes, by default as long as it is."""
    to.send_response(code)
    to.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in headers.items():
        to.send_header(name.replace("_", "-"), value)
    to.end_headers()
    if to.command != "HEAD":
        to.wfile.write(body)


def whole(data: bytes, kind: str = "video/mp2t") -> Answer:
    """A file of known length."""
    return lambda to: respond(to, body=data, Content_Type=kind)


def cut(data: bytes, kind: str = "video/mp2t") -> Answer:
    """Half of a file, of which the whole was announced."""
    return lambda to: respond(to, body=data[: len(data) // 2], length=len(data), Content_Type=kind)


def status(code: int, **headers: str) -> Answer:
    """A response without a body."""
    return lambda to: respond(to, code, **headers)
