"""A scene: people and their actions, the camera, and the background. Everything from a seed.

World axes: x to the right of the camera, y up, z away from it; metres. Lengths in the frame are in units of
its height, so that the same scene can be rendered at any size.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from twinpath.data.synthetic.actions import ACTIONS, PERFORM, Performance
from twinpath.data.synthetic.figure import Array, Body, joints

Colour = tuple[int, int, int]

SKIN: tuple[Colour, ...] = (
    (255, 219, 190), (241, 194, 155), (224, 172, 125), (198, 134, 90), (141, 85, 50), (92, 58, 38),
)  # fmt: skip
HAIR: tuple[Colour, ...] = (
    (28, 22, 20), (62, 40, 26), (110, 72, 40), (190, 150, 90), (150, 150, 150), (120, 40, 25),
)  # fmt: skip


@dataclass(frozen=True)
class Clothes:
    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    long_sleeves: bool
    long_trousers: bool


@dataclass(frozen=True)
class Person:
    """One figure.

    Attributes:
        track: Index of the person in the scene, from 0.
        action: A name in ACTIONS, or None for a bystander.
        performance: Its movement.
        body, clothes: Its appearance.
        place_xz_m: Its position relative to the centre of the scene.
        heading: Direction that it faces, in radians; 0 is to the right of the camera, pi / 2 away from it.
    """

    track: int
    action: str | None
    performance: Performance
    body: Body
    clothes: Clothes
    place_xz_m: tuple[float, float]
    heading: float

    def world_joints(self, t_s: Array) -> Array:
        """(T,) to (T, joints, 3) in world axes."""
        xyz = joints(self.performance.motion(t_s), self.body)
        return self.to_world(xyz)

    def to_world(self, xyz: Array) -> Array:
        """Body axes to world axes for points (..., 3)."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        left, up, forward = xyz[..., 0], xyz[..., 1], xyz[..., 2]
        x = self.place_xz_m[0] + forward * c - left * s
        z = self.place_xz_m[1] + forward * s + left * c
        return np.stack([x, up, z], axis=-1)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera along z, tilted down, which follows walking people and shakes slightly.

    Attributes:
        distance_m: Distance to the centre of the scene.
        height_m: Height above the ground.
        pitch: Downward tilt in radians.
        focal: Focal length in frame heights.
        follow: Share of the main actor's movement that the camera follows, 0 to 1.
        shake: Amplitude of the camera shake in frame heights.
        shake_phase: Phase of the camera shake.
        centre_yx: Principal point relative to the centre of the frame, in frame heights.
    """

    distance_m: float
    height_m: float
    pitch: float
    focal: float
    follow: float
    shake: float
    shake_phase: float
    centre_yx: tuple[float, float]

    def offset(self, t_s: Array) -> Array:
        """(T, 2) x, y of the camera shake in frame heights."""
        a = self.shake_phase
        x = np.sin(2.1 * t_s + a) + 0.5 * np.sin(5.3 * t_s + 2 * a)
        y = np.sin(2.6 * t_s + 3 * a) + 0.5 * np.sin(4.7 * t_s + a)
        return self.shake * np.stack([x, y], axis=-1)

    def project(self, xyz_m: Array, t_s: Array, followed_xz_m: Array) -> tuple[Array, Array]:
        """World points (T, N, 3) to frame positions (T, N, 2), x and y, and depths (T, N) in metres.

        Args:
            xyz_m: Points in the world.
            t_s: (T,) times in seconds, for the camera shake.
            followed_xz_m: (T, 2) movement of the main actor, see `followed_xz_m`.
        """
        x = xyz_m[..., 0] - self.follow * followed_xz_m[:, :1]
        y = xyz_m[..., 1] - self.height_m
        z = xyz_m[..., 2] + self.distance_m - self.follow * followed_xz_m[:, 1:]
        c, s = np.cos(self.pitch), np.sin(self.pitch)
        depth = np.maximum(z * c - y * s, 0.5)
        down = -(y * c + z * s)
        offset = self.offset(t_s)
        u = self.focal * x / depth + self.centre_yx[1] + offset[:, :1]
        v = self.focal * down / depth + 0.5 + self.centre_yx[0] + offset[:, 1:]
        return np.stack([u, v], axis=-1), depth

    @property
    def horizon(self) -> float:
        """Position of the horizon in the frame, from the top."""
        return float(0.5 + self.centre_yx[0] - self.focal * np.tan(self.pitch))


@dataclass(frozen=True)
class Scene:
    """A scene to render.

    Attributes:
        seed: The seed of the scene.
        label: The action of the whole clip: that of the main actor.
        people: The main actor comes first.
        camera: The camera.
        render_seed: Seed of background, occluders and noise.
        aspect: Width over height of the frame.
        brightness, contrast: Exposure of the camera.
        noise: Standard deviation of the sensor noise, of 255.
    """

    seed: int
    label: str
    people: tuple[Person, ...]
    camera: Camera
    render_seed: int
    aspect: float
    brightness: float
    contrast: float
    noise: float


def _colour(rng: np.random.Generator) -> Colour:
    r, g, b = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.1, 0.9), rng.uniform(0.2, 0.95))
    return int(255 * r), int(255 * g), int(255 * b)


def _person(
    rng: np.random.Generator, track: int, action: str | None, place_xz_m: tuple[float, float]
) -> Person:
    clothes = Clothes(
        skin=SKIN[rng.integers(len(SKIN))],
        hair=HAIR[rng.integers(len(HAIR))],
        shirt=_colour(rng),
        trousers=_colour(rng),
        shoes=_colour(rng),
        long_sleeves=bool(rng.random() < 0.5),
        long_trousers=bool(rng.random() < 0.75),
    )
    performance = PERFORM[action or "stand"](rng)
    # Props must not reveal the label: a stool may be behind any person, a throw may have no ball.
    stays = action not in {"walk", "run", "sit down", "stand up"}
    if stays and rng.random() < 0.2:
        performance = replace(performance, seat_m=Body().shin)
    if performance.ball is not None and rng.random() < 0.3:
        performance = replace(performance, ball=None)
    return Person(
        track=track,
        action=action,
        performance=performance,
        body=Body().scaled(rng.uniform(0.9, 1.08), girth=rng.uniform(0.85, 1.25)),
        clothes=clothes,
        place_xz_m=place_xz_m,
        heading=rng.uniform(0, 2 * np.pi),
    )


def _camera(rng: np.random.Generator, *, fill: float) -> Camera:
    distance_m, height_m = rng.uniform(3.8, 8.0), rng.uniform(0.9, 2.4)
    return Camera(
        distance_m=distance_m,
        height_m=height_m,
        pitch=float(np.arctan((height_m - 0.98) / distance_m)),
        focal=fill * distance_m / 1.75,
        follow=rng.uniform(0.8, 1.0),
        shake=rng.uniform(0, 0.006),
        shake_phase=rng.uniform(0, 6.28),
        centre_yx=(rng.uniform(-0.03, 0.03), rng.uniform(-0.05, 0.05)),
    )


def make_scene(
    seed: int,
    *,
    action: str | None = None,
    kind: Literal["clip", "people"] = "clip",
    num_people: int | None = None,
) -> Scene:
    """Create a scene; the same arguments give the same scene.

    Args:
        seed: Any number from 0.
        action: Label of the clip; None: chosen by the seed.
        kind: "clip": one main actor, the others do the same or just stand, so that one label is right.
            "people": side by side, each with another action, for detection.
        num_people: Number of people; None: chosen by the seed.
    Raises:
        ValueError: `action` is not in ACTIONS.
    """
    if action is not None and action not in ACTIONS:
        raise ValueError(f"unknown action {action!r}; there are {', '.join(ACTIONS)}")
    rng = np.random.default_rng([seed, 0x5F])
    drawn = ACTIONS[rng.integers(len(ACTIONS))]
    label = action or drawn
    if kind == "clip":
        count = num_people or int(rng.choice([1, 2, 3], p=[0.62, 0.26, 0.12]))
        fill = rng.uniform(0.5, 0.72)
        people = [_person(rng, 0, label, (0.0, 0.0))]
        for track in range(1, count):
            side = rng.choice([-1, 1])
            place = (side * rng.uniform(0.8, 1.9), rng.uniform(0.8, 3.0))
            people.append(_person(rng, track, label if rng.random() < 0.4 else None, place))
    else:
        count = num_people or int(rng.integers(3, 5))
        fill = rng.uniform(0.48, 0.62)
        gap = rng.uniform(1.1, 1.4)
        people = []
        for track in range(count):
            x = (track - (count - 1) / 2) * gap + rng.uniform(-0.1, 0.1)
            own = label if track == 0 else ACTIONS[rng.integers(len(ACTIONS))]
            people.append(_person(rng, track, own, (x, rng.uniform(-0.4, 1.2))))
    return Scene(
        seed=seed,
        label=label,
        people=tuple(people),
        camera=_camera(rng, fill=fill),
        render_seed=int(rng.integers(2**31)),
        aspect=float(rng.choice([1.0, 4 / 3, 1.5, 16 / 9])) if kind == "clip" else 16 / 9,
        brightness=rng.uniform(-22, 22),
        contrast=rng.uniform(0.75, 1.15),
        noise=float(rng.choice([0.0, rng.uniform(1, 7)])),
    )


def followed_xz_m(scene: Scene, t_s: Array) -> Array:
    """(T, 2) displacement of the main actor since time 0, in x and z; the camera follows it."""
    main = scene.people[0]
    walked_m = main.performance.motion(t_s).forward
    walked_xz_m: Array = walked_m[:, None] * np.array([np.cos(main.heading), np.sin(main.heading)])
    return walked_xz_m
