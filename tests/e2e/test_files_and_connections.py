"""What a run of every command opens, changes, starts and contacts: what the user named, and the cache.

All commands run in one process with an audit hook, in a home of their own. The libraries in C, which a hook
does not see, are watched from outside: folders before and after, and no socket of the internet.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from tests.support.command_list import commands
from tests.support.commands import TINY
from tests.support.http_server import http_server
from tests.support.hub_server import hub_server
from tests.support.touched import Touched, touched
from twinpath.train.recipe import read_recipe, to_toml
from twinpath.video.isolated import Sandbox

DETECT = ("--model", "slowfast_tiny_det.synthetic", "--people", "whole", "--every", "1")
VP9 = "libvpx-vp9"
TRAINED = ("--model", "slowfast_tiny", "--weights", "WEIGHTS")
# In this order; CLIP, CLIPS, WEIGHTS, RECIPE and OUT are paths. The same command may stand here twice.
OFFLINE: tuple[tuple[str, ...], ...] = (
    ("doctor",),
    ("labels", "ava"),
    ("models", "list", "x3d_s"),
    ("models", "info", "slowfast_tiny.synthetic"),
    ("models", "convert", "WEIGHTS", "OUT/converted.safetensors", "--model", "slowfast_tiny"),
    ("models", "export", TINY[1], "OUT/exported"),
    ("models", "verify", TINY[1], "--video", "CLIP"),
    ("models", "download", "slowfast_tiny"),
    ("demo", "--out", "OUT/demo"),
    ("synthetic", "OUT/world", "--clips", "2", "--height", "64"),
    ("classify", "CLIPS", *TRAINED, "--out", "OUT/answers.jsonl"),
    ("classify", "CLIP", *TINY, "--isolate"),
    ("classify", "CLIP", *TINY, "--engine", "torch"),
    ("timeline", "CLIP", *TINY, "--out", "OUT/timeline"),
    ("timeline", "CLIP", *TINY, "--out", "OUT/timeline-isolated", "--isolate"),
    ("detect", "CLIP", *DETECT, "--out", "OUT/detect", "--formats", "json,csv,xml,mp4,png"),
    ("detect", "CLIP", *DETECT, "--out", "OUT/detect-isolated", "--isolate"),
    ("features", "CLIP", *TINY, "--out", "OUT/features.npz"),
    ("explain", "CLIP", *TINY, "--out", "OUT"),
    ("stream", "CLIP", *TINY, "--no-realtime"),
    ("stream", "CLIP", *TINY, "--no-realtime", "--isolate", "--annotate", "OUT/live.mp4", "--encoder", VP9),
    ("data", "check", "ACTIONS", "--out", "OUT/check"),
    ("finetune", "ACTIONS", *TINY, "--out", "OUT/own", "--folds", "2"),
    ("classify", "CLIP", "--model", "OUT/own"),
    ("evaluate", "OUT/own", "--data", "ACTIONS", "--out", "OUT/evaluation"),
    ("evaluate", "--clips", "2", "--workers", "1"),
    ("train", "RECIPE", "--out", "OUT/run"),
)
# What libraries start to learn about the machine: the name of its processor, where the C library lies, fonts.
QUERIES = {
    ("uname", "-p"),
    ("/sbin/ldconfig", "-p"),
    ("fc-list", "--help"),
    ("fc-list", "--format=%{file}\\n"),
}
# Where a library looks for fonts of the user, of whom there is none here.
FONTS = ("home/.fonts", "home/data/fonts")
ONLINE = (("models", "download", "x3d_s.ptv_k400"),)
HUB = (
    ("models", "push", "OUT/own", "me/own"),
    ("models", "download", "hf://me/own"),
    ("classify", "CLIP", "--model", "hf://me/own"),
)
WORKER = (sys.executable, "-P", "-c")  # the process that reads files
# Of the system, which libraries ask what machine this is and where its certificates are.
SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/lib64", "/opt", "/var/lib", "/run")
DEVICES = ("/dev/null", "/dev/tty")


@pytest.fixture(scope="module")
def places(
    tmp_path_factory: pytest.TempPathFactory, clips: Path, actions: Path, tiny_weights: Path
) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("touched")
    quick = ("clips_per_epoch=6", "validation_clips=6", "batch_size=6", "workers=0", "render_heights_px=96")
    recipe = read_recipe("slowfast_tiny", ["epochs=1", "warmup_epochs=0.1", "precision=32-true", *quick])
    (root / "quick.toml").write_text(to_toml(recipe))
    for name in ("out", "home", "tmp", "work", "cache"):
        (root / name).mkdir()
    return {
        "ROOT": root,
        "CLIPS": clips,
        "CLIP": clips / "a.mp4",
        "ACTIONS": actions,
        "WEIGHTS": tiny_weights,
        "RECIPE": root / "quick.toml",
        "OUT": root / "out",
        "CACHE": root / "cache",
    }


def environment(places: dict[str, Path]) -> dict[str, str]:
    """Every folder of the user that a library may know lies in the test's own."""
    root = places["ROOT"]
    own = {"HOME": root / "home", "TMPDIR": root / "tmp", "TWINPATH_HOME": places["CACHE"]}
    for name in ("CONFIG", "CACHE", "DATA", "STATE", "RUNTIME"):
        own[f"XDG_{name}_{'DIR' if name == 'RUNTIME' else 'HOME'}"] = root / "home" / name.lower()
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [kept.get("PYTHONPATH")])])
    return {
        **kept,
        **{name: str(folder) for name, folder in own.items()},
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "NO_PROXY": "*",
    }


