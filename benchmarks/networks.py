"""The networks that are measured. Imports no Twinpath: PyTorchVideo's process reads it, too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """One network in both projects.

    Attributes:
        name: In Twinpath; the record is that of PyTorchVideo's weights on Kinetics-400.
        pytorchvideo_name: In `pytorchvideo.models.hub`.
        golden: Name of its golden figures, from which weights are made.
        num_frames, sampling_rate: Of a clip.
        short_side_px, crop_px: At test time.
        alpha: Frames of the fast pathway per frame of the slow one; None: a single pathway.
        network_bar, clip_bar: On a CPU with bf16 instructions, the required speed as a multiple of eager
            PyTorchVideo's: of the network alone, and from the file to the answer in a warm process.
    """

    name: str
    pytorchvideo_name: str
    golden: str
    num_frames: int
    sampling_rate: int
    short_side_px: int
    crop_px: int
    alpha: int | None
    network_bar: float
    clip_bar: float

    @property
    def record(self) -> str:
        return f"{self.name}.ptv_k400"


NETWORKS = {
    network.name: network
    for network in (
        Network("slowfast_r50_8x8", "slowfast_r50", "ptv_slowfast_r50", 32, 2, 256, 256, 4, 10.0, 8.0),
        Network("slow_r50_8x8", "slow_r50", "ptv_slow_r50", 8, 8, 256, 256, None, 9.0, 9.0),
        Network("x3d_s", "x3d_s", "ptv_x3d_s", 13, 6, 182, 182, None, 7.0, 5.0),
        Network("x3d_m", "x3d_m", "ptv_x3d_m", 16, 5, 256, 256, None, 7.0, 7.0),
        Network("mvit_v1_b_16x4", "mvit_base_16x4", "ptv_mvit_base_16x4", 16, 4, 256, 224, None, 6.0, 5.5),
    )
}
MAIN = "slowfast_r50_8x8"
DETECTION = "slowfast_r50_8x8_det.ptv_ava"
DETECTION_GOLDEN = "ptv_slowfast_r50_detection"
FAST = "x3d_s"  # for folders of many clips
QUICK = (MAIN, FAST)
EMBEDDED, EMBEDDED_DETECTION = "slowfast_tiny.synthetic", "slowfast_tiny_det.synthetic"
FRAME_PX = (256, 340)  # height, width of the frames that networks are measured with
FRAMES_PER_SECOND = 30  # of the tutorials: a clip is num_frames * sampling_rate / 30 seconds long
