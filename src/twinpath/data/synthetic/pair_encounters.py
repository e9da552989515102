"""What two people do with each other: see `encounter`."""

from __future__ import annotations

import numpy as np

from twinpath.data.synthetic.actions import Rng, smoothstep
from twinpath.data.synthetic.encounter import (
    Encounter,
    Meeting,
    Movement,
    Pair,
    Reach,
    add_fall,
    height_on,
    meeting,
    reach_with_hand,
    through,
)
from twinpath.data.synthetic.figure import LEFT, RIGHT, Array


def shake_hands(rng: Rng) -> Encounter:
    before, after = rng.uniform(0.3, 1.0), rng.uniform(0.4, 1.2)
    pair = Pair(rng, meeting(rng, near=rng.uniform(0.75, 1.1), hold=(before * 0.7, after)))
    side = RIGHT if rng.random() < 0.93 else LEFT
    hz, size, height = rng.uniform(1.5, 4), rng.uniform(0.0, 0.06), rng.uniform(0.25, 0.55)
    early = rng.uniform(0, 0.4, 2)
    both, lean = rng.random() < 0.1, rng.uniform(0, 0.25, 2)
    y = height_on(pair.bodies[0], height)

    def act(t: Array, a: Movement, b: Movement) -> None:
        held = through(t, [(-before, 0), (-before + 0.3, 1), (after, 1), (after + 0.3, 0)])
        shaken = y + size * held * np.sin(2 * np.pi * hz * t)
        middle = (a.x + b.x) / 2
        for i, person in enumerate((a, b)):
            up = through(
                t, [(-before - early[i] - 0.35, 0), (-before - early[i], 1), (after, 1), (after + 0.4, 0)]
            )
            reach_with_hand(person, side, up, middle, shaken, 0.0)
            if both:
                reach_with_hand(person, 1 - side, up * 0.8, middle, shaken + 0.04, 0.0)
            person.pose.lean = person.pose.lean + lean[i] * up

    return pair.encounter(act)


def hug(rng: Rng) -> Encounter:
    before, after = rng.uniform(0.3, 0.9), rng.uniform(0.3, 1.0)
    pair = Pair(rng, meeting(rng, near=rng.uniform(0.22, 0.36), hold=(before, after), step_in_s=0.6))
    heights, sides = rng.uniform(0.55, 1.05, 4), rng.uniform(0.06, 0.14)
    open_s, pat = rng.uniform(0.2, 0.7), rng.uniform(0, 0.05)
    head = rng.choice([-1, 1])

    def act(t: Array, a: Movement, b: Movement) -> None:
        up = through(t, [(-before - open_s, 0), (-before + 0.15, 1), (after, 1), (after + 0.45, 0)])
        for i, (person, other, sign) in enumerate(((a, b, 1.0), (b, a, -1.0))):
            person.z = person.z + sign * head * sides * up
            for side in (LEFT, RIGHT):
                # Hands meet behind the other's back; a left hand is on the side of positive z for the first.
                z = other.z + sign * (1 if side == LEFT else -1) * 0.10
                y = height_on(pair.bodies[1 - i], heights[2 * i + side]) + pat * np.sin(9 * t)
                reach_with_hand(person, side, up, other.x + sign * 0.14, y, z)
            person.pose.lean = person.pose.lean + 0.16 * up
            person.pose.nod = person.pose.nod + 0.3 * up

    return pair.encounter(act)


def _struck(
    t: Array, person: Movement, *, strength: float, away: float, guard: float, late_s: float = 0.0
) -> None:
    """How a struck person reacts: bends, steps back, raises the hands."""
    hit = through(t, [(late_s, 0), (late_s + 0.14, 1), (late_s + 0.5, 0.45), (late_s + 1.3, 0)])
    person.pose.lean = person.pose.lean + strength * hit
    person.pose.nod = person.pose.nod + 0.7 * strength * hit
    person.pose.knee += (0.3 * abs(strength) * hit)[:, None]
    person.pose.thigh_flex += (0.16 * abs(strength) * hit)[:, None]
    person.pose.upper_flex += (guard * hit)[:, None]
    person.pose.fore_flex += (1.5 * guard * hit)[:, None]
    person.pose.upper_out += (0.25 * guard * hit)[:, None]
    person.pose.twist = person.pose.twist + away * hit