def named(command: tuple[str, ...], places: dict[str, Path]) -> list[str]:
    words = []
    for word in command:
        head, slash, rest = word.partition("/")
        words.append(f"{places[head]}{slash}{rest}" if head in places else word)
    return words


@pytest.fixture(scope="module")
def offline(places: dict[str, Path]) -> list[Touched]:
    given = [named(command, places) for command in OFFLINE]
    log = places["ROOT"] / "offline.jsonl"
    return touched(given, log, offline=True, cwd=places["ROOT"] / "work", environment=environment(places))


def allowed_to_read(places: dict[str, Path]) -> tuple[str, ...]:
    """What the user named, the cache, temporary files, Python and its packages, the system."""
    libraries = [sys.prefix, sys.base_prefix, *site.getsitepackages(), *sysconfig.get_paths().values()]
    own = [path for path in sys.path if path]
    named_by_user = [places[name] for name in ("CLIPS", "ACTIONS", "WEIGHTS", "RECIPE", "OUT", "CACHE")]
    temporary = places["ROOT"] / "tmp"
    return tuple(map(str, [*named_by_user, temporary, *libraries, *own, Path(__file__).parents[2], *SYSTEM]))


def outside(paths: frozenset[str], allowed: tuple[str, ...]) -> list[str]:
    real = [os.path.realpath(place) for place in allowed]
    return sorted(
        path
        for path in paths
        if not any(Path(path).is_relative_to(place) for place in allowed)
        and not any(Path(os.path.realpath(path)).is_relative_to(place) for place in real)
    )


def test_every_command_is_tried() -> None:
    tried = {" ".join(given[: len(name.split())]) for given in OFFLINE + ONLINE + HUB for name in names()}
    assert names() <= tried


def names() -> set[str]:
    return {str(command) for command in commands()}


@pytest.mark.parametrize("number", range(len(OFFLINE)), ids=[" ".join(given) for given in OFFLINE])
def test_a_command(number: int, offline: list[Touched], places: dict[str, Path]) -> None:
    """It succeeds, asks nothing of the network, and reads and writes nothing but what it may."""
    done, command = offline[number], OFFLINE[number]
    assert done.code == 0
    assert done.network == ()
    fonts = [str(places["ROOT"] / name) for name in FONTS] if command[0] == "train" else []
    assert outside(done.read, (*allowed_to_read(places), *fonts)) == []
    results = tuple(str(places["ROOT"] / name) for name in ("out", "cache", "tmp"))
    assert outside(done.written, (*results, *DEVICES)) == []
    others = set(done.programs) - QUERIES
    assert {program[:3] for program in others} <= {WORKER}
    assert not others or "--isolate" in command or command == ("doctor",)


