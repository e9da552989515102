"""Recipes for bad videos: each `make_…(folder)` writes one file, with PyAV or by patching bytes.

The numbers are the rows of the project's list of faults. Every picture is 64x48 and grey; frame number k has
the grey value 4 * k + 20, so that a test can read the number from the pixels.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.stream import Disposition
from av.video.reformatter import ColorPrimaries, ColorTrc
from PIL import Image

from tests.support.field_coded import write_field_coded

WIDTH, HEIGHT, FPS, FRAMES = 64, 48, 25, 50
TINY_GOPS = {"g": "12", "bf": "2", "preset": "ultrafast"}
REPEATABLE = {"fflags": "+bitexact"}  # the same bytes each time: Matroska else numbers its files at random


def grey_of(number: int) -> int:
    return 4 * number + 20


def encode(
    path: Path,
    *,
    numbers: Iterable[int] = range(FRAMES),
    pts: Sequence[int] | None = None,  # in ticks of 1/rate; None: 0, 1, 2, …
    size: tuple[int, int] = (WIDTH, HEIGHT),
    rate: int = FPS,
    container: str | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    codec_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    rotation_deg: int | None = None,
    paint: Callable[[np.ndarray], None] | None = None,
    offset_s: int = 0,
    pixel_aspect: int = 1,
) -> Path:
    """The one encoder behind all recipes."""
    with av.open(
        "file:" + str(path), "w", format=container, options=REPEATABLE | (container_options or {})
    ) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        stream.options = TINY_GOPS if codec_options is None else codec_options
        stream.codec_context.sample_aspect_ratio = Fraction(pixel_aspect)
        if rotation_deg is not None:
            stream.set_display_rotation(rotation_deg)
        for k, number in enumerate(numbers):
            picture = np.full((size[1], size[0], 3), grey_of(number) % 256, dtype=np.uint8)
            if paint:
                paint(picture)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = (pts[k] if pts else k) + offset_s * rate
            frame.time_base = Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def remux(source: Path, target: Path, change: Callable[[int, av.Packet], av.Packet | None]) -> Path:
    """Copy packets without decoding; `change(number, packet)` may drop or alter each."""
    with (
        av.open("file:" + str(source)) as given,
        av.open("file:" + str(target), "w", options=REPEATABLE) as output,
    ):
        stream = output.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(given.demux(video=0)):
            if packet.dts is None and not packet.size:
                continue
            changed = change(number, packet)
            if changed is not None:
                changed.stream = stream
                output.mux(changed)
    return target


def make_good(folder: Path) -> Path:
    """B.mp4: 50 frames, 25 fps, keyframe every 12, two B-frames; the index at the end."""
    return encode(folder / "good.mp4")


def make_good_faststart(folder: Path) -> Path:
    """F.mp4: the same with the index at the front."""
    return encode(folder / "faststart.mp4", container_options={"movflags": "+faststart"})


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# 1
def make_empty(folder: Path) -> Path:
    return _write(folder / "empty.mp4", b"")


def make_random(folder: Path) -> Path:
    return _write(folder / "random.mp4", np.random.default_rng(0).bytes(4096))


def make_text(folder: Path) -> Path:
    return _write(folder / "text.mp4", b"This is a text, not a video.\n" * 40)


# 2
def make_empty_h264(folder: Path) -> Path:
    return _write(folder / "empty.h264", b"")


def make_headless_fragments(folder: Path) -> Path:
    """A fragmented MP4 cut before its first fragment: an index of nothing."""
    whole = encode(folder / "fragments.mp4", container_options={"movflags": "frag_keyframe+empty_moov"})
    data = whole.read_bytes()
    return _write(whole, data[: data.index(b"moof") - 4])


# 3
def make_lost_index(folder: Path) -> Path:
    data = make_good(folder).read_bytes()
    return _write(folder / "lost_index.mp4", data[: len(data) * 6 // 10])


# 4
def make_truncated(folder: Path) -> Path:
    data = make_good_faststart(folder).read_bytes()
    return _write(folder / "truncated.mp4", data[: len(data) * 6 // 10])


# 5
def make_flipped_bytes(folder: Path) -> Path:
    data = bytearray(make_good_faststart(folder).read_bytes())
    for position in range(data.index(b"mdat") + 4, len(data), 97):
        data[position] ^= 0xFF
    return _write(folder / "flipped.mp4", bytes(data))


def make_noise(folder: Path) -> Path:
    """Every 200th byte or so of the packets is changed, by FFmpeg's own filter for it."""
    sound = make_good(folder)
    with av.open(str(sound)) as given:
        noise = BitStreamFilterContext("noise=amount=200", given.streams.video[0])
        return remux(sound, folder / "noise.mp4", lambda _, packet: noise.filter(packet)[0])


