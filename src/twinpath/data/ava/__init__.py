"""The AVA dataset: its files (`formats.ava`, `formats.ava_label_map`), clips around keyframes, training."""

from twinpath.data.ava.clips import (
    AvaClip,
    FrameFolder,
    MissingClip,
    VideoFile,
    clip_indices,
    frame_folders,
    read_frame_list,
    video_files,
)
from twinpath.data.ava.training import (
    AvaKeyframe,
    AvaKeyframes,
    ava_sources,
    keyframe_frames,
    read_ava_training,
    training_sources,
)
from twinpath.formats.ava import (
    BoxRows,
    read_exclusions,
    read_people,
    read_predicted,
    read_results,
    read_truth,
    write_results,
)
from twinpath.formats.ava_label_map import LabelMap, built_in_label_map, read_label_map

__all__ = [
    "AvaClip",
    "AvaKeyframe",
    "AvaKeyframes",
    "BoxRows",
    "FrameFolder",
    "LabelMap",
    "MissingClip",
    "VideoFile",
    "ava_sources",
    "built_in_label_map",
    "clip_indices",
    "frame_folders",
    "keyframe_frames",
    "read_ava_training",
    "read_exclusions",
    "read_frame_list",
    "read_label_map",
    "read_people",
    "read_predicted",
    "read_results",
    "read_truth",
    "training_sources",
    "video_files",
    "write_results",
]
