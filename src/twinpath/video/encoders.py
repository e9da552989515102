"""The encoders that can write an MP4, and how each is told a quality."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import av

from twinpath.errors import UsageError
from twinpath.suggest import did_you_mean

DEFAULT_ENCODER = "libx264"
_BITS_PER_PIXEL = 0.2  # for encoders that are given a bit rate: nearly transparent at 25 fps and more
_LARGE_PIXELS = 2560 * 1440  # above it x264 holds no B-frames back: 170 MB less at 3840x2160
_VP9_CRF = 8  # its scale reaches to 63; so much more looks as with x264


@dataclass(frozen=True)
class _Wanted:
    """A quality: as x264 has it, and as a bit rate for encoders that are given one."""

    crf: int
    preset: str
    pixels: int  # of a frame
    bit_rate: int


def _x264(wanted: _Wanted) -> dict[str, str]:
    # Its macroblock tree differs from run to run: without it the same frames give the same bytes.
    options = {"crf": str(wanted.crf), "preset": wanted.preset, "mbtree": "0"}
    return options | {"bf": "0"} if wanted.pixels > _LARGE_PIXELS else options


def _vp9(wanted: _Wanted) -> dict[str, str]:
    return {"crf": str(min(wanted.crf + _VP9_CRF, 63)), "b": "0", "deadline": "realtime", "cpu-used": "5"}


def _by_bit_rate(wanted: _Wanted) -> dict[str, str]:
    return {"b": str(wanted.bit_rate)}


# FFmpeg's name of the encoder: its options. Licences: see docs/security.md.
_OPTIONS: Mapping[str, Callable[[_Wanted], dict[str, str]]] = {
    "libx264": _x264,
    "libopenh264": _by_bit_rate,
    "libvpx-vp9": _vp9,
}
ENCODERS = tuple(_OPTIONS)


def check_encoder(name: str) -> None:
    """Raises: UsageError: There is no such encoder, or the installed FFmpeg was built without it."""
    if name not in _OPTIONS:
        hint = did_you_mean(name, ENCODERS)
        raise UsageError(f"encoder: there is no {name!r}{hint}; choose one of {', '.join(ENCODERS)}")
    if not is_built_in(name):
        built_in = [other for other in ENCODERS if is_built_in(other)]
        raise UsageError(
            f"encoder: the installed FFmpeg was built without {name}; choose one of {', '.join(built_in)}"
        )


def is_built_in(name: str) -> bool:
    """Whether the installed FFmpeg has an encoder."""
    try:
        av.codec.Codec(name, "w")
    except (av.FFmpegError, ValueError):  # UnknownCodecError is a ValueError
        return False
    return True


def options_for_quality(
    name: str, *, crf: int, preset: str, width: int, height: int, fps: float
) -> dict[str, str]:
    """FFmpeg's options for a quality.

    Args:
        name: One of `ENCODERS`.
        crf, preset: As x264 has them.
        width, height: Of the frames in pixels.
        fps: Frames per second.
    """
    bit_rate = round(width * height * min(max(fps, 1.0), 120.0) * _BITS_PER_PIXEL)
    return _OPTIONS[name](_Wanted(crf, preset, width * height, max(bit_rate, 100_000)))