def _driven_back(
    rng: Rng, meeting: Meeting, *, metres: float, seconds: float, first_stays: bool = True
) -> Meeting:
    """The second person moves away from time 0 on; the first one stays, or parts as before."""
    second = [knot for knot in meeting.second if knot[0] < 0]
    at = second[-1][1]
    return Meeting(
        [k for k in meeting.first if k[0] < 0] + [(0.7, meeting.first[1][1]), (1.8, meeting.first[-1][1])]
        if first_stays
        else meeting.first,
        [*second, (0.02, at), (seconds, at + metres), (seconds + 0.8, at + metres * rng.uniform(0.8, 1.2))],
    )


def kick_somebody(rng: Rng) -> Encounter:
    near = rng.uniform(0.8, 1.15)
    base = meeting(rng, near=near, hold=(rng.uniform(0.25, 0.7), 0.6), shares=bool(rng.random() < 0.3))
    pair = Pair(rng, _driven_back(rng, base, metres=rng.uniform(0.0, 0.8), seconds=rng.uniform(0.4, 0.9)))
    leg, height = int(rng.integers(2)), rng.uniform(-0.75, 0.8)
    wind_s, out_s, back_s = rng.uniform(0.18, 0.4), rng.uniform(0.1, 0.22), rng.uniform(0.25, 0.6)
    round_, strength = rng.uniform(-0.3, 0.3), rng.uniform(0.0, 0.8)
    arms, reach_m = rng.uniform(0.2, 0.9, 2), rng.uniform(-0.08, 0.12)

    def act(t: Array, a: Movement, b: Movement) -> None:
        wind = through(t, [(-out_s - wind_s, 0), (-out_s, 1), (0, 0)])
        out = through(t, [(-out_s, 0), (0, 1), (0.07, 1), (0.07 + back_s, 0)])
        _foot(a, leg, out, a.x + near + reach_m, height_on(pair.bodies[1], height), b.z + round_ * (1 - out))
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
    base = meeting(rng, near=near, hold=(rng.uniform(0.1, 0.6), 0.5), shares=bool(rng.random() < 0.3))
    pair = Pair(rng, _driven_back(rng, base, metres=rng.uniform(0.0, 0.7), seconds=rng.uniform(0.35, 0.9)))
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
        wind = through(t, [(-out_s - wind_s, 0), (-out_s, 1), (-0.4 * out_s, 0)])
        out = through(t, [(-out_s, 0), (0, 1), (0.05, 1), (0.05 + back_s, 0)])
        y = height_on(pair.bodies[1], height)
        reach_with_hand(a, arm, wind, a.x - 0.15, height_on(pair.bodies[0], 0.9), a.z + back_z)
        bow = (back_z * (1 - out)) if hook else 0.0
        reach_with_hand(a, arm, out, a.x + near + 0.12 + (0.2 * (out - 1) if hook else 0.0), y, b.z + bow)
        follow = through(t, [(0.05, 0), (0.2, 1), (0.4, 0)]) if hook else np.zeros(len(t))
        reach_with_hand(a, arm, 0.8 * follow, a.x + 0.35, y - 0.3, a.z - 1.2 * back_z)
        a.pose.lean = a.pose.lean + lunge * out - 0.1 * wind
        turn = 0.6 * out - 0.45 * wind
        a.pose.twist = a.pose.twist + (turn if arm == RIGHT else -turn)
        a.pose.thigh_flex[:, 1 - arm] += stance * out
        a.pose.knee += (0.2 * out)[:, None]
        _struck(t, b, strength=strength, away=away, guard=guard)

    return pair.encounter(act)


