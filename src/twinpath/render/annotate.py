"""A whole video with its people drawn on it, or its keyframes on one sheet.

    warnings = annotate_video(Path("match.mp4"), detections, Path("out.mp4"))
    contact_sheet(Path("match.mp4"), detections, Path("out.png"))

Between keyframes boxes move evenly. Pictures are decoded ahead in a thread; x264 encodes in its own.
"""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from twinpath.atomic import atomic_path
from twinpath.errors import UsageError
from twinpath.paths import display_path
from twinpath.prefetch import Prefetcher
from twinpath.render.people import Hud, PeoplePainter, ShownPerson
from twinpath.results.detections import BoxPx, Detections, TrackPoint
from twinpath.video.audio import AudioTrack
from twinpath.video.decode import AtTimes, FrameStream, read_frames
from twinpath.video.probe import VideoInfo, probe
from twinpath.video.writer import VideoWriter

Progress = Callable[[int, int], None]

SHEET_SUFFIXES = (".png", ".jpg", ".jpeg")
_SHEET_COLUMNS = 3
_SHEET_MOST = 9
_SHEET_WIDTH_PX = 480  # of one picture
_SHEET_GAP_PX = 6

_MOST_GAP = 2  # keyframes between two sights over which a person moves evenly
_HOLD = 0.5  # keyframe distances that a person stays before the first and after the last keyframe
_WAITING_BYTES = 1 << 26  # of pictures decoded ahead
_LEAST_STEP_S = 1e-4  # damaged files give pictures of one time; the container wants increasing ones
_CRF, _PRESET = 20, "veryfast"


