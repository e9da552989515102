"""What a file says beside the pixels of a frame: its display matrix, the light of its content."""

from __future__ import annotations

from typing import Any

from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame


def side_data(frame: VideoFrame, kind: Type) -> bytes:
    """FFmpeg's structure of this kind; empty if the frame has none.

    Raises:
        ValueError: PyAV 18 cannot tell, since the frame has some side data that this version does not know.
    """
    container: Any = frame.side_data
    found = container.get(kind)
    return b"" if found is None else bytes(found)
