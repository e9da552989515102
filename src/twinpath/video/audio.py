"""The audio track of one video, written into the file of a `VideoWriter` with the same timestamps.

    with AudioTrack("match.mkv") as audio:
        with VideoWriter("out.mp4", width=640, height=480, fps=25, audio=audio) as writer:
            ...
        print(audio.warnings)

Packets are copied where players expect their codec in an MP4; others are encoded as AAC.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from twinpath.video.closing import ClosesAtExit
from twinpath.video.codecs import AUDIO_CODECS
from twinpath.video.source import DEFAULT_LIMITS, MAX_READ_ERRORS, Limits, as_fraction, open_video

# Codecs that players expect in an MP4. FFmpeg would also put PCM and Vorbis there, which few of them play.
_COPIED = frozenset({"aac", "mp3", "opus", "flac", "alac", "ac3", "eac3"})
AAC_RATES_HZ = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000})
_AAC_BITS_PER_CHANNEL = 80_000
LAYOUTS = {1: "mono", 2: "stereo"}
_DEFAULT_RATE_HZ = 48_000
_LEAD_S = 0.1  # before the first frame: a decoder needs the packets before the first sample


class AudioSource(Protocol):
    """Audio for the file of a `VideoWriter`, which calls these methods, as in `AudioTrack`."""

    def join(self, output: OutputContainer) -> None: ...

    def write_until(self, time_s: float) -> None: ...

    def finish(self) -> None: ...


class PacketTarget(Protocol):
    """Takes the packets of a track in order."""

    def write(self, packet: Packet[AudioStream]) -> None: ...

    def finish(self) -> None: ...


class AudioTrack(ClosesAtExit):
    """A video's first audio track, read once from the beginning. A video may have none.

    Attributes:
        warnings: One line each; complete when the writer is closed.
    """

    def __init__(self, path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> None:
        """
        Args:
            path: A video file; its first frame is at time 0.
            limits: Limits of reading the file.
        Raises:
            InputError, LimitExceeded: As `open_video`.
        """
        self._source = open_video(path, limits=limits)
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self._next: Packet[AudioStream] | None = None
        self._target: PacketTarget | None = None
        self._tick_s = Fraction(1)
        self._last_dts = -math.inf
        self._left_out = 0
        self.warnings: list[str] = []

    def close(self) -> None:
        self._source.close()

    def join(self, output: OutputContainer) -> None:
        """Add an audio stream to an MP4 before its first frame is written; the writer calls this."""
        tracks = self._source.audio
        known = [track for track in tracks if track.codec_context is not None]
        track = next((track for track in known if _codec(track) in _COPIED | AUDIO_CODECS), None)
        if track is None:
            if tracks:
                name = f"its codec {_codec(known[0])}" if known else "its codec"
                self.warnings.append(f"the audio is left out: Twinpath does not read {name}")
            return
        self._tick_s = as_fraction(track.time_base) or Fraction(1, 1_000_000)
        self._packets = self._read_packets(track)
        self._next = next(self._packets, None)
        if self._next is None:
            self.warnings.append("the audio is left out: the track is empty or damaged")
            return
        self._target = self._new_target(track, output, is_copied=_codec(track) in _COPIED)

    def _new_target(self, track: AudioStream, output: OutputContainer, *, is_copied: bool) -> PacketTarget:
        return _PacketCopier(track, output) if is_copied else _AacEncoder(track, output)

    def write_until(self, time_s: float) -> None:
        """Write the packets up to a time in seconds since the first frame; the writer calls this.

        Raises:
            OSError: For example a full disk.
        """
        while self._next is not None and self._seconds(self._next) <= time_s:
            self._write(self._next)
            self._next = next(self._packets, None)

    def finish(self) -> None:
        """Write the rest; the writer calls this before it closes the file."""
        self.write_until(math.inf)
        if self._target is not None:
            self._target.finish()
        if self._left_out:
            self.warnings.append(f"{self._left_out} damaged packets of audio are left out")

    def _read_packets(self, track: AudioStream) -> Iterator[Packet[AudioStream]]:
        """All packets that have a time; time 0 is the first frame. Damaged packets are skipped."""
        shift = round(self._source.origin * self._source.time_base / self._tick_s)
        failures = 0
        while failures < MAX_READ_ERRORS:
            try:
                for packet in self._source.container.demux(track):
                    failures = 0
                    dts = packet.pts if packet.dts is None else packet.dts
                    if dts is None:  # the end, or a packet without a time
                        continue
                    packet.pts = (dts if packet.pts is None else packet.pts) - shift
                    packet.dts = dts - shift
                    yield packet
            except av.FFmpegError:
                failures += 1
                self._left_out += 1
            else:
                return

    def _seconds(self, packet: Packet[AudioStream]) -> float:
        return float((packet.dts or 0) * self._tick_s)

    def _write(self, packet: Packet[AudioStream]) -> None:
        """Write a packet, unless it lies before the first frame, its time decreases or it is damaged."""
        assert self._target is not None
        ends_s = self._seconds(packet) + float((packet.duration or 0) * self._tick_s)
        if ends_s < -_LEAD_S:
            return
        dts = packet.dts or 0
        try:
            if dts < self._last_dts:  # equal times are fine: packets may be shorter than a tick
                raise ValueError("the time decreases")
            self._last_dts = dts
            self._target.write(packet)
        except (av.InvalidDataError, ValueError):  # ValueError also: the track changes its format midway
            self._left_out += 1


def _codec(track: AudioStream) -> str:
    return str(track.codec_context.codec.canonical_name)


class _PacketCopier:
    """Copies packets into a file. There, times must increase: equal ones are moved by a sample."""

    def __init__(self, track: AudioStream, output: OutputContainer) -> None:
        self._output = output
        self._stream = output.add_stream_from_template(track)
        self._sample_s = Fraction(1, track.codec_context.sample_rate or _DEFAULT_RATE_HZ)
        self._next_sample = -math.inf

    def write(self, packet: Packet[AudioStream]) -> None:
        if packet.dts is not None:
            scale = packet.time_base / self._sample_s
            sample = round(packet.dts * scale)
            if sample < self._next_sample:
                later = int(self._next_sample) - sample
                packet.pts, packet.dts = round((packet.pts or 0) * scale) + later, sample + later
                packet.duration = round((packet.duration or 0) * scale)
                packet.time_base = self._sample_s
                sample += later
            self._next_sample = sample + 1
        packet.stream = self._stream
        self._output.mux(packet)

    def finish(self) -> None:
        """Nothing is buffered."""


class _AacEncoder:
    """Decodes packets and encodes them as AAC, mono or stereo."""

    def __init__(self, track: AudioStream, output: OutputContainer) -> None:
        self._output = output
        self._decoder = track.codec_context
        self._stream = add_aac_stream(output, *aac_form(self._decoder))
        self._resampler = aac_resampler(self._decoder)

    def write(self, packet: Packet[AudioStream] | None) -> None:
        for frame in self._decoder.decode(packet):
            self._encode(frame)

    def finish(self) -> None:
        """Flush the decoder, the resampler and the encoder."""
        self.write(None)
        self._encode(None)
        self._output.mux(self._stream.encode(None))

    def _encode(self, frame: AudioFrame | None) -> None:
        for piece in self._resampler.resample(frame):
            self._output.mux(self._stream.encode(piece))


def aac_form(decoder: AudioCodecContext) -> tuple[int, int]:
    """The sample rate in Hz and the channels, one or two, in which audio is encoded as AAC."""
    rate_hz = decoder.sample_rate if decoder.sample_rate in AAC_RATES_HZ else 48_000
    return rate_hz, min(decoder.channels, 2)


def add_aac_stream(output: OutputContainer, rate_hz: int, channels: int) -> AudioStream:
    """Add a stream that encodes AAC to a file."""
    stream = output.add_stream("aac", rate=rate_hz)
    context = stream.codec_context
    context.layout = LAYOUTS[channels]
    context.bit_rate = _AAC_BITS_PER_CHANNEL * channels
    context.time_base = Fraction(1, rate_hz)
    return stream


def aac_resampler(decoder: AudioCodecContext) -> AudioResampler:
    """Decoded frames to planar float, which the AAC encoder takes. Gaps become silence: times are kept."""
    rate_hz, channels = aac_form(decoder)
    return AudioResampler(
        format="fltp", layout=LAYOUTS[channels], rate=rate_hz, options={"async": "1", "first_pts": "0"}
    )
