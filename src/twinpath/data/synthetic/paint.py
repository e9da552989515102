"""Paint a stage as a camera films it: people with volume and clothes, on surfaces with texture.

Faster than `draw` and richer: what it makes is for training. Needs OpenCV.
"""

from __future__ import annotations

import colorsys
import importlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.data.synthetic.draw import GROUPS, PARTS, Frames, capsules
from twinpath.data.synthetic.figure import JOINT, Array
from twinpath.data.synthetic.scene import HAIR, SKIN
from twinpath.data.synthetic.stage import Stage
from twinpath.errors import MissingExtra

Rng = np.random.Generator
Colour = tuple[float, float, float]
Picture = NDArray[np.uint8]
_BITS = 4  # of a fraction of a pixel
_MARGIN = 0.35  # of the background around the frame, in frame heights


@lru_cache(maxsize=1)
def _cv2() -> Any:
    try:
        cv2: Any = importlib.import_module("cv2")
    except ImportError as error:
        raise MissingExtra(
            "the painted world needs OpenCV; install it with: pip install opencv-python"
        ) from error
    cv2.setNumThreads(1)  # pictures are small, and several processes paint
    return cv2


# Surfaces


def _clouds(rng: Rng, side: int, roughness: float) -> NDArray[np.float32]:
    """(side, side) noise of several sizes, about -1 to 1; rough where small sizes are strong."""
    total = np.zeros((side, side), np.float32)
    for octave in range(1, 8):
        cells = 2**octave
        if cells > side:
            break
        grid = rng.standard_normal((cells, cells), dtype=np.float32)
        total += _cv2().resize(grid, (side, side), interpolation=1) * roughness**octave
    return total / max(float(np.abs(total).max()), 1e-6)


def _tone(rng: Rng) -> Colour:
    """A colour of things that stand around: mostly pale, grey or brown."""
    vivid = rng.random() < 0.2
    hue = rng.random() if vivid or rng.random() < 0.4 else rng.normal(0.12, 0.1)
    return _rgb(hue, rng.uniform(0.3, 0.9) if vivid else rng.uniform(0, 0.3), rng.uniform(0.12, 0.9))


def _cloth(rng: Rng) -> Colour:
    kind = rng.random()
    if kind < 0.25:  # black and grey
        return _rgb(rng.random(), rng.uniform(0, 0.15), rng.uniform(0.05, 0.4))
    if kind < 0.4:  # white and pale
        return _rgb(rng.random(), rng.uniform(0, 0.15), rng.uniform(0.65, 0.98))
    if kind < 0.6:  # jeans
        return _rgb(rng.normal(0.61, 0.03), rng.uniform(0.25, 0.65), rng.uniform(0.2, 0.6))
    return _rgb(rng.random(), rng.uniform(0.3, 0.95), rng.uniform(0.2, 0.95))


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    r, g, b = colorsys.hsv_to_rgb(float(hue) % 1, saturation, value)
    return 255 * r, 255 * g, 255 * b


def _surface(rng: Rng, side: int) -> Picture:
    """(side, side, 3): asphalt, grass, plaster, boards, tiles."""
    cv2, half = _cv2(), side // 2
    first, second = np.array(_tone(rng), np.float32), np.array(_tone(rng), np.float32)
    if rng.random() < 0.6:
        second = first * np.float32(rng.uniform(0.7, 1.3))
    mixed = 0.5 + 0.5 * _clouds(rng, half, rng.uniform(0.45, 1.25))
    light = np.ones((half, half), np.float32)
    if rng.random() < 0.3:
        step, along = max(3.0, half * rng.uniform(0.02, 0.15)), np.arange(half)
        wave = (along % step < step * rng.uniform(0.05, 0.5)).astype(np.float32)
        pattern = wave[None, :] if rng.random() < 0.5 else wave[:, None]
        if rng.random() < 0.5:
            pattern = np.abs(pattern - pattern.T)
        light *= 1 + np.float32(rng.uniform(-0.5, 0.5)) * pattern
    if rng.random() < 0.5:
        ramp = np.linspace(-1, 1, half, dtype=np.float32) * np.float32(rng.uniform(-0.4, 0.4))
        light *= 1 + (ramp[:, None] if rng.random() < 0.5 else ramp[None, :])
    picture = (first + (second - first) * mixed[..., None]) * light[..., None]
    painted = cv2.resize(np.clip(picture, 0, 255).astype(np.uint8), (side, side), interpolation=1)
    y, grain = rng.integers(0, len(_grain()) - side), rng.uniform(0, 0.35)
    return np.asarray(_with_grain(painted, _grain()[y : y + side, :side], grain), dtype=np.uint8)


