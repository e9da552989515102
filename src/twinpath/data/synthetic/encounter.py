"""An encounter of one or two people: how they come together, where they reach, and their joints over time.

An encounter is a function of a random generator that determines its style and returns a function of time.
Time 0 is its moment: the contact of a punch, the middle of an embrace. The first person acts, the second one
is acted on. They come together along the x axis, and the camera decides from where it is seen.

Two limbs meet where they should because arms and legs can reach for a point, with two bones and a bend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import numpy as np

from twinpath.data.synthetic.actions import DEG, Rng, smoothstep
from twinpath.data.synthetic.figure import JOINT, LEFT, RIGHT, Array, Body, Pose, joints

Knots = Sequence[tuple[float, float]]  # time in seconds and value; smooth in between


@dataclass(frozen=True)
class Reach:
    """A hand or a foot that reaches for a point.

    Attributes:
        limb: "arm" or "leg".
        side: LEFT or RIGHT.
        weight: (T,) from 0, the limb follows the pose, to 1, it is at the point or as near as it can be.
        target: (T, 3) the point in the encounter's axes.
    """

    limb: str
    side: int
    weight: Array
    target: Array


@dataclass
class Movement:
    """One person over time in an encounter's axes.

    Attributes:
        pose: The body, without the reaching limbs.
        x, z: (T,) position on the ground in metres.
        heading: (T,) radians, 0 looks along x.
        tip: (T,) angle by which the whole body has fallen forward, backward where negative.
        reaches: Limbs that reach for points.
    """

    pose: Pose
    x: Array
    z: Array
    heading: Array
    tip: Array | None = None
    reaches: list[Reach] = field(default_factory=list)


Bodies = tuple[Body, ...]
Motions = Callable[[Array], list[Movement]]


@dataclass(frozen=True)
class Encounter:
    """An encounter in one style.

    Attributes:
        motions: Movements of all who take part at times (T,) in seconds.
        bodies: Their bodies.
        has_moment: Whether something happens at time 0; else it goes on all the time.
    """

    motions: Motions
    bodies: Bodies
    has_moment: bool = True


def through(t: Array, knots: Knots) -> Array:
    """The value at each time; constant before the first knot and after the last one."""
    value = np.full(len(t), knots[0][1], dtype=np.float64)
    for (t0, v0), (t1, v1) in pairwise(knots):
        value += (v1 - v0) * smoothstep((t - t0) / max(t1 - t0, 1e-3))
    return value


def path_through(t: Array, knots: Knots) -> Array:
    """Metres walked until each time."""
    return through(t, [(time, float(v)) for (time, _), v in zip(knots, _lengths(knots), strict=True)])


def _lengths(knots: Knots) -> Array:
    steps = np.abs(np.diff([value for _, value in knots]))
    return np.concatenate([[0.0], np.cumsum(steps)])


def body_of(rng: Rng) -> Body:
    """A body of some height and girth."""
    return Body().scaled(rng.uniform(0.88, 1.1), girth=rng.uniform(0.85, 1.3))


def standing_alive(rng: Rng) -> Callable[[Array], Pose]:
    """A style of standing: small movements, arms hanging, folded or a little bent."""
    phase, hang = rng.uniform(0, 6.28, 4), rng.uniform(0, 1, 4)
    bend, lean = rng.uniform(0, 35) * DEG, rng.normal(0, 3) * DEG
    feet = rng.uniform(-0.12, 0.12, 2)

    def pose_at(t: Array) -> Pose:
        pose = Pose.standing(t)
        pose.roll = pose.roll + 0.03 * np.sin(1.7 * t + phase[0])
        pose.lean = pose.lean + lean + 0.03 * np.sin(1.1 * t + phase[1])
        pose.twist = pose.twist + 0.08 * np.sin(0.9 * t + phase[2])
        pose.nod = pose.nod + 0.1 * np.sin(1.3 * t + phase[3])
        pose.upper_flex += 0.06 * np.sin(np.stack([1.3 * t + phase[0], 1.2 * t + phase[2]], -1))
        pose.fore_flex += bend * hang[:2]
        pose.thigh_flex += feet
        if hang[3] > 0.92:  # arms folded, or hands on the hips
            pose.upper_flex += 25 * DEG
            pose.fore_flex += 60 * DEG
            pose.fore_out -= 50 * DEG
        pose.planted = None
        return pose

    return pose_at


def add_steps(pose: Pose, t: Array, path: Callable[[Array], Array], step_m: float, phase: float) -> None:
    """Let legs and arms walk along a path; a person who stands keeps the pose."""
    metres = path(t)
    speed = np.abs(path(t + 0.03) - path(t - 0.03)) / 0.06
    amount = smoothstep(speed / 0.9) * np.clip(0.75 + 0.2 * speed, 0, 1.4)
    angle = np.pi * metres / step_m + phase
    for side, shift in ((LEFT, 0.0), (RIGHT, np.pi)):
        swing, lifting = np.sin(angle + shift), np.clip(np.cos(angle + shift), 0, 1)
        pose.thigh_flex[:, side] += amount * (0.42 * swing + 0.12 * lifting)
        pose.knee[:, side] += amount * (0.75 * lifting + 0.18 * np.clip(-swing, 0, 1))
        pose.upper_flex[:, side] -= amount * 0.35 * swing
        pose.fore_flex[:, side] -= amount * (0.35 * swing - 0.15)
    pose.lean = pose.lean + 0.04 * amount


@dataclass(frozen=True)
class Meeting:
    """How two people come together and part: knots of the distance of each from the middle, in metres."""

    first: Knots
    second: Knots


def meeting(
    rng: Rng, *, near: float, hold: tuple[float, float], step_in_s: float = 0.0, shares: bool = True
) -> Meeting:
    """They stand apart, come near, stay for a while around time 0, and part.

    Args:
        near: Metres between them at time 0.
        hold: Seconds from their arrival to time 0, and from time 0 until they part.
        step_in_s: At least that much time for the way.
        shares: Whether both may walk; else the second one waits.
    """
    apart, later = rng.uniform(max(near, 0.9), 2.6), rng.uniform(max(near, 0.8), 2.4)
    part = float(rng.choice([0.0, 0.5, 1.0], p=[0.15, 0.4, 0.45])) if shares else 1.0
    back = float(rng.choice([0.0, 0.5, 1.0]))
    way_s = max(step_in_s, (apart - near) / rng.uniform(0.8, 1.6))
    back_s = 0.25 + (max(later - near, 0)) / rng.uniform(0.8, 1.5)
    begin, end = -hold[0] - way_s, hold[1]

    def knots(share: float, share_back: float) -> Knots:
        return [
            (begin, near / 2 + share * (apart - near)),
            (-hold[0], near / 2),
            (end, near / 2),
            (end + back_s, near / 2 + share_back * (later - near)),
        ]

    return Meeting(knots(part, back), knots(1 - part, 1 - back))


class Pair:
    """Two people who face each other: what all encounters of two share.

    Args:
        rng: Determines bodies and small movements.
        meeting: Their ways along x.
        off_z: How far they stand beside the line, at most.
    """

    def __init__(self, rng: Rng, meeting: Meeting, *, off_z: float = 0.12) -> None:
        self.bodies = (body_of(rng), body_of(rng))
        self.meeting = meeting
        self._alive = (standing_alive(rng), standing_alive(rng))
        self._z = rng.uniform(-off_z, off_z, 2)
        self._turn = rng.normal(0, 0.12, 2)
        self._step, self._phase = rng.uniform(0.5, 0.8, 2), rng.uniform(0, 6.28, 2)

    def at(self, t: Array) -> tuple[Movement, Movement]:
        """Both on their way, without what they do."""
        found = []
        for i, (knots, sign) in enumerate(((self.meeting.first, -1.0), (self.meeting.second, 1.0))):
            pose = self._alive[i](t)
            add_steps(pose, t, partial(path_through, knots=knots), self._step[i], self._phase[i])
            found.append(
                Movement(
                    pose,
                    x=sign * through(t, knots),
                    z=np.full(len(t), self._z[i]),
                    heading=np.full(len(t), (0.0 if i == 0 else np.pi) + self._turn[i]),
                )
            )
        return found[0], found[1]

    def encounter(self, act: Callable[[Array, Movement, Movement], None], **facts: bool) -> Encounter:
        """What they do, given as a change of the movements of both."""

        def motions(t: Array) -> list[Movement]:
            first, second = self.at(t)
            act(t, first, second)
            return [first, second]

        return Encounter(motions, self.bodies, **facts)


def reach_with_hand(
    person: Movement, side: int, weight: Array, x: Array, y: Array | float, z: Array | float
) -> None:
    target = np.stack(np.broadcast_arrays(x, y, z), axis=-1).astype(np.float64)
    person.reaches.append(Reach("arm", side, weight, target))


def height_on(body: Body, of_chest: float) -> float:
    """A height above the ground: 0 is the hip, 1 the shoulder, 1.4 the head."""
    return body.thigh + body.shin + 0.07 + of_chest * body.torso


# What two people do


def add_fall(person: Movement, down: Array, *, forward: bool) -> None:
    """Lay a person on the ground: 0 stands, 1 lies."""
    fast = down * down
    person.tip = (1.0 if forward else -1.0) * 88 * DEG * fast
    bend = 4 * down * (1 - down) + 0.25 * down
    person.pose.knee += (0.9 * bend)[:, None]
    person.pose.thigh_flex += (0.7 * bend)[:, None]
    person.pose.upper_flex += ((1.2 if forward else 0.5) * bend)[:, None]
    person.pose.upper_out += (0.6 * bend)[:, None]
    person.pose.lean = person.pose.lean + 0.35 * bend


def joints_of(movement: Movement, body: Body) -> Array:
    """(T, joints, 3) in the encounter's axes, on the ground, with limbs at what they reach for."""
    xyz = joints(movement.pose, body)
    if movement.tip is not None:
        c, s = np.cos(movement.tip)[:, None], np.sin(movement.tip)[:, None]
        up, ahead = xyz[..., 1], xyz[..., 2]
        xyz = np.stack([xyz[..., 0], up * c - ahead * s, ahead * c + up * s], axis=-1)
        xyz[..., 1] += np.maximum(0.09 - xyz[..., 1].min(axis=1), 0)[:, None]
    c, s = np.cos(movement.heading)[:, None], np.sin(movement.heading)[:, None]
    left, up, ahead = xyz[..., 0], xyz[..., 1], xyz[..., 2]
    world = np.stack(
        [movement.x[:, None] + ahead * c - left * s, up, movement.z[:, None] + ahead * s + left * c], axis=-1
    )
    forward = np.stack([c[:, 0], 0 * c[:, 0], s[:, 0]], axis=-1)
    for reach in movement.reaches:
        _reach(world, reach, body, forward)
    return world


