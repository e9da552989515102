"""Pictures of what is read and what is trained on: clips, views, crops, multigrid. See `draw_concepts`."""

from __future__ import annotations

import math

from scripts.svg import Drawing
from twinpath.models.input_spec import InputSpec
from twinpath.recognize.plan import Views, plan_views
from twinpath.train.loop.train import recipe_schedule
from twinpath.train.multigrid.schedule import MultigridSchedule
from twinpath.train.recipe import read_recipe
from twinpath.video.probe import VideoInfo
from twinpath.video.sampling import linspace_indices
from twinpath.zoo.create import input_spec

SECONDS, FPS = 10.0, 30.0
VIDEO = VideoInfo(
    path="video.mp4",
    container="mov",
    codec="h264",
    pixel_format="yuv420p",
    width=340,
    height=256,
    rotation_deg=0,
    is_mirrored=False,
    sample_aspect_ratio=1.0,
    average_fps=FPS,
    duration_s=SECONDS,
    first_frame_s=0.0,
    frame_count_claimed=300,
    has_audio=False,
    size_bytes=1,
)
KINDS = ("fast", "both", "ok", "slow")


def clip_spans(spec: InputSpec, views: str) -> list[tuple[float, float]]:
    """Start and end in seconds of each clip of a video of ten seconds."""
    plan = plan_views(Views.parse(views), spec, info=VIDEO)
    return [(selection.start_s, selection.end_s) for selection in plan.selections]


def draw_clips() -> Drawing:
    """Frames of a clip, clips of a video, crops of a frame."""
    spec = input_spec("slowfast_r50_8x8")
    drawing = Drawing(1000, 596, "Frames of a clip, clips in time and crops in space")
    left, width = 150.0, 820.0
    _frames(drawing, spec, left, width)
    drawing.text(24, 196, f"Clips of a video of {SECONDS:g} seconds", "head")
    y = 222.0
    rows = (("slowfast_r50_8x8", "1x1"), ("slowfast_r50_8x8", "1x10"), ("mvit_v2_s_16x4", "1x5"))
    for name, views in rows:
        spans = clip_spans(input_spec(name), views)
        depth = 22 if len(spans) == 1 else 46
        drawing.text(24, y + 12, f"--views {views}", "small")
        drawing.text(24, y + 28, name, "small dim")
        drawing.box(left, y, width, depth, "plain")
        for i, (begin, end) in enumerate(spans):
            x, lane = left + begin / SECONDS * width, y + 4 + (i % 3) * 14
            drawing.box(round(x, 1), lane, round((end - begin) / SECONDS * width, 1), 10, "fast")
        y += depth + 16
    for second in range(0, 11, 2):
        drawing.text(left + second / SECONDS * width, y + 4, f"{second} s", "small dim", "middle")
    _crops(drawing, spec, y + 34)
    return drawing


