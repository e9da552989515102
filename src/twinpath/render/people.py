"""People drawn on a picture: a box in the colour of the track, and beside it what the person does.

    painter = PeoplePainter((720, 1280))      # one for a video: labels stay where they were
    painter.draw(picture, people)             # on the picture itself
    drawn = draw_people(picture, people)      # or once, on a copy

Only the pixels of lines and plates are touched, so that drawing costs little beside decoding and encoding.
"""

from __future__ import annotations

import colorsys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from twinpath.render.label_image import Colour, LabelImage, Picture, PlatePress
from twinpath.render.label_layout import LabelLayout, Wish
from twinpath.results.clock import clock
from twinpath.results.detections import BoxPx

_HUES = (205, 25, 130, 300, 50, 345, 175, 265, 90, 5, 225, 320)  # neighbours in number look unlike
_MOST_PLATES = 512  # that are kept: a time code makes new ones for ever


@dataclass(frozen=True)
class ShownPerson:
    """One person to draw.

    Attributes:
        track: Its number, which is shown and chooses the colour.
        box_xyxy_px: In pixels of the picture; may reach beyond it.
        labels: (name, score), best first; may be empty.
    """

    track: int
    box_xyxy_px: BoxPx
    labels: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Hud:
    """The head-up display in the upper left corner: a line for each that is known.

    Attributes:
        time_s: Of this picture.
        people: How many there are in it.
        keyframes_per_s: That the network answers for, while it works.
        video_s_per_s: How much faster than the video plays everything together is.
    """

    time_s: float | None = None
    people: int | None = None
    keyframes_per_s: float | None = None
    video_s_per_s: float | None = None

    def lines(self) -> list[tuple[str, str]]:
        """(name, value) of what is known."""
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


def draw_people(picture: Picture, people: Sequence[ShownPerson], *, hud: Hud | None = None) -> Picture:
    """A copy of the picture (H, W, 3) uint8 RGB with people on it. For videos use `PeoplePainter`."""
    drawn = picture.copy()
    PeoplePainter(picture.shape[:2]).draw(drawn, people, hud=hud)
    return drawn


def colour_of(track: int) -> Colour:
    """RGB of a track; after twelve tracks they come again, a little paler."""
    turn, number = divmod(track - 1, len(_HUES))
    red, green, blue = colorsys.hsv_to_rgb(_HUES[number] / 360, (0.78, 0.5, 0.95)[turn % 3], 0.98)
    return round(255 * red), round(255 * green), round(255 * blue)


class PeoplePainter:
    """Draws people on the pictures of one video.

    Args:
        size_px: (height, width) of the pictures.
        labels: How many lines a person has at most; 0: only boxes and numbers.
    """

    def __init__(self, size_px: tuple[int, int], *, labels: int = 3) -> None:
        self._size = size_px
        self._labels = labels
        self._line_px = max(2, round(size_px[0] / 260))
        self._press = PlatePress(size_px)
        self._placer = LabelLayout(size_px)
        self._plates: OrderedDict[Hashable, LabelImage] = OrderedDict()
        self._hud_width_px = 0

    def draw(self, picture: Picture, people: Sequence[ShownPerson], *, hud: Hud | None = None) -> None:
        """Draw on a picture (H, W, 3) uint8 RGB of the painter's size, in place.

        Raises:
            ValueError: The picture has another size.
        """
        if picture.shape != (*self._size, 3):
            raise ValueError(f"expected a picture of {(*self._size, 3)}, got {picture.shape}")
        for person in sorted(people, key=_area):  # large ones last: they are in front
            _draw_box(picture, person.box_xyxy_px, colour_of(person.track), self._line_px)
        taken = self._draw_hud(picture, hud) if hud is not None else []
        versions = [self._versions(person) for person in people]
        wishes = [
            Wish(person.track, person.box_xyxy_px, tuple(plate.size_px for plate in plates))
            for person, plates in zip(people, versions, strict=True)
        ]
        places = self._placer.place(wishes, taken_xyxy_px=taken)
        for place, plates in zip(places, versions, strict=True):
            if place is not None:
                plates[place.version].draw(picture, place.x_px, place.y_px)

    def _versions(self, person: ShownPerson) -> list[LabelImage]:
        """All lines, the best one, only the number."""
        labels = person.labels[: self._labels]
        lines = sorted({len(labels), min(len(labels), 1), 0}, reverse=True)
        return [self._plate(person.track, labels[:count]) for count in lines]

    def _plate(self, track: int, labels: tuple[tuple[str, float], ...]) -> LabelImage:
        lines = [(name, f"{score:.2f}") for name, score in labels]
        return self._kept((track, *lines), lambda: self._press.person(track, lines, colour_of(track)))

    def _draw_hud(self, picture: Picture, hud: Hud) -> list[BoxPx]:
        """Where it lies now."""
        lines = hud.lines()
        if not lines:
            return []
        least_px = self._hud_width_px  # it does not shrink with its numbers: that would flicker
        plate = self._kept(
            ("hud", least_px, *lines), lambda: self._press.table(lines, least_width_px=least_px)
        )
        width, height = plate.size_px
        self._hud_width_px = width
        margin = 2 * self._line_px
        plate.draw(picture, margin, margin)
        return [(0.0, 0.0, float(margin + width), float(margin + height))]

    def _kept(self, key: Hashable, make: Callable[[], LabelImage]) -> LabelImage:
        plate = self._plates.pop(key, None) or make()
        self._plates[key] = plate
        if len(self._plates) > _MOST_PLATES:
            self._plates.popitem(last=False)
        return plate


def _area(person: ShownPerson) -> float:
    x1, y1, x2, y2 = person.box_xyxy_px
    return (x2 - x1) * (y2 - y1)


def _draw_box(picture: Picture, box_xyxy_px: BoxPx, colour: Colour, line_px: int) -> None:
    """Lines inside the box's border, and around them a darker pixel that sets them off from bright ground."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = (round(side) for side in box_xyxy_px)
    x2, y2 = max(x2, x1 + 2 * line_px), max(y2, y1 + 2 * line_px)
    for grow, thick in ((1, line_px + 2), (0, line_px)):
        left, top, right, bottom = x1 - grow, y1 - grow, x2 + grow, y2 + grow
        sides = (
            (left, top, right, top + thick),
            (left, bottom - thick, right, bottom),
            (left, top + thick, left + thick, bottom - thick),
            (right - thick, top + thick, right, bottom - thick),
        )
        for from_x, from_y, to_x, to_y in sides:
            strip = picture[
                max(from_y, 0) : min(max(to_y, 0), height), max(from_x, 0) : min(max(to_x, 0), width)
            ]
            if grow:
                strip >>= 1
            else:
                strip[:] = colour
