"""Render a scene to frames: backgrounds, figures with clothes, occluders, noise.

A figure is drawn from its far parts to its near ones; a part is a capsule, thicker at one end, with a dark
outline and a lit side. Frames are drawn at twice the size and downscaled, for smooth edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from twinpath.data.synthetic.figure import JOINT, LEFT, Array
from twinpath.data.synthetic.scene import Colour, Person, Scene, followed_xz_m

Frames = NDArray[np.uint8]

# part: joints at both ends, radii in metres at both ends, garment, group that is drawn as one
PARTS = (
    ("ankle_l", "toe_l", 0.050, 0.038, "shoes", "foot_l"),
    ("knee_l", "ankle_l", 0.062, 0.045, "shin", "shin_l"),
    ("hip_l", "knee_l", 0.092, 0.064, "trousers", "thigh_l"),
    ("ankle_r", "toe_r", 0.050, 0.038, "shoes", "foot_r"),
    ("knee_r", "ankle_r", 0.062, 0.045, "shin", "shin_r"),
    ("hip_r", "knee_r", 0.092, 0.064, "trousers", "thigh_r"),
    ("hip_l", "hip_r", 0.098, 0.098, "trousers", "hips"),
    ("pelvis", "chest", 0.125, 0.125, "shirt", "torso"),
    ("shoulder_l", "hip_l", 0.080, 0.095, "shirt", "torso"),
    ("shoulder_r", "hip_r", 0.080, 0.095, "shirt", "torso"),
    ("shoulder_l", "shoulder_r", 0.078, 0.078, "shirt", "torso"),
    ("neck", "head", 0.052, 0.052, "skin", "neck"),
    ("head", "head", 0.112, 0.112, "skin", "head"),
    ("hair", "hair", 0.108, 0.108, "hair", "hair"),
    ("shoulder_l", "elbow_l", 0.062, 0.048, "shirt", "upper_l"),
    ("elbow_l", "hand_l", 0.046, 0.034, "sleeve", "fore_l"),
    ("hand_l", "hand_l", 0.048, 0.048, "skin", "hand_l"),
    ("shoulder_r", "elbow_r", 0.062, 0.048, "shirt", "upper_r"),
    ("elbow_r", "hand_r", 0.046, 0.034, "sleeve", "fore_r"),
    ("hand_r", "hand_r", 0.048, 0.048, "skin", "hand_r"),
)  # fmt: skip
GROUPS: tuple[tuple[int, ...], ...] = tuple(
    tuple(i for i, part in enumerate(PARTS) if part[5] == group)
    for group in dict.fromkeys(part[5] for part in PARTS)
)
_ARC = np.linspace(np.pi / 2, 3 * np.pi / 2, 7)
_OVERSAMPLING = 2


def capsules(p: Array, q: Array, rp: Array, rq: Array) -> Array:
    """Outlines (..., 14, 2) of capsules from p to q (..., 2) with radii rp and rq (...)."""
    axis = np.arctan2(q[..., 1] - p[..., 1], q[..., 0] - p[..., 0])[..., None]
    start = p[..., None, :] + rp[..., None, None] * np.stack(
        [np.cos(axis + _ARC), np.sin(axis + _ARC)], axis=-1
    )
    end = q[..., None, :] + rq[..., None, None] * np.stack(
        [np.cos(axis + _ARC + np.pi), np.sin(axis + _ARC + np.pi)], axis=-1
    )
    return np.concatenate([start, end], axis=-2)


@dataclass(frozen=True)
class FigureOutline:
    """One projected figure over time: P parts, in units of the frame height.

    Attributes:
        p, q: (T, P, 2) ends of the capsules.
        rp, rq: (T, P) radii.
        depth_m: (T, P) distance from the camera.
    """

    p: Array
    q: Array
    rp: Array
    rq: Array
    depth_m: Array

    def boxes(self) -> Array:
        """(T, 4) x1, y1, x2, y2 around all parts."""
        low = np.minimum(self.p - self.rp[..., None], self.q - self.rq[..., None]).min(axis=1)
        high = np.maximum(self.p + self.rp[..., None], self.q + self.rq[..., None]).max(axis=1)
        return np.concatenate([low, high], axis=-1)


def figure_outline(scene: Scene, person: Person, t_s: Array) -> FigureOutline:
    """Project a figure's parts at times (T,) in seconds."""
    uv, depth_m = scene.camera.project(person.world_joints(t_s), t_s, followed_xz_m(scene, t_s))
    first = [JOINT[part[0]] for part in PARTS]
    last = [JOINT[part[1]] for part in PARTS]
    girth = person.body.girth
    scale_p, scale_q = scene.camera.focal / depth_m[:, first], scene.camera.focal / depth_m[:, last]
    return FigureOutline(
        p=uv[:, first],
        q=uv[:, last],
        rp=scale_p * np.array([part[2] for part in PARTS]) * girth,
        rq=scale_q * np.array([part[3] for part in PARTS]) * girth,
        depth_m=(depth_m[:, first] + depth_m[:, last]) / 2,
    )


