"""Draw people on frames: a box in the colour of the track, and a label with the actions.

    painter = PeoplePainter((720, 1280))      # one per video: labels keep their positions
    painter.draw(frame, people)               # in place

Only the pixels of lines and labels are modified, so that drawing is cheap compared to decoding and encoding.
"""

from __future__ import annotations

import colorsys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from twinpath.render.label_image import Colour, Frame, LabelImage, LabelRenderer
from twinpath.render.label_layout import LabelLayout, LabelRequest
from twinpath.results.clock import clock
from twinpath.results.detections import BoxPx

_HUES = (205, 25, 130, 300, 50, 345, 175, 265, 90, 5, 225, 320)  # consecutive hues differ clearly
_MAX_CACHED_LABELS = 512  # the time in the display makes a new label for every frame


@dataclass(frozen=True)
class ShownPerson:
    """One person to draw.

    Attributes:
        track_id: Shown in the label; determines the colour.
        box_xyxy_px: In pixels of the frame; may reach beyond it.
        labels: (name, score), best first; may be empty. A score of None is not shown: it is the truth.
    """

    track_id: int
    box_xyxy_px: BoxPx
    labels: tuple[tuple[str, float | None], ...] = ()


@dataclass(frozen=True)
class Hud:
    """The head-up display in the upper left corner: a line for each value that is not None.

    Attributes:
        time_s: Time of the frame in seconds.
        people: Number of people in the frame.
        keyframes_per_s: Throughput of the network alone.
        video_s_per_s: Throughput of all stages together, in seconds of video per second.
    """

    time_s: float | None = None
    people: int | None = None
    keyframes_per_s: float | None = None
    video_s_per_s: float | None = None

    def lines(self) -> list[tuple[str, str]]:
        """(name, value) of each line."""
        lines = []
        if self.time_s is not None:
            lines.append(("time", clock(self.time_s)))
        if self.people is not None:
            lines.append(("people", str(self.people)))
        if self.keyframes_per_s is not None:
            lines.append(("network", f"{self.keyframes_per_s:.1f} keyframes/s"))
        if self.video_s_per_s is not None:
            lines.append(("speed", f"{self.video_s_per_s:.2f} x"))
        return lines


def colour_of(track_id: int) -> Colour:
    """RGB colour of a track. Hues repeat after twelve tracks, with another saturation."""
    cycle, index = divmod(track_id - 1, len(_HUES))
    red, green, blue = colorsys.hsv_to_rgb(_HUES[index] / 360, (0.78, 0.5, 0.95)[cycle % 3], 0.98)
    return round(255 * red), round(255 * green), round(255 * blue)


class PeoplePainter:
    """Draws people on the frames of one video.

    Args:
        size_px: (height, width) of the frames.
        top_k: Maximum number of actions per person; 0: only boxes and track ids.
    """

    def __init__(self, size_px: tuple[int, int], *, top_k: int = 3) -> None:
        self._size_px = size_px
        self._top_k = top_k
        self._line_px = max(2, round(size_px[0] / 260))
        self._renderer = LabelRenderer(size_px)
        self._layout = LabelLayout(size_px)
        self._label_cache: OrderedDict[Hashable, LabelImage] = OrderedDict()
        self._hud_width_px = 0

    def draw(self, frame: Frame, people: Sequence[ShownPerson], *, hud: Hud | None = None) -> None:
        """Draw people on a frame, in place.

        Args:
            frame: (H, W, 3) uint8 RGB of the painter's size.
            people: The people to draw, in any order.
            hud: The display in the corner; no label overlaps it.
        Raises:
            ValueError: The frame has another size.
        """
        if frame.shape != (*self._size_px, 3):
            raise ValueError(f"expected a frame of {(*self._size_px, 3)}, got {frame.shape}")
        for person in sorted(people, key=_area_px):  # the largest last: in front of the others
            _draw_box(frame, person.box_xyxy_px, colour_of(person.track_id), self._line_px)
        occupied = self._draw_hud(frame, hud) if hud is not None else []
        versions = [self._versions(person) for person in people]
        requests = [
            LabelRequest(person.track_id, person.box_xyxy_px, tuple(label.size_px for label in labels))
            for person, labels in zip(people, versions, strict=True)
        ]
        placements = self._layout.place(requests, occupied_xyxy_px=occupied)
        for placement, labels in zip(placements, versions, strict=True):
            if placement is not None:
                labels[placement.version].draw(frame, placement.x_px, placement.y_px)

    def _versions(self, person: ShownPerson) -> list[LabelImage]:
        """The label with all actions, with the best action, and with the track id only."""
        actions = person.labels[: self._top_k]
        counts = sorted({len(actions), min(len(actions), 1), 0}, reverse=True)
        return [self._person_label(person.track_id, actions[:count]) for count in counts]

    def _person_label(self, track_id: int, actions: tuple[tuple[str, float | None], ...]) -> LabelImage:
        rows = [(name, "" if score is None else f"{score:.2f}") for name, score in actions]
        return self._cached(
            (track_id, *rows), lambda: self._renderer.person(track_id, rows, colour_of(track_id))
        )

    def _draw_hud(self, frame: Frame, hud: Hud) -> list[BoxPx]:
        """Draw the display. Returns: The rectangle that it covers; empty: there is none."""
        lines = hud.lines()
        if not lines:
            return []
        min_width_px = self._hud_width_px  # never narrower than before, to avoid flicker
        table = self._cached(
            ("hud", min_width_px, *lines), lambda: self._renderer.table(lines, min_width_px=min_width_px)
        )
        width, height = table.size_px
        self._hud_width_px = width
        margin = 2 * self._line_px
        table.draw(frame, margin, margin)
        return [(0.0, 0.0, float(margin + width), float(margin + height))]

    def _cached(self, key: Hashable, render: Callable[[], LabelImage]) -> LabelImage:
        label = self._label_cache.pop(key, None) or render()
        self._label_cache[key] = label
        if len(self._label_cache) > _MAX_CACHED_LABELS:
            self._label_cache.popitem(last=False)
        return label


def _area_px(person: ShownPerson) -> float:
    x1, y1, x2, y2 = person.box_xyxy_px
    return (x2 - x1) * (y2 - y1)


def _draw_box(frame: Frame, box_xyxy_px: BoxPx, colour: Colour, line_px: int) -> None:
    """Lines along the inside of the box's border, and a darker outline of one pixel around them."""
    height, width = frame.shape[:2]
    x1, y1, x2, y2 = (round(side) for side in box_xyxy_px)
    x2, y2 = max(x2, x1 + 2 * line_px), max(y2, y1 + 2 * line_px)
    for outline, thickness in ((1, line_px + 2), (0, line_px)):
        left, top, right, bottom = x1 - outline, y1 - outline, x2 + outline, y2 + outline
        strips = (
            (left, top, right, top + thickness),
            (left, bottom - thickness, right, bottom),
            (left, top + thickness, left + thickness, bottom - thickness),
            (right - thickness, top + thickness, right, bottom - thickness),
        )
        for from_x, from_y, to_x, to_y in strips:
            pixels = frame[
                max(from_y, 0) : min(max(to_y, 0), height), max(from_x, 0) : min(max(to_x, 0), width)
            ]
            if outline:
                pixels >>= 1
            else:
                pixels[:] = colour
