"""The content of `model.json`: everything that is needed to use a model, as plain data. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast, get_args

from twinpath.formats.json_nodes import Node
from twinpath.models.input_spec import InputSpec, Sampling, Triple
from twinpath.models.registry import Output, Task

FORMAT = "twinpath-model"
VERSION = 1
Pooling = Literal["mean", "max"]
HeadKind = Literal["last", "stages"]
StoredPrecision = Literal["fp32", "fp16", "int8"]

_MOST_CLASSES = 1_000_000
_MOST_TEXT = 2000  # characters of a name or an address
_MOST_FRAMES = 4096
_MOST_PX = 8192
_MOST_FILES = 16
_MOST_BYTES = 16 << 30
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VIEWS = re.compile(r"[13]x(100|[1-9][0-9]?)")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_OUTPUTS: dict[Task, tuple[Output, ...]] = {
    "classification": ("scores", "embed"),
    "detection": ("boxes",),
}


@dataclass(frozen=True)
class StoredFile:
    """A file of the folder.

    Attributes:
        sha256: Of its content, in hexadecimal digits.
        size_bytes: Its size.
    """

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class WeightsSource:
    """Where the numbers come from.

    Attributes:
        name: Of the record, or of the weight file.
        sha256: Of the weight file; empty: not known.
        url, licence: Of the record; empty: not known.
    """

    name: str
    sha256: str = ""
    url: str = ""
    licence: str = ""


@dataclass(frozen=True)
class ParityFigure:
    """How far a graph is from the network in torch, on some inputs.

    Attributes:
        inputs: "random" or "smooth" frames.
        clips, boxes: How many were given at once; boxes None: a network for clips.
        height_px, width_px: Of the frames.
        scores: The largest absolute difference of a score.
        logits: The same of its logit: log(s / (1 - s)), or log(s) where the scores of a clip add up to 1.
        same_top1: Whether the best class of every clip, or box, is the same.
    """

    inputs: str
    clips: int
    boxes: int | None
    height_px: int
    width_px: int
    scores: float
    logits: float
    same_top1: bool


def worst(figures: Sequence[ParityFigure]) -> tuple[float, float, bool]:
    """The largest differences of scores and logits, and whether the best class was always the same."""
    return (
        max((f.scores for f in figures), default=0.0),
        max((f.logits for f in figures), default=0.0),
        all(f.same_top1 for f in figures),
    )


@dataclass(frozen=True)
class ModelCard:
    """What a model is and takes.

    Attributes:
        name: Of the network and its weights, for example "slowfast_r50_8x8.ptv_k400".
        network: A name for `create_model` whose network this is; None: none that is known here.
        head: What its last layer sees: "last": the last maps, as the network has it; "stages": several, see
            `StagesHead`.
        task: What it is for.
        dataset: Of training, for example "kinetics400".
        labels: Names of the classes, in the order of the scores.
        input: The clip.
        precision: As the weights are stored. Graphs of "fp16" compute in float32.
        view_pooling: How the scores of several views become one.
        views: Crops in space x clips in time by which it classifies where nothing else is asked for.
        min_person_score: Of a detection network, see `Architecture`.
        weights: Where the numbers come from.
        versions: Of the software that made the files.
        parity: Compared with torch when it was made; empty: of weights alone.
        figures: What else was measured, numbers or text by name.
        files: Each file of the folder by its name, `model.json` and the card for people excepted.
    """

    name: str
    network: str | None
    task: Task
    dataset: str
    labels: tuple[str, ...]
    input: InputSpec
    precision: StoredPrecision
    view_pooling: Pooling = "mean"
    views: str = "1x1"
    head: HeadKind = "last"
    min_person_score: float | None = None
    weights: WeightsSource = WeightsSource("")
    versions: Mapping[str, str] = field(default_factory=dict)
    parity: tuple[ParityFigure, ...] = ()
    figures: Mapping[str, float | str] = field(default_factory=dict)
    files: Mapping[str, StoredFile] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What a graph computes: scores and embeddings of clips, or scores of boxes."""
        return _OUTPUTS[self.task]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, with the format and, for people and other programs, the tensors of a graph."""
        return {"format": FORMAT, "version": VERSION, **asdict(self), "graph": self.graph()}

    def graph(self) -> dict[str, Any]:
        """Names, types and shapes of the tensors of a graph; a letter is a size that the caller chooses."""
        spec, classes = self.input, len(self.labels)
        if self.task == "detection":
            frames: list[int | str] = ["N", spec.num_frames, "H", "W", 3]
            inputs = [_tensor("frames", "uint8", frames), _tensor("boxes", "float32", ["P", 5])]
            return {"inputs": inputs, "outputs": [_tensor("scores", "float32", ["P", classes])]}
        frames = ["N", spec.num_frames, spec.crop_px, spec.crop_px, 3]
        outputs = [_tensor("scores", "float32", ["N", classes]), _tensor("embeddings", "float32", ["N", "D"])]
        return {"inputs": [_tensor("frames", "uint8", frames)], "outputs": outputs}


def _tensor(name: str, dtype: str, shape: list[int | str]) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": shape}


def read_card(node: Node) -> ModelCard:
    """A card from JSON.

    Raises:
        InputError: It is none, of a later version, or a value is missing or out of its range.
    """
    if not isinstance(node.value, dict) or node.value.get("format") != FORMAT:
        raise node.error(f"it is no record of a model: its format is not {FORMAT!r}")
    version = _whole(node["version"], at_least=1)
    if version != VERSION:
        raise node["version"].error(f"version {version} is not known here, only {VERSION}; update Twinpath")
    labels = tuple(_text(label) for label in _bounded(node["labels"], _MOST_CLASSES))
    if not labels:
        raise node["labels"].error("there are no classes")
    network, least, views, head = (node.find(key) for key in ("network", "min_person_score", "views", "head"))
    return ModelCard(
        name=_text(node["name"]),
        network=None if network is None else _text(network),
        task=_one_of(node["task"], Task),
        dataset=_text(node["dataset"]),
        labels=labels,
        input=_input(node["input"]),
        precision=_one_of(node["precision"], StoredPrecision),
        view_pooling=_one_of(node["view_pooling"], Pooling),
        views="1x1" if views is None else _views(views),
        head="last" if head is None else _one_of(head, HeadKind),
        min_person_score=None if least is None else least.number(at_least=0, at_most=1),
        weights=_weights(node["weights"]),
        versions={key: _text(value) for key, value in _entries(node["versions"])},
        parity=tuple(_parity(entry) for entry in _bounded(node["parity"], 1000)),
        figures={key: _figure(value) for key, value in _entries(node["figures"])},
        files=_files(node["files"]),
    )


def _input(node: Node) -> InputSpec:
    sampling = cast(Sampling, _one_of(node["sampling"], Sampling))
    resize, offset = node.find("resize_px"), node["offset_views"].value
    if not isinstance(offset, bool):
        raise node["offset_views"].error("it is neither true nor false")
    crop = _whole(node["crop_px"], at_least=1, at_most=_MOST_PX)
    spec = InputSpec(
        num_frames=_whole(node["num_frames"], at_least=1, at_most=_MOST_FRAMES),
        sampling_rate=_whole(node["sampling_rate"], at_least=1, at_most=_MOST_FRAMES),
        short_side_px=_whole(node["short_side_px"], at_least=crop, at_most=_MOST_PX),
        crop_px=crop,
        mean=_triple(node["mean"]),
        std=_triple(node["std"]),
        sampling=sampling,
        resize_px=None if resize is None else _pair(resize, at_least=crop),
        offset_views=offset,
    )
    if min(spec.std) <= 0:
        raise node["std"].error("it is not positive")
    return spec


def _views(node: Node) -> str:
    if not _VIEWS.fullmatch(_text(node)):
        raise node.error("it is no number of crops (1 or 3) x clips, such as 1x1 or 3x10")
    return _text(node)


def _weights(node: Node) -> WeightsSource:
    sha256 = _text(node["sha256"])
    if sha256 and not _SHA256.fullmatch(sha256):
        raise node["sha256"].error("it is no SHA-256 in hexadecimal digits")
    return WeightsSource(_text(node["name"]), sha256, _text(node["url"]), _text(node["licence"]))


def _parity(node: Node) -> ParityFigure:
    boxes, same = node.find("boxes"), node["same_top1"].value
    if not isinstance(same, bool):
        raise node["same_top1"].error("it is neither true nor false")
    return ParityFigure(
        inputs=_text(node["inputs"]),
        clips=_whole(node["clips"], at_least=1),
        boxes=None if boxes is None else _whole(boxes, at_least=0),
        height_px=_whole(node["height_px"], at_least=1),
        width_px=_whole(node["width_px"], at_least=1),
        scores=node["scores"].number(at_least=0),
        logits=node["logits"].number(at_least=0),
        same_top1=same,
    )


def _files(node: Node) -> dict[str, StoredFile]:
    files = {}
    for name, entry in _entries(node):
        if not _FILE_NAME.fullmatch(name):
            raise node.error(f"{name!r} is no name of a file of the folder")
        sha256 = _text(entry["sha256"])
        if not _SHA256.fullmatch(sha256):
            raise entry["sha256"].error("it is no SHA-256 in hexadecimal digits")
        files[name] = StoredFile(sha256, _whole(entry["size_bytes"], at_least=0, at_most=_MOST_BYTES))
    if not 0 < len(files) <= _MOST_FILES:
        raise node.error(f"{len(files)} files, not 1 to {_MOST_FILES}")
    return files


def _figure(node: Node) -> float | str:
    return _text(node) if isinstance(node.value, str) else node.number()


def _entries(node: Node) -> list[tuple[str, Node]]:
    """Key and value of each entry of an object."""
    node.has("")  # an object, or an error
    if len(node.value) > 1000:
        raise node.error(f"{len(node.value)} entries")
    return [(key, node[key]) for key in node.value]


def _bounded(node: Node, most: int) -> list[Node]:
    entries = node.each()
    if len(entries) > most:
        raise node.error(f"{len(entries)} entries; at most {most} are allowed")
    return entries


def _text(node: Node) -> str:
    text = node.text()
    if len(text) > _MOST_TEXT:
        raise node.error(f"{len(text)} characters; at most {_MOST_TEXT} are allowed")
    return text


def _whole(node: Node, *, at_least: int, at_most: int = _MOST_BYTES) -> int:
    if type(node.value) is not int:
        raise node.error("it is no whole number")
    return int(node.number(at_least=at_least, at_most=at_most))


def _triple(node: Node) -> Triple:
    first, second, third = node.numbers(3)
    return first, second, third


def _pair(node: Node, *, at_least: int) -> tuple[int, int]:
    entries = node.each()
    if len(entries) != 2:
        raise node.error(f"{len(entries)} numbers, not 2")
    height, width = (_whole(entry, at_least=at_least, at_most=_MOST_PX) for entry in entries)
    return height, width


def _one_of(node: Node, choices: Any) -> Any:
    """One of the values of a Literal."""
    if node.value not in get_args(choices):
        raise node.error(f"it is not one of {', '.join(get_args(choices))}")
    return node.value
