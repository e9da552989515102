"""Live sources: frames of a camera, an RTSP or HTTP URL, or a file played in real time.

    stop = threading.Event()
    for frame in LiveReader(parse_source("rtsp://camera/stream"), stop=stop, on_status=print):
        frame.time_s, frame.av_frame    # seconds since the first frame; a VideoFrame, not converted to RGB

FFmpeg opens only the URL that the user gave. The kind of source decides which protocols and formats it may
use, so that a server cannot make it open a file or a device. Playlists (HLS, DASH) refer to other URLs and
are rejected. Messages show a source without its password.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import quote

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from twinpath.addresses import is_address, mask_address
from twinpath.errors import LimitExceeded, NoFrames, SourceLost, UsageError
from twinpath.paths import display_path
from twinpath.retry import RetryPolicy
from twinpath.video.damage import DamageReport, check_decoded
from twinpath.video.decode_pass import DecodePass
from twinpath.video.sniff import FORMAT_WHITELIST
from twinpath.video.source import (
    DEFAULT_FPS,
    DEFAULT_LIMITS,
    MAX_READ_ERRORS,
    METADATA_OPTIONS,
    Limits,
    as_fraction,
    choose_stream,
    open_video,
)

Kind = Literal["file", "camera", "rtsp", "http"]

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_OPEN_PASSWORD = re.compile(r":(?!\d*$)")  # behind the colon of a host stands the number of a port
_CAMERA = re.compile(r"/dev/(video\d+|v4l/.+)")
#: For each system: FFmpeg's input device, and its name for the camera of a number.
CAMERAS = {"linux": ("video4linux2", "/dev/video{}"), "darwin": ("avfoundation", "{}:none")}

_HTTP_FORMATS = FORMAT_WHITELIST + ",flv,live_flv,mpjpeg,mjpeg"
_WITHOUT_CLOCK = frozenset({"mpjpeg", "mjpeg", "h264", "hevc"})  # FFmpeg makes up times for these
_DECODER_THREADS = 4  # each delays the output by one frame
_SANE_FPS = (Fraction(1, 100), Fraction(1000))
_MICROSECOND = Fraction(1, 1_000_000)
_JUMP_BACK_S, _JUMP_FORWARD_S = 0.5, 10.0  # a larger jump is another recording, or a clock that was set
_CLOCK_DRIFT = 1e-3  # of a source's clock against this computer's: an upper bound for quartz clocks
_CLOSED = "the connection was closed"
_NO_PLAYLIST = (
    "give the address of an MPEG-TS, MJPEG, MP4, Matroska or FLV stream, not of a page or of a playlist "
    "(HLS, DASH), which names other addresses"
)
_NEAR_END_S = 1.0  # a stream that ends this near to its claimed duration is complete


@dataclass(frozen=True)
class Source:
    """A live source.

    Attributes:
        kind: Decides what FFmpeg may open.
        address: A path, a device or a URL for FFmpeg; may hold a password.
        shown: The address for messages, without user, password and query.
        format: FFmpeg's demuxer; None: detected from the content.
    """

    kind: Kind
    address: str = field(repr=False)
    shown: str
    format: str | None = None


def parse_source(text: str) -> Source:
    """Parse a source: a camera number or device, an RTSP or HTTP URL, or a file name.

    Raises:
        UsageError: Another kind of URL, an address that is misspelt, or a camera number on a platform other
            than Linux and macOS.
    """
    if re.fullmatch(r"\d{1,3}", text):
        if sys.platform not in CAMERAS:
            raise UsageError(f"camera {text}: cameras have numbers on Linux and macOS only")
        device_format, pattern = CAMERAS[sys.platform]
        return Source("camera", pattern.format(int(text)), f"camera {int(text)}", device_format)
    if _CAMERA.fullmatch(text):
        return Source("camera", text, text, CAMERAS["linux"][0])
    url = _URL.match(text.lstrip())
    if url is None:
        _check_spelling(text)
        return Source("file", text, display_path(Path(text)))
    address = url[0].lower() + text.strip()[url.end() :]  # FFmpeg knows schemes in lower case only
    scheme, shown = url["scheme"].lower(), mask_address(address)
    if scheme not in ("rtsp", "rtsps", "http", "https"):
        known = "an rtsp://, rtsps://, http:// or https:// URL"
        raise UsageError(f"{shown}: give a camera (0), {known}, or a file")
    _check_login(address, shown)
    if scheme in ("rtsp", "rtsps"):
        return Source("rtsp", address, shown, "rtsp")
    return Source("http", address, shown)


def _check_spelling(text: str) -> None:
    """Check that the name of a file is no misspelt address. Raises: UsageError."""
    shown = mask_address(text)
    if os.path.lexists(text) or not (is_address(text) or shown not in (text, ascii(text))):
        return
    raise UsageError(
        f"{shown} is neither a file nor an address; addresses begin with rtsp://, rtsps://, http:// or https://"
    )


def _check_login(address: str, shown: str) -> None:
    """Check that a URL is split where its user means it: behind the login.

    Raises:
        UsageError: A user or a password holds a character that ends the host's part of a URL.
    """
    rest = address.partition("://")[2]
    host = re.split(r"[/?#\\\s]", rest, maxsplit=1)[0]
    if "@" in host or "@" not in rest or host.startswith("["):
        return
    found = rest[len(host)]
    if found in "/?" and not _OPEN_PASSWORD.search(host):
        return
    name = found if found.isprintable() and found != " " else "white space"
    raise UsageError(
        f"{shown}: a user or a password holds {name}; write {quote(found, safe='')} in its place"
    )


@dataclass(frozen=True, kw_only=True)
class ConnectionOptions:
    """How to connect to a server.

    Attributes:
        timeout_s: Time-out for a response and for the next data.
        rtsp_transport: "tcp" loses no packets and passes firewalls; "udp" has no delay for lost packets.
        verify: Require a certificate that is valid for the host name.
    """

    timeout_s: float = 10.0
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    verify: bool = True


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """One frame of a live source.

    Attributes:
        av_frame: The decoded frame; `color.RgbConverter` converts it to RGB.
        time_s: Presentation time in seconds since the first frame of the source. After an interruption it
            continues by the wall clock. It never decreases.
        due_s: When the frame should have arrived, on `time.monotonic`. Earlier than its arrival if it is
            late, for example because decoding is slower than the source.
        segment: Incremented at every interruption, and where the source's clock jumps.
    """

    av_frame: VideoFrame
    time_s: float
    due_s: float
    segment: int


class LiveReader:
    """Reads a source until it ends or `stop` is set, and reconnects. Iterate once, in one thread.

    Attributes:
        fps: The nominal frame rate of the source; 25 until it is known.
        reconnects: Number of times the source was opened again after an interruption.
        damaged: Number of packets that could not be read or decoded.
    """

    def __init__(
        self,
        source: Source,
        *,
        stop: threading.Event,
        on_status: Callable[[str], None],
        realtime: bool | None = None,
        retry: RetryPolicy | None = None,
        connection: ConnectionOptions | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Nothing is opened yet.

        Args:
            source: See `parse_source`.
            stop: Ends the iteration at the next frame, or at the latest after `connection.timeout_s`.
            on_status: Called with a line for the user at each interruption and for a damaged file.
            realtime: Yield each frame at its presentation time, not earlier. None: only if the source is a
                file, local or over HTTP.
            retry: When to retry and when to give up.
            connection: Options for URLs.
            limits: Only `max_pixels` applies: a stream may have any length.
        """
        self.source = source
        self.fps = float(DEFAULT_FPS)
        self.reconnects = 0
        self.damaged = 0
        self._stop = stop
        self._on_status = on_status
        self._realtime = realtime
        self._retry = retry or RetryPolicy()
        self._connection = connection or ConnectionOptions()
        self._limits = replace(limits, max_frames=None, max_seconds=None)
        self._clock = _LiveClock()
        self._failures = 0
        self._lost_at_s = time.monotonic()

    def __iter__(self) -> Iterator[LiveFrame]:
        """Yield the frames.

        Raises:
            SourceLost: It cannot be opened, or not again after an interruption, within the limits of `retry`.
            InputError, LimitExceeded: It holds no readable video; for a file as `open_video`.
        """
        self._lost_at_s = time.monotonic()
        while not self._stop.is_set():
            try:
                with closing(self._connect()) as connection:
                    yield from self._play(connection)
                if not (self._clock.started or self._stop.is_set()):
                    raise NoFrames(f"{self.source.shown} sends no frame that decodes; check the source")
                return
            except _Lost as error:
                lost = error
            if not self._stop.is_set():
                self._wait_after(lost)

    def check(self) -> None:
        """Check that a file can be opened; URLs and cameras are not opened.

        Raises:
            InputError, LimitExceeded: As `open_video`.
        """
        if self.source.kind == "file":
            open_video(self.source.address, limits=self._limits).close()

    def _connect(self) -> _Connection:
        if self.source.kind == "file":
            return _FileConnection(self.source, self._limits, self._on_status)
        return _LiveConnection(self.source, self._connection, self._limits)

    def _play(self, connection: _Connection) -> Iterator[LiveFrame]:
        self.fps = connection.fps
        is_paced = connection.is_recorded if self._realtime is None else self._realtime
        self._clock.interrupted(is_paced=is_paced)
        damaged_before = self.damaged
        for source_s, av_frame in connection.frames():
            if self._failures:
                self._note_reconnect()
            frame = self._clock.frame(av_frame, source_s)
            self.damaged = damaged_before + connection.damaged
            if is_paced:
                self._stop.wait(max(0.0, frame.due_s - time.monotonic()))
            if self._stop.is_set():
                return
            yield frame
            self._lost_at_s = time.monotonic()

    def _note_reconnect(self) -> None:
        self._failures = 0
        if self._clock.started:
            self.reconnects += 1
            self._on_status(f"{self.source.shown}: back after {time.monotonic() - self._lost_at_s:.1f} s")

    def _wait_after(self, lost: _Lost) -> None:
        """Report an interruption, and wait before the next attempt.

        Raises:
            SourceLost: No attempt is left.
        """
        retry, shown = self._retry, self.source.shown
        self._failures += 1
        wait_s = retry.wait_s(self._failures)
        tried_s = time.monotonic() - self._lost_at_s
        is_hopeless = lost.is_final and not self._clock.started
        if is_hopeless or retry.is_exhausted(self._failures, tried_s + wait_s):
            tries = f" ({self._failures - 1} retries in {tried_s:.0f} s)" if self._failures > 1 else ""
            what = "is lost" if self._clock.started else "cannot be read"
            raise SourceLost(f"{shown} {what}: {lost}{tries}; {lost.advice}")
        of = "" if retry.max_retries is None else f" of {retry.max_retries}"
        self._on_status(f"{shown}: {lost}; retry {self._failures}{of} in {wait_s:.1f} s")
        self._stop.wait(wait_s)


