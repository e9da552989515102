"""An explanation drawn: the video with the map over it and its curve of time below, and a sheet of frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from twinpath.atomic import atomic_path
from twinpath.data.pictures import is_picture, read_picture
from twinpath.render.label_image import Frame
from twinpath.render.output_check import check_output
from twinpath.results.explanation import Explanation
from twinpath.video.clip_plan import Selections
from twinpath.video.clips import open_clips, whole_frames
from twinpath.video.selection import AtTimes
from twinpath.video.source import DEFAULT_LIMITS, Limits
from twinpath.video.writer import VideoWriter

_INK, _SOFT, _LINE, _PAPER, _HOT = (
    (27, 36, 48),
    (93, 107, 122),
    (221, 227, 234),
    (255, 255, 255),
    (214, 69, 24),
)
_SIDE_PX = (360, 720)  # least and largest short side of the video that is written
_STRIP = 0.28  # height of the curve, as a share of the picture's
_OPAQUE = 0.75  # of the hottest places
_SHEET_FRAMES, _SHEET_WIDTH_PX = 8, 240
_GAP_PX = 6
_ROW_FRAMES, _ROW_SIDE_PX = 4, 168


def heat_over(frame: Frame, spread: NDArray[np.float32], crop: Sequence[float]) -> Frame:
    """A map over a picture, from transparent over red to yellow; outside of the crop the picture is darker.

    Args:
        frame: (H, W, 3) uint8.
        spread: (h, w) 0 to 1, of the crop.
        crop: (top, left, height, width) as shares of the picture.
    """
    height, width = frame.shape[:2]
    top, left = round(crop[0] * height), round(crop[1] * width)
    rows, columns = (min(round(crop[2 + i] * n), n) for i, n in enumerate((height, width)))
    values = Image.fromarray(spread.astype(np.float32)).resize((columns, rows), Image.Resampling.BILINEAR)
    heat = np.clip(np.asarray(values), 0, 1)[..., None]
    colour = np.concatenate([np.full_like(heat, 255), 255 * np.clip(2 * heat - 0.6, 0, 1), 30 * heat], axis=2)
    alpha = _OPAQUE * np.clip(1.6 * heat, 0, 1)
    out = (frame * 0.55).astype(np.uint8)
    region = (slice(top, top + rows), slice(left, left + columns))
    inside = frame[region]
    out[region] = (inside * (1 - alpha) + colour[: inside.shape[0], : inside.shape[1]] * alpha).astype(
        np.uint8
    )
    return out


def write_video(
    explanation: Explanation,
    out: Path,
    *,
    pathway: str = "whole",
    limits: Limits = DEFAULT_LIMITS,
    fps: float | None = None,
    isolate: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the clip as an MP4, with the map over it and the curve of time below.

    Args:
        explanation: Of a video that is still there.
        out: The MP4 to create or replace.
        pathway: Whose map.
        limits, fps, isolate: As of the reading.
        progress: Called with the frames that are written, and all.
    Raises:
        UsageError: `out` is no MP4, is the video itself, or its folder does not exist.
        InputError, LimitExceeded, WorkerDied: The video cannot be read; `out` is not written.
        OSError: `out` cannot be written.
    """
    check_output(out, video=Path(explanation.video), suffixes=(".mp4",))
    times_s = _all_times_s(explanation)
    frames = _frames(explanation, times_s, limits=limits, fps=fps, isolate=isolate)
    first = next(frames)
    panel = _Panel(explanation, first.shape[1])
    height = first.shape[0] + panel.height_px
    with VideoWriter(out, width=first.shape[1], height=height, fps=_rate(times_s)) as writer:
        for done, time_s in enumerate(times_s, start=1):
            frame = first if done == 1 else next(frames)
            drawn = heat_over(frame, _map_at(explanation, pathway, time_s), explanation.crop)
            _draw_person(drawn, explanation)
            writer.write(np.concatenate([drawn, panel.at(time_s)]))
            if progress is not None:
                progress(done, len(times_s))


