"""The page of examples/browser in a headless Chromium, on loopback.

apt-get install chromium
python examples/browser/fetch_runtime.py
"""

from __future__ import annotations

import functools
import json
import os
import queue
import shutil
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "examples" / "browser"
DRIVER = Path(__file__).with_name("browser_driver.html")
RUNTIME = PAGE / "onnxruntime"
LIMIT_S = 90

# Nobody but loopback can be contacted, not even by name; no crash reports, no first-run pages.
_FLAGS = (
    "--headless",
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-crash-reporter",
    "--disable-extensions",
    "--no-first-run",
    "--mute-audio",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def needs_browser() -> str:
    """Path of Chromium. Skips the test where it or onnxruntime-web is missing; in CI they must be there,
    unless it could not reach the npm registry."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    missing = []
    if chromium is None:
        missing.append("Chromium (Debian's package chromium)")
    if not RUNTIME.is_dir():
        missing.append("onnxruntime-web (python examples/browser/fetch_runtime.py)")
    if missing and os.environ.get("CI") and not os.environ.get("NO_NPM_REGISTRY"):
        pytest.fail(f"CI has no {' and no '.join(missing)}")
    if chromium is None or missing:
        pytest.skip(f"needs {' and '.join(missing)}")
    return chromium


class _Handler(SimpleHTTPRequestHandler):
    """Files of a folder as `python -m http.server` serves them; what is posted goes to the server's queue."""

    server: _Server

    def do_POST(self) -> None:
        self.server.posted.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, directory=os.fspath(folder)))
        self.posted: queue.Queue[bytes] = queue.Queue()


def use_page(site: Path, cases: dict[str, dict[str, Any]], home: Path) -> dict[str, dict[str, Any]]:
    """What the page shows for each case.

    Args:
        site: A folder with models and videos; the page is put there, and once more into `bare`, without
            onnxruntime-web.
        cases: By name: the address of the `page`, files of the model `folder` to choose (or None), `videos`
            to choose one after the other, and an address on an `other` server to ask for (or None).
        home: An empty folder for the browser.
    """
    chromium = needs_browser()
    (site / "bare").mkdir(exist_ok=True)
    for path in (PAGE / "index.html", PAGE / "page.js"):
        (site / path.name).symlink_to(path)
        (site / "bare" / path.name).symlink_to(path)
    for path in (RUNTIME, DRIVER):
        (site / path.name).symlink_to(path)
    (site / "cases.json").write_text(json.dumps(cases), "utf-8")
    with _Server(site) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/{DRIVER.name}"
        log = home / "log.txt"
        with log.open("wb") as output:
            running = subprocess.Popen(
                [
                    chromium,
                    *_FLAGS,
                    f"--user-data-dir={home / 'profile'}",
                    "--enable-logging=stderr",
                    address,
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "HOME": os.fspath(home), "TMPDIR": os.fspath(home), "NO_PROXY": "*"},
            )
        try:
            return dict(json.loads(server.posted.get(timeout=LIMIT_S)))
        except queue.Empty:
            pytest.fail(
                f"the page did not answer in {LIMIT_S} s: {log.read_text('utf-8', 'replace')[-3000:]}"
            )
        finally:
            running.terminate()
            running.wait()
            server.shutdown()