# 6
def make_zeroed_tail(folder: Path) -> Path:
    data = make_good_faststart(folder).read_bytes()
    keep = len(data) * 6 // 10
    return _write(folder / "zeroed.mp4", data[:keep] + bytes(len(data) - keep))


# 7
def make_lost_head(folder: Path) -> Path:
    """Matroska without its first packet: nothing decodes before the second keyframe, at 0.48 s."""
    return remux(make_good(folder), folder / "lost_head.mkv", lambda k, packet: packet if k else None)


# 8
def make_unknown_codec(folder: Path) -> Path:
    data = make_good_faststart(folder).read_bytes()
    at = data.index(b"avc1", data.index(b"stsd"))
    return _write(folder / "unknown_codec.mp4", data[:at] + b"xxxx" + data[at + 4 :])


# 9
def make_audio_only(folder: Path) -> Path:
    path = folder / "audio.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 8000, 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


# 10
def make_variable_rate(folder: Path) -> Path:
    """25 frames at 25 fps, then 25 frames at 10 fps."""
    pts = [2 * k if k < 25 else 50 + 5 * (k - 25) for k in range(FRAMES)]
    return encode(folder / "variable.mp4", rate=50, pts=pts)


# 11
def make_huge_gaps(folder: Path) -> Path:
    """Three frames, ten hours apart."""
    return encode(folder / "gaps.mkv", numbers=range(3), pts=[0, 36_000 * FPS, 72_000 * FPS])


# 12
def make_offset_ts(folder: Path) -> Path:
    return encode(folder / "offset.ts", offset_s=9)


# 13
def make_cut_without_reencoding(folder: Path) -> Path:
    """The edit list hides the first 5 of 50 frames, as `ffmpeg -ss 0.2 -i B.mp4 -c copy` leaves it."""
    ticks = {}

    def earlier(number: int, packet: av.Packet) -> av.Packet:
        shift = ticks.setdefault("shift", round(Fraction(1, 5) / packet.time_base))
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        return packet

    return remux(make_good(folder), folder / "cut.mp4", earlier)


# 14
def make_rotated(folder: Path, *, rotation_deg: int = 90) -> Path:
    """Stored 64x48 with a white top left corner."""

    def paint(picture: np.ndarray) -> None:
        picture[:16, :16] = 255

    return encode(folder / f"rotated_{rotation_deg}.mp4", rotation_deg=rotation_deg, paint=paint)


# 15, 16
def make_odd_size(folder: Path) -> Path:
    return encode(folder / "odd.mp4", size=(65, 49), pixels="yuv444p")


def make_unknown_colours(folder: Path) -> Path:
    """Tagged as ICtCp, which swscale does not convert."""
    return encode(folder / "ictcp.mp4", codec_options={**TINY_GOPS, "colorspace": "ictcp"})


def make_vp9(folder: Path) -> Path:
    return encode(
        folder / "vp9.webm", codec="libvpx-vp9", codec_options={"deadline": "realtime", "cpu-used": "8"}
    )


def make_two_pixels(folder: Path) -> Path:
    return encode(folder / "two_pixels.mp4", size=(2, 2), numbers=range(5))


def make_one_frame(folder: Path) -> Path:
    return encode(folder / "one_frame.mp4", numbers=range(1))