def push_somebody(rng: Rng) -> Encounter:
    near = rng.uniform(0.5, 0.75)
    base = meeting(rng, near=near, hold=(rng.uniform(0.15, 0.7), 0.6), shares=bool(rng.random() < 0.3))
    metres = rng.uniform(0.35, 1.4)
    pair = Pair(rng, _driven_back(rng, base, metres=metres, seconds=metres / rng.uniform(1.0, 2.2)))
    height, wind_s, hold_s = rng.uniform(0.55, 1.0), rng.uniform(0.2, 0.5), rng.uniform(0.08, 0.45)
    lunge, strength, arms = rng.uniform(0.15, 0.55), rng.uniform(0.1, 0.55), rng.uniform(0, 0.9)
    one_hand = int(rng.integers(2)) if rng.random() < 0.12 else None

    def act(t: Array, a: Movement, b: Movement) -> None:
        drawn = through(t, [(-0.15 - wind_s, 0), (-0.15, 1), (0, 0)])
        out = through(t, [(-0.2, 0), (0, 1), (hold_s, 1), (hold_s + 0.4, 0)])
        y = height_on(pair.bodies[1], height)
        touched = np.minimum(b.x, a.x + 0.95) - 0.10
        for side in (LEFT, RIGHT):
            if one_hand == side:
                continue
            z = (1 if side == LEFT else -1) * 0.13
            reach_with_hand(a, side, drawn, a.x + 0.2, height_on(pair.bodies[0], 0.75), a.z + z)
            reach_with_hand(a, side, out, touched, y, b.z + z)
        a.pose.lean = a.pose.lean + lunge * out
        a.pose.thigh_flex[:, RIGHT] += 0.45 * lunge * out
        a.pose.thigh_flex[:, LEFT] -= 0.9 * lunge * out
        a.pose.knee[:, RIGHT] += 0.9 * lunge * out
        hit = through(t, [(0, 0), (0.2, 1), (0.6, 0.4), (1.4, 0)])
        b.pose.lean = b.pose.lean - strength * hit
        b.pose.upper_flex += (arms * hit)[:, None]
        b.pose.upper_out += (0.5 * arms * hit)[:, None]
        b.pose.fore_flex += (1.2 * arms * hit)[:, None]

    return pair.encounter(act)


def pull_somebody(rng: Rng) -> Encounter:
    near = rng.uniform(0.7, 0.95)
    base = meeting(rng, near=near, hold=(rng.uniform(0.2, 0.6), 0.6))
    metres, seconds = rng.uniform(0.5, 1.6), rng.uniform(0.8, 1.8)
    first, second = [k for k in base.first if k[0] < 0], [k for k in base.second if k[0] < 0]
    moved = Meeting(
        [*first, (0.1, near / 2), (seconds, near / 2 + metres)],
        [*second, (0.25, near / 2), (seconds + 0.15, near / 2 - metres * rng.uniform(0.9, 1.15))],
    )
    pair = Pair(rng, moved)
    sides = [[LEFT, RIGHT], [LEFT], [RIGHT]][int(rng.integers(3))]
    lean, held = rng.uniform(0.1, 0.4), int(rng.integers(2))

    def act(t: Array, a: Movement, b: Movement) -> None:
        up = through(t, [(-0.4, 0), (0, 1), (seconds, 1), (seconds + 0.4, 0)])
        x, y = a.x + 0.55 * (b.x - a.x), height_on(pair.bodies[1], 0.45)
        for side in sides:
            reach_with_hand(a, side, up, x, y, (1 if side == LEFT else -1) * 0.05)
        reach_with_hand(b, held, up, x, y, 0.0)
        pulled = through(t, [(0, 0), (0.3, 1), (seconds, 1), (seconds + 0.4, 0)])
        a.pose.lean = a.pose.lean - lean * pulled
        b.pose.lean = b.pose.lean + lean * pulled

    return pair.encounter(act)


def high_five(rng: Rng) -> Encounter:
    pair = Pair(rng, meeting(rng, near=rng.uniform(0.7, 1.0), hold=(rng.uniform(0.1, 0.5), 0.3)))
    both, height = rng.random() < 0.3, rng.uniform(1.25, 1.85)
    up_s, side = rng.uniform(0.2, 0.5), RIGHT if rng.random() < 0.8 else LEFT

    def act(t: Array, a: Movement, b: Movement) -> None:
        up = through(t, [(-up_s - 0.3, 0), (-0.12, 0.85), (0, 1), (0.12, 0.9), (0.7, 0)])
        x = (a.x + b.x) / 2
        for person, sign in ((a, 1.0), (b, -1.0)):
            for s in (LEFT, RIGHT) if both else (side,):
                z = sign * (1 if s == LEFT else -1) * (0.2 if both else 0.0)
                near = 0.25 * through(t, [(-0.15, 1), (0, 0), (0.1, 0), (0.4, 0.6)])
                reach_with_hand(person, s, up, x - sign * near, height_on(pair.bodies[0], height), z)

    return pair.encounter(act)


