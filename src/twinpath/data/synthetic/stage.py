"""A stage: an encounter, passers-by, and the camera that films them. Everything from a seed.

World axes as in `scene`: x to the right of the camera, y up, z away from it; metres. Positions in the frame
are in units of its height, from the centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinpath.data.synthetic.encounter import Encounter, joints_of
from twinpath.data.synthetic.encounters import ALONE, ENCOUNTERS, PAIRS
from twinpath.data.synthetic.figure import JOINT, Array, Body

#: In these, who acts and who is acted on can be told apart.
DIRECTED = frozenset(
    ("kick somebody", "punch somebody", "push somebody", "pull somebody", "hand over", "pat a shoulder",
     "chase", "knock down")
)  # fmt: skip
_PASSING = ("walk", "walk", "walk", "stand", "run", "turn round", "hand to head", "pick up")
_MOVING = frozenset(("walk", "run", "walk together", "chase", "pass by"))


@dataclass(frozen=True)
class Group:
    """People of one encounter, somewhere on the stage.

    Attributes:
        encounter: What they do.
        at_xz_m: Where.
        turn: Radians by which the encounter's axes are turned.
        tempo: Seconds of the encounter in one second.
        delay_s: Time of the stage at the encounter's time 0.
    """

    encounter: Encounter
    at_xz_m: tuple[float, float]
    turn: float
    tempo: float
    delay_s: float

    def joints(self, t_s: Array) -> list[Array]:
        """(T, joints, 3) in world axes of each person."""
        t = (t_s - self.delay_s) * self.tempo
        c, s = np.cos(self.turn), np.sin(self.turn)
        found = []
        for movement, body in zip(self.encounter.motions(t), self.encounter.bodies, strict=True):
            xyz = joints_of(movement, body)
            x, z = xyz[..., 0], xyz[..., 2]
            found.append(
                np.stack([x * c - z * s + self.at_xz_m[0], xyz[..., 1], x * s + z * c + self.at_xz_m[1]], -1)
            )
        return found


@dataclass(frozen=True)
class Film:
    """How the camera films.

    Attributes:
        distance_m: To the centre of the stage.
        pitch: Downward, in radians.
        fill: Height of a person of 1.75 m in the middle, over the height of the frame.
        look_m: (x, y) of the point in the middle of the frame.
        roll: In radians.
        follow: Part of the main people's way that the camera goes along, 0 to 1.
        pan, zoom: Change of the view in one second, in frame heights and in parts of the size.
        shake: Of a hand that holds the camera, in frame heights.
        phase: Of the shake.
    """

    distance_m: float
    pitch: float
    fill: float
    look_m: tuple[float, float]
    roll: float
    follow: float
    pan: tuple[float, float]
    zoom: float
    shake: float
    phase: float

    def view(self, t_s: Array) -> tuple[Array, Array]:
        """Size (T,) and shift (T, 2) of the picture over time."""
        a = self.phase
        x = (
            np.sin(2.1 * t_s + a)
            + 0.5 * np.sin(7.3 * t_s + 2 * a)
            + self.pan[0] / max(self.shake, 1e-9) * t_s
        )
        y = (
            np.sin(2.6 * t_s + 3 * a)
            + 0.5 * np.sin(8.7 * t_s + a)
            + self.pan[1] / max(self.shake, 1e-9) * t_s
        )
        return np.exp(self.zoom * t_s), max(self.shake, 1e-9) * np.stack([x, y], axis=-1)

    def project(self, xyz: Array, t_s: Array, way_xz: Array) -> tuple[Array, Array, Array]:
        """World points (T, N, 3) to positions (T, N, 2), scales (T, N) per metre, and depths (T, N)."""
        x = xyz[..., 0] - self.look_m[0] - self.follow * way_xz[:, :1]
        y = xyz[..., 1] - self.look_m[1]
        z = xyz[..., 2] - self.follow * way_xz[:, 1:]
        c, s = np.cos(self.pitch), np.sin(self.pitch)
        depth = np.maximum(self.distance_m + z * c - y * s, 0.6)
        down = -(y * c + z * s)
        focal = self.fill * self.distance_m / 1.75
        size, shift = self.view(t_s)
        scale = focal / depth * size[:, None]
        cr, sr = np.cos(self.roll), np.sin(self.roll)
        u, v = x * scale, down * scale
        position = np.stack([u * cr - v * sr, u * sr + v * cr], axis=-1) + shift[:, None]
        return position, scale, depth


@dataclass(frozen=True)
class Stage:
    """What is filmed.

    Attributes:
        seed: Of the stage.
        label: A name in ENCOUNTERS, of the first group.
        groups: The first one is what the clip is about.
        film: The camera.
        span_s: Seconds of the clip.
        paint_seed: Of everything that is seen but not acted.
    """

    seed: int
    label: str
    groups: tuple[Group, ...]
    film: Film
    span_s: float
    paint_seed: int

    @property
    def index(self) -> int:
        """Of the label."""
        return ENCOUNTERS.index(self.label)

    @property
    def bodies(self) -> list[Body]:
        """Of all people, those of the first group first."""
        return [body for group in self.groups for body in group.encounter.bodies]

    def times_s(self, num_frames: int) -> Array:
        """(T,) of frames spread evenly over the span."""
        return np.arange(num_frames, dtype=np.float64) * (self.span_s / num_frames)

    def people(self, t_s: Array) -> list[Array]:
        """(T, joints, 3) of all people, those of the first group first."""
        return [xyz for group in self.groups for xyz in group.joints(t_s)]

    def project(self, people: list[Array], t_s: Array) -> list[tuple[Array, Array, Array]]:
        """`Film.project` for each of `people(t_s)`."""
        main = people[: len(self.groups[0].encounter.bodies)]
        pelvis = np.mean([xyz[:, JOINT["pelvis"]] for xyz in main], axis=0)
        way = pelvis[:, [0, 2]] - np.asarray(self.groups[0].at_xz_m)
        return [self.film.project(xyz, t_s, way) for xyz in people]

    def moment_of(self, parts: int) -> int:
        """In which of so many parts of the clip the moment lies; `parts` where there is none."""
        if not self.groups[0].encounter.has_moment:
            return parts
        return int(np.clip(self.groups[0].delay_s / self.span_s * parts, 0, parts - 1))

    def side(self) -> int:
        """Where the acting person is: 0 to the left of the other, 1 to the right, 2 neither."""
        if self.label not in DIRECTED:
            return 2
        return int(np.cos(self.groups[0].turn) < 0) ^ int(self.label == "chase")


def _turn(rng: np.random.Generator, *, side_on: float) -> float:
    """Mostly seen from the side, from where people are told apart best; sometimes from anywhere."""
    if rng.random() < side_on:
        return float(rng.normal(0, 0.3) + (np.pi if rng.random() < 0.5 else 0))
    return float(rng.uniform(0, 2 * np.pi))


def _film(rng: np.random.Generator, label: str) -> Film:
    near = rng.random() < 0.6
    pitch = rng.uniform(-0.05, 0.45) if rng.random() < 0.85 else rng.uniform(0.4, 0.9)
    moves = rng.random()
    return Film(
        distance_m=rng.uniform(4, 14),
        pitch=float(pitch),
        fill=float(rng.uniform(0.62, 0.95) if near else rng.uniform(0.28, 0.62)),
        look_m=(float(rng.normal(0, 0.15)), float(0.9 + rng.normal(0, 0.1 if near else 0.2))),
        roll=float(rng.normal(0, 0.03)),
        follow=float(rng.uniform(0.7, 1.0)) if label in _MOVING and rng.random() < 0.75 else 0.0,
        pan=(float(rng.normal(0, 0.05)), float(rng.normal(0, 0.02))) if moves > 0.75 else (0.0, 0.0),
        zoom=float(rng.normal(0, 0.06)) if moves > 0.85 else 0.0,
        shake=float(rng.uniform(0.001, 0.012)) if moves > 0.4 else 0.0,
        phase=float(rng.uniform(0, 6.28)),
    )


def _passers_by(rng: np.random.Generator) -> list[Group]:
    groups = []
    for _ in range(int(rng.choice([0, 1, 2, 3, 4], p=[0.45, 0.25, 0.15, 0.1, 0.05]))):
        name = _PASSING[rng.integers(len(_PASSING))]
        encounter = (PAIRS["talk"] if rng.random() < 0.15 else ALONE[name])(rng)
        far = rng.random() < 0.8
        at = (
            rng.choice([-1, 1]) * rng.uniform(0.3, 3.5),
            rng.uniform(1.0, 7) if far else -rng.uniform(0.6, 1.5),
        )
        if not far:
            at = (float(np.sign(at[0]) * rng.uniform(1.0, 2.2)), at[1])
        groups.append(Group(encounter, at, _turn(rng, side_on=0.5), 1.0, float(rng.uniform(-1, 3))))
    return groups


def make_stage(seed: int, *, label: str | None = None, span_s: float = 32 / 15) -> Stage:
    """The stage of a seed; the same arguments give the same stage.

    Args:
        seed: Any number from 0.
        label: A name in ENCOUNTERS; None: they take turns, those of two people twice as often.
        span_s: Seconds of the clip.
    """
    rng = np.random.default_rng([seed, 0x57A6E])
    turns = (*PAIRS, *PAIRS, *ALONE)
    label = label or turns[seed % len(turns)]
    encounter = (PAIRS.get(label) or ALONE[label])(rng)
    moment = rng.uniform(0.1, 0.9) * span_s if encounter.has_moment else rng.uniform(-1, 1)
    turn = _turn(rng, side_on=0.7 if label in PAIRS else 0.5)
    main = Group(encounter, (0.0, 0.0), turn, float(rng.uniform(0.75, 1.3)), float(moment))
    return Stage(
        seed=seed,
        label=label,
        groups=(main, *_passers_by(rng)),
        film=_film(rng, label),
        span_s=span_s,
        paint_seed=int(rng.integers(2**31)),
    )