def _with_grain(picture: Picture, grain: Picture, amount: float) -> Any:
    return _cv2().addWeighted(picture, 1.0, grain, amount, -128 * amount)


@lru_cache(maxsize=1)
def _grain() -> Picture:
    """Noise around 128 to take pieces of: new noise for every clip would cost more than the people."""
    noise = np.random.default_rng(0).standard_normal((4096, 384, 3), dtype=np.float32)
    return np.asarray(np.clip(128 + 40 * noise, 0, 255), dtype=np.uint8)


def _clutter(rng: Rng, picture: Picture, number: int, low: float, high: float) -> None:
    """Things of plain colours: boards, windows, furniture, leaves, lines on the ground."""
    cv2, side = _cv2(), picture.shape[0]
    for _ in range(number):
        x, y = rng.uniform(0, side), rng.uniform(low, high) * side
        w, h = side * rng.uniform(0.02, 0.3, 2)
        colour, kind = _tone(rng), rng.integers(4)
        if kind == 0:
            cv2.ellipse(
                picture, (int(x), int(y)), (int(w / 2), int(h / 2)), rng.uniform(0, 180), 0, 360, colour, -1
            )
        elif kind == 1:
            cv2.line(
                picture,
                (int(x), int(y)),
                (int(x + 4 * w - 2 * h), int(y + h)),
                colour,
                int(rng.integers(1, 4)),
            )
        else:
            cv2.rectangle(picture, (int(x), int(y)), (int(x + w), int(y + h)), colour, -1)
            if kind == 3:
                cv2.rectangle(picture, (int(x), int(y)), (int(x + w), int(y + h)), _tone(rng), 1)


def _background(rng: Rng, stage: Stage, side: int) -> Picture:
    picture = _surface(rng, side)
    horizon = 0.5 - stage.film.fill * 0.25 * rng.uniform(0.2, 1.2) - 0.4 * np.sin(stage.film.pitch)
    has_wall = stage.film.pitch < 0.5 and rng.random() < 0.65
    if has_wall:
        top = int(np.clip(horizon, 0.1, 0.8) * side)
        picture[:top] = _surface(rng, side)[:top]
    busy = rng.random()
    if has_wall:
        _clutter(rng, picture, int(rng.integers(0, 14)), 0.0, float(np.clip(horizon, 0.1, 0.8)))
    if busy < 0.35:
        _clutter(rng, picture, int(rng.integers(1, 5)), 0.0, 1.0)
    elif busy > 0.85:
        _clutter(rng, picture, int(rng.integers(10, 40)), 0.0, 1.0)
    return picture


# People


