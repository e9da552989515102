"""Recipes for videos whose times are unusual: sound that begins first, lengths that lie, pauses."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame

RATE_HZ = 48_000


def with_sound(
    video: Path,
    out: Path,
    *,
    lead_s: Fraction = Fraction(0),
    codec: str = "aac",
    packet_samples: int | None = None,
) -> Path:
    """The pictures of a video `lead_s` seconds after the start of a tone, in the container of `out`."""
    with av.open(str(video)) as given, av.open(str(out), "w") as output:
        track = given.streams.video[0]
        pictures = output.add_stream_from_template(track)
        sound = output.add_stream(codec, rate=RATE_HZ, layout="stereo")
        if packet_samples and codec == "flac":
            sound.codec_context.options = {"frame_size": str(packet_samples)}
        packets = []
        end_s = lead_s + 1
        for packet in given.demux(track):
            if packet.dts is not None:
                shift = round(lead_s / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packets.append(packet)
                end_s = max(end_s, packet.pts * packet.time_base)
        for packet in tone(sound, float(end_s), packet_samples):
            output.mux(packet)
        for packet in packets:
            packet.stream = pictures
            output.mux(packet)
    return out


def tone(stream: av.AudioStream, seconds: float, packet_samples: int | None) -> list[av.Packet]:
    """Packets of a quiet tone, each of so many samples; None: the codec's own number."""
    context = stream.codec_context
    context.open(strict=False)
    size = packet_samples or context.frame_size or 1024
    packets = []
    for start in range(0, round(seconds * RATE_HZ), size):
        wave = 0.1 * np.sin(2 * np.pi * 440 * np.arange(start, start + size) / RATE_HZ)
        both = np.stack([wave, wave])
        name = context.format.name
        if name.startswith("fltp"):
            samples = both.astype(np.float32)
        elif name == "s32":
            samples = (both * 2**31).astype(np.int32).T.reshape(1, -1)
        else:
            samples = (both * 2**15).astype(np.int16).T.reshape(1, -1)
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format=name, layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, start, Fraction(1, RATE_HZ)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def patched(path: Path, out: Path, *changes: tuple[bytes, int, bytes]) -> Path:
    """A copy in which some bytes are others.

    Args:
        path: The file.
        out: The copy.
        changes: A mark, how many bytes behind its start the new ones go, and the new ones.
    """
    data = bytearray(path.read_bytes())
    for mark, offset, new in changes:
        start = data.index(mark) + offset
        data[start : start + len(new)] = new
    out.write_bytes(data)
    return out


def avi_that_claims(path: Path, out: Path, frames: int) -> Path:
    """An AVI whose headers claim another number of frames."""
    count = struct.pack("<I", frames)
    return patched(path, out, (b"strh", 40, count), (b"avih", 24, count))


def mkv_that_claims(path: Path, out: Path, *, times: float) -> Path:
    """A Matroska file whose headers claim another length, of the file and of the track."""
    data = path.read_bytes()
    start = data.index(b"\x44\x89\x88") + 3
    (ticks,) = struct.unpack(">d", data[start : start + 8])
    changes = [(b"\x44\x89\x88", 3, struct.pack(">d", ticks * times))]
    seconds = ticks / 1000 * times
    tag = f"{int(seconds // 3600):02}:{int(seconds // 60 % 60):02}:{seconds % 60:012.9f}".encode()
    changes.append((b"DURATION", data[data.index(b"DURATION") :].index(b"00:"), tag))
    return patched(path, out, *changes)


def mp4_that_claims(path: Path, out: Path, *, times: int, boxes: Sequence[bytes] = (b"mdhd",)) -> Path:
    """An MP4 that claims another length in these of its boxes."""
    data = path.read_bytes()
    offsets = {b"mvhd": 20, b"mdhd": 20, b"tkhd": 24}
    changes = []
    for box in boxes:
        start = data.index(box) + offsets[box]
        (ticks,) = struct.unpack(">I", data[start : start + 4])
        changes.append((box, offsets[box], struct.pack(">I", ticks * times)))
    return patched(path, out, *changes)


def transport_stream(video: Path, out: Path, *, first_s: Fraction) -> Path:
    """The pictures of a video in MPEG-TS, whose clock of 33 bits shows `first_s` at the first one."""
    data = io.BytesIO()
    options = {"output_ts_offset": str(float(first_s)), "muxdelay": "0", "muxpreload": "0"}
    with (
        av.open(str(video)) as given,
        av.open(data, "w", format="mpegts", container_options=options) as output,
    ):
        stream = output.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                shift = round(first_s / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = stream
                output.mux(packet)
    out.write_bytes(data.getvalue())
    return out
