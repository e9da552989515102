"""The size of pictures that FFmpeg refuses to decode: it then tells it in its log only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import av
import av.logging

from twinpath.video.file_access import ffmpeg_input

_REFUSED = re.compile(r"Picture size (\d+)x(\d+) exceeds specified max pixel count")


def refused_size(path: Path, *, kind: str, options: dict[str, str], **how: Any) -> tuple[int, int]:
    """Open a file again, whose stream has no size, for the size for which FFmpeg refuses its pictures.

    Codecs whose size is in the pictures, for example Motion JPEG, VP9 and FFV1, are opened without one where
    it exceeds the option "max_pixels", and nothing decodes then: the file is not damaged, but too large.

    Args:
        path: The file.
        kind: The demuxer's name.
        options, how: Options of FFmpeg and of `av.open`, as at the first opening.
    Returns:
        Width and height in pixels; (0, 0) if it was not refused for its size.
    """
    level, skips_repeated = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as logs, ffmpeg_input(path) as (address, protocol):
            av.open(address, format=kind, options={**protocol, **options}, **how).close()
    except (av.FFmpegError, OSError, ValueError):
        return (0, 0)
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skips_repeated)
    sizes = (_REFUSED.search(text) for _, _, text in logs)
    return next(((int(size[1]), int(size[2])) for size in sizes if size), (0, 0))
