"""The AVA dataset: its files (`formats.ava`, `formats.ava_label_map`), and the clips around its keyframes."""

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
from twinpath.formats.ava import (
    BoxRows,
    read_exclusions,
    read_people,
    read_results,
    read_truth,
    write_results,
)
from twinpath.formats.ava_label_map import LabelMap, built_in_label_map, read_label_map

__all__ = [
    "AvaClip",
    "BoxRows",
    "FrameFolder",
    "LabelMap",
    "MissingClip",
    "VideoFile",
    "built_in_label_map",
    "clip_indices",
    "frame_folders",
    "read_exclusions",
    "read_frame_list",
    "read_label_map",
    "read_people",
    "read_results",
    "read_truth",
    "video_files",
    "write_results",
]
