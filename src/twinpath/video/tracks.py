"""Which video track of a file is read: as a player chooses, never a cover or a thumbnail beside the film."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.logging
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from twinpath.errors import NoVideoStream, UnsupportedCodec
from twinpath.paths import display_path
from twinpath.video.codecs import VIDEO_CODECS

_ENCRYPTED_TAGS = ("drmi", "encv")  # of MP4: iTunes, and others that do not tell FFmpeg the codec
_MOST_PACKETS = 500  # of all tracks, that are read to see whether one has more than a picture


@dataclass(frozen=True)
class TrackChoice:
    """Attributes:
    index: Of the stream in the container.
    note: What the user should know about the choice; empty where there was none.
    was_read: Whether packets were read, so that the container must be opened again.
    """

    index: int
    note: str = ""
    was_read: bool = False


def choose_track(container: InputContainer, path: Path) -> TrackChoice:
    """The default track among those with more than one picture, else the first of them.

    Args:
        container: An open container, at its beginning.
        path: The file, for messages.
    Raises:
        NoVideoStream: There is none, for example audio only.
        UnsupportedCodec: Twinpath reads the codec of none of them.
    """
    tracks = _video_tracks(container)
    usable = _usable(container, tracks, display_path(path), advice=f"convert it: {convert_line(path)}")
    if len(usable) == 1 and len(tracks) == 1:
        return TrackChoice(usable[0].index)
    usable.sort(key=lambda stream: not stream.disposition & Disposition.default)  # stable: else in order
    counts = {stream.index: _claimed_pictures(container, stream) for stream in usable}
    was_read = len(usable) > 1 and not all(counts.values())
    if was_read:
        counts = _count_pictures(container, [stream.index for stream in usable])
    chosen = next((stream for stream in usable if counts[stream.index] > 1), usable[0])
    return TrackChoice(chosen.index, _note(tracks, usable, chosen), was_read)


def choose_stream(container: InputContainer, name: str, *, any_codec: bool = False) -> VideoStream:
    """The video track of a live source, of which no packet is read to choose it.

    Args:
        container: An open container.
        name: The source, for messages.
        any_codec: Take a codec that is not listed, of a device of this computer.
    Raises:
        NoVideoStream, UnsupportedCodec: As `choose_track`.
    """
    usable = _usable(
        container, _video_tracks(container), name, advice="have it send H.264", any_codec=any_codec
    )
    return next((s for s in usable if s.disposition & Disposition.default), usable[0])


def encrypted(name: str) -> UnsupportedCodec:
    """The error for a video that only its licence opens."""
    return UnsupportedCodec(f"{name} is encrypted (copy protection); give a copy without it")


def convert_line(path: Path) -> str:
    """A command that converts a video to one that Twinpath reads."""
    name = display_path(path)
    target = display_path(path.with_name(f"{path.stem}.h264.mp4"))
    return f"ffmpeg -i {shlex.quote(name)} -c:v libx264 -pix_fmt yuv420p {shlex.quote(target)}"


def _video_tracks(container: InputContainer) -> list[Any]:
    return [
        stream
        for stream in container.streams
        if stream.type == "video" and not stream.disposition & Disposition.attached_pic
    ]


def _usable(
    container: InputContainer,
    tracks: Sequence[Any],
    name: str,
    *,
    advice: str,
    any_codec: bool = False,
) -> list[VideoStream]:
    """The tracks whose codecs are read; at least one."""
    if not tracks:
        raise NoVideoStream(f"{name} has no video stream, only {_other_streams(container)}; check the source")
    known = [t for t in tracks if isinstance(t, VideoStream) and t.codec_context is not None]
    usable = [t for t in known if any_codec or t.codec_context.codec.canonical_name in VIDEO_CODECS]
    if not usable:
        codec = known[0].codec_context.codec.canonical_name if known else _codec_tag(container)
        if any(tag in codec for tag in _ENCRYPTED_TAGS):
            raise encrypted(name)
        raise UnsupportedCodec(f"{name}: Twinpath does not read its video codec {codec}; {advice}")
    return usable


def _claimed_pictures(container: InputContainer, stream: VideoStream) -> int:
    """The number of pictures by the header; 0: not known. That of AVI counts empty chunks, too."""
    if container.format.name != "avi":
        return stream.frames
    indexed = len(stream.index_entries)
    return indexed if indexed > 1 else 0


def _count_pictures(container: InputContainer, indices: Sequence[int]) -> dict[int, int]:
    """The number of packets of each track, as far as they are read: until the first one has two."""
    counts = dict.fromkeys(indices, 0)
    streams = [container.streams[index] for index in indices]
    try:
        for number, packet in enumerate(container.demux(streams)):
            if packet.size:
                counts[packet.stream.index] += 1
            if counts[indices[0]] > 1 or number >= _MOST_PACKETS:
                break
    except av.FFmpegError:  # damage is reported when the file is read
        pass
    return counts


def _note(tracks: Sequence[Any], usable: Sequence[VideoStream], chosen: VideoStream) -> str:
    """What was chosen. `usable` are in order of preference."""
    numbers = {track.index: number for number, track in enumerate(tracks, start=1)}
    start = f"the file has {len(tracks)} video tracks: track {numbers[chosen.index]}"
    if chosen is not usable[0]:
        return f"{start} is read, since track {numbers[usable[0].index]} holds no film"
    if len(usable) < len(tracks):
        return f"{start} is read, whose codec Twinpath knows"
    defaults = [bool(track.disposition & Disposition.default) for track in tracks]
    is_default = defaults[numbers[chosen.index] - 1] and not all(defaults)
    return f"{start}, {'its default' if is_default else 'the first'}, is read"


def _other_streams(container: InputContainer) -> str:
    kinds = sorted({stream.type if stream.type != "video" else "a cover" for stream in container.streams})
    return " and ".join(kinds) or "an empty container"


def _codec_tag(container: InputContainer) -> str:
    """The codec tag of a video stream without a decoder, for example "xxxx / 0x78787878".

    PyAV has no codec context for it, but FFmpeg's description of the file has the tag.
    """
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        description: str = container.dumps_format()  # type: ignore[attr-defined]
    finally:
        av.logging.set_level(level)
    found = re.search(r"Video: ([^,\n]*)", description)
    return found[1].strip().removeprefix("none (").rstrip(")") if found else "(unknown)"
