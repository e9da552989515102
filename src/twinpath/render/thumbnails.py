"""Small pictures of clips: the frame in the middle, and pictures inside a page."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw

from twinpath.data.pictures import is_picture, read_picture
from twinpath.render.label_image import Frame
from twinpath.results.evaluation import ClipAnswer
from twinpath.video.decode import read_frames
from twinpath.video.isolated import probe_isolated, read_frames_isolated
from twinpath.video.probe import probe
from twinpath.video.selection import AtTimes
from twinpath.video.source import DEFAULT_LIMITS, Limits

_QUALITY = 80
_AROUND = 1.6  # sides of a picture of a person, for one of their box
_LINES = 200  # of the width of a frame
_BOX_COLOUR = (255, 210, 0)


class ReadingRules(Protocol):
    """What of a `VideoReader` is needed, see `middle_frame`."""

    @property
    def limits(self) -> Limits: ...

    @property
    def fps(self) -> float | None: ...

    @property
    def isolate(self) -> bool: ...


def middle_frame(
    path: Path,
    start_s: float | None = None,
    end_s: float | None = None,
    *,
    limits: Limits = DEFAULT_LIMITS,
    fps: float | None = None,
    isolate: bool = False,
) -> Frame:
    """The frame in the middle of a span.

    Args:
        path: The video, or a picture.
        start_s, end_s: The span in seconds since the first frame; None: from the first, to the last.
        limits: Limits of reading the video.
        fps: Of folders of pictures and raw streams, see `open_video`.
        isolate: Read the video in a sandboxed process.
    Returns:
        (H, W, 3) uint8.
    Raises:
        InputError, LimitExceeded, WorkerDied: The video cannot be read.
    """
    if is_picture(path):
        return read_picture(path)
    if end_s is None:
        info = (probe_isolated if isolate else probe)(path, limits=limits, fps=fps)
        end_s = info.duration_s or 0.0
    start_s = start_s or 0.0
    read = read_frames_isolated if isolate else read_frames
    middle = AtTimes((max((start_s + end_s) / 2, start_s),))
    frame: Frame = read(path, [middle], limits=limits, fps=fps).clip()[0]
    return frame


def middle_of(reader: ReadingRules, answer: ClipAnswer) -> Frame:
    """The same of a clip that was evaluated. Errors as of `middle_frame`."""
    return middle_frame(
        answer.path,
        answer.start_s,
        answer.end_s,
        limits=reader.limits,
        fps=reader.fps,
        isolate=reader.isolate,
    )


def person_of(reader: ReadingRules, answer: ClipAnswer) -> Frame:
    """The surroundings of a person who was evaluated, with their box. Errors as of `middle_frame`."""
    frame = middle_of(reader, answer)
    assert answer.box_xyxy_px is not None
    x1, y1, x2, y2 = answer.box_xyxy_px
    image = Image.fromarray(frame)
    width = max(1, round(max(image.size) / _LINES))
    ImageDraw.Draw(image).rectangle((x1, y1, x2, y2), outline=_BOX_COLOUR, width=width)
    side = _AROUND * max(x2 - x1, y2 - y1)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    left, top = (max(0, round(at - side / 2)) for at in (x, y))
    right = min(image.width, max(left + 1, round(x + side / 2)))
    bottom = min(image.height, max(top + 1, round(y + side / 2)))
    return np.asarray(image.crop((left, top, right, bottom)))


def picture_uri(frame: Frame, *, width_px: int) -> str:
    """A frame as the address of a JPEG that is its own content.

    Args:
        frame: (H, W, 3) uint8.
        width_px: Of the JPEG, at most.
    """
    image = Image.fromarray(frame)
    if image.width > width_px:
        size = (width_px, max(1, round(image.height * width_px / image.width)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