def boxes_xyxy(scene: Scene, t_s: Array) -> Array:
    """(people, T, 4) boxes around the figures, not clipped.

    x is relative to the centre of the frame, y to its top, both in units of the frame height.
    """
    return np.stack([figure_outline(scene, person, t_s).boxes() for person in scene.people])


def _wear(person: Person) -> list[Colour]:
    c = person.clothes
    colours = {
        "skin": c.skin, "hair": c.hair, "shirt": c.shirt, "trousers": c.trousers, "shoes": c.shoes,
        "shin": c.trousers if c.long_trousers else c.skin,
        "sleeve": c.shirt if c.long_sleeves else c.skin,
    }  # fmt: skip
    return [colours[part[4]] for part in PARTS]


def _shade(colour: Colour, factor: float) -> Colour:
    r, g, b = (max(0, min(255, int(v * factor))) for v in colour)
    return r, g, b


class _FigureDrawer:
    """Draws one figure frame by frame, from outlines that are computed for all frames at once."""

    def __init__(self, scene: Scene, person: Person, t_s: Array, size_px: tuple[int, int]) -> None:
        o = figure_outline(scene, person, t_s)
        p, q = _on_canvas(o.p, size_px), _on_canvas(o.q, size_px)
        rp, rq = o.rp * size_px[0], o.rq * size_px[0]
        edge = 0.006 * size_px[0]
        self.outline = capsules(p, q, rp + edge, rq + edge).reshape(*p.shape[:2], -1).tolist()
        self.fill = capsules(p, q, rp, rq).reshape(*p.shape[:2], -1).tolist()
        light = np.array([-0.34, -0.3])  # the lit side: above, to the left
        lit_p, lit_q = p + light * rp[..., None], q + light * rq[..., None]
        self.lit = capsules(lit_p, lit_q, 0.45 * rp, 0.45 * rq).reshape(*p.shape[:2], -1).tolist()
        group_depth = np.stack([o.depth_m[:, list(g)].mean(axis=1) for g in GROUPS], axis=1)
        self.order = np.argsort(-group_depth, axis=1).tolist()
        self.depth_m = o.depth_m.mean(axis=1)
        worn = _wear(person)
        self.colours = [(_shade(c, 0.5), c, _shade(c, 1.22)) for c in worn]
        self.ball = _ball_outline(scene, person, t_s, size_px)
        self.stool = _stool_outlines(scene, person, t_s, size_px)

    def draw(self, canvas: ImageDraw.ImageDraw, frame: int) -> None:
        stool = self.stool[frame] if self.stool else None
        if stool and not stool.is_nearer:
            stool.draw(canvas)
        for group in self.order[frame]:
            parts = GROUPS[group]
            for i in parts:
                canvas.polygon(self.outline[frame][i], fill=self.colours[i][0])
            for i in parts:
                canvas.polygon(self.fill[frame][i], fill=self.colours[i][1])
            for i in parts:
                canvas.polygon(self.lit[frame][i], fill=self.colours[i][2])
        if stool and stool.is_nearer:
            stool.draw(canvas)
        if self.ball is not None:
            canvas.ellipse(self.ball[frame], fill=(214, 84, 40), outline=(90, 30, 15))


def _on_canvas(uv: Array, size_px: tuple[int, int]) -> Array:
    """Positions in units of the frame height, x from the centre, to pixels of a canvas (height, width)."""
    height, width = size_px
    position: Array = uv * height + np.array([width / 2, 0.0])
    return position


def _ball_outline(
    scene: Scene, person: Person, t_s: Array, size_px: tuple[int, int]
) -> list[list[float]] | None:
    """Left, top, right, bottom of the ball in each frame: in the hand, or in flight."""
    if person.performance.ball is None:
        return None
    hand = JOINT["hand_l" if person.performance.hand == LEFT else "hand_r"]
    ball = person.world_joints(t_s)[:, hand].copy()
    since = person.performance.ball(t_s)
    flying = ~np.isnan(since)
    if flying.any():
        start = person.world_joints(t_s[flying] - since[flying])[:, hand]
        s = since[flying]
        ahead = np.array([np.cos(person.heading), 0.0, np.sin(person.heading)])
        ball[flying] = start + 5.0 * s[:, None] * ahead
        ball[flying, 1] = np.maximum(start[:, 1] + 1.2 * s - 4.9 * s**2, 0.1)
    uv, depth_m = scene.camera.project(ball[:, None], t_s, followed_xz_m(scene, t_s))
    r = 0.085 * scene.camera.focal / depth_m * size_px[0]
    centre = _on_canvas(uv[:, 0], size_px)
    outlines: list[list[float]] = np.concatenate([centre - r, centre + r], axis=-1).tolist()
    return outlines