def make_hevc_10_bit(folder: Path) -> Path:
    options = {"preset": "ultrafast", "x265-params": "log-level=none"}
    return encode(folder / "hevc10.mp4", codec="libx265", pixels="yuv420p10le", codec_options=options)


def make_gif(folder: Path) -> Path:
    return encode(folder / "small.gif", codec="gif", pixels="rgb8", codec_options={}, numbers=range(10))


def make_mjpeg_avi(folder: Path) -> Path:
    return encode(folder / "mjpeg.avi", codec="mjpeg", pixels="yuvj420p", codec_options={"color_range": "pc"})


def make_b_frames_avi(folder: Path) -> Path:
    """AVI has no presentation times: with B-frames, the times that FFmpeg reports run back and forth."""
    return encode(folder / "b_frames.avi")


def make_wide_pixels(folder: Path) -> Path:
    """Pixels twice as wide as high (sample aspect ratio 2)."""
    return encode(folder / "wide_pixels.mp4", pixel_aspect=2)


def make_interlaced(folder: Path) -> Path:
    return encode(folder / "interlaced.ts", codec_options={"flags": "+ildct+ilme", "g": "12", "bf": "2"})


def make_wrong_extension(folder: Path) -> Path:
    return make_good(folder).rename(folder / "film.jpg")


# 17
def make_fields(folder: Path) -> Path:
    """Sound H.264 of which every field is a packet, half a picture's time each, as in broadcasts."""
    raw = write_field_coded(folder / "fields.h264", pictures=FRAMES)
    with av.open(str(raw)) as given, av.open(str(folder / "fields.ts"), "w", options=REPEATABLE) as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(packet for packet in given.demux(video=0) if packet.size):
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = Fraction(1, 2 * FPS), stream
            output.mux(packet)
    return folder / "fields.ts"


def make_open_gop_ts(folder: Path) -> Path:
    """Starts at an open group of pictures: the pictures before its keyframe refer to what is not there."""
    options = {"g": "12", "bf": "2", "x264-params": "open-gop=1:scenecut=0:keyint=12:min-keyint=12:bframes=2"}
    whole = encode(folder / "whole_gops.ts", codec_options=options)
    with av.open(str(whole)) as given:
        keys = [packet.pts for packet in given.demux(video=0) if packet.is_keyframe]

    def behind(number: int, packet: av.Packet) -> av.Packet | None:
        started.append(packet.pts == keys[1])
        return packet if any(started) else None

    started: list[bool] = []
    return remux(whole, folder / "open_gop.ts", behind)


# 18
def make_joined_ts(folder: Path) -> Path:
    """`cat a.ts b.ts`: 64x48, then 96x64, and time runs back."""
    first = encode(folder / "a.ts")
    second = encode(folder / "b.ts", size=(96, 64))
    return _write(folder / "joined.ts", first.read_bytes() + second.read_bytes())


# 19
def make_raw_h264(folder: Path) -> Path:
    return encode(folder / "raw.h264", container="h264")


# 20
def make_gif_bomb(folder: Path) -> Path:
    """35 bytes that claim 16000x16000 pixels."""
    side = (16_000).to_bytes(2, "little") * 2
    screen = b"GIF89a" + side + b"\x80\x00\x00" + bytes(6)
    return _write(folder / "bomb.gif", screen + b"\x2c" + bytes(4) + side + b"\x00\x02\x02\x44\x01\x00\x3b")


def make_jpeg_bomb(folder: Path) -> Path:
    """An AVI of 64x48 whose first JPEG claims 60000x60000 pixels."""
    data = bytearray(make_mjpeg_avi(folder).read_bytes())
    frame_header = data.index(b"\xff\xc0")
    data[frame_header + 5 : frame_header + 9] = (60_000).to_bytes(2, "big") * 2
    return _write(folder / "jpeg_bomb.avi", bytes(data))


# 21
def make_ten_thousand_fps(folder: Path) -> Path:
    """3000 frames in 0.3 seconds."""
    return encode(folder / "fast.mp4", rate=10_000, size=(16, 16), numbers=(0 for _ in range(3000)))


