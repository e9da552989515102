"""Frames by torchcodec, another decoder, on the system's FFmpeg: for who asks for it, never taken by itself.

    read_frames("archery.mp4", views, decoder="torchcodec")     # or TWINPATH_DECODER=torchcodec

Which frames is settled by `decode.py` as ever, from the times of the packets. torchcodec decodes them, and is
believed where it shows the very times that were asked for. What it cannot read, or would show in other pixels
or at other times than PyAV, is `Unreadable` here, and PyAV reads it.

It has no list of allowed formats, no limit on the size of a picture and no word about concealed damage. It is
for files that one trusts.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import av
import numpy as np
from av.video.format import VideoFormat

from twinpath.errors import MissingExtra
from twinpath.video.color import Rgb
from twinpath.video.decode_plan import check_bytes
from twinpath.video.sampling import Times
from twinpath.video.sniff import FORMAT_WHITELIST
from twinpath.video.source import Budget, VideoSource

_FRAMES_AT_ONCE = 16  # torchcodec decodes a batch in one call; the budget is looked at between two
_ROUNDING_S = 1e-6  # of times in float64; the finest clock in use, that of MPEG-TS, ticks in 1.1e-5 s
_PLACE_IN_CPP = re.compile(r"^\w+, \S+:\d+, ")  # where its messages begin
_OWN_CONVERSION = frozenset({"yuv420p", "yuvj420p", "yuva420p", "yuv422p", "yuvj422p"})
_MATRICES = frozenset({0, 1, 2, 4, 5, 6, 7, 9})  # that swscale converts, in the numbers of H.273
_FAILURES = (RuntimeError, ValueError, IndexError, OSError)  # what its C++ raises, in Python's words

Decoder = Callable[..., Any]


class Unreadable(Exception):
    """torchcodec does not read this file as PyAV does; the message says why."""


@cache
def load() -> Decoder:
    """The class `torchcodec.decoders.VideoDecoder`. Imports torch.

    Raises:
        MissingExtra: torchcodec is not installed, or does not load; says what to do.
    """
    try:
        decoder: Decoder = importlib.import_module("torchcodec.decoders").VideoDecoder
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "the decoder torchcodec is not installed: pip install 'twinpath[torchcodec]', "
            "and FFmpeg on the system (Debian: apt-get install ffmpeg)"
        ) from error
    except (ImportError, *_FAILURES) as error:
        reason = str(error).strip().partition("\n")[0]
        raise MissingExtra(
            f"torchcodec is installed but does not load ({reason}); it needs FFmpeg on the system "
            "(Debian: apt-get install ffmpeg) and a build for this torch, or read with the decoder pyav"
        ) from error
    return decoder


def frames_at(source: VideoSource, target_s: Sequence[float], *, budget: Budget) -> Rgb:
    """Decode the frames at some times.

    Args:
        source: The file, opened and checked by `open_video`.
        target_s: (N,) times of frames in seconds since the first picture, increasing, at least one.
        budget: Its limits on time and bytes are kept; torchcodec does not tell what else it decodes.
    Returns:
        (N, H, W, 3) uint8 RGB, upright; for each time the frame that begins then.
    Raises:
        Unreadable: not by torchcodec, or not the same frames.
        LimitExceeded: too slow, or too much memory.
        MissingExtra: as `load`.
    """
    decoder = load()
    _check(source)
    origin_s = float(source.origin * source.time_base)
    try:
        video = decoder(
            "file:" + os.path.abspath(source.path),  # noqa: PTH100 - as `open_video`
            stream_index=source.stream.index,
            dimension_order="NHWC",
            num_ffmpeg_threads=0,  # as many as FFmpeg likes
            seek_mode="exact",  # the other one trusts the header's frame rate
        )
        return _read(video, np.asarray(target_s, dtype=np.float64), origin_s=origin_s, budget=budget)
    except _FAILURES as error:
        raise Unreadable(_PLACE_IN_CPP.sub("", str(error).strip().partition("\n")[0])) from error


def _check(source: VideoSource) -> None:
    """Raises: Unreadable: what is known to come out otherwise than by PyAV."""
    if not source.has_pts:
        raise Unreadable(f"{source.kind} has no presentation times")
    context = source.stream.codec_context
    if context.pix_fmt and not _converts_alike(context.pix_fmt, context.height):
        raise Unreadable(
            f"versions of FFmpeg turn {context.pix_fmt} of {context.height} lines into different colours"
        )
    if context.colorspace not in _MATRICES:
        raise Unreadable("FFmpeg cannot convert its colours as they are tagged")
    if not _is_taken_for(source):
        raise Unreadable(f"without being told, FFmpeg would not take it for {source.kind}")


def _converts_alike(pixel_format: str, height: int) -> bool:
    """Whether FFmpeg 5.1 and 8.1 make the same RGB of it, to the bit. Measured; of most files it is true.

    Where pixels share colours, the common formats have a conversion of their own, which takes even heights;
    all others go through the scaler, and that has changed.
    """
    layout = VideoFormat(pixel_format, 8, 8)
    if layout.chroma_width(8) == 8 and layout.chroma_height(8) == 8:
        return True
    return pixel_format in _OWN_CONVERSION and height % 2 == 0


def _is_taken_for(source: VideoSource) -> bool:
    """Whether FFmpeg guesses the container that our own look at the bytes found; with torchcodec it guesses.

    A file could be made to look like a film to us and like a playlist, which opens other files, to FFmpeg.
    """
    options = {"protocol_whitelist": "file", "format_whitelist": FORMAT_WHITELIST}
    try:
        with av.open("file:" + os.path.abspath(source.path), options=options) as guessed:  # noqa: PTH100
            return source.kind in guessed.format.name.split(",")
    except (av.FFmpegError, ValueError):
        return False


def _read(video: Any, target_s: Times, *, origin_s: float, budget: Budget) -> Rgb:
    frames: Rgb | None = None
    for first in range(0, len(target_s), _FRAMES_AT_ONCE):
        wanted_s = target_s[first : first + _FRAMES_AT_ONCE]
        budget.spend(0)
        # A little behind each time: at the time itself, rounding would decide.
        shown = video.get_frames_played_at((wanted_s + origin_s + _ROUNDING_S).tolist())
        off_s = np.abs(shown.pts_seconds.numpy() - origin_s - wanted_s).max()
        if off_s > _ROUNDING_S:
            raise Unreadable(f"it shows frames {off_s:.3f} s from where they are")
        pictures = shown.data.numpy()
        if frames is None:
            shape = (len(target_s), *pictures.shape[1:])
            check_bytes(shape, budget=budget)
            frames = np.empty(shape, dtype=np.uint8)
        frames[first : first + len(wanted_s)] = pictures
    assert frames is not None
    return frames