class _Lost(Exception):
    """A source cannot be opened, or its connection broke. Never FFmpeg's message, which holds the address."""

    def __init__(self, reason: str, *, is_final: bool = False, advice: str = "check the address") -> None:
        super().__init__(reason)
        self.is_final = is_final  # if it never worked, another attempt would fail, too
        self.advice = advice


class _LiveClock:
    """Times of a stream across interruptions.

    Attributes:
        started: Whether a frame arrived.
    """

    def __init__(self) -> None:
        self.started = False
        self._is_paced = False
        self._began_s = 0.0  # arrival of the first frame, on time.monotonic
        self._last_s = 0.0  # time of the last frame
        self._last_arrival_s = 0.0
        self._segment = 0
        self._shift_s: float | None = None  # from the source's own time to `LiveFrame.time_s`
        self._lead_s = 0.0  # from the time of a frame to its arrival if it is not late

    def interrupted(self, *, is_paced: bool) -> None:
        """The next frame starts another segment.

        Args:
            is_paced: Frames are delayed to their presentation time; an early frame does not make others late.
        """
        self._shift_s = None
        self._is_paced = is_paced

    def frame(self, av_frame: VideoFrame, source_s: float | None) -> LiveFrame:
        """The frame with its times.

        Args:
            picture: As decoded.
            source_s: Its timestamp by the source in seconds; None: the source has no clock.
        """
        arrival_s = time.monotonic()
        if not self.started:
            self.started, self._began_s, self._last_arrival_s = True, arrival_s, arrival_s
        by_arrival_s = max(arrival_s - self._began_s, self._last_s)
        time_s = by_arrival_s
        if self._shift_s is not None and source_s is not None:
            time_s = source_s + self._shift_s
            if not -_JUMP_BACK_S <= time_s - self._last_s <= _JUMP_FORWARD_S:
                self._shift_s = None
        if self._shift_s is None:
            time_s = by_arrival_s
            self._shift_s = time_s - (source_s or 0.0)
            self._segment += 1
            self._lead_s = arrival_s - time_s
        time_s = max(time_s, self._last_s)
        if not self._is_paced:
            self._lead_s += _CLOCK_DRIFT * (arrival_s - self._last_arrival_s)  # a source's clock may run slow
            self._lead_s = min(self._lead_s, arrival_s - time_s)
        due_s = self._lead_s + time_s
        self._last_s, self._last_arrival_s = time_s, arrival_s
        return LiveFrame(av_frame, time_s, due_s, self._segment)