class _Outfit:
    """Clothes and light of one person, drawn once."""

    def __init__(self, rng: Rng, light: tuple[float, float], contrast: float) -> None:
        skin, hair = SKIN[rng.integers(len(SKIN))], HAIR[rng.integers(len(HAIR))]
        shirt, trousers, shoes = _cloth(rng), _cloth(rng), _cloth(rng)
        if rng.random() < 0.1:  # a suit, an overall
            trousers = shirt
        if rng.random() < 0.12:  # a hat, a hood, a helmet
            hair = tuple(int(v) for v in _cloth(rng))  # type: ignore[assignment]
        wear: dict[str, Any] = {
            "skin": skin, "hair": hair, "shirt": shirt, "trousers": trousers, "shoes": shoes,
            "shin": trousers if rng.random() < 0.8 else skin,
            "sleeve": shirt if rng.random() < 0.6 else skin,
        }  # fmt: skip
        colours = [np.asarray(wear[part[4]], dtype=np.float64) for part in PARTS]
        dark, bright = 1 - contrast * rng.uniform(0.15, 0.5), 1 + contrast * rng.uniform(0.1, 0.35)
        self.layers = [
            tuple(tuple(float(v) for v in np.clip(c * f, 0, 255)) for f in (dark, 1.0, bright))
            for c in colours
        ]
        self.light = np.asarray(light)
        self.loose = np.where(
            [part[4] in ("shirt", "trousers") for part in PARTS], rng.uniform(0.9, 1.3), 1.0
        )
        self.edge = rng.uniform(0.0, 0.012)
        stripes = rng.random()
        self.stripes = int(rng.integers(3, 8)) if stripes < 0.2 else 0
        self.stripe = tuple(float(v) for v in _cloth(rng))
        self.long_coat = bool(rng.random() < 0.15)
        self.pack = tuple(float(v) for v in _cloth(rng)) if rng.random() < 0.1 else None


_FIRST = [JOINT[part[0]] for part in PARTS]
_LAST = [JOINT[part[1]] for part in PARTS]
_RP = np.array([part[2] for part in PARTS])
_RQ = np.array([part[3] for part in PARTS])
_NUMBERS = range(len(GROUPS))
_FIRST_OF = [[_FIRST[i] for i in group] for group in GROUPS]
_LAST_OF = [[_LAST[i] for i in group] for group in GROUPS]
_SHIRT = next(i for i, part in enumerate(PARTS) if part[5] == "torso")
_TORSO = next(g for g in _NUMBERS if _SHIRT in GROUPS[g])
_SMALL = frozenset(i for i, part in enumerate(PARTS) if part[5].startswith(("foot", "hand", "neck")))


class _Figure:
    """One projected person, ready to be painted frame by frame."""

    def __init__(
        self,
        outfit: _Outfit,
        position: Array,
        scale: Array,
        depth: Array,
        girth: float,
        side: int,
        detail: int,
    ) -> None:
        at = position * side
        p, q = at[:, _FIRST], at[:, _LAST]
        rp = scale[:, _FIRST] * _RP * girth * outfit.loose * side
        rq = scale[:, _LAST] * _RQ * girth * outfit.loose * side
        self.outfit, self.detail = outfit, detail
        edge = outfit.edge * side * (detail > 1)
        self.shapes = [_fixed(capsules(p, q, rp + edge, rq + edge))]
        if detail > 1:
            self.shapes.append(_fixed(capsules(p, q, 0.86 * rp, 0.86 * rq)))
        if detail > 2:
            lit_p, lit_q = p + outfit.light * rp[..., None], q + outfit.light * rq[..., None]
            self.shapes.append(_fixed(capsules(lit_p, lit_q, 0.45 * rp, 0.45 * rq)))
        group_depth = np.stack(
            [depth[:, [*_FIRST_OF[g], *_LAST_OF[g]]].mean(axis=1) for g in _NUMBERS], axis=1
        )
        self.order = np.argsort(-group_depth, axis=1).tolist()
        self.depth = depth.mean(axis=1).tolist()
        size = scale.mean(axis=1) * side
        reach = 0.2 * size[:, None]
        box = np.concatenate([at.min(axis=1) - reach, at.max(axis=1) + reach], axis=-1)
        self.boxes = np.clip(box, 0, side).astype(int).tolist()
        self.pelvis = at[:, JOINT["pelvis"]].tolist()
        feet = at[:, [JOINT["ankle_l"], JOINT["ankle_r"]]].mean(axis=1)
        self.shadows = np.concatenate([feet, 0.35 * size[:, None]], axis=-1).tolist()
        if detail > 1:
            self._clothes = _Clothes(outfit, at, size)

    def paint(self, picture: Picture, frame: int) -> None:
        fill, layers = _cv2().fillConvexPoly, self.outfit.layers
        shapes = [level[frame] for level in self.shapes]
        for group in self.order[frame]:
            parts = GROUPS[group]
            if self.detail == 1:
                for i in parts:
                    fill(picture, shapes[0][i], layers[i][1], 8, _BITS)
                continue
            for level, shape in enumerate(shapes):
                for i in parts:
                    if level < 2 or i not in _SMALL:
                        fill(picture, shape[i], layers[i][level], 8, _BITS)
            if group == _TORSO:
                self._clothes.paint(picture, frame)