def _frames(drawing: Drawing, spec: InputSpec, left: float, width: float) -> None:
    seen = round(spec.num_frames * spec.sampling_rate)
    span_s = seen / FPS
    drawing.text(
        24, 34, f"One clip: {spec.num_frames} frames, one of {spec.sampling_rate}, {span_s:.2f} s", "head"
    )
    pitch = width / seen
    taken = {int(i) for i in linspace_indices(0, seen - 1, spec.num_frames)}
    ordered = sorted(taken)
    slow = {ordered[int(i)] for i in linspace_indices(0, spec.num_frames - 1, spec.num_frames // 4)}
    for y, kept, kind, words in (
        (56, set(range(seen)), "plain", f"video: {seen} frames"),
        (94, taken, "fast", f"fast: {len(taken)} of them"),
        (132, slow, "slow", f"slow: {len(slow)} of those"),
    ):
        drawing.text(24, y + 18, words, "small")
        for i in sorted(kept):
            drawing.box(round(left + i * pitch, 1), y, round(pitch - 2, 1), 26, kind)


def _crops(drawing: Drawing, spec: InputSpec, top: float) -> None:
    drawing.text(
        24, top + 4, f"Crops of a frame, resized to a short side of {spec.short_side_px} pixels", "head"
    )
    scale, y = 0.42, top + 26
    for x, views, words in ((150.0, 1, "1 crop: the middle"), (520.0, 3, "3 crops: left, middle, right")):
        side = spec.short_side_px
        whole = round(side * VIDEO.width / VIDEO.height)
        drawing.box(x, y, whole * scale, side * scale, "plain")
        starts = [(whole - side) / 2] if views == 1 else [0, (whole - side) / 2, whole - side]
        for i, start in enumerate(starts):
            drawing.box(
                round(x + start * scale + i, 1),
                y + 3 + 3 * i,
                spec.crop_px * scale - 2 * i,
                side * scale - 6 - 6 * i,
                ("bothline", "fastline", "slowline")[i],
            )
        drawing.text(x + whole * scale + 14, y + 20, words, "small")
        drawing.text(
            x + whole * scale + 14, y + 38, f"{spec.crop_px}x{spec.crop_px} of {whole}x{side}", "small dim"
        )
    drawing.text(
        150,
        y + side * scale + 24,
        "3x10: three crops of each of ten clips, 30 views; their scores are averaged",
        "small",
    )


def draw_multigrid() -> Drawing:
    """The long cycle of the published recipe over its epochs, and the batches of the short cycle."""
    schedule = recipe_schedule(read_recipe("slowfast_r50_8x8_kinetics_multigrid"))
    drawing = Drawing(1000, 520, "Multigrid: shapes of clips and sizes of batches over the epochs")
    drawing.text(
        24,
        34,
        f"Long cycle: {schedule.schedule.epochs} epochs of slowfast_r50_8x8_kinetics_multigrid",
        "head",
    )
    shapes: list[tuple[int, int]] = []
    left, width, base = 120.0, 850.0, 200.0
    epochs = schedule.schedule.epochs
    for phase in schedule.phases:
        shape = (phase.shape.frames, phase.shape.crop_px)
        if shape not in shapes:
            shapes.append(shape)
        x = left + phase.begin_epoch / epochs * width
        wide = (phase.end_epoch - phase.begin_epoch) / epochs * width
        tall = phase.relative_batch * 16
        note = f"epochs {phase.begin_epoch} to {phase.end_epoch}: batches of {phase.batch_size}"
        drawing.box(
            round(x, 1), base - tall, round(max(wide - 1, 1), 1), tall, KINDS[shapes.index(shape)], note=note
        )
    drawing.text(24, 80, "clips in a", "small")
    drawing.text(24, 96, "batch", "small")
    for batch in (1, 2, 4, 8):
        drawing.text(
            left - 8, base - batch * 16 + 5, f"{batch * schedule.phases[-1].batch_size}", "small dim", "end"
        )
    _rates(drawing, schedule, left, width, base)
    _shapes(drawing, schedule, shapes, 352)
    return drawing


def _rates(drawing: Drawing, schedule: MultigridSchedule, left: float, width: float, base: float) -> None:
    """The factor of the learning rate as a staircase on a logarithmic scale, and the axis of epochs."""
    plan = schedule.schedule
    ends = [*plan.steps[1:], plan.epochs]
    largest = max(plan.factors)

    def y(factor: float) -> float:
        return base + 36 + 22 * math.log10(largest / factor)

    points = []
    for begin, end, factor in zip(plan.steps, ends, plan.factors, strict=True):
        points += [
            (left + begin / plan.epochs * width, y(factor)),
            (left + end / plan.epochs * width, y(factor)),
        ]
    drawing.path(points, "line")
    drawing.text(24, base + 56, "learning", "small")
    drawing.text(24, base + 72, "rate", "small")
    for factor in (largest, min(plan.factors)):
        drawing.text(left - 8, y(factor) + 4, f"×{factor:g}", "small dim", "end")
    for epoch in (0, 100, 200, 300, plan.epochs):
        drawing.text(left + epoch / plan.epochs * width, base + 18, f"{epoch}", "small dim", "middle")


def _shapes(drawing: Drawing, schedule: MultigridSchedule, shapes: list[tuple[int, int]], top: float) -> None:
    """A column for each shape of the long cycle: what one batch after the other looks like."""
    drawing.text(24, top, "Short cycle: three batches take turns; each costs about the same", "head")
    for column, shape in enumerate(shapes):
        phase = next(p for p in schedule.phases if (p.shape.frames, p.shape.crop_px) == shape)
        x = 24 + column * 242
        drawing.box(x, top + 16, 12, 12, KINDS[column])
        drawing.text(x + 18, top + 27, f"{shape[0]} frames of up to {shape[1]} px", "small")
        for i, slot in enumerate(schedule.slots_of(phase.begin_epoch)):
            side = slot.shape.crop_px * 0.28
            drawing.box(x + i * 76, top + 106 - side, round(side, 1), round(side, 1), KINDS[column])
            drawing.text(x + i * 76, top + 124, f"{slot.shape.crop_px} px", "small")
            drawing.text(x + i * 76, top + 142, f"{slot.batch_size} clips", "small dim")
