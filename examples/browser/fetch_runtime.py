"""Put onnxruntime-web beside index.html: two files, 14 MB, in the folder `onnxruntime`.

python fetch_runtime.py                               # npm downloads the package
python fetch_runtime.py onnxruntime-web-1.30.0.tgz    # the package is there

Nothing but these two files of the package is kept, and they must have the hashes below.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "onnxruntime-web@1.30.0"
FILES = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
FOLDER = Path(__file__).parent / "onnxruntime"


def is_right(path: Path, sha256: str) -> bool:
    """Whether a file is there, with this hash."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def download(folder: Path) -> Path:
    """The package in a folder, by npm, which knows the registry."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit(f"npm is missing, which downloads {PACKAGE}; install it, or give the package as a file")
    command = [npm, "pack", PACKAGE, "--loglevel=error", "--pack-destination", str(folder)]
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
        sys.exit(f"npm could not download {PACKAGE}; look at the lines above")
    return next(folder.glob("*.tgz"))


def unpack(package: Path, folder: Path) -> None:
    """The two files, checked, to a folder."""
    with tarfile.open(package) as archive:
        for name, sha256 in FILES.items():
            try:
                found = archive.extractfile(f"package/dist/{name}")
            except KeyError:
                found = None
            if found is None:
                sys.exit(f"{package} has no dist/{name}: it is not {PACKAGE}")
            (folder / name).write_bytes(found.read())
            if not is_right(folder / name, sha256):
                sys.exit(f"{package}: dist/{name} is not the file of {PACKAGE}; nothing was kept")


def main(package: str | None = None) -> None:
    if not all(is_right(FOLDER / name, sha256) for name, sha256 in FILES.items()):
        FOLDER.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as temporary:
            folder = Path(temporary)
            try:
                unpack(Path(package) if package else download(folder), folder)
            except OSError as error:
                sys.exit(f"{package or PACKAGE} cannot be read: {error.strerror}")
            except tarfile.TarError:
                sys.exit(f"{package or PACKAGE} is no package: not an archive of tar, or cut off")
            for name in FILES:
                (folder / name).replace(FOLDER / name)
    print(f"{PACKAGE} is in {FOLDER}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
