"""A procedural world of people and actions: for demos, tests and training without any download.

figure    joint angles to joint positions
actions   twelve actions as joint angles over time
scene     people, clothes, camera: everything from a seed
draw      a scene to frames
clips     frames for training, or MP4 files with annotations
"""

from twinpath.data.synthetic.actions import ACTIONS
from twinpath.data.synthetic.clips import (
    TEST_SEED,
    TRAIN_SEED,
    VALIDATION_SEED,
    KeyframeClip,
    RenderedClips,
    RenderedKeyframes,
    labelled_scene,
    people_scene,
    truth_of,
    write_clip,
    write_dataset,
)
from twinpath.data.synthetic.draw import render
from twinpath.data.synthetic.scene import Scene, make_scene

__all__ = [
    "ACTIONS",
    "TEST_SEED",
    "TRAIN_SEED",
    "VALIDATION_SEED",
    "KeyframeClip",
    "RenderedClips",
    "RenderedKeyframes",
    "Scene",
    "labelled_scene",
    "make_scene",
    "people_scene",
    "render",
    "truth_of",
    "write_clip",
    "write_dataset",
]