class _Clothes:
    """What is worn over the torso, where it is in each frame."""

    def __init__(self, outfit: _Outfit, at: Array, size: Array) -> None:
        self.outfit = outfit
        r = 0.07 * size[:, None]
        side = np.concatenate([r, 0 * r], axis=-1)
        left, right = at[:, JOINT["shoulder_l"]], at[:, JOINT["shoulder_r"]]
        low_left, low_right = at[:, JOINT["hip_l"]], at[:, JOINT["hip_r"]]
        swap = left[:, :1] > right[:, :1]
        left, right = np.where(swap, right, left), np.where(swap, left, right)
        low_left, low_right = np.where(swap, low_right, low_left), np.where(swap, low_left, low_right)
        self.thick = np.maximum(1, 0.35 * r[:, 0]).astype(int).tolist()
        u = (np.arange(outfit.stripes) + 0.5)[:, None, None] / max(outfit.stripes, 1)
        ends = [left + u * (low_left - left) - side, right + u * (low_right - right) + side]
        self.stripes = _fixed(np.stack(ends, axis=2)).transpose(1, 0, 2, 3).tolist() if outfit.stripes else []
        knees = (at[:, JOINT["knee_l"]] + at[:, JOINT["knee_r"]]) / 2
        hips = (low_left + low_right) / 2
        low = hips + 0.5 * (knees - hips)
        hem = [low_left - side, low_right + side, low + 1.5 * side, low - 1.5 * side]
        self.coat = _fixed(np.stack(hem, axis=1))
        back = at[:, JOINT["chest"]] + (at[:, JOINT["hair"]] - at[:, JOINT["head"]]) * 2.5
        self.pack = np.concatenate([_fixed(back), np.maximum(_fixed(2 * r), 1)], axis=-1).tolist()

    def paint(self, picture: Picture, frame: int) -> None:
        cv2 = _cv2()
        if self.stripes:
            for a, b in self.stripes[frame]:
                cv2.line(picture, a, b, self.outfit.stripe, self.thick[frame], 8, _BITS)
        if self.outfit.long_coat:
            cv2.fillConvexPoly(picture, self.coat[frame], self.outfit.layers[_SHIRT][1], 8, _BITS)
        if self.outfit.pack is not None:
            x, y, r = self.pack[frame]
            cv2.circle(picture, (x, y), r, self.outfit.pack, -1, 8, _BITS)


def _fixed(points: Array) -> NDArray[np.int32]:
    return np.asarray(np.clip(points, -4000, 4000) * 2**_BITS, dtype=np.int32)


# The camera


class _Camera:
    """Exposure, blur, compression and noise of one clip."""

    def __init__(self, rng: Rng) -> None:
        levels = np.linspace(0, 1, 256)
        curve = np.clip(levels, 0, 1) ** np.exp(rng.normal(0, 0.3))
        curve = (curve - 0.5) * rng.uniform(0.5, 1.15) + 0.5 + rng.normal(0, 0.09)
        tint = np.exp(rng.normal(0, 0.08, 3))
        self.table = np.clip(curve[:, None] * tint * 255, 0, 255).astype(np.uint8)[None]
        self.grey = rng.choice([0.0, rng.uniform(0, 0.6), 1.0], p=[0.5, 0.38, 0.12])
        self.blur = float(rng.uniform(0.4, 1.3)) if rng.random() < 0.35 else 0.0
        self.quality = int(rng.integers(12, 70)) if rng.random() < 0.25 else None
        self.noise = float(rng.uniform(0.02, 0.25)) if rng.random() < 0.5 else 0.0
        self.rng = rng

    def take(self, frames: Frames) -> Frames:
        """All frames at once, one below the other."""
        cv2, picture = _cv2(), frames.reshape(-1, *frames.shape[2:])
        if self.blur:
            picture = cv2.GaussianBlur(picture, (0, 0), self.blur)
        if self.grey:
            grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            picture = cv2.addWeighted(picture, 1 - self.grey, grey, self.grey, 0)
        picture = cv2.LUT(picture, self.table)
        if self.noise:
            h, w = picture.shape[:2]
            noise = _grain()
            y, x = self.rng.integers(0, len(noise) - h), self.rng.integers(0, noise.shape[1] - w)
            piece = noise[y : y + h, x : x + w]
            picture = _with_grain(picture, piece, self.noise)
        if self.quality is not None:
            _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
            picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
        return np.asarray(picture, dtype=np.uint8).reshape(frames.shape)


