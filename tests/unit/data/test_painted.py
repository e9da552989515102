"""The painted world: same seed same clip, people who meet where they should, and labels that are true."""

from __future__ import annotations

import numpy as np
import pytest

from twinpath.data.synthetic.encounter import joints_of
from twinpath.data.synthetic.encounters import ALONE, ENCOUNTERS, PAIRS
from twinpath.data.synthetic.figure import JOINT, Body
from twinpath.data.synthetic.painted_clips import (
    BODY_PARTS,
    NUM_MOMENTS,
    NUM_SIDES,
    PaintedClips,
    body_parts,
)
from twinpath.data.synthetic.stage import DIRECTED, make_stage

TIMES_S = np.arange(-1.5, 1.5, 0.1)
AT_ZERO = np.array([0.0])


def people(name: str, seed: int, t_s: np.ndarray = TIMES_S) -> list[np.ndarray]:
    """(T, joints, 3) of each who takes part."""
    encounter = {**PAIRS, **ALONE}[name](np.random.default_rng(seed))
    motions = encounter.motions(t_s)
    return [joints_of(m, body) for m, body in zip(motions, encounter.bodies, strict=True)]


def distance(a: np.ndarray, b: np.ndarray, *, of: str, to: str) -> float:
    """In metres, at the first time."""
    return float(np.linalg.norm(a[0, JOINT[of]] - b[0, JOINT[to]]))


@pytest.mark.parametrize("name", ENCOUNTERS)
def test_bodies_keep_their_lengths_above_the_ground(name: str) -> None:
    for seed in range(4):
        encounter = {**PAIRS, **ALONE}[name](np.random.default_rng(seed))
        for xyz, body in zip(people(name, seed), encounter.bodies, strict=True):
            assert np.isfinite(xyz).all()
            assert xyz[..., 1].min() > -0.2
            assert xyz[..., 1].max() < 3.1
            shin = np.linalg.norm(xyz[:, JOINT["knee_l"]] - xyz[:, JOINT["ankle_l"]], axis=-1)
            assert shin == pytest.approx(body.shin, abs=0.3)


@pytest.mark.parametrize("name", ENCOUNTERS)
def test_a_person_does_not_depend_on_which_times_are_asked_for(name: str) -> None:
    together, alone = people(name, 3), people(name, 3, TIMES_S[12:13])
    for some, one in zip(together, alone, strict=True):
        assert some[12] == pytest.approx(one[0])


def test_hands_are_shaken_and_exchanged_between_the_two() -> None:
    for seed in range(20):
        first, second = people("shake hands", seed, AT_ZERO)
        hands = [distance(first, second, of=f"hand_{a}", to=f"hand_{b}") for a, b in (("l", "l"), ("r", "r"))]
        assert min(hands) < 0.12


def test_a_blow_arrives_at_its_moment_and_not_before() -> None:
    for seed in range(20):
        for name, limbs in (
            ("punch somebody", ("hand_l", "hand_r")),
            ("kick somebody", ("ankle_l", "ankle_r")),
        ):
            then, before = people(name, seed, AT_ZERO), people(name, seed, AT_ZERO - 0.8)
            trunk = ("head", "chest", "pelvis", "hip_l", "hip_r", "knee_l", "knee_r", "neck")
            near = min(distance(*then, of=limb, to=part) for limb in limbs for part in trunk)
            far = min(distance(*before, of=limb, to=part) for limb in limbs for part in trunk)
            assert near < 0.45
            assert far > near


def test_a_pushed_person_moves_away_and_one_who_embraces_does_not() -> None:
    def driven_m(name: str, seed: int) -> float:
        (a0, b0), (a1, b1) = people(name, seed, AT_ZERO), people(name, seed, AT_ZERO + 0.6)
        gap = abs(b1[0, 0, 0] - a1[0, 0, 0]) - abs(b0[0, 0, 0] - a0[0, 0, 0])
        return float(gap)

    assert np.mean([driven_m("push somebody", seed) for seed in range(20)]) > 0.3
    assert np.median([driven_m("hug", seed) for seed in range(20)]) < 0.3