def write_sheet(
    explanation: Explanation,
    out: Path,
    *,
    limits: Limits = DEFAULT_LIMITS,
    fps: float | None = None,
    isolate: bool = False,
) -> None:
    """Write frames of the clip and below each what each map marks, and the curve of time, as a PNG.

    Arguments and errors as of `write_video`.
    """
    check_output(out, video=Path(explanation.video), suffixes=(".png",))
    picks = np.unique(np.linspace(0, len(explanation.times_s) - 1, _SHEET_FRAMES).round().astype(int))
    times_s = explanation.times_s[picks]
    frames = list(_frames(explanation, times_s, limits=limits, fps=fps, isolate=isolate))
    size = (_SHEET_WIDTH_PX, max(1, round(frames[0].shape[0] * _SHEET_WIDTH_PX / frames[0].shape[1])))
    small = [np.array(Image.fromarray(f).resize(size, Image.Resampling.LANCZOS)) for f in frames]
    names = ["whole", *(name for name in explanation.maps if name != "whole")]
    rows = [small]
    for name in names:
        maps = explanation.maps[name][picks]
        rows.append([heat_over(f, m, explanation.crop) for f, m in zip(small, maps, strict=True)])
    for tile in (tile for row in rows for tile in row):
        _draw_person(tile, explanation)
    width = len(picks) * (size[0] + _GAP_PX) - _GAP_PX
    panel = _Panel(explanation, width)
    height = len(rows) * (size[1] + _GAP_PX) + panel.height_px
    sheet = Image.new("RGB", (width, height), _PAPER)
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            sheet.paste(Image.fromarray(tile), (j * (size[0] + _GAP_PX), i * (size[1] + _GAP_PX)))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=15)
    for i, name in enumerate(names if len(names) > 1 else [], start=1):
        draw.text(
            (8, i * (size[1] + _GAP_PX) + 5), name, font=font, fill=_PAPER, stroke_width=2, stroke_fill=_INK
        )
    sheet.paste(Image.fromarray(panel.at(None)), (0, height - panel.height_px))
    with atomic_path(out) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)


def map_pictures(
    explanations: Sequence[Explanation],
    *,
    limits: Limits = DEFAULT_LIMITS,
    fps: float | None = None,
    isolate: bool = False,
) -> tuple[Frame, ...]:
    """Some frames of a clip in a row with the map over them, for each explanation of that clip.

    Args:
        explanations: Of one clip of one video.
        limits, fps, isolate: As of the reading.
    Raises:
        InputError, LimitExceeded, WorkerDied: The video cannot be read.
    """
    first = explanations[0]
    picks = np.unique(np.linspace(0, len(first.times_s) - 1, _ROW_FRAMES).round().astype(int))
    if is_picture(Path(first.video)):
        frames = [read_picture(Path(first.video))] * len(picks)
    else:
        frames = list(_frames(first, first.times_s[picks], limits=limits, fps=fps, isolate=isolate))
    scale = _ROW_SIDE_PX / max(frames[0].shape[:2])
    size = (max(1, round(frames[0].shape[1] * scale)), max(1, round(frames[0].shape[0] * scale)))
    small = [np.array(Image.fromarray(f).resize(size, Image.Resampling.LANCZOS)) for f in frames]
    rows = []
    for one in explanations:
        tiles = [heat_over(f, m, one.crop) for f, m in zip(small, one.maps["whole"][picks], strict=True)]
        for tile in tiles:
            _draw_person(tile, one)
        rows.append(np.concatenate(tiles, axis=1))
    return tuple(rows)