def hand_over(rng: Rng) -> Encounter:
    pair = Pair(rng, meeting(rng, near=rng.uniform(0.8, 1.15), hold=(rng.uniform(0.3, 0.9), 0.6)))
    side, other = int(rng.integers(2)), int(rng.integers(2))
    height, carry = rng.uniform(0.2, 0.75), rng.uniform(0.2, 0.5)

    def act(t: Array, a: Movement, b: Movement) -> None:
        give = through(t, [(-0.8, 0), (-0.1, 1), (0.2, 1), (0.7, 0)])
        take = through(t, [(-0.6, 0), (0, 1), (0.2, 1), (0.9, 0.0)])
        x, y = (a.x + b.x) / 2, height_on(pair.bodies[0], height)
        before = through(t, [(0, 0.9), (0.3, 0)])
        after = through(t, [(0.0, 0), (0.8, 0.9)])
        reach_with_hand(a, side, before, a.x + carry, height_on(pair.bodies[0], 0.4), 0.1)
        reach_with_hand(b, other, after, b.x - carry, height_on(pair.bodies[1], 0.4), 0.1)
        reach_with_hand(a, side, give, x, y, 0.0)
        reach_with_hand(b, other, take, x, y, 0.0)

    return pair.encounter(act)


def pat_shoulder(rng: Rng) -> Encounter:
    pair = Pair(rng, meeting(rng, near=rng.uniform(0.55, 0.8), hold=(rng.uniform(0.2, 0.6), 0.9)))
    side, hz, beats = int(rng.integers(2)), rng.uniform(2, 4), rng.uniform(0.02, 0.09)
    place, turned = rng.uniform(0.9, 1.05), rng.random() < 0.4

    def act(t: Array, a: Movement, b: Movement) -> None:
        up = through(t, [(-0.5, 0), (0, 1), (0.8, 1), (1.2, 0)])
        y = height_on(pair.bodies[1], place) + beats * np.abs(np.sin(np.pi * hz * t))
        if turned:
            b.heading = b.heading + np.pi
        reach_with_hand(a, side, up, b.x, y, b.z + (1 if side == LEFT else -1) * 0.15)

    return pair.encounter(act)


def talk(rng: Rng) -> Encounter:
    pair = Pair(rng, meeting(rng, near=rng.uniform(0.8, 1.8), hold=(9, 9)), off_z=0.3)
    hz, phase, size = rng.uniform(0.4, 1.3, 4), rng.uniform(0, 6.28, (4, 2)), rng.uniform(0, 0.22, 4)
    up = rng.random(4) * (rng.random(4) < 0.6)

    def act(t: Array, a: Movement, b: Movement) -> None:
        for i, (person, sign) in enumerate(((a, 1.0), (b, -1.0))):
            for side in (LEFT, RIGHT):
                k = 2 * i + side
                beat = np.sin(2 * np.pi * hz[k] * t + phase[k, 0]) * size[k]
                sweep = np.sin(2 * np.pi * 0.7 * hz[k] * t + phase[k, 1]) * size[k]
                weight = up[k] * smoothstep(0.8 + np.sin(0.9 * t + phase[k, 1]))
                y = height_on(pair.bodies[i], 0.45) + beat
                z = person.z + sign * (1 if side == LEFT else -1) * (0.15 + sweep)
                reach_with_hand(person, side, weight, person.x + sign * 0.35, y, z)

    return pair.encounter(act, has_moment=False)


def pass_by(rng: Rng) -> Encounter:
    speeds = rng.uniform(0.9, 1.6, 2)
    beside = rng.choice([-1, 1]) * rng.uniform(0.3, 0.7)
    meeting = Meeting([(-4, 4 * speeds[0]), (4, -4 * speeds[0])], [(-4, 4 * speeds[1]), (4, -4 * speeds[1])])
    pair = Pair(rng, meeting)

    def act(t: Array, a: Movement, b: Movement) -> None:
        a.z, b.z = a.z + beside / 2, b.z - beside / 2

    return pair.encounter(act)


def walk_together(rng: Rng) -> Encounter:
    speed, beside = rng.uniform(0.7, 1.6), rng.uniform(0.5, 0.9)
    behind = rng.uniform(-0.4, 0.4)
    linked = rng.random() < 0.3
    pair = Pair(rng, Meeting([(-4, 4 * speed), (4, -4 * speed)], [(-4, -4 * speed), (4, 4 * speed)]))

    def act(t: Array, a: Movement, b: Movement) -> None:
        a.z, b.z, b.heading = a.z + beside / 2, b.z - beside / 2, a.heading + 0.0
        b.x = b.x + behind
        if linked:
            one = np.full(len(t), 1.0)
            reach_with_hand(a, RIGHT, one, a.x + behind / 2, 0.9, (a.z + b.z) / 2)
            reach_with_hand(b, LEFT, one, a.x + behind / 2, 0.9, (a.z + b.z) / 2)

    return pair.encounter(act, has_moment=False)