def _overlays(rng: Rng, side: int) -> list[tuple[tuple[int, int], tuple[int, int], Colour]]:
    """What is in front of everything: posts, the edge of a car, a date, black bars."""
    things = []
    if rng.random() < 0.15:
        for _ in range(int(rng.integers(1, 3))):
            x, y = rng.uniform(0, 1), rng.choice([-0.1, rng.uniform(0.7, 0.95)])
            w = rng.uniform(0.02, 0.08) if y < 0 else rng.uniform(0.1, 0.4)
            things.append((x, y, x + w, 1.2, _tone(rng)))
    if rng.random() < 0.08:
        w = rng.uniform(0.05, 0.15)
        things += [(0, 0, 1.0, w, (0.0, 0.0, 0.0)), (0, 1 - w, 1.0, 1.1, (0.0, 0.0, 0.0))]
    if rng.random() < 0.08:
        y, x = rng.choice([0.02, 0.93]), rng.uniform(0, 0.5)
        things += [(x + 0.03 * k, y, x + 0.03 * k + 0.018, y + 0.04, (250.0, 250.0, 250.0)) for k in range(9)]
    return [
        ((int(x1 * side), int(y1 * side)), (int(x2 * side), int(y2 * side)), colour)
        for x1, y1, x2, y2, colour in things
    ]


def paint(stage: Stage, num_frames: int, *, side_px: int) -> Frames:
    """Paint square frames of a stage, evenly over its span.

    Args:
        stage: What to paint.
        num_frames: T.
        side_px: Side of the frames.
    Returns:
        (T, side_px, side_px, 3) uint8, RGB.
    """
    cv2, rng = _cv2(), np.random.default_rng([stage.paint_seed, 2])
    t_s = stage.times_s(num_frames)
    people = stage.people(t_s)
    projected = stage.project(people, t_s)
    angle = rng.uniform(-np.pi, 0)
    light = (0.35 * float(np.cos(angle)), 0.35 * float(np.sin(angle)))
    contrast, main = rng.uniform(0.2, 1.0), len(stage.groups[0].encounter.bodies)
    figures = []
    for i, ((position, scale, depth), body) in enumerate(zip(projected, stage.bodies, strict=True)):
        outfit = _Outfit(rng, light, contrast)
        detail = (3 if scale.mean() > 0.25 else 2) if i < main else 2 if scale.mean() > 0.3 else 1
        figures.append(_Figure(outfit, position + 0.5, scale, depth, body.girth, side_px, detail))
    margin = int(_MARGIN * side_px)
    wide = _background(rng, stage, side_px + 2 * margin)
    size, shift = stage.film.view(t_s)
    shadow = float(rng.uniform(0.3, 0.85)) if rng.random() < 0.6 else None
    shadow_to = rng.normal(0, 0.6, 2) * (1, 0.3)
    folds = 1 + rng.uniform(0.02, 0.3) * _clouds(rng, 2 * side_px, rng.uniform(0.8, 1.3))
    cloth = cv2.merge([(128 * np.clip(folds, 0, 1.9)).astype(np.uint8)] * 3)
    camera, overlays = _Camera(rng), _overlays(rng, side_px)
    is_still = bool(np.ptp(size) == 0 and np.ptp(shift) < 1e-6) and stage.film.follow == 0
    still = wide[margin : margin + side_px, margin : margin + side_px]
    way = _way(stage, people) * side_px
    frames = np.empty((num_frames, side_px, side_px, 3), np.uint8)
    for k in range(num_frames):
        if is_still:
            picture = still.copy()
        else:
            centre = side_px / 2
            move = shift[k] * side_px - way[k] + centre - size[k] * (centre + margin)
            matrix = np.array([[size[k], 0, move[0]], [0, size[k], move[1]]])
            picture = cv2.warpAffine(wide, matrix, (side_px, side_px), flags=1, borderMode=cv2.BORDER_REFLECT)
        if shadow is not None:
            _shade_ground(picture, figures, k, shadow, shadow_to)
        for figure in sorted(figures, key=lambda f: -f.depth[k]):
            if figure.detail > 1:
                _paint_cloth(picture, figure, k, cloth)
            else:
                figure.paint(picture, k)
        for low, high, colour in overlays:
            cv2.rectangle(picture, low, high, colour, -1)
        frames[k] = picture
    return camera.take(frames)


