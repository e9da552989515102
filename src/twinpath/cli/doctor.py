"""`twinpath doctor`: what is installed, and what would be used."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from twinpath.cli.console import print_line
from twinpath.cli.options import AsJson, Debug

_EXTRAS = {  # of pyproject.toml, each with the package that it brings
    "detect": "torchvision",
    "dfine": "transformers",
    "hog": "opencv-python",
    "trackers": "trackers",
    "features": "pyarrow",
    "hub": "huggingface_hub",
    "train": "lightning",
    "window": "opencv-python",
}


def doctor(json: AsJson = False, debug: Debug = False) -> None:
    """Show versions, the cache, and what would be used."""
    from twinpath.cli.console import print_json

    facts = _facts()
    if json:
        print_json(facts)
        return
    for choice in facts.pop("streams", []):
        facts[f"clips of {choice['model']}, {choice['precision']}"] = _readable_choice(choice)
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        print_line(f"{name.ljust(width)}  {_readable(value)}")


def _facts() -> dict[str, Any]:
    from twinpath import __version__
    from twinpath.cores import available_cores
    from twinpath.engine.open import engine_facts

    return {
        "twinpath": __version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        "cores": available_cores(),
        **engine_facts(),
        "torch": _version("torch"),
        "torchvision": _version("torchvision"),
        "pyav": _version("av"),
        "ffmpeg": _ffmpeg(),
        "isolation": _isolation(),
        **{f"extra: {name}": _version(package) for name, package in _EXTRAS.items()},
        **_cache(),
        "executable": sys.executable,
    }


def _version(package: str) -> str | None:
    """Of an installed package, without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _ffmpeg() -> str:
    """The FFmpeg libraries that PyAV carries."""
    import av

    versions = {name: ".".join(map(str, number)) for name, number in av.library_versions.items()}
    return f"libavcodec {versions['libavcodec']}, libavformat {versions['libavformat']}"


def _isolation() -> str:
    """What isolated reading amounts to here, by starting such a process."""
    from twinpath.errors import TwinpathError
    from twinpath.video.isolated import Sandbox

    try:
        with Sandbox() as sandbox:
            reason = sandbox.unconfined_because()
    except TwinpathError as error:
        return f"not possible: {error}"
    if reason is None:
        return "limits of memory and time; no other file, no network, no program"
    return f"limits of memory and time only: {reason}"


def _cache() -> dict[str, Any]:
    from twinpath.engine.compiled_cache import engines_dir
    from twinpath.paths import cache_dir

    folder = cache_dir()
    sizes = {
        part: sum(file.stat().st_size for file in where.rglob("*") if file.is_file())
        for part, where in {"weights": folder / "weights", "engines": engines_dir()}.items()
    }
    return {
        "cache": str(folder),
        "cache_weights_bytes": sizes["weights"],
        "cache_engines_bytes": sizes["engines"],
        "cache_free_bytes": shutil.disk_usage(_existing(folder)).free,
    }


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above that is there."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _readable_choice(choice: dict[str, Any]) -> str:
    """How a compiled network computes several clips, and what was measured."""
    clips, threads = choice["clips_at_once"], choice["threads"]
    how = f"{clips} at once" if clips > 1 else "one after the other"
    return (
        f"{how}, {threads} threads (measured per clip: {choice['alone_ms']:g} ms one after the other, "
        f"{choice['together_ms']:g} ms side by side)"
    )


def _readable(value: Any) -> str:
    if value is None:
        return "not installed"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
