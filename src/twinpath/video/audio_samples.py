"""The audio track of a video as samples: decoded in one process, encoded in another.

    with AudioSamples("match.mkv") as audio:
        for start_s, samples in audio:      # (channels, N) float32, about a second of sound
            ...

`EncodedAudio` takes such samples for the file of a `VideoWriter`. The process that writes the file then
handles nothing of the video but numbers; see `isolated/`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from twinpath.video.audio import (
    LAYOUTS,
    AudioTrack,
    PacketTarget,
    aac_form,
    aac_resampler,
    add_aac_stream,
)
from twinpath.video.source import DEFAULT_LIMITS, Limits

Samples = npt.NDArray[np.float32]  # (channels, N)
SampleBlock = tuple[float, Samples]  # its start in seconds since the first frame of video


class AudioSamples(AudioTrack):
    """A video's first audio track, decoded: mono or stereo, at a sample rate of AAC. Iterate once.

    Attributes:
        rate_hz: The sample rate; 0 where there is no audio.
        channels: 1 or 2; 0 where there is no audio.
        warnings: One line each; complete after the last block.
    """

    def __init__(self, path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> None:
        """Open the file. Raises: InputError, LimitExceeded: As `open_video`."""
        super().__init__(path, limits=limits)
        self._collector: _Collector | None = None
        try:
            self.join(None)  # type: ignore[arg-type]  # nothing is written
        except BaseException:
            self.close()
            raise
        self.rate_hz = self._collector.rate_hz if self._collector else 0
        self.channels = self._collector.channels if self._collector else 0

    def _new_target(self, track: AudioStream, output: OutputContainer, *, is_copied: bool) -> PacketTarget:
        self._collector = _Collector(track)
        return self._collector

    def __iter__(self) -> Iterator[SampleBlock]:
        """Yield the start in seconds, and (channels, N) float32 samples from -1 to 1."""
        while self._collector is not None and self._next is not None:
            self._source.budget.spend(0)
            self.write_until(self._seconds(self._next))
            yield from self._collector.take(at_least=self.rate_hz)
        self.finish()
        if self._collector is not None:
            yield from self._collector.take(at_least=1)


class _Collector:
    """Decodes packets and keeps the samples."""

    def __init__(self, track: AudioStream) -> None:
        self._decoder = track.codec_context
        self.rate_hz, self.channels = aac_form(self._decoder)
        self._resampler = aac_resampler(self._decoder)
        self._pieces: list[Samples] = []
        self._start = 0  # of the pieces, in samples

    def write(self, packet: Packet[AudioStream] | None) -> None:
        for frame in self._decoder.decode(packet):
            self._keep(frame)

    def finish(self) -> None:
        self.write(None)
        self._keep(None)

    def take(self, *, at_least: int) -> Iterator[SampleBlock]:
        """What was collected, if it is so many samples."""
        count = sum(piece.shape[1] for piece in self._pieces)
        if count >= at_least:
            yield self._start / self.rate_hz, np.concatenate(self._pieces, axis=1)
            self._start += count
            self._pieces = []

    def _keep(self, frame: AudioFrame | None) -> None:
        for piece in self._resampler.resample(frame):
            self._pieces.append(piece.to_ndarray().astype(np.float32, copy=False))


class EncodedAudio:
    """Samples as an AAC track in the file of a `VideoWriter`."""

    def __init__(self, blocks: Iterator[SampleBlock], *, rate_hz: int, channels: int) -> None:
        """
        Args:
            blocks: As `AudioSamples` yields them.
            rate_hz, channels: As of `AudioSamples`; 0: no audio.
        """
        self._blocks = blocks
        self._rate_hz, self._channels = rate_hz, channels
        self._output: OutputContainer | None = None
        self._next: SampleBlock | None = None
        self._samples = 0  # encoded so far

    def join(self, output: OutputContainer) -> None:
        """As `AudioTrack.join`."""
        self._next = next(self._blocks, None)
        if self._next is not None:
            self._output = output
            self._stream = add_aac_stream(output, self._rate_hz, self._channels)

    def write_until(self, time_s: float) -> None:
        """As `AudioTrack.write_until`."""
        while self._next is not None and self._next[0] <= time_s:
            self._encode(self._next[1])
            self._next = next(self._blocks, None)

    def finish(self) -> None:
        """As `AudioTrack.finish`."""
        self.write_until(math.inf)
        if self._output is not None:
            self._output.mux(self._stream.encode(None))

    def _encode(self, samples: Samples) -> None:
        assert self._output is not None
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples), format="fltp", layout=LAYOUTS[self._channels]
        )
        frame.sample_rate = self._rate_hz
        frame.pts = self._samples
        frame.time_base = self._stream.codec_context.time_base
        self._samples += samples.shape[1]
        self._output.mux(self._stream.encode(frame))
