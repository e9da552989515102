"""Clips as pictures: a row of frames each, with a line of text; and as films with that line. A clip around a
key frame has that large at its left.

image = clip_rows([ClipRow("dancing", frames_THWC)], title="epoch 1")
captioned(frames_THWC, "true: dancing").shape      # (T, H + 2 lines, W, 3)
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from twinpath.escapes import printable
from twinpath.render.drawn_text import cut_text, font

Frames = NDArray[np.uint8]  # (T, H, W, 3) RGB

_MOST_FRAMES = 8  # of a row
_TILE_PX = 112  # height of a frame
_GAP_PX, _MARGIN_PX, _LINE_PX, _TEXT_PX = 3, 16, 20, 14
_KEYFRAME_ROWS = 3  # of frames beside a key frame
KEYFRAME_PX = _KEYFRAME_ROWS * (_TILE_PX + _GAP_PX) - _GAP_PX  # its height
_INK, _SOFT, _WHITE = (27, 36, 48), (93, 107, 122), (255, 255, 255)
_FILM_LINE_PX, _FILM_TEXT_PX, _LEAST_FILM_PX = 16, 12, 224
_FRAME_MS = 125


class ClipRow(NamedTuple):
    """A clip and what is written above it.

    Attributes:
        text: One line.
        frames: (T, H, W, 3) uint8.
        keyframe: (KEYFRAME_PX, W', 3) uint8, shown at its size; None: the clip is around none.
    """

    text: str
    frames: Frames
    keyframe: NDArray[np.uint8] | None = None


def clip_rows(rows: Sequence[ClipRow], *, title: str) -> Image.Image:
    """A row of up to eight frames for each clip, in order of time.

    Args:
        rows: At least one; clips may have different shapes.
        title: Stands above them.
    """
    strips = [_strip(row) for row in rows]
    width = max(2 * _MARGIN_PX + max(strip.shape[1] for strip in strips), 480)
    height = _MARGIN_PX + 2 * _LINE_PX + sum(strip.shape[0] + _LINE_PX + 10 for strip in strips)
    sheet = Image.new("RGB", (width, height), _WHITE)
    canvas, room = ImageDraw.Draw(sheet), width - 2 * _MARGIN_PX
    canvas.text((_MARGIN_PX, _MARGIN_PX), cut_text(printable(title), 18, room), font=font(18), fill=_INK)
    top = _MARGIN_PX + 2 * _LINE_PX
    for row, strip in zip(rows, strips, strict=True):
        line = cut_text(printable(row.text), _TEXT_PX, room)
        canvas.text((_MARGIN_PX, top), line, font=font(_TEXT_PX), fill=_SOFT)
        sheet.paste(Image.fromarray(strip), (_MARGIN_PX, top + _LINE_PX))
        top += strip.shape[0] + _LINE_PX + 10
    return sheet


def _strip(row: ClipRow) -> NDArray[np.uint8]:
    """(h, w, 3) frames side by side, evenly over the clip; with a key frame in lines beside it."""
    if row.keyframe is None:
        return _tiles(row.frames, num_rows=1)
    tiles = _tiles(row.frames, num_rows=_KEYFRAME_ROWS)
    gap = np.full((KEYFRAME_PX, 4 * _GAP_PX, 3), 255, np.uint8)
    return np.concatenate([row.keyframe, gap, tiles], axis=1)


def _tiles(frames: Frames, *, num_rows: int) -> NDArray[np.uint8]:
    """Frames in lines of equal length."""
    count = min(len(frames), _MOST_FRAMES)
    picks = np.round(np.linspace(0, len(frames) - 1, count)).astype(int)
    height, width = frames.shape[1:3]
    size = (max(1, round(width * _TILE_PX / height)), _TILE_PX)
    columns = -(-count // num_rows)
    shape = (num_rows * (_TILE_PX + _GAP_PX) - _GAP_PX, columns * (size[0] + _GAP_PX) - _GAP_PX, 3)
    tiles = np.full(shape, 255, np.uint8)
    for place, pick in enumerate(picks):
        top, left = place // columns * (_TILE_PX + _GAP_PX), place % columns * (size[0] + _GAP_PX)
        tiles[top : top + _TILE_PX, left : left + size[0]] = np.asarray(
            Image.fromarray(frames[pick]).resize(size, Image.Resampling.BILINEAR)
        )
    return tiles


def captioned(frames: Frames, *lines: str) -> Frames:
    """A film with lines of text above it; small pictures are enlarged so that there is room for them."""
    scale = max(1, -(-_LEAST_FILM_PX // frames.shape[2]))
    large = frames.repeat(scale, axis=1).repeat(scale, axis=2)
    num_frames, height, width = large.shape[:3]
    above = len(lines) * _FILM_LINE_PX + 4
    caption = Image.new("RGB", (width, above), _WHITE)
    for number, line in enumerate(lines):
        text = cut_text(printable(line), _FILM_TEXT_PX, width - 8)
        at = (4, 1 + number * _FILM_LINE_PX)
        ImageDraw.Draw(caption).text(at, text, font=font(_FILM_TEXT_PX), fill=_INK)
    film = np.empty((num_frames, above + height, width, 3), np.uint8)
    film[:, :above] = np.asarray(caption)
    film[:, above:] = large
    return film


def gif(frames: Frames) -> bytes:
    """An endless film of eight frames a second."""
    first, *others = (Image.fromarray(frame) for frame in frames)
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=_FRAME_MS, loop=0)
    return buffer.getvalue()
