"""What takes the place of the files and models that pages name, so that commands can be run anywhere."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import twinpath
from twinpath.models.registry import ARCHITECTURES
from twinpath.zoo.records import record_names

ASSETS = Path(twinpath.__file__).parent / "assets"
CLASSIFIER, DETECTOR = "slowfast_tiny.synthetic", "slowfast_tiny_det.synthetic"
VIDEO = re.compile(r"VIDEO|[\w/]+\.(mp4|avi)")
PUBLISHED = frozenset(name for name in record_names() if name not in (CLASSIFIER, DETECTOR))
NETWORKS = frozenset(name for name in ARCHITECTURES if not name.startswith("slowfast_tiny"))


def model_for(name: str) -> str:
    """The embedded model in place of a published one."""
    return DETECTOR if "_det" in name else CLASSIFIER


def embedded_for(command: Any) -> str:
    """The embedded model that a command can run."""
    return DETECTOR if command.name == "detect" else CLASSIFIER


@dataclass(frozen=True)
class StandIns:
    """Makes what a page names.

    Attributes:
        clip: Of the synthetic world.
        actions: A folder of classes.
        weights: Of slowfast_tiny, random.
        labelled: Names that are folders of classes, too.
        here: The folder in which the page's commands run.
    """

    clip: Path
    actions: Path
    weights: Path
    labelled: frozenset[str]
    here: Path

    def make(self, name: str, model: str = CLASSIFIER) -> None:
        """What is called so, if it is not there and is the name of an input; `model` if it is one's."""
        name = name.removeprefix("./")
        path = self.here / name
        if path.exists() or name.startswith(("-", "/")):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        bare = name.rstrip("/")
        if "*" in name:
            if not any(path.parent.glob(path.name)):
                shutil.copy(self.clip, path.parent / "a.mp4")
        elif VIDEO.fullmatch(name):
            shutil.copy(self.clip, path)
        elif bare in {"actions", "FOLDER", "DATA"} | self.labelled:
            shutil.copytree(self.actions, path)
        elif bare in {"clips", "videos", "archive"}:
            path.mkdir()
            shutil.copy(self.clip, path / "a.mp4")
        elif name.endswith(".detect.json"):  # of a command on the same page
            for made in self.here.rglob(name):
                shutil.copy(made, path)
                return
        elif name in {"clips.csv", "kinetics.csv"}:
            rows = [f"{clip},{clip.parent.name}" for clip in sorted(self.actions.rglob("*.mp4"))]
            path.write_text("\n".join(["path,label", *rows]), "utf-8")
        elif name.endswith((".pyth", ".safetensors")):
            shutil.copy(self.weights, path)
        elif name.endswith("%05d.jpg"):
            self._frames(path.parent, path.name)
        elif bare in {"frames", "frames/throw"}:
            self._frames(self.here / "frames" / "throw", "img_%05d.jpg")
        elif bare.startswith("my-") or bare.endswith(("-model", "_int8", "exported")):
            shutil.copytree(ASSETS / model, path)

    def _frames(self, folder: Path, pattern: str) -> None:
        from PIL import Image

        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, 40):
            Image.new("L", (64, 48), 6 * number).save(folder / (pattern % number))

    def in_words(self, words: list[str], command: Any) -> list[str]:
        """A command with stand-ins: its words after `twinpath`; `command` is that of the command line."""
        flags = {flag for part in command.params for flag in (*part.opts, *part.secondary_opts)}
        changed = words if command.name in AS_IT_IS else [self._word(word) for word in words]
        for flag, value in SMALLER.items():
            if flag in changed:
                changed[changed.index(flag) + 1] = value
        if "--model" in flags and "--model" not in changed and command.name not in NO_MODEL:
            changed += ["--model", embedded_for(command)]
        if "--people" in flags and "--people" not in changed and command.name == "detect":
            changed += ["--people", "hog"]
        if "--no-resume" in flags and ("--out" in changed or command.name in OWN_FOLDER):
            changed += ["--no-resume"]  # a page shows several settings
        return [*changed, *FASTER.get(command.name or "", ())]

    def _word(self, word: str) -> str:
        if word in PUBLISHED or (word in NETWORKS and not (self.here / word).exists()):
            return model_for(word)
        return OTHER_WORDS.get(word, re.sub(r"\bstand=", "jump=", word))


#: People and labels that the embedded models know.
OTHER_WORDS = {"fasterrcnn": "hog", "archery": "wave", "disc golfing": "kick"}
#: Values of options for what is short and small.
SMALLER = {"--clips": "2", "--views": "1x2", "--start": "1"}
FASTER = {"stream": ("--no-realtime",), "finetune": ("--folds", "2")}
OWN_FOLDER = {"detect", "timeline"}  # also without --out
NO_MODEL = {"evaluate", "convert"}
AS_IT_IS = {"list", "info", "labels", "train"}  # which need no weights


def in_python(source: str) -> str:
    """A program with the embedded models in place of published ones, and without a detector to download."""
    names = "|".join(map(re.escape, sorted(PUBLISHED | NETWORKS, key=len, reverse=True)))
    source = re.sub(rf'"({names})"', lambda found: f'"{model_for(found[1])}"', source)
    source = re.sub(r'people="\w+"', 'people="hog"', source)
    return re.sub(r', device="cuda\w*"', "", source)
