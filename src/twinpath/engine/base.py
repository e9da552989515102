"""What every backend offers: one protocol for scores and embeddings of clips and scores of boxes. No torch.

engine = open_engine("slowfast_r50_8x8")
scores = engine([clip, another])                 # two arrays (1, 400); clips (T, H, W, 3) of any sizes

engine = open_engine("slowfast_r50_8x8_det", output="boxes")
scores = engine([clip, another], [boxes, none])  # (3, 80) for three boxes, (0, 80) for none
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinpath.models.input_spec import InputSpec
from twinpath.models.registry import Output
from twinpath.video.resize import Resize, ResizedFrames, scaled_boxes

Clips = Sequence[NDArray[np.uint8] | ResizedFrames]  # (T, H, W, 3) each, RGB; or already resized
Boxes = NDArray[np.floating]  # (P, 4): x1, y1, x2, y2 in pixels of the clip's frames


class Engine(Protocol):
    """A network with its preprocessing on one device, opened for one `Output`.

    Attributes:
        name: Of the backend: "torch" or "openvino".
        batch_clips: Clips that are best given in one call. It is the device's choice: 1 to 8 on a CPU, 8 to
            64 on a GPU, by its free memory. More may be given; they are computed in parts.
        resize: What the network takes of each frame, for `video.clips.open_clips`. Whole frames are resized
            with it first.
    """

    name: str
    batch_clips: int
    resize: Resize

    @property
    def num_classes(self) -> int:
        """Classes of the network."""
        ...

    def __call__(
        self, clips: Clips, boxes_xyxy_px: Sequence[Boxes] | None = None
    ) -> list[NDArray[np.float32]]:
        """Compute the output for some clips.

        Args:
            clips: N clips (T, H, W, 3), RGB, of different heights and widths, or resized with `resize`.
            boxes_xyxy_px: For the output "boxes" only: (P, 4) for each clip, in pixels of its frames before
                they were resized.
        Returns:
            One float32 array for each clip: (num_crops, classes) scores, (num_crops, D) embeddings, or
            (P, classes) scores of its boxes.
        Raises:
            ValueError: Boxes are missing, not wanted, not finite, or not as many as clips.
            LimitExceeded: A single clip needs more memory than the device has, or whole pictures are far
                longer than wide.
        """
        ...

    def with_crops(self, num_crops: int) -> Engine:
        """The same network on 1 or 3 crops of each clip in space; not for the output "boxes".

        Raises:
            ValueError: Neither 1 nor 3, or the output is "boxes".
        """
        ...

    def warm_up(self, height: int, width: int) -> None:
        """Compute one clip of zeros, so that the first clip of this size in pixels is as fast as others."""
        ...

    def describe(self) -> str:
        """For people: backend, version, device, precision."""
        ...


def paired_boxes(output: Output, clips: Clips, boxes_xyxy_px: Sequence[Boxes] | None) -> Sequence[Boxes]:
    """The boxes of a call, checked; empty where the output is not "boxes".

    Raises:
        ValueError: Boxes are missing, not wanted, not finite, or not as many as clips.
    """
    if output != "boxes":
        if boxes_xyxy_px is not None:
            raise ValueError(f"boxes are for an engine with output='boxes', not {output!r}")
        return ()
    if boxes_xyxy_px is None:
        raise ValueError("an engine with output='boxes' needs the boxes of each clip")
    if len(boxes_xyxy_px) != len(clips):
        raise ValueError(f"{len(clips)} clips and boxes for {len(boxes_xyxy_px)}")
    if not all(np.isfinite(boxes).all() for boxes in boxes_xyxy_px):
        raise ValueError("boxes must be finite numbers; some are NaN or infinite")
    return boxes_xyxy_px


def resized(clip: NDArray[np.uint8] | ResizedFrames, resize: Resize) -> ResizedFrames:
    """A clip as a network takes it.

    Raises:
        ValueError: It was resized to another size, or to other crops.
        LimitExceeded: See `Resize.plan`.
    """
    if not isinstance(clip, ResizedFrames):
        return resize.of_clip(clip)
    wanted = resize.plan(clip.height_px, clip.width_px).shape
    if clip.pixels.shape[1:] != wanted:
        raise ValueError(f"the frames were resized to {clip.pixels.shape[1:]}, not to {wanted}")
    return clip


def picture_px(clip: NDArray[np.uint8] | ResizedFrames) -> tuple[int, int]:
    """(height, width) of a clip's pictures before they were resized."""
    if isinstance(clip, ResizedFrames):
        return clip.height_px, clip.width_px
    height, width = clip.shape[1:3]
    return height, width


def boxes_in_resized(clip: ResizedFrames, boxes_xyxy_px: Boxes, resize: Resize) -> NDArray[np.float32]:
    """(P, 4) boxes in pixels of the pictures to pixels of the resized frames; see `scaled_boxes`."""
    return scaled_boxes(boxes_xyxy_px, clip.height_px, clip.width_px, short_side=resize.short_side_px)


def box_inputs(
    frames: NDArray[np.uint8] | ResizedFrames, boxes_xyxy_px: Boxes, resize: Resize
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One clip and its boxes as an exported detection network takes them.

    Args:
        frames: The clip.
        boxes_xyxy_px: (P, 4) in pixels of its pictures.
        resize: Of the engine.
    Returns:
        (1, T, h, w, 3) frames, and (P, 5) boxes of clip 0, in pixels of these frames.
    """
    clip = resized(frames, resize)
    boxes = np.pad(boxes_in_resized(clip, boxes_xyxy_px, resize), ((0, 0), (1, 0)))
    return np.ascontiguousarray(clip.pixels[None, :, 0]), boxes


def zero_inputs(
    spec: InputSpec, output: Output, height: int, width: int
) -> tuple[list[NDArray[np.uint8]], list[Boxes] | None]:
    """One clip of zeros of this size in pixels, and for the output "boxes" a box of the whole picture."""
    clip = np.zeros((spec.num_frames, height, width, 3), dtype=np.uint8)
    return [clip], [np.array([[0.0, 0.0, width, height]])] if output == "boxes" else None


def check_crops(output: Output, num_crops: int) -> None:
    """Raises: ValueError: No such number of crops, or crops of an engine for boxes."""
    if num_crops not in (1, 3):
        raise ValueError(f"num_crops must be 1 or 3, not {num_crops}")
    if output == "boxes" and num_crops != 1:
        raise ValueError("an engine with output='boxes' takes whole frames: num_crops must be 1")


def last_line(error: Exception) -> str:
    """The last line of an error: OpenVINO gives the reason there, behind places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