def _way(stage: Stage, people: list[Array]) -> Array:
    """(T, 2) by how much the background moves where the camera follows people, in frame heights."""
    main = people[: len(stage.groups[0].encounter.bodies)]
    x = np.mean([xyz[:, JOINT["pelvis"], 0] for xyz in main], axis=0)
    moved = stage.film.follow * (x - stage.groups[0].at_xz_m[0]) * stage.film.fill / 1.75 * 0.8
    return np.stack([moved, 0 * moved], axis=-1)


def _shade_ground(picture: Picture, figures: list[_Figure], frame: int, factor: float, to: Array) -> None:
    """Darken the ground beside the feet of all people."""
    cv2 = _cv2()
    for figure in figures:
        x, y, r = figure.shadows[frame]
        axes = (int(r * (1 + abs(to[0]))), max(1, int(r * (0.3 + abs(to[1])))))
        x, y = int(x + r * to[0]), int(y + r * to[1])
        ground = picture[max(y - axes[1], 0) : max(y + axes[1], 0), max(x - axes[0], 0) : max(x + axes[0], 0)]
        if ground.size:
            mask = np.zeros(ground.shape[:2], np.uint8)
            centre = (min(axes[0], x), min(axes[1], y))
            cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1)
            cv2.copyTo(cv2.convertScaleAbs(ground, alpha=factor), mask, ground)


def _paint_cloth(picture: Picture, figure: _Figure, frame: int, cloth: Picture) -> None:
    """Paint a person with the grain and folds of cloth, which move with the body."""
    cv2, side = _cv2(), picture.shape[0]
    x1, y1, x2, y2 = figure.boxes[frame]
    if x2 - x1 < 2 or y2 - y1 < 2:
        return
    painted = picture[y1:y2, x1:x2]
    before = painted.copy()
    figure.paint(picture, frame)
    pelvis = figure.pelvis[frame]
    u = min(max(int(x1 - pelvis[0] + side), 0), cloth.shape[1] - (x2 - x1))
    v = min(max(int(y1 - pelvis[1] + side), 0), cloth.shape[0] - (y2 - y1))
    unchanged = cv2.inRange(cv2.absdiff(painted, before), (0, 0, 0), (0, 0, 0))
    textured = cv2.multiply(painted, cloth[v : v + y2 - y1, u : u + x2 - x1], scale=1 / 128)
    cv2.copyTo(textured, cv2.bitwise_not(unchanged), painted)


def resized(frames: Frames, side_px: int, *, smooth: bool) -> Frames:
    """Square frames (T, S, S, 3) in another size; not smooth: with jaggies, as a network's input."""
    if frames.shape[1] == side_px:
        return frames
    cv2 = _cv2()
    how = cv2.INTER_AREA if smooth else cv2.INTER_LINEAR
    return np.stack([cv2.resize(frame, (side_px, side_px), interpolation=how) for frame in frames])