class _Connection(Protocol):
    fps: float
    damaged: int
    is_recorded: bool  # a file: all frames exist already

    def frames(self) -> Iterator[tuple[float | None, VideoFrame]]:
        """Yield (source timestamp in seconds, frame) to the end. Raises: _Lost: The connection broke."""

    def close(self) -> None: ...


class _FileConnection:
    """A file, read as by `FrameStream`."""

    def __init__(self, source: Source, limits: Limits, on_status: Callable[[str], None]) -> None:
        self._file = open_video(source.address, limits=limits)
        self._on_status = on_status
        self.fps = float(self._file.nominal_fps)
        self.damaged = 0
        self.is_recorded = True

    def close(self) -> None:
        self._file.close()

    def frames(self) -> Iterator[tuple[float | None, VideoFrame]]:
        decoding = DecodePass(self._file)
        first_s = None
        for time_s, av_frame in decoding:
            first_s = time_s if first_s is None else first_s
            self.damaged = decoding.bad_packets
            yield time_s, av_frame
        check_decoded(decoding, self._file.path)
        report = DamageReport(self._file)
        report.add_whole(decoding, first_s=first_s, ends_at_s=decoding.ends_at_s)
        for warning in report.warnings():
            self._on_status(f"warning: {display_path(self._file.path)}: {warning}")


