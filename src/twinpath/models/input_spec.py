"""What the preprocessing needs to make a clip for a network. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from twinpath.video.clip_plan import ClipSampling, Sampling
from twinpath.video.resize import Resize

Triple = tuple[float, float, float]

__all__ = ["InputSpec", "Sampling", "Triple"]


@dataclass(frozen=True)
class InputSpec:
    """What the preprocessing needs to make a clip for a network.

    Attributes:
        num_frames: T of the clip.
        sampling_rate: Frames of a 30 fps video for one of the clip; the clip spans
            `num_frames * sampling_rate / 30` seconds.
        short_side_px: The frame is resized to this short side; the proportions stay.
        crop_px: Side of the square crop.
        mean, std: Of the RGB channels, for values in 0 to 1.
        sampling: "clip" as above, evenly from the span's first frame to its last; "strided": as above, but
            exactly every `sampling_rate / 30` seconds (torchvision); "segments": one frame of each of
            `num_frames` equal parts of the whole video (Something-Something).
        resize_px: (height, width) to which the frame is resized in place of the short side, whatever its
            proportions (torchvision).
        offset_views: Of several clips in time the last one ends with the video (PySlowFast's
            USE_OFFSET_SAMPLING).
    """

    num_frames: int
    sampling_rate: int
    short_side_px: int
    crop_px: int
    mean: Triple = (0.45, 0.45, 0.45)
    std: Triple = (0.225, 0.225, 0.225)
    sampling: Sampling = "clip"
    resize_px: tuple[int, int] | None = None
    offset_views: bool = False

    @property
    def clip_sampling(self) -> ClipSampling:
        """The frames of a clip, for `video.clip_plan`."""
        return ClipSampling(self.num_frames, self.sampling_rate, self.sampling)

    def resize(self, *, num_crops: int = 1, whole: bool = False) -> Resize:
        """What is made of each frame.

        Args:
            num_crops: 1 or 3 crops in space.
            whole: Whole resized frames in place of crops, and the middle picture beside them, as detection
                needs it.
        """
        if whole:
            return Resize(self.short_side_px, None, keep_middle=True)
        return Resize(self.short_side_px, self.crop_px, num_crops, self.resize_px)
