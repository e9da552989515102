"""AVA's files: who does what at which second, which seconds and actions count, and the clips around them.

text        a file to numbered lines; a fault names its line
boxes       ground truth, results and predicted people; the list of excluded seconds
label_map   the actions over which an evaluation averages
clips       a second of a video, or of a folder of frames, to the clip around it
"""

from twinpath.data.ava.clips import (
    AvaClip,
    FrameFolder,
    Lost,
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
    "Lost",
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
