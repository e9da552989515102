"""Draw the pictures of docs/concepts from what the code computes: python -m scripts.draw_concepts

Shapes and cost are of the networks without values, frames of clips and views of the plans that read videos,
multigrid of the schedule that trains. A test fails when a picture is not current.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from scripts.draw_plans import draw_clips, draw_multigrid
from scripts.svg import Drawing
from scripts.write_api_reference import ROOT
from twinpath.atomic import atomic_path
from twinpath.models.shapes_only import shapes_only
from twinpath.video.sampling import keyframe_offsets
from twinpath.zoo.create import create_model, input_spec

IMAGES = ROOT / "docs" / "images"
STAGES = ("stem", "res2", "res3", "res4", "res5")


def shapes_and_cost(
    name: str, *, frames: int, side: int
) -> tuple[dict[str, tuple[int, ...]], dict[str, float]]:
    """Shapes out of stems, laterals and stages of a SlowFast without their batch, and GFLOPs of its parts."""
    with shapes_only():
        network: Any = create_model(name).eval()
    shapes: dict[str, tuple[int, ...]] = {}

    def keep(part: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        def hook(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
            shapes[part] = tuple(output.shape[1:])

        return hook

    for pathway in ("slow", "fast"):
        for stage in STAGES:
            part = f"{pathway}.{stage}"
            network.get_submodule(part).register_forward_hook(keep(part))
    for i, lateral in enumerate(network.laterals):
        lateral.register_forward_hook(keep(f"laterals.{i}"))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.empty(1, 3, frames, side, side, device="meta"))
    counts = {name: sum(by.values()) / 2e9 for name, by in counter.get_flop_counts().items()}
    cost = dict.fromkeys(("slow", "fast", "laterals"), 0.0) | {"all": counts["Global"]}
    for name, gflops in counts.items():
        _, _, part = name.partition(".")
        if (
            part.count(".") == 1 and part.partition(".")[0] in cost
        ):  # slow.res2, laterals.0: not what is in them
            cost[part.partition(".")[0]] += gflops
    return shapes, cost


def _plates(
    drawing: Drawing, x: float, middle_y: float, shape: tuple[int, ...], kind: str, note: str
) -> None:
    """A map as one plate for each of its frames: as high as it is large, as thick as it has channels."""
    channels, times, side, _ = shape
    height, pitch = 12 * side**0.4, 96 / times

    thick = min(pitch * 0.86, 0.9 + 0.085 * channels**0.6)
    for i in range(times):
        drawing.box(
            round(x + i * pitch, 1), round(middle_y - height / 2, 1), round(thick, 1), round(height, 1), kind
        )
    drawing.text(x + 48, middle_y + 76, note, "small", "middle")


def draw_pathways() -> Drawing:
    """Both pathways of slowfast_r50_8x8 with the shapes of their maps."""
    spec = input_spec("slowfast_r50_8x8")
    frames, side = spec.num_frames, spec.crop_px
    shapes, cost = shapes_and_cost("slowfast_r50_8x8", frames=frames, side=side)
    drawing = Drawing(
        1000, 470, "The slow and the fast pathway of slowfast_r50_8x8 with the shapes of their maps"
    )
    drawing.text(24, 34, f"slowfast_r50_8x8: a clip of {frames} frames of {side}x{side} pixels", "head")
    drawing.text(
        24, 54, "a plate is a frame: as high as the map is large, as thick as it has channels", "small dim"
    )
    slow_y, fast_y, pitch = 140.0, 312.0, 128.0
    slow_frames = shapes["slow.stem"][1]
    for y, times, kind, words in (
        (slow_y, slow_frames, "slow", f"slow: {slow_frames} frames"),
        (fast_y, frames, "fast", f"fast: {frames} frames"),
    ):
        _plates(drawing, 24, y, (3, times, side, side), kind, f"3 × {times} × {side}²")
        drawing.text(72, y - 62, words, "small", "middle")
    for i, stage in enumerate(STAGES):
        x = 24 + (i + 1) * pitch
        for pathway, y in (("slow", slow_y), ("fast", fast_y)):
            channels, times, height, _ = shapes[f"{pathway}.{stage}"]
            note = f"{channels} × {times} × {height}²"
            _plates(drawing, x, y, shapes[f"{pathway}.{stage}"], pathway, note)
            drawing.path([(x - 26, y), (x - 6, y)], arrow=True)
        drawing.text(x + 48, slow_y - 62, stage, "small", "middle")
        if i < len(STAGES) - 1:
            added = shapes[f"laterals.{i}"][0]
            drawing.path([(x + 110, fast_y - 8), (x + 110, slow_y + 10)], "fastline", arrow=True)
            drawing.text(x + 106, slow_y + 100, f"+{added}", "small", "end")
    _end_of_pathways(drawing, shapes, cost, slow_y, fast_y)
    return drawing


def _end_of_pathways(
    drawing: Drawing, shapes: dict[str, tuple[int, ...]], cost: dict[str, float], slow_y: float, fast_y: float
) -> None:
    x, middle = 24 + 6 * 128, (slow_y + fast_y) / 2
    slow, fast = shapes["slow.res5"][0], shapes["fast.res5"][0]
    for y in (slow_y, fast_y):
        drawing.path([(x - 26, y), (x + 4, y), (x + 24, middle + (18 if y > middle else -18))], arrow=True)
    drawing.box(x + 4, middle - 17, 116, 34, "plain", radius=6)
    drawing.text(x + 62, middle + 5, f"{slow} + {fast}", "", "middle")
    drawing.text(x + 40, middle + 38, "mean of each, joined,", "small dim")
    drawing.text(x + 40, middle + 54, "then one linear layer", "small dim")
    drawing.path([(x + 120, middle), (x + 146, middle)], arrow=True)
    drawing.text(x + 152, middle - 2, "400", "", "start")
    drawing.text(x + 152, middle + 14, "labels", "small", "start")
    drawing.text(24, 426, f"cost of a clip: {cost['all']:.1f} GFLOPs", "small")
    left, width = 200.0, 776.0
    for part, kind in (("slow", "slow"), ("fast", "fast"), ("laterals", "both")):
        share = cost[part] / cost["all"]
        drawing.box(left, 413, round(width * share, 1), 18, kind)
        words = f"{part} {share:.1%}"
        if part == "slow":
            drawing.text(left + 4, 448, words, "small")
        else:
            drawing.text(976, 448 if part == "fast" else 406, words, "small", "end")
        left += width * share


def draw_detection() -> Drawing:
    """A keyframe, the clip around it, the box on the map, the scores of one person."""
    spec = input_spec("slowfast_r50_8x8_det")
    height, width = spec.short_side_px, round(spec.short_side_px * 4 / 3)
    with shapes_only():
        network: Any = create_model("slowfast_r50_8x8_det").eval()
        maps = network.forward_features(torch.empty(1, 3, spec.num_frames, height, width, device="meta"))
    (slow, _, rows, columns), fast = maps[0].shape[1:], maps[1].shape[1]
    classes = network.get_classifier().out_features
    drawing = Drawing(1000, 430, "From a keyframe and a box to the scores of one person's actions")
    offsets = keyframe_offsets(spec.num_frames, spec.sampling_rate) / 30
    _film(drawing, offsets)
    left, top, scale = 24.0, 150.0, 0.62
    drawing.text(left, top - 10, f"keyframe, {height} pixels high", "small")
    drawing.box(left, top, width * scale, height * scale, "onto")
    box = (96.0, 40.0, 208.0, 244.0)
    _person(drawing, left + 152 * scale, top + 62 * scale, scale)
    _person(drawing, left + 292 * scale, top + 96 * scale, scale * 0.8)
    drawing.box(
        left + box[0] * scale,
        top + box[1] * scale,
        (box[2] - box[0]) * scale,
        (box[3] - box[1]) * scale,
        "bothline",
    )
    drawing.text(left, top + height * scale + 20, "a person detector finds the boxes", "small dim")
    cell, x = 10.0, 310.0
    drawing.path([(left + width * scale + 8, 230), (x - 8, 230)], arrow=True)
    drawing.text(x, top - 10, f"map {slow + fast} × {rows} × {columns}, mean over time", "small")
    for row in range(rows):
        for column in range(columns):
            drawing.box(x + column * cell, top + row * cell, cell - 1, cell - 1, "plain")
    drawing.box(
        x + box[0] / 16 * cell,
        top + box[1] / 16 * cell,
        (box[2] - box[0]) / 16 * cell,
        (box[3] - box[1]) / 16 * cell,
        "bothline",
    )
    drawing.text(x, top + rows * cell + 20, "one cell for 16 pixels", "small dim")
    x2 = x + columns * cell + 44
    drawing.path([(x2 - 38, 230), (x2 - 8, 230)], arrow=True)
    drawing.text(x2, top - 10, "RoIAlign: 7 × 7", "small")
    for row in range(7):
        for column in range(7):
            drawing.box(x2 + column * 14, top + row * 14, 13, 13, "both")
    drawing.text(x2, top + 118, "maximum over the box:", "small dim")
    drawing.text(x2, top + 134, f"{slow + fast} values", "small dim")
    x3 = x2 + 150
    drawing.path([(x2 + 106, 200), (x3 - 8, 200)], arrow=True)
    drawing.text(x3, top - 10, f"{classes} scores, each 0 to 1", "small")
    for i, (label, score) in enumerate(
        (("stand", 0.91), ("talk to …", 0.64), ("touch …", 0.22), ("run", 0.02))
    ):
        drawing.box(x3, top + i * 30, 110, 12, "plain")
        drawing.box(x3, top + i * 30, 110 * score, 12, "ok")
        drawing.text(x3, top + i * 30 + 25, f"{label} {score:.2f}", "small")
    drawing.text(x3, top + 138, "(made up)", "small dim")
    _tracks(drawing)
    return drawing


def _film(drawing: Drawing, offsets: Any) -> None:
    drawing.text(24, 34, "The clip around a keyframe", "head")
    middle, scale = 500.0, 400.0
    for i, offset in enumerate(offsets):
        x = middle + offset * scale
        drawing.box(round(x - 4, 1), 62, 8, 34, "both" if i == len(offsets) // 2 else "fast")
    drawing.text(middle, 54, "keyframe", "small", "middle")
    drawing.text(24, 84, f"{offsets[0]:+.2f} s", "small dim")
    drawing.text(976, 84, f"{offsets[-1]:+.2f} s", "small dim", "end")
    drawing.text(
        middle,
        114,
        f"{len(offsets)} frames: the network sees what comes before and after",
        "small dim",
        "middle",
    )


def _person(drawing: Drawing, x: float, y: float, scale: float) -> None:
    drawing.circle(x, y, 13 * scale, "plain")
    for points in (
        [(0, 14), (0, 86)], [(-34, 62), (0, 30), (36, 10)], [(-24, 172), (0, 86), (26, 172)],
    ):  # fmt: skip
        drawing.path([(x + a * scale, y + b * scale) for a, b in points])


def _tracks(drawing: Drawing) -> None:
    y = 372.0
    drawing.text(24, y - 6, "tracks", "small")
    drawing.text(24, y + 32, "keyframes", "small dim")
    for second in range(8):
        x = 130 + second * 104
        drawing.path([(x, y - 16), (x, y + 20)], "line")
        drawing.text(x, y + 36, f"{second} s", "small dim", "middle")
    for name, first, last, dy, kind in (
        ("person 1", 0, 4, -10, "bothline"),
        ("person 2", 2, 7, 8, "slowline"),
    ):
        drawing.path([(130 + first * 104, y + dy), (130 + last * 104, y + dy)], kind)
        for second in range(first, last + 1):
            drawing.circle(130 + second * 104, y + dy, 4, kind.removesuffix("line"))
        drawing.text(140 + last * 104, y + dy + 4, name, "small")


DRAWINGS: dict[str, Callable[[], Drawing]] = {
    "pathways.svg": draw_pathways,
    "clips_and_views.svg": draw_clips,
    "multigrid.svg": draw_multigrid,
    "person_boxes.svg": draw_detection,
}


def main() -> None:
    """Write all of them."""
    for name, draw in DRAWINGS.items():
        with atomic_path(IMAGES / name) as temporary:
            temporary.write_text(draw().svg(), "utf-8")
        print(IMAGES / name)


if __name__ == "__main__":
    main()
