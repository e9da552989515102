"""What a command reads and imports before its answer: nothing twice, and nothing that it does not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.commands import TINY, environment

# Runs a command, and then prints what it has imported, which files it has hashed, and of how many bytes it
# has made or checked the keyed digest. Files that were written just now count as old: see `known_files`.
WATCHED = """
import hashlib, json, os, sys
from twinpath import known_files, private

known_files.SETTLED_S = -10.0
hashed, signed = [], 0
file_digest, keyed_digest = hashlib.file_digest, private.keyed_digest

def watched(file, name):
    hashed.append(str(file.name))
    return file_digest(file, name)

def counted(key, name, *parts):
    global signed
    signed += sum(map(len, parts))
    return keyed_digest(key, name, *parts)

hashlib.file_digest = watched
private.keyed_digest = known_files.keyed_digest = counted
from twinpath.cli import main

main()
seen = {"modules": list(sys.modules), "hashed": hashed, "signed": signed}
print(json.dumps({**seen, "threads": os.environ.get("OPENBLAS_NUM_THREADS")}))
"""
HEAVY = (
    "torch",
    "torchvision",
    "lightning",
    "onnx",
    "onnxruntime",
    "scipy",
    "cv2",
    "httpx",
    "rich",
    "PIL",
    "matplotlib",
    "filelock",
    "safetensors",
    "twinpath.weights.load",
    "twinpath.video.isolated",
    "twinpath.cli.train",
    "twinpath.cli.models",
    "twinpath.render",
)


def watched(*arguments: str | Path, **changes: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answer of a command, and what was seen of it."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *map(str, arguments)],
        env=environment(**changes),
        capture_output=True,
        text=True,
        check=True,
    )
    answer, seen = done.stdout.splitlines()
    return json.loads(answer), json.loads(seen)


def test_a_cached_classify_reads_and_imports_what_it_needs(clips: Path, tmp_path: Path) -> None:
    """Neither the model's file nor the compiled network is hashed again, and nothing heavy is imported."""
    command, home = ("classify", clips / "a.mp4", *TINY, "--json"), {"TWINPATH_HOME": str(tmp_path / "home")}
    seen = [watched(*command, **home) for _ in range(3)]
    first, _, third = (answer["predictions"] for answer, _ in seen)
    assert third == first
    assert [len(facts["hashed"]) for _, facts in seen] == [1, 0, 0]
    assert seen[2][1]["signed"] < 1 << 16  # bytes: the memory itself
    assert [name for name in HEAVY if name in seen[2][1]["modules"]] == []
    assert seen[2][1]["threads"] == os.environ.get("OPENBLAS_NUM_THREADS")
