"""What one does alone, beside the twelve actions: see `encounter`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from twinpath.data.synthetic.actions import Rng
from twinpath.data.synthetic.encounter import (
    Encounter,
    Movement,
    add_fall,
    add_steps,
    body_of,
    height_on,
    path_through,
    reach_with_hand,
    standing_alive,
    through,
)
from twinpath.data.synthetic.figure import LEFT, Array, Body


def _alone(rng: Rng, change: Callable[[Array, Movement], None], *, has_moment: bool = True) -> Encounter:
    body, alive = body_of(rng), standing_alive(rng)

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
        add_steps(person.pose, t, partial(path_through, knots=knots), 0.65, 0.0)
        person.x = through(t, knots)
        add_fall(person, through(t, [(-seconds / 2, 0), (seconds / 2, 1)]), forward=forward)

    return _alone(rng, change)


def get_up(rng: Rng) -> Encounter:
    forward, seconds = bool(rng.random() < 0.6), rng.uniform(1.0, 2.0)

    def change(t: Array, person: Movement) -> None:
        add_fall(person, through(t, [(-seconds / 2, 1), (seconds / 2, 0)]), forward=forward)
        rising = through(t, [(-seconds / 2, 0), (0, 1), (seconds / 2, 0)])
        person.pose.thigh_flex += (0.9 * rising)[:, None]
        person.pose.knee += (1.1 * rising)[:, None]

    return _alone(rng, change)


def lie(rng: Rng) -> Encounter:
    forward, hz, size = bool(rng.random() < 0.5), rng.uniform(0.2, 0.8), rng.uniform(0, 0.4)

    def change(t: Array, person: Movement) -> None:
        add_fall(person, np.ones(len(t)), forward=forward)
        person.pose.knee += (size * (1 + np.sin(6.28 * hz * t)))[:, None]
        person.pose.thigh_flex += (size * (1 + np.sin(6.28 * hz * t)))[:, None]

    return _alone(rng, change, has_moment=False)


def pick_up(rng: Rng) -> Encounter:
    side, ahead, seconds = int(rng.integers(2)), rng.uniform(0.25, 0.5), rng.uniform(0.6, 1.2)
    squat, lean = rng.uniform(0.1, 1.0), rng.uniform(0.5, 1.2)

    def change(t: Array, person: Movement) -> None:
        down = through(t, [(-seconds, 0), (-0.1, 1), (0.15, 1), (seconds, 0)])
        person.pose.lean = person.pose.lean + lean * down
        person.pose.thigh_flex += (1.4 * squat * down)[:, None]
        person.pose.knee += (1.7 * squat * down)[:, None]
        reach_with_hand(person, side, down, person.x + ahead, 0.12, 0.0)

    return _alone(rng, change)


def hand_to_head(rng: Rng) -> Encounter:
    """As one who drinks, telephones or scratches the head."""
    side, seconds = int(rng.integers(2)), rng.uniform(0.5, 3.0)
    height, ahead, aside = rng.uniform(1.15, 1.55), rng.uniform(-0.02, 0.16), rng.uniform(0, 0.14)

    def change(t: Array, person: Movement) -> None:
        up = through(
            t, [(-seconds / 2 - 0.5, 0), (-seconds / 2, 1), (seconds / 2, 1), (seconds / 2 + 0.5, 0)]
        )
        z = (1 if side == LEFT else -1) * aside
        reach_with_hand(person, side, up, person.x + ahead, height_on(Body(), height), z)

    return _alone(rng, change)


def turn_round(rng: Rng) -> Encounter:
    angle, seconds = rng.uniform(1.3, 3.3) * rng.choice([-1, 1]), rng.uniform(0.6, 1.4)

    def change(t: Array, person: Movement) -> None:
        knots = [(-seconds / 2, 0.0), (seconds / 2, 0.35 * abs(angle))]
        add_steps(person.pose, t, partial(path_through, knots=knots), 0.35, 0.0)
        person.heading = person.heading + through(t, [(-seconds / 2, 0.0), (seconds / 2, angle)])

    return _alone(rng, change)