class _LiveConnection:
    """A camera or a URL, open."""

    def __init__(self, source: Source, connection: ConnectionOptions, limits: Limits) -> None:
        self._source = source
        self._connection = connection
        self.damaged = 0
        self._is_open = False
        self._first_s: float | None = None
        self._reached_s = 0.0
        self._container = self._open(limits)
        try:
            self._stream = choose_stream(self._container, source.shown)
            context = self._stream.codec_context
            if context.width * context.height > limits.max_pixels:
                raise LimitExceeded(
                    f"{source.shown} sends frames of {context.width}x{context.height}, more than "
                    f"{limits.max_pixels} pixels; choose a smaller one of its streams"
                )
            context.options = {"max_pixels": str(limits.max_pixels)}  # sizes may change midway
            context.thread_type = "AUTO"
            context.thread_count = _DECODER_THREADS
        except BaseException:
            self._container.close()
            raise
        self._is_open = True
        rates = map(as_fraction, (self._stream.average_rate, self._stream.guessed_rate))
        sane = [rate for rate in rates if rate is not None and _SANE_FPS[0] <= rate <= _SANE_FPS[1]]
        self.fps = float(sane[0] if sane else DEFAULT_FPS)
        self.is_recorded = source.kind == "http" and (self._container.size or 0) > 0
        self._has_clock = self._container.format.name not in _WITHOUT_CLOCK

    def close(self) -> None:
        self._container.close()

    def _open(self, limits: Limits) -> InputContainer:
        options = {"max_pixels": str(limits.max_pixels), **_allowed(self._source, self._connection)}
        began_s = time.monotonic()
        try:
            container: InputContainer = av.open(
                self._source.address,
                format=self._source.format,
                options=options,
                timeout=self._connection.timeout_s,
                **METADATA_OPTIONS,
            )
            return container
        except (av.FFmpegError, ValueError) as error:
            took_s = time.monotonic() - began_s
            lost = self._lost(error, took_s)
        raise lost

    def _lost(self, error: Exception, took_s: float) -> _Lost:
        """The error of a failed connection, and whether another attempt may help."""
        kind = self._source.kind
        reason = (getattr(error, "strerror", None) or "it cannot be opened").lower()
        if took_s >= 0.9 * self._connection.timeout_s or isinstance(error, av.error.ExitError):
            return _Lost(f"no data for {self._connection.timeout_s:g} s")
        if kind == "camera":
            gone = isinstance(error, (FileNotFoundError, PermissionError))
            return _Lost(reason, is_final=gone, advice="check that it is plugged in and that you may use it")
        if isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)):
            return _Lost(reason, is_final=True, advice="give user and password: rtsp://user:password@host/…")
        if kind == "http" and isinstance(error, ValueError):  # FFmpeg: invalid data, or a format not allowed
            return _Lost("its content is no video that Twinpath reads", is_final=True, advice=_NO_PLAYLIST)
        if isinstance(error, OSError) and error.errno == errno.EIO:  # FFmpeg's code for a closed connection
            if self._is_open or not _is_verified(self._source, self._connection):
                return _Lost(_CLOSED)
            advice = "if the server's certificate is self-signed, verify=False accepts it"
            return _Lost(f"no secure connection ({reason})", advice=advice)
        return _Lost(reason, is_final=isinstance(error, av.error.ArgumentError))

    def frames(self) -> Iterator[tuple[float | None, VideoFrame]]:
        failures = 0
        while True:
            waiting_since_s = time.monotonic()
            try:
                for packet in self._container.demux(self._stream):
                    failures = 0
                    for av_frame in self._decode(packet):
                        yield self._source_time_s(av_frame), av_frame
                    waiting_since_s = time.monotonic()
                break
            except av.FFmpegError as error:
                failures += 1
                self.damaged += 1
                if failures <= MAX_READ_ERRORS and isinstance(error, av.error.InvalidDataError):
                    continue
                lost = self._lost(error, time.monotonic() - waiting_since_s)
            raise lost
        if not self._has_ended():
            raise _Lost(_CLOSED)

    def _decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        if not packet.size and not (packet.pts is None and packet.dts is None):
            return []  # PyAV marks the end by an empty packet without times; other empty packets have no data
        try:
            return self._stream.codec_context.decode(packet if packet.size else None)
        except av.FFmpegError:  # a packet was lost, or there was no keyframe yet
            self.damaged += 1
            return []

    def _source_time_s(self, av_frame: VideoFrame) -> float | None:
        if not self._has_clock or av_frame.pts is None:
            return None
        source_s = float(
            av_frame.pts * (as_fraction(self._stream.time_base) or _MICROSECOND)
        )  # the last ones have no base
        if self._first_s is None:
            self._first_s = source_s
        self._reached_s = source_s - self._first_s
        return source_s

    def _has_ended(self) -> bool:
        """Whether the source is complete: FFmpeg also reports the end when an RTSP server dies."""
        duration = self._container.duration
        if self.is_recorded or duration is None or duration <= 0:
            return self.is_recorded
        return self._reached_s >= duration / 1_000_000 - _NEAR_END_S


def _allowed(source: Source, connection: ConnectionOptions) -> dict[str, str]:
    """FFmpeg's options for a source: protocols, formats, certificates."""
    if source.kind == "camera":
        return {"format_whitelist": source.format or ""}
    options: dict[str, str] = {}
    if _is_verified(source, connection):
        import certifi

        options |= {"tls_verify": "1", "ca_file": os.environ.get("SSL_CERT_FILE") or certifi.where()}
    elif not connection.verify:
        options["tls_verify"] = "0"  # newer versions of FFmpeg verify by default
    if source.kind == "http":
        protocols = "http,https,tcp,tls,httpproxy"
        return {**options, "protocol_whitelist": protocols, "format_whitelist": _HTTP_FORMATS}
    protocols = "rtsp,rtsps,tcp,tls" if connection.rtsp_transport == "tcp" else "rtsp,rtsps,tcp,tls,udp,rtp"
    return {
        **options,
        "protocol_whitelist": protocols,
        "format_whitelist": "rtsp",
        "rtsp_transport": connection.rtsp_transport,
    }


def _is_verified(source: Source, connection: ConnectionOptions) -> bool:
    return connection.verify and source.address.lower().startswith(("https:", "rtsps:"))