def _reach(world: Array, reach: Reach, body: Body, forward: Array) -> None:
    """Bend one limb so that its end is at the target, in place."""
    s = "l" if reach.side == LEFT else "r"
    names = ("shoulder", "elbow", "hand") if reach.limb == "arm" else ("hip", "knee", "ankle")
    root, middle, end = (JOINT[f"{name}_{s}"] for name in names)
    upper, lower = (body.upper_arm, body.forearm) if reach.limb == "arm" else (body.thigh, body.shin)
    w = reach.weight[:, None]
    aim = world[:, end] * (1 - w) + reach.target * w - world[:, root]
    length = np.linalg.norm(aim, axis=-1, keepdims=True)
    axis = aim / np.maximum(length, 1e-6)
    length = np.clip(length, abs(upper - lower) + 0.02, 0.995 * (upper + lower))
    outward = np.stack([-forward[:, 2], 0 * forward[:, 0], forward[:, 0]], axis=-1)
    outward = outward if reach.side == LEFT else -outward
    hint = forward + 0.2 * outward if reach.limb == "leg" else 0.55 * outward - 0.3 * forward
    if reach.limb == "arm":
        hint = hint - np.array([0.0, 1.0, 0.0])
    hint = hint - (hint * axis).sum(-1, keepdims=True) * axis
    hint /= np.maximum(np.linalg.norm(hint, axis=-1, keepdims=True), 1e-6)
    along = (upper**2 - lower**2 + length**2) / (2 * length)
    side = np.sqrt(np.maximum(upper**2 - along**2, 0))
    bent = world[:, root] + along * axis + side * hint
    reached = world[:, root] + length * axis
    active = np.minimum(4 * w, 1)
    world[:, middle] = world[:, middle] * (1 - active) + bent * active
    moved = (reached - world[:, end]) * active
    world[:, end] += moved
    if reach.limb == "leg":
        toe = JOINT[f"toe_{s}"]
        shin = (world[:, end] - world[:, middle]) / lower
        foot = forward - (forward * shin).sum(-1, keepdims=True) * shin + np.array([0.0, 0.35, 0.0])
        foot *= body.foot / np.maximum(np.linalg.norm(foot, axis=-1, keepdims=True), 1e-6)
        world[:, toe] = (world[:, toe] + moved) * (1 - active) + (world[:, end] + foot) * active