def annotate_video(
    video: Path,
    detections: Detections,
    out: Path,
    *,
    labels: int = 3,
    hud: bool = False,
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """Write the video again with its people drawn on it: every picture at its time, upright, with its sound.

    H.264 in an MP4; odd sizes grow by a row or column, which repeats the last one. The first sound track is
    copied where MP4 takes its codec, else it becomes AAC. The file appears whole or not at all.

    Args:
        video: What `detections` are of.
        detections: Who does what; boxes are scaled where the video's size differs from theirs.
        out: An MP4 to make or replace; or a PNG or JPEG, for a `contact_sheet`.
        labels: How many actions of a person are shown at most.
        hud: Also show time, people and speeds in a corner.
        progress: Called with pictures done and expected after each.
    Returns:
        One line for each thing that the user should know, for example that the video is damaged.
    Raises:
        UsageError: `out` is no MP4 or picture, is the video itself, or its folder does not exist.
        InputError, LimitExceeded: as reading the video raises; nothing is left at `out`.
        OSError: `out` cannot be written.
    """
    if out.suffix.lower() in SHEET_SUFFIXES:
        return contact_sheet(video, detections, out, labels=labels)
    _check(video, out, (".mp4",))
    info = probe(video)
    people = PeopleOverTime(detections, size_px=(info.height, info.width))
    painter = PeoplePainter((info.height, info.width), labels=labels)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(FrameStream(video))
        sound = stack.enter_context(AudioTrack(video))
        frames = stack.enter_context(
            Prefetcher(stream, size_bytes=lambda item: item[1].nbytes, most_bytes=_WAITING_BYTES)
        )
        writer = stack.enter_context(_writer(out, info, fps=stream.fps, sound=sound))
        expected = round(detections.duration_s * stream.fps)
        last_s = -_LEAST_STEP_S
        for done, (time_s, picture) in enumerate(frames, start=1):
            shown = people.at(time_s)
            painter.draw(picture, shown, hud=_hud(detections, time_s, len(shown)) if hud else None)
            last_s = max(time_s, last_s + _LEAST_STEP_S)
            writer.write(picture, time_s=last_s)
            if progress is not None:
                progress(done, max(done, expected))
    return (*stream.warnings, *sound.warnings)


def contact_sheet(video: Path, detections: Detections, out: Path, *, labels: int = 3) -> tuple[str, ...]:
    """Write up to nine keyframes, those with the most people, beside each other in order of time.

    Args:
        video: What `detections` are of.
        detections: Who does what.
        out: A PNG or JPEG to make or replace.
        labels: How many actions of a person are shown at most.
    Returns, Raises: As `annotate_video`.
    """
    _check(video, out, SHEET_SUFFIXES)
    times_s = _fullest_keyframes(detections)
    decoded = read_frames(video, [AtTimes(times_s)])
    height, width = decoded.frames.shape[1:3]
    size = (_SHEET_WIDTH_PX, max(1, round(height * _SHEET_WIDTH_PX / width)))
    people = PeopleOverTime(detections, size_px=(size[1], size[0]))
    columns = min(_SHEET_COLUMNS, len(times_s))
    rows = -(-len(times_s) // columns)
    steps = (size[0] + _SHEET_GAP_PX, size[1] + _SHEET_GAP_PX)
    sheet = Image.new("RGB", (columns * steps[0] - _SHEET_GAP_PX, rows * steps[1] - _SHEET_GAP_PX), "white")
    for number, (time_s, picture) in enumerate(zip(times_s, decoded.clip(), strict=True)):
        small = np.array(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
        PeoplePainter(small.shape[:2], labels=labels).draw(small, people.at(time_s), hud=Hud(time_s=time_s))
        row, column = divmod(number, columns)
        sheet.paste(Image.fromarray(small), (column * steps[0], row * steps[1]))
    with atomic_path(out) as temporary:
        sheet.save(temporary, quality=92)
    return tuple(decoded.warnings)


class PeopleOverTime:
    """Who is to be seen where at any time, from what was seen at keyframes.

    Args:
        detections: What was seen.
        size_px: (height, width) of the pictures that people are drawn on.
    """

    def __init__(self, detections: Detections, *, size_px: tuple[int, int]) -> None:
        self._tracks = [track for track in detections.tracks if track.points]
        self._times_s = [[seen.time_s for seen in track.points] for track in self._tracks]
        keyframes_s = np.unique(np.concatenate([detections.keyframes_s, *self._times_s]))
        self._keyframes = [np.searchsorted(keyframes_s, times_s) for times_s in self._times_s]
        halfway_s = (keyframes_s[1:] + keyframes_s[:-1]) / 2
        hold_s = _HOLD * detections.every_s
        self._from_s = np.concatenate([keyframes_s[:1] - hold_s, halfway_s])
        self._until_s = np.concatenate([halfway_s, keyframes_s[-1:] + hold_s])
        self._begins_s = np.array([self._from_s[numbers[0]] for numbers in self._keyframes])
        self._ends_s = np.array([self._until_s[numbers[-1]] for numbers in self._keyframes])
        self._scale = (size_px[1] / detections.width_px, size_px[0] / detections.height_px) * 2

    def at(self, time_s: float) -> list[ShownPerson]:
        """The people at a time in seconds since the first picture, by track."""
        candidates = np.flatnonzero((self._begins_s <= time_s) & (time_s <= self._ends_s))
        people = (self._person(i, time_s) for i in candidates.tolist())
        return [person for person in people if person is not None]

    def _person(self, index: int, time_s: float) -> ShownPerson | None:
        """None: in a gap too long to guess where the person was."""
        track, times_s, keyframes = self._tracks[index], self._times_s[index], self._keyframes[index]
        following = bisect.bisect_right(times_s, time_s)
        before, after = max(following - 1, 0), min(following, len(times_s) - 1)
        near = min(before, after, key=lambda i: abs(times_s[i] - time_s))
        nearest = track.points[near]
        if keyframes[after] - keyframes[before] <= _MOST_GAP:
            box = _between(track.points[before], track.points[after], time_s)
        elif self._from_s[keyframes[near]] <= time_s <= self._until_s[keyframes[near]]:
            box = nearest.box_xyxy_px
        else:
            return None
        x1, y1, x2, y2 = (side * scale for side, scale in zip(box, self._scale, strict=True))
        actions = tuple((action.label, action.score) for action in nearest.actions)
        return ShownPerson(track.track_id, (x1, y1, x2, y2), actions)


def _between(before: TrackPoint, after: TrackPoint, time_s: float) -> BoxPx:
    """The box on its even way; before the first sight and after the last one it stands still."""
    length_s = after.time_s - before.time_s
    share = min(max((time_s - before.time_s) / length_s, 0.0), 1.0) if length_s > 0 else 0.0
    sides = zip(before.box_xyxy_px, after.box_xyxy_px, strict=True)
    x1, y1, x2, y2 = ((1 - share) * start + share * end for start, end in sides)
    return x1, y1, x2, y2


def _check(video: Path, out: Path, suffixes: tuple[str, ...]) -> None:
    """Raises: UsageError: as `annotate_video`."""
    if out.suffix.lower() not in suffixes:
        raise UsageError(
            f"cannot write {display_path(out)}: name a file that ends in {' or '.join(suffixes)}"
        )
    if not out.parent.is_dir():
        raise UsageError(f"cannot write {display_path(out)}: the folder does not exist; make it first")
    if out.exists() and video.exists() and out.samefile(video):
        raise UsageError(f"{display_path(out)} is the video itself; give another name")


def _writer(out: Path, info: VideoInfo, *, fps: float, sound: AudioTrack) -> VideoWriter:
    pixel_aspect = Fraction(info.sample_aspect_ratio).limit_denominator(1000)
    return VideoWriter(
        out,
        width=info.width,
        height=info.height,
        fps=fps,
        crf=_CRF,
        preset=_PRESET,
        pixel_aspect=1 / pixel_aspect if info.rotation_deg % 180 else pixel_aspect,
        sound=sound,
    )


def _hud(detections: Detections, time_s: float, people: int) -> Hud:
    actions_s, all_s = detections.timing_s.get("actions", 0.0), sum(detections.timing_s.values())
    return Hud(
        time_s=time_s,
        people=people,
        keyframes_per_s=len(detections.keyframes_s) / actions_s if actions_s > 0 else None,
        video_s_per_s=detections.duration_s / all_s if all_s > 0 else None,
    )


def _fullest_keyframes(detections: Detections) -> tuple[float, ...]:
    """Those with the most people, up to nine, in order; among equals evenly over the video."""
    counts = dict.fromkeys(detections.keyframes_s or (0.0,), 0)
    for track in detections.tracks:
        for seen in track.points:
            counts[seen.time_s] = counts.get(seen.time_s, 0) + 1
    chosen: list[float] = []
    for count in sorted(set(counts.values()), reverse=True):
        equal = sorted(time_s for time_s, people in counts.items() if people == count)
        room = _SHEET_MOST - len(chosen)
        if len(equal) > room:
            middles = (np.arange(room) + 0.5) * len(equal) / max(room, 1)
            equal = [equal[int(i)] for i in middles]
        chosen += equal
    return tuple(sorted(chosen))
