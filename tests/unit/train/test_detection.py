"""Training of detection: batches whose boxes stay with their people, a warm start, a loss that falls."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from twinpath.data.synthetic import RenderedKeyframes, people_scene
from twinpath.data.synthetic.clips import DURATION_S
from twinpath.models.registry import architecture
from twinpath.train.detection import (
    DetectionModule,
    KeyframeBatch,
    SyntheticKeyframeData,
    collate_keyframes,
    warm_start,
)
from twinpath.train.recipe import changed, read_recipe
from twinpath.zoo.create import create_model, input_spec

RECIPE = read_recipe("slowfast_tiny_det")
SPEC = input_spec("slowfast_tiny_det")


@pytest.fixture(scope="module")
def batch() -> KeyframeBatch:
    few = changed(RECIPE, ["workers=0", "batch_size=2", "clips_per_epoch=2"])
    return next(iter(SyntheticKeyframeData(few, SPEC).train_dataloader()))


def test_clips_around_a_keyframe_with_their_people() -> None:
    stream = RenderedKeyframes(5, 2, num_frames=16, sampling_rate=4, heights_px=(96,))
    frames, boxes, actions = stream[0]
    assert frames.shape[0] == 16
    assert frames.shape[1] == 96
    assert len(boxes) == len(actions) <= len(people_scene(5).people)
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes >= 0).all()
    assert (boxes <= [frames.shape[2], 96] * 2).all()
    again = stream[0]
    assert np.array_equal(again.frames, frames)
    assert np.array_equal(again.boxes_xyxy_px, boxes)
    assert not np.array_equal(stream[1].frames, frames)
    with pytest.raises(IndexError):
        stream[2]
    assert DURATION_S > 16 * 4 / 30  # a clip around most keyframes lies within the scene


def test_boxes_of_a_batch_name_their_clips(batch: KeyframeBatch) -> None:
    assert batch.clips.shape[:3] == (2, 3, 16)
    height, width = batch.clips.shape[3:]
    assert height == SPEC.short_side_px
    assert set(batch.boxes[:, 0].tolist()) == {0.0, 1.0}
    assert len(batch.boxes) == len(batch.actions)
    assert (batch.boxes[:, 1:] <= torch.tensor([width, height] * 2)).all()


def test_clips_of_different_widths_are_cut_to_the_narrowest() -> None:
    def sample(width: int) -> KeyframeBatch:
        boxes = torch.tensor([[0.0, 1, 1, 20, 20], [0, width - 2, 1, width, 9]])
        return KeyframeBatch(torch.zeros(1, 3, 4, 32, width), boxes, torch.tensor([3, 4]))

    whole = collate_keyframes([sample(60), sample(50)])
    assert whole.clips.shape == (2, 3, 4, 32, 50)
    assert whole.actions.tolist() == [3, 3, 4]  # the one at the right border of the wider clip is gone
    assert whole.boxes[:, 0].tolist() == [0, 1, 1]


def test_a_warm_start_takes_what_fits() -> None:
    donor = create_model("slowfast_tiny.synthetic", pretrained=True)
    network = architecture("slowfast_tiny_det").build()
    warm_start(network, donor)
    ours, theirs = network.state_dict(), donor.state_dict()
    assert set(ours) < set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_loss_falls(batch: KeyframeBatch) -> None:
    torch.manual_seed(0)
    network = architecture("slowfast_tiny_det").build(dropout=0.0)
    warm_start(network, create_model("slowfast_tiny.synthetic", pretrained=True))
    module = DetectionModule(network, RECIPE)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    losses = []
    for _ in range(4):
        loss = module.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_a_batch_with_nobody_in_it() -> None:
    module = DetectionModule(architecture("slowfast_tiny_det").build(), RECIPE)
    clips = torch.zeros(1, 3, 16, 32, 32)
    loss = module.loss(KeyframeBatch(clips, torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64)))
    loss.backward()
    assert float(loss.detach()) == 0.0
