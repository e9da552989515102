"""The card of a model folder for people, as Markdown. No torch."""

from __future__ import annotations

from collections.abc import Iterable

from twinpath.escapes import printable
from twinpath.zoo.model_card import ModelCard, worst

_SHOWN_LABELS = 12
# What the Hugging Face Hub lists a model under.
_FRONT_MATTER = """---
library_name: twinpath
pipeline_tag: video-classification
tags:
- video
- action-recognition
---

"""


def readme(card: ModelCard) -> str:
    """What a model is, takes and gives, how it was checked, and whose weights it has."""
    parts = [
        f"{_FRONT_MATTER}# {printable(card.name)}",
        _what(card),
        _table(("input", ""), _input_rows(card)),
        _tensors(card),
        _parity(card),
        _figures(card),
        _origin(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _what(card: ModelCard) -> str:
    task = {"classification": "classifies short clips", "detection": "scores what each person does"}[
        card.task
    ]
    names = ", ".join(printable(label) for label in card.labels[:_SHOWN_LABELS])
    more = ", …" if len(card.labels) > _SHOWN_LABELS else ""
    return (
        f"A network that {task}: {len(card.labels)} classes of {printable(card.dataset)} ({names}{more}). "
        f"Weights are stored as {card.precision}. `model.json` has all labels, the input, hashes of the "
        "files and what was measured. Written by Twinpath, which takes this folder, or its address on the "
        "Hugging Face Hub (`hf://user/name`), wherever it takes the name of a model."
    )


def _input_rows(card: ModelCard) -> list[tuple[str, str]]:
    spec = card.input
    seconds = spec.num_frames * spec.sampling_rate / 30
    spans = {
        "clip": f"{spec.num_frames}, spread evenly over {seconds:.2f} s from its first frame to its last",
        "strided": f"{spec.num_frames}, one each {spec.sampling_rate / 30:.3f} s",
        "segments": f"{spec.num_frames}, one of each of as many equal parts of the video",
    }
    resized = (
        f"to {spec.resize_px[0]}x{spec.resize_px[1]} (height x width)"
        if spec.resize_px
        else f"the shorter side to {spec.short_side_px} pixels"
    )
    crop = "none: whole frames" if card.task == "detection" else f"{spec.crop_px}x{spec.crop_px}, the centre"
    return [
        ("frames", spans[spec.sampling]),
        ("resize", f"bilinear, without antialiasing, {resized}"),
        ("crop", crop),
        ("colours", "RGB, 0 to 255; normalised inside the graph"),
    ]


def _tensors(card: ModelCard) -> str:
    graph = card.graph()
    rows = [
        (side, f"`{tensor['name']}`", tensor["dtype"], " x ".join(str(n) for n in tensor["shape"]))
        for side, tensors in (("in", graph["inputs"]), ("out", graph["outputs"]))
        for tensor in tensors
    ]
    text = _table(("tensor", "name", "type", "shape"), rows)
    if card.task == "detection":
        text += (
            "\n\nA box is the index of its clip and x1, y1, x2, y2 in pixels of the resized frames. H and W "
            "are those of the resized frames."
        )
    return text


def _parity(card: ModelCard) -> str:
    if not card.parity:
        return ""
    scores, logits, same = worst(card.parity)
    clips = ", ".join(str(n) for n in sorted({p.clips for p in card.parity}))
    what = (
        "Before it became int8, the graph in fp32 was compared with torch"
        if card.precision == "int8"
        else "Compared with torch when it was made"
    )
    return (
        f"{what}, on random and smooth frames, {clips} clips at once: scores "
        f"differ by at most {scores:.1g}, logits by {logits:.1g}, the best class is "
        f"{'always' if same else 'not always'} the same."
    )


def _figures(card: ModelCard) -> str:
    rows = [
        (printable(name.replace("_", " ")), printable(value) if isinstance(value, str) else f"{value:g}")
        for name, value in card.figures.items()
    ]
    return _table(("measured", ""), rows) if rows else ""


def _origin(card: ModelCard) -> str:
    source = card.weights
    rows = [
        ("weights", source.name),
        ("SHA-256", source.sha256),
        ("from", source.url),
        ("licence", source.licence),
        *((f"made by {name}", version) for name, version in card.versions.items()),
    ]
    return _table(("origin", ""), [(name, printable(value)) for name, value in rows if value])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
