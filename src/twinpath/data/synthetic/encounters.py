"""All encounters by their names: of two people, and of one alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from twinpath.data.synthetic.actions import ACTIONS, PERFORM, Rng
from twinpath.data.synthetic.encounter import (
    Encounter,
    Movement,
    body_of,
)
from twinpath.data.synthetic.figure import Array
from twinpath.data.synthetic.lone_encounters import (
    fall_down,
    get_up,
    hand_to_head,
    lie,
    pick_up,
    stand_still,
    turn_round,
)
from twinpath.data.synthetic.pair_encounters import (
    bow_to,
    chase,
    fight,
    grapple,
    hand_over,
    high_five,
    hug,
    kick_somebody,
    knock_down,
    pass_by,
    pat_shoulder,
    point_at,
    pull_somebody,
    punch_somebody,
    push_somebody,
    shake_hands,
    talk,
    walk_together,
)


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