def chase(rng: Rng) -> Encounter:
    speed, behind = rng.uniform(2.2, 3.6), rng.uniform(0.9, 1.8)
    pair = Pair(rng, Meeting([(-4, 4 * speed), (4, -4 * speed)], [(-4, -4 * speed), (4, 4 * speed)]))

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
    pair = Pair(rng, Meeting(knots, [(s + 0.1, v + rng.uniform(-0.05, 0.15)) for s, v in knots]), off_z=0.25)
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
            out = through(t, [(at_s - 0.16, 0), (at_s, 1), (at_s + 0.05, 1), (at_s + 0.3, 0)])
            y = height_on(pair.bodies[1 - who], height - 1.0 if is_kick else height)
            (_foot if is_kick else reach_with_hand)(striker, side, out, other.x - sign * 0.05, y, other.z)
            striker.pose.lean = striker.pose.lean + (-0.15 if is_kick else 0.25) * out
            hit = through(t, [(at_s, 0), (at_s + 0.1, 1), (at_s + 0.5, 0)])
            other.pose.lean = other.pose.lean + (0.25 if side else -0.25) * hit

    return pair.encounter(act, has_moment=False)


def grapple(rng: Rng) -> Encounter:
    near = rng.uniform(0.45, 0.75)
    pair = Pair(rng, meeting(rng, near=near, hold=(9, 9)))
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
                y = height_on(pair.bodies[1 - i], heights[2 * i + side])
                z = other.z + sign * (1 if side == LEFT else -1) * 0.15
                reach_with_hand(person, side, np.ones(len(t)), other.x + sway - sign * 0.02, y, z)
        a.x, b.x = a.x + sway, b.x + sway

    return pair.encounter(act, has_moment=False)


def knock_down(rng: Rng) -> Encounter:
    encounter = (push_somebody, punch_somebody, kick_somebody)[int(rng.integers(3))](rng)
    forward = rng.random() < 0.35
    fall_s, late_s, side = rng.uniform(0.4, 0.9), rng.uniform(0.02, 0.25), rng.normal(0, 0.5)

    def motions(t: Array) -> list[Movement]:
        people = encounter.motions(t)
        add_fall(people[1], through(t, [(late_s, 0), (late_s + fall_s, 1)]), forward=forward)
        people[1].heading = people[1].heading + side
        return people

    return Encounter(motions, encounter.bodies)


def point_at(rng: Rng) -> Encounter:
    """One who points; the other one may look, or be absent."""
    alone = rng.random() < 0.65
    pair = Pair(rng, meeting(rng, near=rng.uniform(1.2, 2.2), hold=(9, 9)))
    side = RIGHT if rng.random() < 0.7 else LEFT
    up_s, hold_s, down_s = rng.uniform(0.25, 0.6), rng.uniform(0.3, 1.6), rng.uniform(0.3, 0.7)
    height, aside, beat = rng.uniform(0.75, 1.45), rng.normal(0, 0.25), rng.uniform(0, 0.04)
    lean, straight = rng.normal(0, 0.08), rng.uniform(0.85, 1.0)

    def act(t: Array, a: Movement, b: Movement) -> None:
        up = through(
            t, [(-up_s - hold_s / 2, 0), (-hold_s / 2, 1), (hold_s / 2, 1), (hold_s / 2 + down_s, 0)]
        )
        y = height_on(pair.bodies[0], height) + beat * np.sin(9 * t)
        angle = aside + 0.0 * t
        reach_with_hand(a, side, up, a.x + straight * 0.9 * np.cos(angle), y, a.z + 0.9 * np.sin(angle))
        a.pose.lean = a.pose.lean + lean * up

    encounter = pair.encounter(act)
    if not alone:
        return encounter
    return Encounter(lambda t: encounter.motions(t)[:1], pair.bodies[:1])


def bow_to(rng: Rng) -> Encounter:
    pair = Pair(rng, meeting(rng, near=rng.uniform(0.9, 1.6), hold=(rng.uniform(0.4, 1.0), 0.8)))
    depth, late = rng.uniform(0.4, 1.2, 2), rng.uniform(-0.2, 0.4)

    def act(t: Array, a: Movement, b: Movement) -> None:
        for i, person in enumerate((a, b)):
            down = through(t - i * late, [(-0.6, 0), (-0.1, 1), (0.2, 1), (0.8, 0)])
            person.pose.lean = person.pose.lean + depth[i] * down
            person.pose.nod = person.pose.nod + 0.3 * down

    return pair.encounter(act)


# What one does alone, in addition to ACTIONS
