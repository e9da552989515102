"""What a network makes of a clip, and its first kernels, as sheets.

write_maps_sheet(explainer.seen("kick.mp4"), Path("kick.features.png"))
write_kernels_sheet(explainer.kernels(), Path("kick.kernels.png"))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from twinpath.atomic import atomic_path
from twinpath.render.drawn_text import font
from twinpath.render.label_image import Frame
from twinpath.results.seen import FirstKernels, SeenClip, StageMaps

_INK, _SOFT, _PAPER = (27, 36, 48), (93, 107, 122), (255, 255, 255)
_TIMES, _TILE_PX, _GAP_PX, _MARGIN_PX, _LINE_PX = 8, 72, 2, 16, 22
_COLOURS = ((15, 20, 32), (23, 84, 140), (214, 110, 60), (255, 240, 190))  # from the least to the largest
_MOST_KERNELS, _KERNEL_PX, _KERNELS_WIDTH_PX = 96, 36, 1120


def write_maps_sheet(seen: SeenClip, out: Path) -> None:
    """Write the channels of each stage over time, in a row each, as a PNG; pathways beside each other.

    Args:
        seen: The clip and its maps.
        out: The PNG to create or replace.
    Raises:
        OSError: It cannot be written.
    """
    names = list(dict.fromkeys(stage.pathway for stage in seen.stages))
    blocks = [
        [("clip", _row_of_frames(seen.frames))]
        + [_rows_of_stage(stage) for stage in seen.stages if stage.pathway == name]
        for name in names
    ]
    width = _TIMES * (_TILE_PX + _GAP_PX) - _GAP_PX
    heights = [
        max(block[i][1].shape[0] for block in blocks if i < len(block))
        for i in range(max(len(block) for block in blocks))
    ]
    top = _MARGIN_PX + _LINE_PX
    size = (
        len(blocks) * (width + 2 * _MARGIN_PX),
        top + sum(height + _LINE_PX + 8 for height in heights),
    )
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, (name, block) in enumerate(zip(names, blocks, strict=True)):
        left, y = _MARGIN_PX + column * (width + 2 * _MARGIN_PX), top
        title = f"{name} pathway" if name else "what each stage makes of the clip"
        draw.text((left, _MARGIN_PX - 6), title, font=font(17), fill=_INK)
        for (text, rows), height in zip(block, heights, strict=False):
            draw.text((left, y + 2), text, font=font(13), fill=_SOFT)
            sheet.paste(Image.fromarray(rows), (left, y + _LINE_PX))
            y += height + _LINE_PX + 8
    _save(sheet, out)


def write_kernels_sheet(kernels: Sequence[FirstKernels], out: Path) -> None:
    """Write the first kernels of each pathway as a PNG: the frames of each side by side, grey is 0.

    Arguments and errors as of `write_maps_sheet`. Of more than 96 kernels the largest are shown.
    """
    grids = [_kernel_grid(one.kernels) for one in kernels]
    height = _MARGIN_PX + sum(grid.shape[0] + 2 * _LINE_PX for grid in grids)
    sheet = Image.new("RGB", (_KERNELS_WIDTH_PX + 2 * _MARGIN_PX, height), _PAPER)
    draw, y = ImageDraw.Draw(sheet), _MARGIN_PX
    for one, grid in zip(kernels, grids, strict=True):
        count, frames, rows, columns, _ = one.kernels.shape
        shown = "" if count <= _MOST_KERNELS else f"the {_MOST_KERNELS} largest of "
        over = f" over {frames} frames, in order from left to right" if frames > 1 else ""
        pathway = f"{one.pathway} pathway: " if one.pathway else ""
        text = f"{pathway}{shown}{count} kernels of {rows} x {columns} pixels{over}"
        draw.text((_MARGIN_PX, y - 4), text, font=font(14), fill=_INK)
        sheet.paste(Image.fromarray(grid), (_MARGIN_PX, y + _LINE_PX))
        y += grid.shape[0] + 2 * _LINE_PX
    _save(sheet, out)


def _rows_of_stage(stage: StageMaps) -> tuple[str, Frame]:
    """A line of text, and a row for each channel; each is scaled by its own least and largest value."""
    _, num_frames, rows, columns = stage.maps.shape
    picks = np.linspace(0, num_frames - 1, _TIMES).round().astype(int)
    strips = []
    for values in stage.maps:
        least, largest = float(values.min()), float(values.max())
        scaled = (values[picks] - least) / max(largest - least, 1e-12)
        strips.append(_side_by_side([_tile(_coloured(frame)) for frame in scaled]))
    numbers = ", ".join(str(channel) for channel in stage.channels)
    text = f"{stage.name}: {num_frames} x {rows} x {columns}; of {stage.of} channels {numbers}"
    return text, _below_each_other(strips)


def _row_of_frames(frames: NDArray[np.uint8]) -> Frame:
    picks = np.linspace(0, len(frames) - 1, _TIMES).round().astype(int)
    return _side_by_side([_tile(frames[pick]) for pick in picks])


def _kernel_grid(kernels: NDArray[np.float32]) -> Frame:
    """Each kernel is scaled by its own largest weight."""
    norms = np.sqrt((kernels.astype(np.float64) ** 2).sum(axis=(1, 2, 3, 4)))
    chosen = np.sort(np.argsort(-norms, kind="stable")[:_MOST_KERNELS])
    strips = []
    for kernel in kernels[chosen]:
        scaled = 127.5 + 127.5 * kernel / max(float(np.abs(kernel).max()), 1e-12)
        times = max(1, _KERNEL_PX // max(kernel.shape[1:3]))
        large = scaled.repeat(times, axis=1).repeat(times, axis=2)
        strips.append(_side_by_side([frame.round().astype(np.uint8) for frame in large], gap_px=1))
    high, wide = strips[0].shape[0] + 8, strips[0].shape[1] + 8
    columns = max(1, min(_KERNELS_WIDTH_PX // wide, len(strips)))
    grid = np.full((-(-len(strips) // columns) * high, _KERNELS_WIDTH_PX, 3), 255, np.uint8)
    for i, strip in enumerate(strips):
        top, left = i // columns * high, i % columns * wide
        part = strip[:, : _KERNELS_WIDTH_PX - left]
        grid[top : top + strip.shape[0], left : left + part.shape[1]] = part
    return grid


def _coloured(values: NDArray[np.float32]) -> Frame:
    """(h, w) 0 to 1 to colours."""
    places = np.linspace(0, 1, len(_COLOURS))
    channels = [np.interp(values, places, [colour[i] for colour in _COLOURS]) for i in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def _tile(picture: Frame) -> Frame:
    return np.asarray(Image.fromarray(picture).resize((_TILE_PX, _TILE_PX), Image.Resampling.BILINEAR))


def _side_by_side(tiles: Sequence[Frame], gap_px: int = _GAP_PX) -> Frame:
    between = np.full((tiles[0].shape[0], gap_px, 3), 255, np.uint8)
    return np.concatenate([part for tile in tiles for part in (tile, between)][:-1], axis=1)


def _below_each_other(strips: Sequence[Frame]) -> Frame:
    between = np.full((_GAP_PX, strips[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for strip in strips for part in (strip, between)][:-1], axis=0)


def _save(sheet: Image.Image, out: Path) -> None:
    with atomic_path(out) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)
