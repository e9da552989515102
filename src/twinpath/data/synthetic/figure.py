"""An articulated human figure: from joint angles to joint positions.

Body axes: x to the figure's left, y up, z forward. Metres, radians. T is time.
A hanging limb points to -y; flexion moves it forward, abduction outward.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEFT, RIGHT = 0, 1

# The index of each joint in the array that `joints` returns.
JOINTS = (
    "pelvis", "chest", "neck", "head", "hair",
    "shoulder_l", "elbow_l", "hand_l", "shoulder_r", "elbow_r", "hand_r",
    "hip_l", "knee_l", "ankle_l", "toe_l", "hip_r", "knee_r", "ankle_r", "toe_r",
)  # fmt: skip
JOINT = {name: i for i, name in enumerate(JOINTS)}


@dataclass(frozen=True)
class Body:
    """Lengths and radii of a figure in metres; `scaled` changes the height."""

    torso: float = 0.50
    neck: float = 0.09
    head_radius: float = 0.115
    shoulder_half: float = 0.185
    hip_half: float = 0.095
    upper_arm: float = 0.29
    forearm: float = 0.34  # to the middle of the hand
    thigh: float = 0.43
    shin: float = 0.43
    foot: float = 0.17
    girth: float = 1.0  # multiplies every radius of limbs and torso

    def scaled(self, factor: float, *, girth: float) -> Body:
        lengths = {
            name: getattr(self, name) * factor for name in self.__dataclass_fields__ if name != "girth"
        }
        return replace(self, **lengths, girth=girth * factor)


@dataclass
class Pose:
    """Joint angles over time. Limbs have two columns, left and right.

    Attributes:
        lean, twist, roll: (T,) the torso forward, about its axis, sideways.
        nod: (T,) the head forward.
        upper_flex, upper_out, fore_flex, fore_out: (T, 2) directions of upper arm and forearm in the
            torso's axes.
        thigh_flex, thigh_out, knee: (T, 2) the thigh's direction and the bend of the knee.
        lift: (T,) height of the lower foot above the ground.
        forward: (T,) distance walked.
        planted: The feet that do not move: None, LEFT, RIGHT or "both".
    """

    lean: Array
    twist: Array
    roll: Array
    nod: Array
    upper_flex: Array
    upper_out: Array
    fore_flex: Array
    fore_out: Array
    thigh_flex: Array
    thigh_out: Array
    knee: Array
    lift: Array
    forward: Array
    planted: int | str | None = field(default="both")

    @classmethod
    def standing(cls, t: Array) -> Pose:
        """Standing upright with slightly bent arms at times `t` (T,)."""
        one, two = np.zeros(len(t)), np.zeros((len(t), 2))
        return cls(
            lean=one + 0.02,
            twist=one.copy(),
            roll=one.copy(),
            nod=one.copy(),
            upper_flex=two + 0.02,
            upper_out=two + 0.14,
            fore_flex=two + 0.22,
            fore_out=two + 0.06,
            thigh_flex=two + 0.02,
            thigh_out=two + 0.06,
            knee=two + 0.05,
            lift=one.copy(),
            forward=one.copy(),
        )


def _direction(flex: Array, out: Array, side: int) -> Array:
    """Unit vectors (T, 3) of a limb that hangs down at flex 0, out 0."""
    sign = 1.0 if side == LEFT else -1.0
    return np.stack([sign * np.sin(out), -np.cos(out) * np.cos(flex), np.cos(out) * np.sin(flex)], axis=-1)


def _torso_axes(pose: Pose) -> Array:
    """Rotations (T, 3, 3) from the torso's axes to the body's: twist, then roll, then lean."""
    zero, one = np.zeros_like(pose.lean), np.ones_like(pose.lean)

    def rotation(rows: list[list[Array]]) -> Array:
        return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)

    c, s = np.cos(pose.lean), np.sin(pose.lean)
    lean = rotation([[one, zero, zero], [zero, c, -s], [zero, s, c]])
    c, s = np.cos(pose.roll), np.sin(pose.roll)
    roll = rotation([[c, -s, zero], [s, c, zero], [zero, zero, one]])
    c, s = np.cos(pose.twist), np.sin(pose.twist)
    twist = rotation([[c, zero, s], [zero, one, zero], [-s, zero, c]])
    axes: Array = lean @ roll @ twist
    return axes


def joints(pose: Pose, body: Body) -> Array:
    """Joint positions (T, len(JOINTS), 3) in body axes, feet on the ground y = 0 plus `lift`."""
    n = len(pose.lean)
    xyz = np.zeros((n, len(JOINTS), 3))
    axes = _torso_axes(pose)

    def from_torso(vector: Array | list[float]) -> Array:
        position: Array = np.einsum("tij,tj->ti", axes, np.broadcast_to(np.asarray(vector), (n, 3)))
        return position

    def put(name: str, at: Array) -> Array:
        xyz[:, JOINT[name]] = at
        return at

    put("chest", from_torso([0, 0.72 * body.torso, 0]))
    neck = put("neck", from_torso([0, body.torso, 0]))
    nod_yz = np.stack([np.zeros(n), np.cos(pose.nod), np.sin(pose.nod)], axis=-1)
    head = put("head", neck + from_torso(nod_yz * (body.neck + body.head_radius)))
    put("hair", head + from_torso([0, 0.045, -0.035]))
    for side, s in ((LEFT, "l"), (RIGHT, "r")):
        sign = 1.0 if side == LEFT else -1.0
        shoulder = put(f"shoulder_{s}", from_torso([sign * body.shoulder_half, 0.93 * body.torso, 0]))
        upper = from_torso(_direction(pose.upper_flex[:, side], pose.upper_out[:, side], side))
        elbow = put(f"elbow_{s}", shoulder + body.upper_arm * upper)
        fore = from_torso(_direction(pose.fore_flex[:, side], pose.fore_out[:, side], side))
        put(f"hand_{s}", elbow + body.forearm * fore)
        hip = put(f"hip_{s}", np.broadcast_to([sign * body.hip_half, 0.0, 0.0], (n, 3)))
        flex, out, bend = pose.thigh_flex[:, side], pose.thigh_out[:, side], pose.knee[:, side]
        knee = put(f"knee_{s}", hip + body.thigh * _direction(flex, out, side))
        ankle = put(f"ankle_{s}", knee + body.shin * _direction(flex - bend, out, side))
        # The foot is level on the ground and follows the shin when the leg is lifted.
        tilt = 0.5 * np.clip(flex - bend, -1.2, 1.2)
        put(f"toe_{s}", ankle + body.foot * np.stack([0 * tilt, np.sin(tilt) - 0.15, np.cos(tilt)], -1))
    return _on_the_ground(xyz, pose)


def _on_the_ground(xyz: Array, pose: Pose) -> Array:
    ankles = xyz[:, [JOINT["ankle_l"], JOINT["ankle_r"]]]
    sole = 0.07
    xyz[..., 1] += (pose.lift + sole - ankles[..., 1].min(axis=1))[:, None]
    if pose.planted == "both":
        xyz[..., 2] -= ankles[..., 2].mean(axis=1)[:, None]
    elif pose.planted is not None:
        xyz[..., 2] -= ankles[:, int(pose.planted), 2][:, None]
    xyz[..., 2] += pose.forward[:, None]
    return xyz
