"""What two people do with each other, and what one does alone, as joints over time.

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

from twinpath.data.synthetic.actions import ACTIONS, DEG, PERFORM, Rng, smoothstep
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


def _through(t: Array, knots: Knots) -> Array:
    """The value at each time; constant before the first knot and after the last one."""
    value = np.full(len(t), knots[0][1], dtype=np.float64)
    for (t0, v0), (t1, v1) in pairwise(knots):
        value += (v1 - v0) * smoothstep((t - t0) / max(t1 - t0, 1e-3))
    return value


def _path(t: Array, knots: Knots) -> Array:
    """Metres walked until each time."""
    return _through(t, [(time, float(v)) for (time, _), v in zip(knots, _lengths(knots), strict=True)])


def _lengths(knots: Knots) -> Array:
    steps = np.abs(np.diff([value for _, value in knots]))
    return np.concatenate([[0.0], np.cumsum(steps)])


def body_of(rng: Rng) -> Body:
    """A body of some height and girth."""
    return Body().scaled(rng.uniform(0.88, 1.1), girth=rng.uniform(0.85, 1.3))


def _alive(rng: Rng) -> Callable[[Array], Pose]:
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


def _walking(pose: Pose, t: Array, path: Callable[[Array], Array], step_m: float, phase: float) -> None:
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
class _Meeting:
    """How two people come together and part: knots of the distance of each from the middle, in metres."""

    first: Knots
    second: Knots


def _meeting(
    rng: Rng, *, near: float, hold: tuple[float, float], step_in_s: float = 0.0, shares: bool = True
) -> _Meeting:
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

    return _Meeting(knots(part, back), knots(1 - part, 1 - back))


class _Pair:
    """Two people who face each other: what all encounters of two share.

    Args:
        rng: Determines bodies and small movements.
        meeting: Their ways along x.
        off_z: How far they stand beside the line, at most.
    """

    def __init__(self, rng: Rng, meeting: _Meeting, *, off_z: float = 0.12) -> None:
        self.bodies = (body_of(rng), body_of(rng))
        self.meeting = meeting
        self._alive = (_alive(rng), _alive(rng))
        self._z = rng.uniform(-off_z, off_z, 2)
        self._turn = rng.normal(0, 0.12, 2)
        self._step, self._phase = rng.uniform(0.5, 0.8, 2), rng.uniform(0, 6.28, 2)

    def at(self, t: Array) -> tuple[Movement, Movement]:
        """Both on their way, without what they do."""
        found = []
        for i, (knots, sign) in enumerate(((self.meeting.first, -1.0), (self.meeting.second, 1.0))):
            pose = self._alive[i](t)
            _walking(pose, t, partial(_path, knots=knots), self._step[i], self._phase[i])
            found.append(
                Movement(
                    pose,
                    x=sign * _through(t, knots),
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


def _hand(person: Movement, side: int, weight: Array, x: Array, y: Array | float, z: Array | float) -> None:
    target = np.stack(np.broadcast_arrays(x, y, z), axis=-1).astype(np.float64)
    person.reaches.append(Reach("arm", side, weight, target))


def _height(body: Body, of_chest: float) -> float:
    """A height above the ground: 0 is the hip, 1 the shoulder, 1.4 the head."""
    return body.thigh + body.shin + 0.07 + of_chest * body.torso


# What two people do


def shake_hands(rng: Rng) -> Encounter:
    before, after = rng.uniform(0.3, 1.0), rng.uniform(0.4, 1.2)
    pair = _Pair(rng, _meeting(rng, near=rng.uniform(0.75, 1.1), hold=(before * 0.7, after)))
    side = RIGHT if rng.random() < 0.93 else LEFT
    hz, size, height = rng.uniform(1.5, 4), rng.uniform(0.0, 0.06), rng.uniform(0.25, 0.55)
    early = rng.uniform(0, 0.4, 2)
    both, lean = rng.random() < 0.1, rng.uniform(0, 0.25, 2)
    y = _height(pair.bodies[0], height)

    def act(t: Array, a: Movement, b: Movement) -> None:
        held = _through(t, [(-before, 0), (-before + 0.3, 1), (after, 1), (after + 0.3, 0)])
        shaken = y + size * held * np.sin(2 * np.pi * hz * t)
        middle = (a.x + b.x) / 2
        for i, person in enumerate((a, b)):
            up = _through(
                t, [(-before - early[i] - 0.35, 0), (-before - early[i], 1), (after, 1), (after + 0.4, 0)]
            )
            _hand(person, side, up, middle, shaken, 0.0)
            if both:
                _hand(person, 1 - side, up * 0.8, middle, shaken + 0.04, 0.0)
            person.pose.lean = person.pose.lean + lean[i] * up

    return pair.encounter(act)


def hug(rng: Rng) -> Encounter:
    before, after = rng.uniform(0.3, 0.9), rng.uniform(0.3, 1.0)
    pair = _Pair(rng, _meeting(rng, near=rng.uniform(0.22, 0.36), hold=(before, after), step_in_s=0.6))
    heights, sides = rng.uniform(0.55, 1.05, 4), rng.uniform(0.06, 0.14)
    open_s, pat = rng.uniform(0.2, 0.7), rng.uniform(0, 0.05)
    head = rng.choice([-1, 1])

    def act(t: Array, a: Movement, b: Movement) -> None:
        up = _through(t, [(-before - open_s, 0), (-before + 0.15, 1), (after, 1), (after + 0.45, 0)])
        for i, (person, other, sign) in enumerate(((a, b, 1.0), (b, a, -1.0))):
            person.z = person.z + sign * head * sides * up
            for side in (LEFT, RIGHT):
                # Hands meet behind the other's back; a left hand is on the side of positive z for the first.
                z = other.z + sign * (1 if side == LEFT else -1) * 0.10
                y = _height(pair.bodies[1 - i], heights[2 * i + side]) + pat * np.sin(9 * t)
                _hand(person, side, up, other.x + sign * 0.14, y, z)
            person.pose.lean = person.pose.lean + 0.16 * up
            person.pose.nod = person.pose.nod + 0.3 * up

    return pair.encounter(act)


def _struck(
    t: Array, person: Movement, *, strength: float, away: float, guard: float, late_s: float = 0.0
) -> None:
    """How a struck person reacts: bends, steps back, raises the hands."""
    hit = _through(t, [(late_s, 0), (late_s + 0.14, 1), (late_s + 0.5, 0.45), (late_s + 1.3, 0)])
    person.pose.lean = person.pose.lean + strength * hit
    person.pose.nod = person.pose.nod + 0.7 * strength * hit
    person.pose.knee += (0.3 * abs(strength) * hit)[:, None]
    person.pose.thigh_flex += (0.16 * abs(strength) * hit)[:, None]
    person.pose.upper_flex += (guard * hit)[:, None]
    person.pose.fore_flex += (1.5 * guard * hit)[:, None]
    person.pose.upper_out += (0.25 * guard * hit)[:, None]
    person.pose.twist = person.pose.twist + away * hit


def _driven_back(
    rng: Rng, meeting: _Meeting, *, metres: float, seconds: float, first_stays: bool = True
) -> _Meeting:
    """The second person moves away from time 0 on; the first one stays, or parts as before."""
    second = [knot for knot in meeting.second if knot[0] < 0]
    at = second[-1][1]
    return _Meeting(
        [k for k in meeting.first if k[0] < 0] + [(0.7, meeting.first[1][1]), (1.8, meeting.first[-1][1])]
        if first_stays
        else meeting.first,
        [*second, (0.02, at), (seconds, at + metres), (seconds + 0.8, at + metres * rng.uniform(0.8, 1.2))],
    )


def kick_somebody(rng: Rng) -> Encounter:
    near = rng.uniform(0.8, 1.15)
    base = _meeting(rng, near=near, hold=(rng.uniform(0.25, 0.7), 0.6), shares=bool(rng.random() < 0.3))
    pair = _Pair(rng, _driven_back(rng, base, metres=rng.uniform(0.0, 0.8), seconds=rng.uniform(0.4, 0.9)))
    leg, height = int(rng.integers(2)), rng.uniform(-0.75, 0.8)
    wind_s, out_s, back_s = rng.uniform(0.18, 0.4), rng.uniform(0.1, 0.22), rng.uniform(0.25, 0.6)
    round_, strength = rng.uniform(-0.3, 0.3), rng.uniform(0.0, 0.8)
    arms, reach_m = rng.uniform(0.2, 0.9, 2), rng.uniform(-0.08, 0.12)

    def act(t: Array, a: Movement, b: Movement) -> None:
        wind = _through(t, [(-out_s - wind_s, 0), (-out_s, 1), (0, 0)])
        out = _through(t, [(-out_s, 0), (0, 1), (0.07, 1), (0.07 + back_s, 0)])
        _foot(a, leg, out, a.x + near + reach_m, _height(pair.bodies[1], height), b.z + round_ * (1 - out))
        a.pose.thigh_flex[:, leg] += -0.45 * wind
        a.pose.knee[:, leg] += 1.1 * wind
        a.pose.lean = a.pose.lean - (0.15 + 0.25 * max(height, 0)) * out + 0.1 * wind
        a.pose.twist = a.pose.twist + (0.3 if leg == LEFT else -0.3) * out
        for side in (LEFT, RIGHT):
            a.pose.upper_out[:, side] += arms[side] * np.maximum(out, 0.5 * wind)
            a.pose.fore_out[:, side] += arms[side] * out
        a.pose.planted = None
        _struck(t, b, strength=strength if height < 0.9 else -strength, away=0.3 * round_, guard=0.6)

    return pair.encounter(act)


def _foot(person: Movement, side: int, weight: Array, x: Array, y: float, z: Array | float) -> None:
    target = np.stack(np.broadcast_arrays(x, y, z), axis=-1).astype(np.float64)
    person.reaches.append(Reach("leg", side, weight, target))


def punch_somebody(rng: Rng) -> Encounter:
    near = rng.uniform(0.6, 0.9)
    base = _meeting(rng, near=near, hold=(rng.uniform(0.1, 0.6), 0.5), shares=bool(rng.random() < 0.3))
    pair = _Pair(rng, _driven_back(rng, base, metres=rng.uniform(0.0, 0.7), seconds=rng.uniform(0.35, 0.9)))
    arm = RIGHT if rng.random() < 0.75 else LEFT
    height, hook = (
        rng.choice([rng.uniform(1.15, 1.5), rng.uniform(0.6, 0.95)], p=[0.8, 0.2]),
        rng.random() < 0.45,
    )
    wind_s, out_s, back_s = rng.uniform(0.15, 0.45), rng.uniform(0.08, 0.2), rng.uniform(0.2, 0.6)
    strength = rng.uniform(0.1, 0.7) * rng.choice([-1, 1], p=[0.55, 0.45])
    away, guard, lunge = rng.uniform(-0.8, 0.8), rng.uniform(0.0, 1.0), rng.uniform(0.1, 0.45)
    back_z = (1 if arm == LEFT else -1) * rng.uniform(0.15, 0.4)
    stance = rng.uniform(0.1, 0.4)

    def act(t: Array, a: Movement, b: Movement) -> None:
        wind = _through(t, [(-out_s - wind_s, 0), (-out_s, 1), (-0.4 * out_s, 0)])
        out = _through(t, [(-out_s, 0), (0, 1), (0.05, 1), (0.05 + back_s, 0)])
        y = _height(pair.bodies[1], height)
        _hand(a, arm, wind, a.x - 0.15, _height(pair.bodies[0], 0.9), a.z + back_z)
        bow = (back_z * (1 - out)) if hook else 0.0
        _hand(a, arm, out, a.x + near + 0.12 + (0.2 * (out - 1) if hook else 0.0), y, b.z + bow)
        follow = _through(t, [(0.05, 0), (0.2, 1), (0.4, 0)]) if hook else np.zeros(len(t))
        _hand(a, arm, 0.8 * follow, a.x + 0.35, y - 0.3, a.z - 1.2 * back_z)
        a.pose.lean = a.pose.lean + lunge * out - 0.1 * wind
        turn = 0.6 * out - 0.45 * wind
        a.pose.twist = a.pose.twist + (turn if arm == RIGHT else -turn)
        a.pose.thigh_flex[:, 1 - arm] += stance * out
        a.pose.knee += (0.2 * out)[:, None]
        _struck(t, b, strength=strength, away=away, guard=guard)

    return pair.encounter(act)


def push_somebody(rng: Rng) -> Encounter:
    near = rng.uniform(0.5, 0.75)
    base = _meeting(rng, near=near, hold=(rng.uniform(0.15, 0.7), 0.6), shares=bool(rng.random() < 0.3))
    metres = rng.uniform(0.35, 1.4)
    pair = _Pair(rng, _driven_back(rng, base, metres=metres, seconds=metres / rng.uniform(1.0, 2.2)))
    height, wind_s, hold_s = rng.uniform(0.55, 1.0), rng.uniform(0.2, 0.5), rng.uniform(0.08, 0.45)
    lunge, strength, arms = rng.uniform(0.15, 0.55), rng.uniform(0.1, 0.55), rng.uniform(0, 0.9)
    one_hand = int(rng.integers(2)) if rng.random() < 0.12 else None

    def act(t: Array, a: Movement, b: Movement) -> None:
        drawn = _through(t, [(-0.15 - wind_s, 0), (-0.15, 1), (0, 0)])
        out = _through(t, [(-0.2, 0), (0, 1), (hold_s, 1), (hold_s + 0.4, 0)])
        y = _height(pair.bodies[1], height)
        touched = np.minimum(b.x, a.x + 0.95) - 0.10
        for side in (LEFT, RIGHT):
            if one_hand == side:
                continue
            z = (1 if side == LEFT else -1) * 0.13
            _hand(a, side, drawn, a.x + 0.2, _height(pair.bodies[0], 0.75), a.z + z)
            _hand(a, side, out, touched, y, b.z + z)
        a.pose.lean = a.pose.lean + lunge * out
        a.pose.thigh_flex[:, RIGHT] += 0.45 * lunge * out
        a.pose.thigh_flex[:, LEFT] -= 0.9 * lunge * out
        a.pose.knee[:, RIGHT] += 0.9 * lunge * out
        hit = _through(t, [(0, 0), (0.2, 1), (0.6, 0.4), (1.4, 0)])
        b.pose.lean = b.pose.lean - strength * hit
        b.pose.upper_flex += (arms * hit)[:, None]
        b.pose.upper_out += (0.5 * arms * hit)[:, None]
        b.pose.fore_flex += (1.2 * arms * hit)[:, None]

    return pair.encounter(act)


def pull_somebody(rng: Rng) -> Encounter:
    near = rng.uniform(0.7, 0.95)
    base = _meeting(rng, near=near, hold=(rng.uniform(0.2, 0.6), 0.6))
    metres, seconds = rng.uniform(0.5, 1.6), rng.uniform(0.8, 1.8)
    first, second = [k for k in base.first if k[0] < 0], [k for k in base.second if k[0] < 0]
    moved = _Meeting(
        [*first, (0.1, near / 2), (seconds, near / 2 + metres)],
        [*second, (0.25, near / 2), (seconds + 0.15, near / 2 - metres * rng.uniform(0.9, 1.15))],
    )
    pair = _Pair(rng, moved)
    sides = [[LEFT, RIGHT], [LEFT], [RIGHT]][int(rng.integers(3))]
    lean, held = rng.uniform(0.1, 0.4), int(rng.integers(2))

    def act(t: Array, a: Movement, b: Movement) -> None:
        up = _through(t, [(-0.4, 0), (0, 1), (seconds, 1), (seconds + 0.4, 0)])
        x, y = a.x + 0.55 * (b.x - a.x), _height(pair.bodies[1], 0.45)
        for side in sides:
            _hand(a, side, up, x, y, (1 if side == LEFT else -1) * 0.05)
        _hand(b, held, up, x, y, 0.0)
        pulled = _through(t, [(0, 0), (0.3, 1), (seconds, 1), (seconds + 0.4, 0)])
        a.pose.lean = a.pose.lean - lean * pulled
        b.pose.lean = b.pose.lean + lean * pulled

    return pair.encounter(act)


def high_five(rng: Rng) -> Encounter:
    pair = _Pair(rng, _meeting(rng, near=rng.uniform(0.7, 1.0), hold=(rng.uniform(0.1, 0.5), 0.3)))
    both, height = rng.random() < 0.3, rng.uniform(1.25, 1.85)
    up_s, side = rng.uniform(0.2, 0.5), RIGHT if rng.random() < 0.8 else LEFT

    def act(t: Array, a: Movement, b: Movement) -> None:
        up = _through(t, [(-up_s - 0.3, 0), (-0.12, 0.85), (0, 1), (0.12, 0.9), (0.7, 0)])
        x = (a.x + b.x) / 2
        for person, sign in ((a, 1.0), (b, -1.0)):
            for s in (LEFT, RIGHT) if both else (side,):
                z = sign * (1 if s == LEFT else -1) * (0.2 if both else 0.0)
                near = 0.25 * _through(t, [(-0.15, 1), (0, 0), (0.1, 0), (0.4, 0.6)])
                _hand(person, s, up, x - sign * near, _height(pair.bodies[0], height), z)

    return pair.encounter(act)


def hand_over(rng: Rng) -> Encounter:
    pair = _Pair(rng, _meeting(rng, near=rng.uniform(0.8, 1.15), hold=(rng.uniform(0.3, 0.9), 0.6)))
    side, other = int(rng.integers(2)), int(rng.integers(2))
    height, carry = rng.uniform(0.2, 0.75), rng.uniform(0.2, 0.5)

    def act(t: Array, a: Movement, b: Movement) -> None:
        give = _through(t, [(-0.8, 0), (-0.1, 1), (0.2, 1), (0.7, 0)])
        take = _through(t, [(-0.6, 0), (0, 1), (0.2, 1), (0.9, 0.0)])
        x, y = (a.x + b.x) / 2, _height(pair.bodies[0], height)
        before = _through(t, [(0, 0.9), (0.3, 0)])
        after = _through(t, [(0.0, 0), (0.8, 0.9)])
        _hand(a, side, before, a.x + carry, _height(pair.bodies[0], 0.4), 0.1)
        _hand(b, other, after, b.x - carry, _height(pair.bodies[1], 0.4), 0.1)
        _hand(a, side, give, x, y, 0.0)
        _hand(b, other, take, x, y, 0.0)

    return pair.encounter(act)


def pat_shoulder(rng: Rng) -> Encounter:
    pair = _Pair(rng, _meeting(rng, near=rng.uniform(0.55, 0.8), hold=(rng.uniform(0.2, 0.6), 0.9)))
    side, hz, beats = int(rng.integers(2)), rng.uniform(2, 4), rng.uniform(0.02, 0.09)
    place, turned = rng.uniform(0.9, 1.05), rng.random() < 0.4

    def act(t: Array, a: Movement, b: Movement) -> None:
        up = _through(t, [(-0.5, 0), (0, 1), (0.8, 1), (1.2, 0)])
        y = _height(pair.bodies[1], place) + beats * np.abs(np.sin(np.pi * hz * t))
        if turned:
            b.heading = b.heading + np.pi
        _hand(a, side, up, b.x, y, b.z + (1 if side == LEFT else -1) * 0.15)

    return pair.encounter(act)


def talk(rng: Rng) -> Encounter:
    pair = _Pair(rng, _meeting(rng, near=rng.uniform(0.8, 1.8), hold=(9, 9)), off_z=0.3)
    hz, phase, size = rng.uniform(0.4, 1.3, 4), rng.uniform(0, 6.28, (4, 2)), rng.uniform(0, 0.22, 4)
    up = rng.random(4) * (rng.random(4) < 0.6)

    def act(t: Array, a: Movement, b: Movement) -> None:
        for i, (person, sign) in enumerate(((a, 1.0), (b, -1.0))):
            for side in (LEFT, RIGHT):
                k = 2 * i + side
                beat = np.sin(2 * np.pi * hz[k] * t + phase[k, 0]) * size[k]
                sweep = np.sin(2 * np.pi * 0.7 * hz[k] * t + phase[k, 1]) * size[k]
                weight = up[k] * smoothstep(0.8 + np.sin(0.9 * t + phase[k, 1]))
                y = _height(pair.bodies[i], 0.45) + beat
                z = person.z + sign * (1 if side == LEFT else -1) * (0.15 + sweep)
                _hand(person, side, weight, person.x + sign * 0.35, y, z)

    return pair.encounter(act, has_moment=False)


def pass_by(rng: Rng) -> Encounter:
    speeds = rng.uniform(0.9, 1.6, 2)
    beside = rng.choice([-1, 1]) * rng.uniform(0.3, 0.7)
    meeting = _Meeting([(-4, 4 * speeds[0]), (4, -4 * speeds[0])], [(-4, 4 * speeds[1]), (4, -4 * speeds[1])])
    pair = _Pair(rng, meeting)

    def act(t: Array, a: Movement, b: Movement) -> None:
        a.z, b.z = a.z + beside / 2, b.z - beside / 2

    return pair.encounter(act)


def walk_together(rng: Rng) -> Encounter:
    speed, beside = rng.uniform(0.7, 1.6), rng.uniform(0.5, 0.9)
    behind = rng.uniform(-0.4, 0.4)
    linked = rng.random() < 0.3
    pair = _Pair(rng, _Meeting([(-4, 4 * speed), (4, -4 * speed)], [(-4, -4 * speed), (4, 4 * speed)]))

    def act(t: Array, a: Movement, b: Movement) -> None:
        a.z, b.z, b.heading = a.z + beside / 2, b.z - beside / 2, a.heading + 0.0
        b.x = b.x + behind
        if linked:
            one = np.full(len(t), 1.0)
            _hand(a, RIGHT, one, a.x + behind / 2, 0.9, (a.z + b.z) / 2)
            _hand(b, LEFT, one, a.x + behind / 2, 0.9, (a.z + b.z) / 2)

    return pair.encounter(act, has_moment=False)


def chase(rng: Rng) -> Encounter:
    speed, behind = rng.uniform(2.2, 3.6), rng.uniform(0.9, 1.8)
    pair = _Pair(rng, _Meeting([(-4, 4 * speed), (4, -4 * speed)], [(-4, -4 * speed), (4, 4 * speed)]))

    def act(t: Array, a: Movement, b: Movement) -> None:
        b.x, b.heading = b.x + behind, a.heading + 0.0
        for person in (a, b):
            person.pose.lean = person.pose.lean + 0.22
            person.pose.fore_flex += 1.0
            person.pose.knee += 0.25

    return pair.encounter(act, has_moment=False)


def fight(rng: Rng) -> Encounter:
    """Blows in both directions, one after the other."""
    near = rng.uniform(0.55, 0.95)
    knots = [(float(s), near / 2 + rng.uniform(-0.1, 0.3)) for s in np.arange(-4, 4, rng.uniform(0.4, 0.8))]
    pair = _Pair(
        rng, _Meeting(knots, [(s + 0.1, v + rng.uniform(-0.05, 0.15)) for s, v in knots]), off_z=0.25
    )
    blows = []
    at = -3.5
    while at < 3.5:
        at += rng.uniform(0.25, 0.7)
        blows.append(
            (at, int(rng.integers(2)), int(rng.integers(2)), rng.uniform(0.7, 1.5), rng.random() < 0.2)
        )
    drift = rng.uniform(-0.4, 0.4)

    def act(t: Array, a: Movement, b: Movement) -> None:
        people = (a, b)
        for person in people:
            person.x = person.x + drift * t
            person.pose.upper_flex += 0.5
            person.pose.fore_flex += 1.5
            person.pose.lean = person.pose.lean + 0.12
            person.pose.knee += 0.2
        for at_s, who, side, height, is_kick in blows:
            striker, other, sign = people[who], people[1 - who], 1.0 - 2.0 * who
            out = _through(t, [(at_s - 0.16, 0), (at_s, 1), (at_s + 0.05, 1), (at_s + 0.3, 0)])
            y = _height(pair.bodies[1 - who], height - 1.0 if is_kick else height)
            (_foot if is_kick else _hand)(striker, side, out, other.x - sign * 0.05, y, other.z)
            striker.pose.lean = striker.pose.lean + (-0.15 if is_kick else 0.25) * out
            hit = _through(t, [(at_s, 0), (at_s + 0.1, 1), (at_s + 0.5, 0)])
            other.pose.lean = other.pose.lean + (0.25 if side else -0.25) * hit

    return pair.encounter(act, has_moment=False)


def grapple(rng: Rng) -> Encounter:
    near = rng.uniform(0.45, 0.75)
    pair = _Pair(rng, _meeting(rng, near=near, hold=(9, 9)))
    hz, phase = rng.uniform(0.4, 1.1, 3), rng.uniform(0, 6.28, 3)
    heights, lean = rng.uniform(0.5, 1.1, 4), rng.uniform(0.15, 0.5)

    def act(t: Array, a: Movement, b: Movement) -> None:
        sway, turn = 0.25 * np.sin(6.28 * hz[0] * t + phase[0]), 0.5 * np.sin(6.28 * hz[1] * t + phase[1])
        for i, (person, other, sign) in enumerate(((a, b, 1.0), (b, a, -1.0))):
            person.z = person.z + sign * 0.3 * turn
            person.heading = person.heading - 0.6 * turn
            person.pose.lean = person.pose.lean + lean + 0.2 * np.sin(6.28 * hz[2] * t + phase[2] + i)
            person.pose.thigh_flex += 0.35 * np.stack([sway, -sway], -1) * 2
            person.pose.knee += 0.3
            for side in (LEFT, RIGHT):
                y = _height(pair.bodies[1 - i], heights[2 * i + side])
                z = other.z + sign * (1 if side == LEFT else -1) * 0.15
                _hand(person, side, np.ones(len(t)), other.x + sway - sign * 0.02, y, z)
        a.x, b.x = a.x + sway, b.x + sway

    return pair.encounter(act, has_moment=False)


def knock_down(rng: Rng) -> Encounter:
    encounter = (push_somebody, punch_somebody, kick_somebody)[int(rng.integers(3))](rng)
    forward = rng.random() < 0.35
    fall_s, late_s, side = rng.uniform(0.4, 0.9), rng.uniform(0.02, 0.25), rng.normal(0, 0.5)

    def motions(t: Array) -> list[Movement]:
        people = encounter.motions(t)
        _fallen(people[1], _through(t, [(late_s, 0), (late_s + fall_s, 1)]), forward=forward)
        people[1].heading = people[1].heading + side
        return people

    return Encounter(motions, encounter.bodies)


def point_at(rng: Rng) -> Encounter:
    """One who points; the other one may look, or be absent."""
    alone = rng.random() < 0.65
    pair = _Pair(rng, _meeting(rng, near=rng.uniform(1.2, 2.2), hold=(9, 9)))
    side = RIGHT if rng.random() < 0.7 else LEFT
    up_s, hold_s, down_s = rng.uniform(0.25, 0.6), rng.uniform(0.3, 1.6), rng.uniform(0.3, 0.7)
    height, aside, beat = rng.uniform(0.75, 1.45), rng.normal(0, 0.25), rng.uniform(0, 0.04)
    lean, straight = rng.normal(0, 0.08), rng.uniform(0.85, 1.0)

    def act(t: Array, a: Movement, b: Movement) -> None:
        up = _through(
            t, [(-up_s - hold_s / 2, 0), (-hold_s / 2, 1), (hold_s / 2, 1), (hold_s / 2 + down_s, 0)]
        )
        y = _height(pair.bodies[0], height) + beat * np.sin(9 * t)
        angle = aside + 0.0 * t
        _hand(a, side, up, a.x + straight * 0.9 * np.cos(angle), y, a.z + 0.9 * np.sin(angle))
        a.pose.lean = a.pose.lean + lean * up

    encounter = pair.encounter(act)
    if not alone:
        return encounter
    return Encounter(lambda t: encounter.motions(t)[:1], pair.bodies[:1])


def bow_to(rng: Rng) -> Encounter:
    pair = _Pair(rng, _meeting(rng, near=rng.uniform(0.9, 1.6), hold=(rng.uniform(0.4, 1.0), 0.8)))
    depth, late = rng.uniform(0.4, 1.2, 2), rng.uniform(-0.2, 0.4)

    def act(t: Array, a: Movement, b: Movement) -> None:
        for i, person in enumerate((a, b)):
            down = _through(t - i * late, [(-0.6, 0), (-0.1, 1), (0.2, 1), (0.8, 0)])
            person.pose.lean = person.pose.lean + depth[i] * down
            person.pose.nod = person.pose.nod + 0.3 * down

    return pair.encounter(act)


# What one does alone, in addition to ACTIONS


def _fallen(person: Movement, down: Array, *, forward: bool) -> None:
    """Lay a person on the ground: 0 stands, 1 lies."""
    fast = down * down
    person.tip = (1.0 if forward else -1.0) * 88 * DEG * fast
    bend = 4 * down * (1 - down) + 0.25 * down
    person.pose.knee += (0.9 * bend)[:, None]
    person.pose.thigh_flex += (0.7 * bend)[:, None]
    person.pose.upper_flex += ((1.2 if forward else 0.5) * bend)[:, None]
    person.pose.upper_out += (0.6 * bend)[:, None]
    person.pose.lean = person.pose.lean + 0.35 * bend


def _alone(rng: Rng, change: Callable[[Array, Movement], None], *, has_moment: bool = True) -> Encounter:
    body, alive = body_of(rng), _alive(rng)

    def motions(t: Array) -> list[Movement]:
        zero = np.zeros(len(t))
        person = Movement(alive(t), x=zero.copy(), z=zero.copy(), heading=zero.copy())
        change(t, person)
        return [person]

    return Encounter(motions, (body,), has_moment)


def stand_still(rng: Rng) -> Encounter:
    turn, hz = rng.uniform(0, 0.6), rng.uniform(0.1, 0.4)

    def change(t: Array, person: Movement) -> None:
        person.pose.nod = person.pose.nod + 0.2 * turn * np.sin(6.28 * hz * t)
        person.heading = person.heading + turn * np.sin(6.28 * hz * t)

    return _alone(rng, change, has_moment=False)


def fall_down(rng: Rng) -> Encounter:
    forward, seconds = bool(rng.random() < 0.5), rng.uniform(0.5, 1.1)
    walked = rng.uniform(0, 1.2) * (rng.random() < 0.5)
    knots = [(-3.0, -3.0 * walked), (0.0, 0.0), (0.3, 0.12 * walked)]

    def change(t: Array, person: Movement) -> None:
        _walking(person.pose, t, partial(_path, knots=knots), 0.65, 0.0)
        person.x = _through(t, knots)
        _fallen(person, _through(t, [(-seconds / 2, 0), (seconds / 2, 1)]), forward=forward)

    return _alone(rng, change)


def get_up(rng: Rng) -> Encounter:
    forward, seconds = bool(rng.random() < 0.6), rng.uniform(1.0, 2.0)

    def change(t: Array, person: Movement) -> None:
        _fallen(person, _through(t, [(-seconds / 2, 1), (seconds / 2, 0)]), forward=forward)
        rising = _through(t, [(-seconds / 2, 0), (0, 1), (seconds / 2, 0)])
        person.pose.thigh_flex += (0.9 * rising)[:, None]
        person.pose.knee += (1.1 * rising)[:, None]

    return _alone(rng, change)


def lie(rng: Rng) -> Encounter:
    forward, hz, size = bool(rng.random() < 0.5), rng.uniform(0.2, 0.8), rng.uniform(0, 0.4)

    def change(t: Array, person: Movement) -> None:
        _fallen(person, np.ones(len(t)), forward=forward)
        person.pose.knee += (size * (1 + np.sin(6.28 * hz * t)))[:, None]
        person.pose.thigh_flex += (size * (1 + np.sin(6.28 * hz * t)))[:, None]

    return _alone(rng, change, has_moment=False)


def pick_up(rng: Rng) -> Encounter:
    side, ahead, seconds = int(rng.integers(2)), rng.uniform(0.25, 0.5), rng.uniform(0.6, 1.2)
    squat, lean = rng.uniform(0.1, 1.0), rng.uniform(0.5, 1.2)

    def change(t: Array, person: Movement) -> None:
        down = _through(t, [(-seconds, 0), (-0.1, 1), (0.15, 1), (seconds, 0)])
        person.pose.lean = person.pose.lean + lean * down
        person.pose.thigh_flex += (1.4 * squat * down)[:, None]
        person.pose.knee += (1.7 * squat * down)[:, None]
        _hand(person, side, down, person.x + ahead, 0.12, 0.0)

    return _alone(rng, change)


def hand_to_head(rng: Rng) -> Encounter:
    """As one who drinks, telephones or scratches the head."""
    side, seconds = int(rng.integers(2)), rng.uniform(0.5, 3.0)
    height, ahead, aside = rng.uniform(1.15, 1.55), rng.uniform(-0.02, 0.16), rng.uniform(0, 0.14)

    def change(t: Array, person: Movement) -> None:
        up = _through(
            t, [(-seconds / 2 - 0.5, 0), (-seconds / 2, 1), (seconds / 2, 1), (seconds / 2 + 0.5, 0)]
        )
        z = (1 if side == LEFT else -1) * aside
        _hand(person, side, up, person.x + ahead, _height(Body(), height), z)

    return _alone(rng, change)


def turn_round(rng: Rng) -> Encounter:
    angle, seconds = rng.uniform(1.3, 3.3) * rng.choice([-1, 1]), rng.uniform(0.6, 1.4)

    def change(t: Array, person: Movement) -> None:
        knots = [(-seconds / 2, 0.0), (seconds / 2, 0.35 * abs(angle))]
        _walking(person.pose, t, partial(_path, knots=knots), 0.35, 0.0)
        person.heading = person.heading + _through(t, [(-seconds / 2, 0.0), (seconds / 2, angle)])

    return _alone(rng, change)


def _of_action(action: str) -> Callable[[Rng], Encounter]:
    """One of ACTIONS, as an encounter of one."""

    def style(rng: Rng) -> Encounter:
        performance, body, start = PERFORM[action](rng), body_of(rng), 1.05

        def motions(t: Array) -> list[Movement]:
            pose = performance.motion(t + start)
            x = pose.forward - performance.motion(np.array([start])).forward
            pose.forward = np.zeros(len(t))
            return [Movement(pose, x=x, z=np.zeros(len(t)), heading=np.zeros(len(t)))]

        return Encounter(motions, (body,), action in ("sit down", "stand up"))

    return style


PAIRS: dict[str, Callable[[Rng], Encounter]] = {
    "shake hands": shake_hands, "hug": hug, "kick somebody": kick_somebody,
    "punch somebody": punch_somebody, "push somebody": push_somebody, "point at": point_at,
    "pull somebody": pull_somebody, "high five": high_five, "hand over": hand_over,
    "pat a shoulder": pat_shoulder, "talk": talk, "pass by": pass_by, "walk together": walk_together,
    "chase": chase, "fight": fight, "grapple": grapple, "knock down": knock_down, "bow to": bow_to,
}  # fmt: skip
ALONE: dict[str, Callable[[Rng], Encounter]] = {
    "stand": stand_still, "fall down": fall_down, "get up": get_up, "lie": lie, "pick up": pick_up,
    "hand to head": hand_to_head, "turn round": turn_round,
    **{action: _of_action(action) for action in ACTIONS},
}  # fmt: skip
ENCOUNTERS = (*PAIRS, *ALONE)


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
