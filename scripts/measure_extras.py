"""What the core and each extra take on disk, in MB: the sizes in docs/install.md.

python -m scripts.measure_extras        in an environment with every extra, as `make test` makes it

Counts the installed files of the packages that the requirements in pyproject.toml lead to.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
_BLOCK_BYTES = 512  # of st_blocks


def main() -> None:
    """Print a line for the core and one for each extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    core = _packages(project["dependencies"], extras)
    torch = core | _packages(extras["torch"], extras)
    print(f"core      {_megabytes(core):5.0f} MB, {len(core)} packages")
    for extra, lines in extras.items():
        brought = _packages(lines, extras) - core
        with_torch = " with torch," if "torch" in brought else ""
        own = brought if extra == "torch" else brought - torch
        print(f"{extra:<9}+{_megabytes(own):5.0f} MB,{with_torch} {len(brought)} packages")


def _packages(lines: Iterable[str], extras: dict[str, list[str]]) -> set[str]:
    """The names of all packages that requirements lead to."""
    found: set[str] = set()
    seen: set[Requirement] = set()
    waiting = [Requirement(line) for line in lines]
    while waiting:
        required = waiting.pop()
        if required in seen:
            continue
        seen.add(required)
        if required.name == "twinpath":
            waiting += [Requirement(line) for extra in required.extras for line in extras[extra]]
            continue
        if (installed := _installed(required)) is not None:
            found.add(canonicalize_name(required.name))
            waiting += [
                inner for line in installed.requires or () if _applies(inner := Requirement(line), required)
            ]
    return found


def _applies(inner: Requirement, outer: Requirement) -> bool:
    """Whether a requirement of a package holds here, for the extras of the package that are wanted."""
    marker = inner.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *outer.extras))


def _installed(required: Requirement) -> Distribution | None:
    try:
        return distribution(required.name)
    except PackageNotFoundError:
        if required.marker is not None and not required.marker.evaluate({"extra": ""}):
            return None
        raise


def _megabytes(names: Iterable[str]) -> float:
    files = (Path(str(file.locate())) for name in names for file in distribution(name).files or ())
    return sum(file.stat().st_blocks * _BLOCK_BYTES for file in files if file.is_file()) / 1e6


if __name__ == "__main__":
    main()
