"""A contact sheet: the keyframes with the most people in one image.

contact_sheet(Path("match.mp4"), detections, Path("out.png"))
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from twinpath.atomic import atomic_path
from twinpath.render.output_check import check_output
from twinpath.render.people import Hud, PeoplePainter
from twinpath.render.track_interpolator import TrackInterpolator
from twinpath.results.detections import Detections
from twinpath.video.decode import read_frames
from twinpath.video.isolated import read_frames_isolated
from twinpath.video.selection import AtTimes
from twinpath.video.source import DEFAULT_LIMITS, Limits

SHEET_SUFFIXES = (".png", ".jpg", ".jpeg")
_COLUMNS = 3
_MAX_TILES = 9
_TILE_WIDTH_PX = 480
_GAP_PX = 6
_JPEG_QUALITY = 92


def contact_sheet(
    video: Path,
    detections: Detections,
    out: Path,
    *,
    top_k: int = 3,
    limits: Limits = DEFAULT_LIMITS,
    fps: float | None = None,
    isolate: bool = False,
) -> tuple[str, ...]:
    """Write a grid of up to nine keyframes with the most people, in order of time.

    Args:
        video: The video of `detections`.
        detections: Tracks with their actions.
        out: The PNG or JPEG to create or replace.
        top_k: Maximum number of actions per person.
        limits: Limits of reading the video.
        fps: Of folders of pictures and raw streams, see `open_video`.
        isolate: Read the video in a sandboxed process.
    Returns:
        Warnings about the video file.
    Raises:
        UsageError: `out` is no PNG or JPEG, is the video itself, or its folder does not exist.
        InputError, LimitExceeded, WorkerDied: The video cannot be read; `out` is not written.
        OSError: `out` cannot be written.
    """
    check_output(out, video=video, suffixes=SHEET_SUFFIXES)
    times_s = _keyframes_with_most_people(detections)
    read = read_frames_isolated if isolate else read_frames
    decoded = read(video, [AtTimes(times_s)], limits=limits, fps=fps)
    height, width = decoded.frames.shape[1:3]
    tile = (_TILE_WIDTH_PX, max(1, round(height * _TILE_WIDTH_PX / width)))
    people = TrackInterpolator(detections, size_px=(tile[1], tile[0]))
    columns = min(_COLUMNS, len(times_s))
    rows = -(-len(times_s) // columns)
    steps = (tile[0] + _GAP_PX, tile[1] + _GAP_PX)
    sheet = Image.new("RGB", (columns * steps[0] - _GAP_PX, rows * steps[1] - _GAP_PX), "white")
    for index, (time_s, frame) in enumerate(zip(times_s, decoded.clip(), strict=True)):
        small = np.array(Image.fromarray(frame).resize(tile, Image.Resampling.LANCZOS))
        PeoplePainter(small.shape[:2], top_k=top_k).draw(small, people.at(time_s), hud=Hud(time_s=time_s))
        row, column = divmod(index, columns)
        sheet.paste(Image.fromarray(small), (column * steps[0], row * steps[1]))
    with atomic_path(out) as temporary:
        sheet.save(temporary, quality=_JPEG_QUALITY)
    return tuple(decoded.warnings)


def _keyframes_with_most_people(detections: Detections) -> tuple[float, ...]:
    """The times of up to nine keyframes, in order; ties are spread evenly over the video."""
    counts = dict.fromkeys(detections.keyframes_s or (0.0,), 0)
    for track in detections.tracks:
        for point in track.points:
            counts[point.time_s] = counts.get(point.time_s, 0) + 1
    chosen: list[float] = []
    for count in sorted(set(counts.values()), reverse=True):
        equal = sorted(time_s for time_s, people in counts.items() if people == count)
        room = _MAX_TILES - len(chosen)
        if len(equal) > room:
            middles = (np.arange(room) + 0.5) * len(equal) / max(room, 1)
            equal = [equal[int(i)] for i in middles]
        chosen += equal
    return tuple(sorted(chosen))