def _draw_person(frame: Frame, explanation: Explanation) -> None:
    """The box of the person whose score it is, in place."""
    if explanation.box_shares is None:
        return
    height, width = frame.shape[:2]
    x1, y1, x2, y2 = (
        round(share * side)
        for share, side in zip(explanation.box_shares, (width, height, width, height), strict=True)
    )
    picture = Image.fromarray(frame)
    ImageDraw.Draw(picture).rectangle([x1, y1, x2, y2], outline=_PAPER, width=max(2, height // 180))
    frame[:] = np.asarray(picture)


class _Panel:
    """The strip below the pictures: label and score, and what the logit loses without each time.

    Args:
        explanation: What it shows.
        width_px: Of the pictures.
    """

    def __init__(self, explanation: Explanation, width_px: int) -> None:
        self._times_s = explanation.times_s
        self.height_px = 2 * round(max(96, min(_STRIP * width_px * 0.6, 200)) / 2)
        font_px = max(12, min(round(width_px / 32), 20))
        self._font = ImageFont.load_default(size=font_px)
        self._left, self._right = 14, width_px - 14
        self._image = Image.new("RGB", (width_px, self.height_px), _PAPER)
        draw = ImageDraw.Draw(self._image)
        self._top, self._bottom = round(font_px * 2.2), self.height_px - round(font_px * 1.6)
        facts = f"{explanation.label}  {100 * explanation.score:.0f} %"
        for name, score in explanation.score_without.items():
            facts += f"   without {name} {100 * score:.0f} %"
        draw.text((self._left, 6), facts, font=self._font, fill=_INK)
        losses = explanation.losses
        low, high = min(0.0, float(losses.min())), max(1e-6, float(losses.max()))
        zero_y = self._y(0.0, low, high)
        draw.line([(self._left, zero_y), (self._right, zero_y)], fill=_LINE, width=1)
        points = [(self._x(t), self._y(v, low, high)) for t, v in zip(self._times_s, losses, strict=True)]
        draw.polygon([(points[0][0], zero_y), *points, (points[-1][0], zero_y)], fill=(250, 222, 208))
        draw.line(points, fill=_HOT, width=2)
        text_y = self._bottom + 4
        for time_s, anchor in ((self._times_s[0], "la"), (self._times_s[-1], "ra")):
            draw.text(
                (self._x(time_s), text_y), f"{time_s:.2f} s", font=self._font, fill=_SOFT, anchor=anchor
            )
        peak_x = min(max(self._x(explanation.peak_s), width_px * 0.3), width_px * 0.7)
        draw.text(
            (peak_x, text_y), f"most at {explanation.peak_s:.2f} s", font=self._font, fill=_HOT, anchor="ma"
        )

    def at(self, time_s: float | None) -> Frame:
        """(h, W, 3) the strip with a line at a time; None: without one."""
        image = self._image.copy()
        if time_s is not None:
            x = self._x(time_s)
            ImageDraw.Draw(image).line([(x, self._top - 4), (x, self._bottom)], fill=_INK, width=2)
        return np.asarray(image)

    def _x(self, time_s: float) -> float:
        span_s = max(float(self._times_s[-1] - self._times_s[0]), 1e-9)
        share = (time_s - self._times_s[0]) / span_s
        return float(self._left + np.clip(share, 0, 1) * (self._right - self._left))

    def _y(self, value: float, low: float, high: float) -> float:
        return float(self._bottom - (value - low) / (high - low) * (self._bottom - self._top))


def _all_times_s(explanation: Explanation) -> NDArray[np.float64]:
    """Times of the video that is written: 25 a second over the clip, at least the clip's own."""
    first_s, last_s = float(explanation.times_s[0]), float(explanation.times_s[-1])
    return np.linspace(first_s, last_s, max(round((last_s - first_s) * 25) + 1, 2))


def _rate(times_s: NDArray[np.float64]) -> float:
    span_s = float(times_s[-1] - times_s[0])
    return (len(times_s) - 1) / span_s if span_s > 0 else 25.0


def _map_at(explanation: Explanation, pathway: str, time_s: float) -> NDArray[np.float32]:
    """Between the frames of the clip linearly."""
    place = float(np.interp(time_s, explanation.times_s, np.arange(len(explanation.times_s))))
    low = min(int(place), len(explanation.times_s) - 1)
    high, share = min(low + 1, len(explanation.times_s) - 1), np.float32(place - low)
    maps = explanation.maps[pathway]
    mixed: NDArray[np.float32] = maps[low] * (1 - share) + maps[high] * share
    return mixed


def _frames(
    explanation: Explanation,
    times_s: NDArray[np.float64],
    *,
    limits: Limits,
    fps: float | None,
    isolate: bool,
) -> Iterator[Frame]:
    """The frames on screen at these times, one after the other, in a size for the screen."""
    plan = Selections(tuple(AtTimes((float(t),)) for t in times_s))
    with open_clips(explanation.video, plan, limits=limits, fps=fps, isolate=isolate) as source:
        for clip in source:
            frame = whole_frames(clip)[0]
            short = min(frame.shape[:2])
            scale = min(max(short, _SIDE_PX[0]), _SIDE_PX[1]) / short
            size = [round(side * scale) // 2 * 2 for side in frame.shape[1::-1]]
            if size != list(frame.shape[1::-1]):
                frame = np.array(Image.fromarray(frame).resize((size[0], size[1]), Image.Resampling.BILINEAR))
            yield frame