@dataclass(frozen=True)
class _Stool:
    """A stool in one frame, in pixels.

    Attributes:
        seat: Left, top, right, bottom of an ellipse.
        legs: Each a line x1, y1, x2, y2.
        width: Width of the legs.
        is_nearer: Whether it is nearer to the camera than its person.
    """

    seat: list[float]
    legs: list[list[float]]
    width: int
    is_nearer: bool

    def draw(self, canvas: ImageDraw.ImageDraw) -> None:
        for line in self.legs:
            canvas.line(line, fill=(70, 48, 30), width=self.width)
        canvas.ellipse(self.seat, fill=(128, 88, 52), outline=(60, 40, 24))


def _stool_outlines(
    scene: Scene, person: Person, t_s: Array, size_px: tuple[int, int]
) -> list[_Stool] | None:
    if person.performance.seat_m is None:
        return None
    top = person.performance.seat_m * person.body.shin / 0.43 - 0.05
    behind = -person.body.thigh
    angles = np.array([0.25, 0.75, 1.25, 1.75]) * np.pi
    feet = np.stack([0.19 * np.cos(angles), 0 * angles, behind + 0.19 * np.sin(angles)], axis=-1)
    tops = feet + np.array([0.0, top, 0.0])
    points = person.to_world(np.concatenate([[[0.0, top, behind]], tops, feet]))
    n = len(t_s)
    uv, depth_m = scene.camera.project(np.broadcast_to(points, (n, 9, 3)), t_s, followed_xz_m(scene, t_s))
    at = _on_canvas(uv, size_px)
    scale = scene.camera.focal / depth_m[:, 0] * size_px[0]
    person_depth = scene.camera.distance_m + person.place_xz_m[1]
    tilt = max(0.18, float(np.sin(scene.camera.pitch)))
    stools = []
    for i in range(n):
        (x, y), r = at[i, 0], 0.21 * scale[i]
        stools.append(
            _Stool(
                seat=[x - r, y - r * tilt, x + r, y + r * tilt + 0.05 * scale[i]],
                legs=[[*at[i, 1 + k], *at[i, 5 + k]] for k in range(4)],
                width=max(1, round(0.04 * scale[i])),
                is_nearer=bool(depth_m[i, 0] < person_depth - 0.05),
            )
        )
    return stools


def _value_noise(rng: np.random.Generator, height: int, width: int, cells: int) -> Image.Image:
    grid = rng.integers(0, 256, (cells, max(2, int(cells * width / height)), 3), dtype=np.uint8)
    return Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)


def _random_colour(rng: np.random.Generator, low: int = 20, high: int = 235) -> Colour:
    r, g, b = rng.integers(low, high, 3)
    return int(r), int(g), int(b)


def _gradient(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    ends = np.array([_random_colour(rng), _random_colour(rng)], dtype=np.float32)
    ramp = np.linspace(0, 1, height if rng.random() < 0.6 else width, dtype=np.float32)[:, None]
    line = (ends[0] * (1 - ramp) + ends[1] * ramp).astype(np.uint8)
    column = line[:, None] if len(line) == height else line[None]
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(column, (height, width, 3))))