def test_one_who_falls_lies_and_one_who_gets_up_stands() -> None:
    for seed in range(10):
        late, early = AT_ZERO + 1.2, AT_ZERO - 1.2
        assert people("fall down", seed, early)[0][0, JOINT["head"], 1] > 1.2
        assert people("fall down", seed, late)[0][0, JOINT["head"], 1] < 0.6
        assert people("get up", seed, late)[0][0, JOINT["head"], 1] > 1.2


def test_labels_take_turns_and_both_sides_act() -> None:
    stages = [make_stage(seed) for seed in range(3 * len(ENCOUNTERS))]
    assert {stage.label for stage in stages} == set(ENCOUNTERS)
    assert {stage.side() for stage in stages if stage.label in DIRECTED} == {0, 1}
    assert {stage.side() for stage in stages if stage.label not in DIRECTED} == {2}


def test_the_acting_person_is_on_the_side_that_the_clip_says() -> None:
    for seed in range(40):
        stage = make_stage(seed, label="push somebody")
        when = np.array([stage.groups[0].delay_s])
        first, second = (p[0][0, JOINT["pelvis"], 0] for p in stage.project(stage.people(when), when)[:2])
        if abs(first - second) > 0.15:  # not one behind the other
            assert stage.side() == int(first > second)


def test_a_seed_gives_the_same_clip_and_another_seed_another() -> None:
    pytest.importorskip("cv2")
    clips, others = (
        PaintedClips(first, 2, num_frames=8, span_s=2.0, side_px=64, heights_px=(64, 80)) for first in (7, 8)
    )
    first, again = clips[0], clips[0]
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.body_parts, again.body_parts)
    assert first[1:4] == again[1:4]
    assert np.array_equal(clips[1].frames, others[0].frames)
    assert not np.array_equal(first.frames, others[0].frames)
    with pytest.raises(IndexError):
        clips[2]


def test_clips_have_what_training_needs() -> None:
    pytest.importorskip("cv2")
    clips = PaintedClips(100, 24, num_frames=8, span_s=2.0, side_px=64, heights_px=(64,), cells=4)
    for clip in map(clips.__getitem__, range(len(clips))):
        assert clip.frames.shape == (8, 64, 64, 3)
        assert clip.frames.dtype == np.uint8
        assert clip.frames.std() > 2
        assert 0 <= clip.label < clips.num_classes
        assert 0 <= clip.side < NUM_SIDES
        assert 0 <= clip.moment < NUM_MOMENTS
        assert clip.body_parts.shape == (len(BODY_PARTS), 8, 4, 4)


def test_maps_of_body_parts_show_them_where_they_are() -> None:
    for seed in range(10):
        stage = make_stage(seed, label="stand")
        maps = body_parts(stage, 4, 64)
        heads, feet = maps[BODY_PARTS.index("head")], maps[BODY_PARTS.index("foot")]
        if heads.any() and feet.any() and abs(stage.film.pitch) < 0.5:
            assert np.argwhere(heads)[:, 1].max() < np.argwhere(feet)[:, 1].min()
        assert not maps[BODY_PARTS.index("moving foot")].any() or stage.film.shake > 0 or any(stage.film.pan)


def test_a_reaching_arm_has_the_lengths_of_its_bones() -> None:
    first, _ = people("push somebody", 2)
    upper = np.linalg.norm(first[:, JOINT["shoulder_l"]] - first[:, JOINT["elbow_l"]], axis=-1)
    at_contact = int(np.argmin(np.abs(TIMES_S)))
    body = PAIRS["push somebody"](np.random.default_rng(2)).bodies[0]
    assert upper[at_contact] == pytest.approx(body.upper_arm, rel=0.05)
    assert body.upper_arm == pytest.approx(Body().upper_arm, rel=0.2)