def test_nothing_is_left_but_results_and_the_cache(offline: list[Touched], places: dict[str, Path]) -> None:
    """Files of libraries in C, too."""
    assert offline
    root = places["ROOT"]
    left = [path.relative_to(root) for name in ("home", "work", "tmp") for path in (root / name).rglob("*")]
    assert left == []
    assert {path.name for path in places["CACHE"].iterdir()} <= {
        "engines",
        "features",
        "weights",
        "inductor",
        "matplotlib",
    }


@pytest.fixture
def mirror() -> Iterator[str]:
    body = save({"a.weight": np.arange(10, dtype=np.float32)})

    def answer(to) -> None:  # type: ignore[no-untyped-def]
        to.send_response(200)
        to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.wfile.write(body)

    with http_server(answer) as server:
        yield server.url()


def test_a_download_contacts_the_server_that_was_named(mirror: str, places: dict[str, Path]) -> None:
    variables = environment(places) | {"TWINPATH_MIRROR": mirror}
    log, cwd = places["ROOT"] / "online.jsonl", places["ROOT"] / "work"
    (done,) = touched(ONLINE, log, offline=False, cwd=cwd, environment=variables)
    assert done.code == 0
    host = mirror.removeprefix("http://")
    assert set(done.network) <= {f"connect {host}", f"getaddrinfo {host.partition(':')[0]}"}
    assert f"connect {host}" in done.network
    assert outside(done.read, allowed_to_read(places)) == []
    assert outside(done.written, (str(places["CACHE"]), str(places["ROOT"] / "tmp"))) == []


def test_a_shared_model_contacts_the_hub_that_was_named(
    offline: list[Touched], places: dict[str, Path]
) -> None:
    """And uploads the model alone, without the report, which shows the videos."""
    assert offline  # has made the model
    given = [named(command, places) for command in HUB]
    log, cwd, home = places["ROOT"] / "hub.jsonl", places["ROOT"] / "work", places["ROOT"] / "tmp" / "hub"
    with hub_server() as hub:
        variables = environment(places) | {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_TOKEN": "hf_x"}
        runs = touched(given, log, offline=False, cwd=cwd, environment=variables)
        host = hub.url.removeprefix("http://")
        assert [run.code for run in runs] == [0, 0, 0]
        for run in runs:
            assert set(run.network) <= {f"connect {host}", f"getaddrinfo {host.partition(':')[0]}"}
        assert runs[2].network == ()
        assert (places["OUT"] / "own" / "report.html").is_file()
        assert set(hub.repositories["me/own"].files) == {"README.md", "model.json", "weights.safetensors"}


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import socket; s = socket.socket(socket.AF_UNIX); s.connect_ex('/none')", "network"),
        ("import pathlib; pathlib.Path.home().joinpath('id').touch()", "written"),
        ("import os; os.mkdir(os.path.expanduser('~/folder'))", "written"),
        ("import os; os.listdir(os.path.expanduser('~'))", "read"),
        ("import subprocess; subprocess.run(['/bin/true'])", "programs"),
    ],
)
def test_what_would_be_found(code: str, what: str, places: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    variables = environment(places) | {"HOME": str(tmp_path / "home")}
    (done,) = touched([("python", code)], tmp_path / "log", offline=True, cwd=tmp_path, environment=variables)
    found = getattr(done, what)
    if what in ("read", "written"):
        found = outside(found, allowed_to_read(places))
    assert len(found) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp")
def test_a_socket_of_a_library_in_c_would_be_found(places: dict[str, Path], tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        if sandbox.unconfined_because() is not None:
            pytest.skip("this system offers no seccomp")
    code = "import ctypes; ctypes.CDLL(None).socket(2, 2, 0)"
    with pytest.raises(AssertionError, match="exit code -31"):
        touched(
            [("python", code)],
            tmp_path / "log",
            offline=True,
            cwd=tmp_path,
            environment=environment(places),
        )