def _surface(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    """A wall, a sky or a floor: gradient, clouds, stripes, tiles or clutter."""
    kind = rng.integers(5)
    if kind == 0:
        return _gradient(rng, height, width)
    if kind == 1:
        cells = int(rng.integers(3, 24))
        return Image.blend(
            _gradient(rng, height, width), _value_noise(rng, height, width, cells), rng.uniform(0.2, 0.6)
        )
    picture = _gradient(rng, height, width)
    canvas = ImageDraw.Draw(picture)
    colour, step = _random_colour(rng), max(4, int(height * rng.uniform(0.04, 0.2)))
    if kind == 2:
        thick = max(1, int(step * rng.uniform(0.1, 0.6)))
        upright = rng.random() < 0.5
        for at in range(0, width if upright else height, step):
            line = [at, 0, at, height] if upright else [0, at, width, at]
            canvas.line(line, fill=colour, width=thick)
    elif kind == 3:
        for row in range(0, height, step):
            for column in range((row // step % 2) * step, width, 2 * step):
                canvas.rectangle([column, row, column + step, row + step], fill=colour)
        picture = Image.blend(picture, _gradient(rng, height, width), rng.uniform(0.3, 0.7))
    else:
        for _ in range(int(rng.integers(6, 26))):
            x, y = rng.uniform(0, width), rng.uniform(0, height)
            w, h = rng.uniform(0.03, 0.3, 2) * height
            shape = canvas.ellipse if rng.random() < 0.3 else canvas.rectangle
            shape([x, y, x + w, y + h], fill=_random_colour(rng))
    return picture


def _background(scene: Scene, rng: np.random.Generator, height: int, width: int) -> Image.Image:
    """A wall above, a floor below, and objects in front of the wall."""
    picture = _surface(rng, height, width)
    base = float(np.clip(scene.camera.horizon + rng.uniform(0.02, 0.25), 0.2, 0.85))
    top = int(height * base)
    if rng.random() < 0.85:
        picture.paste(_surface(rng, height - top, width), (0, top))
    canvas = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(0, 5))):  # furniture, doors, trees, empty stools
        x, w, h = rng.uniform(0, width), rng.uniform(0.04, 0.2) * height, rng.uniform(0.08, 0.5) * height
        foot = top + rng.uniform(0, 0.1) * height
        colour = _random_colour(rng)
        canvas.rectangle([x, foot - h, x + w, foot], fill=colour, outline=_shade(colour, 0.6))
        if rng.random() < 0.3:
            canvas.ellipse([x - w, foot - h - w, x + 2 * w, foot - h + w], fill=_random_colour(rng))
    return picture


def _occluders(rng: np.random.Generator, aspect: float) -> list[tuple[list[float], Colour, float]]:
    """Posts and boxes in the foreground: rectangles in units of the frame height, colours, and speeds."""
    things: list[tuple[list[float], Colour, float]] = []
    if rng.random() < 0.35:
        for _ in range(int(rng.integers(1, 3))):
            if rng.random() < 0.5:  # a post, from top to bottom
                x, w = rng.uniform(0, aspect), rng.uniform(0.02, 0.06)
                rect = [x, -0.1, x + w, 1.1]
            else:  # a box at the lower edge
                x, w, h = rng.uniform(0, aspect), rng.uniform(0.1, 0.3), rng.uniform(0.05, 0.2)
                rect = [x, 1 - h, x + w, 1.2]
            things.append((rect, _random_colour(rng), rng.uniform(0.6, 1.6)))
    return things


def render(scene: Scene, t_s: Array, *, height_px: int) -> Frames:
    """Render a scene.

    Args:
        scene: The scene to render.
        t_s: (T,) times in seconds.
        height_px: Height of the frames; the width follows from the scene's aspect, rounded to even.
    Returns:
        (T, height_px, width_px, 3) uint8, RGB.
    """
    rng = np.random.default_rng([scene.render_seed, 1])
    width_px = width_of(scene, height_px)
    height, width = height_px * _OVERSAMPLING, width_px * _OVERSAMPLING
    margin = int(0.3 * height)
    background = _background(scene, rng, height + 2 * margin, width + 4 * margin)
    occluders = _occluders(rng, scene.aspect)
    people = [_FigureDrawer(scene, p, t_s, (height, width)) for p in scene.people]
    followed = followed_xz_m(scene, t_s)
    pan = scene.camera.focal / (scene.camera.distance_m + 4) * scene.camera.follow * followed[:, 0]
    shift = scene.camera.offset(t_s) - np.stack([pan, 0 * pan], axis=-1)
    shift_px = np.round(shift * height).astype(int)
    shift_px[:, 0] = np.clip(shift_px[:, 0], -2 * margin, 2 * margin)
    shift_px[:, 1] = np.clip(shift_px[:, 1], -margin, margin)
    frames = np.empty((len(t_s), height_px, width_px, 3), np.uint8)
    for i in range(len(t_s)):
        left, top = 2 * margin - shift_px[i, 0], margin - shift_px[i, 1]
        picture = background.crop((left, top, left + width, top + height))
        canvas = ImageDraw.Draw(picture)
        for person in sorted(people, key=lambda p: -p.depth_m[i]):
            person.draw(canvas, i)
        for (x1, y1, x2, y2), colour, speed in occluders:
            dx = shift[i, 0] * speed
            canvas.rectangle([(x1 + dx) * height, y1 * height, (x2 + dx) * height, y2 * height], fill=colour)
        frames[i] = np.asarray(picture.reduce(_OVERSAMPLING))
    return _expose(scene, frames, rng)


def width_of(scene: Scene, height_px: int) -> int:
    """Width of a frame with this height in pixels; even, as H.264 requires."""
    return 2 * round(height_px * scene.aspect / 2)


def _expose(scene: Scene, frames: Frames, rng: np.random.Generator) -> Frames:
    """Apply brightness, contrast and noise of the camera."""
    levels = np.arange(256, dtype=np.float32)
    curve = np.clip((levels - 128) * scene.contrast + 128 + scene.brightness, 0, 255).astype(np.uint8)
    frames = curve[frames]
    if scene.noise > 0:
        noise = rng.standard_normal(frames.shape, dtype=np.float32) * scene.noise
        frames = np.clip(frames + noise, 0, 255).astype(np.uint8)
    return frames