# 22, 23
def make_playlist(folder: Path) -> Path:
    """An HLS playlist that names another file."""
    other = encode(folder / "other.ts")
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{other.absolute()}\n#EXT-X-ENDLIST\n"
    return _write(folder / "playlist.mp4", text.encode())


def make_concat_list(folder: Path) -> Path:
    other = encode(folder / "other.ts")
    return _write(folder / "concat.mp4", f"ffconcat version 1.0\nfile {other.name}\n".encode())


# 24
def make_remote_playlist(folder: Path, *, port: int = 9) -> Path:
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n"
    return _write(folder / "remote.mp4", text.encode())


# 25
STRANGE_NAMES = ("concat:a|b", "http:x.mp4", "a%03d.png", "-x.mp4", "two\nlines.mp4", "[a-z]*.mp4")


def make_strange_name(folder: Path, name: str) -> Path:
    return make_good(folder).rename(folder / name)


# 26
def make_fifo(folder: Path) -> Path:
    path = folder / "pipe.mp4"
    os.mkfifo(path)
    return path


def make_folder(folder: Path) -> Path:
    path = folder / "folder.mp4"
    path.mkdir()
    return path


# Field case 5
def make_oriented(folder: Path, matrix: tuple[int, int, int, int] = (-1, 0, 0, 1)) -> Path:
    """`make_rotated` with a display matrix (a, b, c, d): x' = a x + c y, y' = b x + d y."""
    whole = make_rotated(folder, rotation_deg=0)
    data = bytearray(whole.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # behind version, times, track number, duration, layer, volume
    a, b, c, d = (value << 16 for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return _write(folder / f"oriented{'_'.join(map(str, matrix))}.mp4", bytes(data))


# Field case 23
def make_hdr(
    folder: Path,
    colors: np.ndarray | Sequence[Sequence[float]] = ((0.2, 0.5, 0.7), (0.6, 0.6, 0.6)),
    *,
    transfer: ColorTrc = ColorTrc.SMPTE2084,
    primaries: ColorPrimaries = ColorPrimaries.BT2020,
    frames: int = 1,
) -> Path:
    """Pictures of 64x48 in 12 bits without loss: upright bars of (N, 3) encoded RGB from 0 to 1."""
    bars = np.repeat(np.asarray(colors), WIDTH // len(colors), axis=0)
    picture = np.round(np.tile(bars, (HEIGHT, 1, 1)) * 4095).astype(np.uint16)
    path = folder / f"{transfer.name}_{primaries.name}.mkv"
    with av.open(str(path), "w", options=REPEATABLE) as output:
        stream = output.add_stream("ffv1", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = picture.shape[1], HEIGHT, "gbrp12le"
        stream.codec_context.color_trc, stream.codec_context.color_primaries = transfer, primaries
        for k in range(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="gbrp12le")
            frame.pts, frame.time_base = k, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


# Field case 21: containers of camcorders, broadcasters and older recordings
MPEG_GOPS = {"g": "12", "bf": "2", "qmin": "1", "qmax": "2"}


def make_mpeg_ps(folder: Path) -> Path:
    return encode(folder / "mpeg_ps.mpg", codec="mpeg2video", codec_options=MPEG_GOPS)


def make_vob(folder: Path) -> Path:
    return encode(folder / "dvd.vob", container="vob", codec="mpeg2video", codec_options=MPEG_GOPS)


def make_mpeg_1(folder: Path) -> Path:
    return encode(
        folder / "mpeg_1.mpeg",
        container="mpeg",
        codec="mpeg1video",
        codec_options=MPEG_GOPS,
    )


def make_flv(folder: Path) -> Path:
    return encode(folder / "flash.flv")


def make_sorenson_flv(folder: Path) -> Path:
    return encode(folder / "sorenson.flv", codec="flv", codec_options={"qmin": "1", "qmax": "2"})


def make_wmv(folder: Path) -> Path:
    return encode(folder / "windows.wmv", codec="wmv2", codec_options={"qmin": "1", "qmax": "2"})


def make_asf(folder: Path) -> Path:
    return encode(folder / "windows.asf", codec="msmpeg4", codec_options={"qmin": "1", "qmax": "2"})


def make_ogg(folder: Path) -> Path:
    options = {"deadline": "realtime", "cpu-used": "8"}
    return encode(folder / "free.ogv", container="ogg", codec="libvpx", codec_options=options)


def make_mxf(folder: Path) -> Path:
    return encode(folder / "broadcast.mxf", codec="mpeg2video", codec_options=MPEG_GOPS)


def make_ts_with_error_correction(folder: Path) -> Path:
    """Packets of 204 bytes, as some receivers keep them."""
    data = encode(folder / "188.ts").read_bytes()
    packets = (data[at : at + 188] + bytes(16) for at in range(0, len(data), 188))
    return _write(folder / "204.ts", b"".join(packets))


def make_ts_within_a_packet(folder: Path) -> Path:
    """The same frames behind 100 bytes of a packet that was cut, as recorders leave them."""
    data = encode(folder / "whole.ts").read_bytes()
    return _write(folder / "within.ts", b"\x11" * 100 + data)


def make_raw_mpeg_2(folder: Path) -> Path:
    return encode(folder / "raw.m2v", container="mpeg2video", codec="mpeg2video", codec_options=MPEG_GOPS)


def make_cinepak(folder: Path) -> Path:
    """A codec that Twinpath does not read, though FFmpeg does."""
    return encode(folder / "cinepak.avi", codec="cinepak", pixels="rgb24", codec_options={}, numbers=range(3))


def make_flashsv(folder: Path) -> Path:
    return encode(folder / "screen.flv", codec="flashsv", pixels="bgr24", codec_options={}, numbers=range(3))


# Field case 22
def make_tracks(
    folder: Path,
    name: str = "tracks.mkv",
    tracks: Sequence[tuple[Sequence[int], str, int]] = (([45], "mjpeg", 1), (range(20), "libx264", 0)),
    *,
    covers: int = 0,
    late: int = 0,
) -> Path:
    """A file of several video tracks: (the numbers of its pictures, its codec, its disposition) of each.

    The first `covers` tracks are attached pictures; the last track begins `late` pictures later.
    """
    with av.open(str(folder / name), "w", options=REPEATABLE) as output:
        streams = []
        for k, (_, codec, disposition) in enumerate(tracks):
            stream = output.add_stream(codec, rate=FPS)
            stream.width, stream.height = WIDTH, HEIGHT
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.options = {"color_range": "pc"} if codec == "mjpeg" else TINY_GOPS
            stream.disposition = Disposition.attached_pic if k < covers else Disposition(disposition)
            streams.append(stream)
        packets = []
        for stream, (numbers, _, _) in zip(streams, tracks, strict=True):
            for k, number in enumerate(numbers):
                picture = np.full((HEIGHT, WIDTH, 3), grey_of(number), dtype=np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                shift = late if stream is streams[-1] else 0
                frame.pts, frame.time_base = k + shift, Fraction(1, FPS)
                packets += stream.encode(frame)
            packets += stream.encode(None)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return folder / name


# Field case 24
def make_heic(folder: Path, *, brand: bytes = b"heic") -> Path:
    """What a HEIC or AVIF picture begins with; no moov box."""
    boxes = struct.pack(">I4s4sI4s4s", 24, b"ftyp", brand, 0, b"mif1", brand) + struct.pack(
        ">I4s", 72, b"meta"
    )
    return _write(folder / f"photo.{brand.decode()}", boxes + bytes(64))


def make_frames(
    folder: Path,
    numbers: Iterable[int] = range(1, 21),
    *,
    name: str = "img_{:05d}.jpg",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    mode: str = "RGB",
    orientation: int | None = None,
) -> Path:
    """A folder of numbered pictures; that of number n has the grey value of n."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        image = Image.new("RGB", size, (grey_of(number % 50),) * 3)
        if orientation is not None:
            image.paste((255, 255, 255), (0, 0, 16, 16))
        exif = Image.Exif()
        exif[0x112] = orientation or 1
        image.convert(mode).save(folder / name.format(number), exif=exif)
    return folder
