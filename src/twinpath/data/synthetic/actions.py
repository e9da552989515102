"""Twelve actions as joint angles over time.

Each action is a function of a random generator that determines a style (tempo, reach, side) and returns a
function of time, which can be called with any times in any order. `sit down` and `stand up` are the same
movement, forward and backward: they differ in motion only. `squat` and `bow` are often static: they differ in
appearance only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twinpath.data.synthetic.figure import LEFT, RIGHT, Array, Body, Pose

Motion = Callable[[Array], Pose]
Rng = np.random.Generator
DEG = np.pi / 180

ACTIONS = (
    "walk", "run", "jump", "wave", "clap", "punch",
    "kick", "squat", "bow", "sit down", "stand up", "throw",
)  # fmt: skip


@dataclass(frozen=True)
class Performance:
    """The movement of one figure in a scene.

    Attributes:
        motion: Returns the pose at times (T,) in seconds.
        seat_m: Height of the stool; None without one.
        ball: Returns, for times (T,), the time since the release of the ball in seconds, NaN while it is in
            the hand; None without a ball.
        hand: The hand that holds the ball.
    """

    motion: Motion
    seat_m: float | None = None
    ball: Callable[[Array], Array] | None = None
    hand: int = RIGHT


def smoothstep(u: Array) -> Array:
    """Smoothstep: 0 to 1 with zero slope at both ends."""
    u = np.clip(u, 0.0, 1.0)
    return u * u * (3 - 2 * u)


def _pulse(phase: Array, rise: float, hold: float, fall: float) -> Array:
    """A periodic pulse: up during `rise`, constant, down; 0 otherwise. Fractions of a period."""
    p = phase % 1.0
    return smoothstep(p / rise) - smoothstep((p - rise - hold) / fall)


def _sway(pose: Pose, t: Array, rng_phase: float) -> Pose:
    """The pose with the small movements of a standing person."""
    pose.roll = pose.roll + 0.025 * np.sin(1.7 * t + rng_phase)
    pose.lean = pose.lean + 0.02 * np.sin(1.1 * t + 2 * rng_phase)
    pose.upper_flex = pose.upper_flex + 0.03 * np.sin(1.3 * t + rng_phase)[:, None]
    return pose


def stand(rng: Rng) -> Performance:
    """No action: a bystander."""
    start, arms = rng.uniform(0, 6.28), rng.uniform(0, 1)

    def motion(t: Array) -> Pose:
        pose = _sway(Pose.standing(t), t, start)
        if arms > 0.7:  # arms crossed or on the hips
            pose.upper_flex += 25 * DEG
            pose.fore_flex += 70 * DEG
            pose.fore_out -= 55 * DEG
        return pose

    return Performance(motion)


def _gait(
    rng: Rng, *, steps_hz: tuple[float, float], hip: float, knee: float, elbow: float, lean: float,
    speed: tuple[float, float], bounce: float,
) -> Performance:  # fmt: skip
    hz, start = rng.uniform(*steps_hz), rng.uniform(0, 1)
    reach, speed_m_s = rng.uniform(0.85, 1.15), rng.uniform(*speed)

    def motion(t: Array) -> Pose:
        pose = Pose.standing(t)
        angle = 2 * np.pi * (hz * t + start)
        for side, shift in ((LEFT, 0.0), (RIGHT, np.pi)):
            swing = np.sin(angle + shift)
            lifting = np.clip(np.cos(angle + shift), 0, 1)  # the leg that swings forward bends
            pose.thigh_flex[:, side] = (hip * reach) * swing + 0.25 * hip * lifting
            pose.knee[:, side] = 6 * DEG + knee * lifting + 0.25 * knee * np.clip(-swing, 0, 1)
            pose.upper_flex[:, side] = -0.9 * hip * reach * swing
            pose.fore_flex[:, side] = pose.upper_flex[:, side] + elbow
        pose.lean = pose.lean + lean
        pose.twist = 0.12 * np.sin(angle)
        pose.lift = bounce * np.abs(np.sin(angle))
        pose.forward = speed_m_s * t
        pose.planted = None
        return pose

    return Performance(motion)


def walk(rng: Rng) -> Performance:
    return _gait(
        rng, steps_hz=(0.75, 1.05), hip=26 * DEG, knee=42 * DEG, elbow=15 * DEG, lean=3 * DEG,
        speed=(1.0, 1.5), bounce=0.0,
    )  # fmt: skip


def run(rng: Rng) -> Performance:
    return _gait(
        rng, steps_hz=(1.35, 1.75), hip=46 * DEG, knee=95 * DEG, elbow=88 * DEG, lean=13 * DEG,
        speed=(2.4, 3.6), bounce=0.09,
    )  # fmt: skip


def jump(rng: Rng) -> Performance:
    period_s, start = rng.uniform(0.95, 1.35), rng.uniform(0, 1)
    height_m, arms = rng.uniform(0.25, 0.45), rng.uniform(80, 165) * DEG

    def motion(t: Array) -> Pose:
        pose = Pose.standing(t)
        p = (t / period_s + start) % 1.0
        crouch = _pulse(p, 0.3, 0.08, 0.12)
        landing = _pulse(p - 0.86, 0.08, 0.0, 0.2)
        bend = np.maximum(crouch, 0.7 * landing)
        flight = np.clip((p - 0.46) / 0.42, 0, 1)
        pose.lift = height_m * 4 * flight * (1 - flight)
        pose.thigh_flex += (52 * DEG * bend)[:, None]
        pose.knee += (88 * DEG * bend)[:, None]
        pose.lean = pose.lean + 28 * DEG * bend
        swing = -35 * DEG * crouch + arms * _pulse(p - 0.42, 0.14, 0.16, 0.26)
        pose.upper_flex += swing[:, None]
        pose.fore_flex += (swing + 10 * DEG)[:, None]
        return pose

    return Performance(motion)


def wave(rng: Rng) -> Performance:
    hz, start, sway = rng.uniform(1.3, 2.4), rng.uniform(0, 6.28), rng.uniform(0, 6.28)
    up, reach = rng.uniform(85, 130) * DEG, rng.uniform(26, 42) * DEG
    sides = [LEFT, RIGHT] if rng.random() < 0.15 else [int(rng.integers(2))]

    def motion(t: Array) -> Pose:
        pose = _sway(Pose.standing(t), t, sway)
        for side in sides:
            pose.upper_out[:, side] = up + 6 * DEG * np.sin(2 * np.pi * hz * t + start)
            pose.upper_flex[:, side] = 8 * DEG
            pose.fore_out[:, side] = 168 * DEG + reach * np.sin(2 * np.pi * hz * t + start)
            pose.fore_flex[:, side] = 8 * DEG
        return pose

    return Performance(motion)


def clap(rng: Rng) -> Performance:
    hz, start, sway = rng.uniform(1.4, 2.6), rng.uniform(0, 6.28), rng.uniform(0, 6.28)
    height, wide = rng.uniform(30, 62) * DEG, rng.uniform(14, 32) * DEG

    def motion(t: Array) -> Pose:
        pose = _sway(Pose.standing(t), t, sway)
        open_ = 0.5 + 0.5 * np.sin(2 * np.pi * hz * t + start)
        pose.upper_flex[:] = height
        pose.upper_out[:] = (6 * DEG + 14 * DEG * open_)[:, None]
        pose.fore_flex[:] = height + 52 * DEG
        pose.fore_out[:] = (-43 * DEG + (43 * DEG + wide) * open_)[:, None]
        return pose

    return Performance(motion)


def punch(rng: Rng) -> Performance:
    hz, start = rng.uniform(0.9, 1.4), rng.uniform(0, 1)
    alternate, lead = rng.random() < 0.6, int(rng.integers(2))
    height = rng.uniform(78, 96) * DEG

    def motion(t: Array) -> Pose:
        pose = Pose.standing(t)
        count = np.floor(hz * t + start).astype(int)
        out = _pulse(hz * t + start, 0.22, 0.08, 0.3)
        for side in (LEFT, RIGHT):
            mine = ((count + lead) % 2 == side) if alternate else np.full(len(t), lead == side)
            e = out * mine
            pose.upper_flex[:, side] = 28 * DEG + (height - 28 * DEG) * e
            pose.upper_out[:, side] = 16 * DEG - 14 * DEG * e
            pose.fore_flex[:, side] = 138 * DEG + (height + 2 * DEG - 138 * DEG) * e
            pose.fore_out[:, side] = -14 * DEG + 10 * DEG * e
            pose.twist = pose.twist + (24 * DEG * e if side == RIGHT else -24 * DEG * e)
            stance = 16 * DEG if side == lead else -20 * DEG
            pose.thigh_flex[:, side] = stance
            pose.knee[:, side] = 20 * DEG
            pose.thigh_out[:, side] = 9 * DEG
        pose.lean = pose.lean + 6 * DEG + 6 * DEG * out
        pose.lift = np.zeros(len(t))
        return pose

    return Performance(motion)


def kick(rng: Rng) -> Performance:
    hz, start = rng.uniform(0.7, 1.05), rng.uniform(0, 1)
    leg, height = int(rng.integers(2)), rng.uniform(68, 98) * DEG
    arms = rng.uniform(25, 60) * DEG

    def motion(t: Array) -> Pose:
        pose = Pose.standing(t)
        back = _pulse(hz * t + start, 0.25, 0.0, 0.16)
        out = _pulse(hz * t + start - 0.26, 0.2, 0.06, 0.34)
        pose.thigh_flex[:, leg] += height * out - 24 * DEG * back
        pose.knee[:, leg] += 62 * DEG * back + 22 * DEG * out * (1 - out)
        pose.knee[:, 1 - leg] += 10 * DEG
        pose.thigh_flex[:, 1 - leg] += 5 * DEG
        pose.upper_out += (arms * np.maximum(out, back))[:, None]
        pose.fore_out += (arms * np.maximum(out, back))[:, None]
        pose.lean = pose.lean - 13 * DEG * out
        pose.planted = 1 - leg
        return pose

    return Performance(motion)


def _held_or_repeated(rng: Rng, period_s: tuple[float, float]) -> Callable[[Array], Array]:
    """Depth over time: a third of the styles hold the pose, the others repeat the movement."""
    start, period, depth = rng.uniform(0, 1), rng.uniform(*period_s), rng.uniform(0.88, 1.0)
    if rng.random() < 0.35:
        return lambda t: depth + 0.02 * np.sin(1.5 * t + 6 * start)
    return lambda t: _pulse(t / period + start, 0.32, 0.26, 0.32)


def squat(rng: Rng) -> Performance:
    depth = _held_or_repeated(rng, (1.5, 2.6))
    arms, spread = rng.uniform(60, 95) * DEG, rng.uniform(8, 20) * DEG

    def motion(t: Array) -> Pose:
        pose, d = Pose.standing(t), depth(t)
        pose.thigh_flex += (94 * DEG * d)[:, None]
        pose.knee += (112 * DEG * d)[:, None]
        pose.thigh_out += spread
        pose.lean = pose.lean + 26 * DEG * d
        pose.upper_flex += ((arms + 20 * DEG) * d)[:, None]
        pose.fore_flex += ((arms + 10 * DEG) * d)[:, None]
        return pose

    return Performance(motion)


def bow(rng: Rng) -> Performance:
    depth = _held_or_repeated(rng, (1.8, 3.0))
    angle, hang = rng.uniform(55, 88) * DEG, rng.uniform(0.1, 1.0)

    def motion(t: Array) -> Pose:
        pose, d = Pose.standing(t), depth(t)
        pose.lean = pose.lean + angle * d
        pose.nod = 15 * DEG * d
        pose.upper_flex += (hang * angle * d)[:, None]
        pose.fore_flex += (hang * angle * d - 8 * DEG * d)[:, None]
        pose.thigh_flex += (-6 * DEG * d)[:, None]
        return pose

    return Performance(motion)


def _sitting(rng: Rng, *, down: bool) -> Performance:
    """Standing at 0, seated at 1. `stand up` is the same movement reversed in time."""
    middle_s, length_s = rng.uniform(0.75, 1.35), rng.uniform(0.8, 1.3)
    lean, hands, sway = rng.uniform(26, 44) * DEG, rng.uniform(10, 60) * DEG, rng.uniform(0, 6.28)

    def motion(t: Array) -> Pose:
        u = np.clip((t - middle_s) / length_s + 0.5, 0, 1)
        seated = smoothstep(u if down else 1 - u)
        pose = _sway(Pose.standing(t), t, sway)
        pose.thigh_flex += (86 * DEG * seated)[:, None]
        pose.knee += (88 * DEG * seated)[:, None]
        pose.lean = pose.lean + lean * 4 * seated * (1 - seated)
        pose.upper_flex += (25 * DEG * seated)[:, None]
        pose.fore_flex += (hands * seated)[:, None]
        return pose

    return Performance(motion, seat_m=Body().shin)


def sit_down(rng: Rng) -> Performance:
    return _sitting(rng, down=True)


def stand_up(rng: Rng) -> Performance:
    return _sitting(rng, down=False)


def throw(rng: Rng) -> Performance:
    period_s, start = rng.uniform(1.5, 2.1), rng.uniform(0, 1)
    arm, back = int(rng.integers(2)), rng.uniform(195, 225) * DEG
    release = 0.62

    def motion(t: Array) -> Pose:
        pose = Pose.standing(t)
        p = (t / period_s + start) % 1.0
        wind = smoothstep(p / 0.45)
        fling = smoothstep((p - 0.5) / 0.17)
        recover = smoothstep((p - 0.74) / 0.24)
        flex = (20 * DEG + (back - 20 * DEG) * wind) * (1 - fling) + 52 * DEG * fling
        flex = flex * (1 - recover) + 20 * DEG * recover
        bend = 70 * DEG * wind * (1 - fling) + 10 * DEG
        pose.upper_flex[:, arm] = flex
        pose.upper_out[:, arm] = 18 * DEG
        pose.fore_flex[:, arm] = flex + bend
        pose.fore_out[:, arm] = 10 * DEG
        balance = wind * (1 - recover)
        pose.upper_flex[:, 1 - arm] += 55 * DEG * balance * (1 - fling)
        pose.fore_flex[:, 1 - arm] += 60 * DEG * balance * (1 - fling)
        pose.lean = pose.lean + (-12 * DEG * wind * (1 - fling) + 24 * DEG * fling) * (1 - recover)
        turn = (26 * DEG * wind * (1 - fling) - 20 * DEG * fling) * (1 - recover)
        pose.twist = turn if arm == LEFT else -turn
        pose.thigh_flex[:, 1 - arm] += 22 * DEG * balance
        pose.thigh_flex[:, arm] -= 16 * DEG * balance
        pose.knee += (16 * DEG * balance)[:, None]
        return pose

    def flight(t: Array) -> Array:
        p = (t / period_s + start) % 1.0
        return np.where(p > release, (p - release) * period_s, np.nan)

    return Performance(motion, ball=flight, hand=arm)


PERFORM: dict[str, Callable[[Rng], Performance]] = {
    "walk": walk, "run": run, "jump": jump, "wave": wave, "clap": clap, "punch": punch,
    "kick": kick, "squat": squat, "bow": bow, "sit down": sit_down, "stand up": stand_up,
    "throw": throw, "stand": stand,
}  # fmt: skip
