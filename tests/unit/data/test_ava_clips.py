"""The clip around a second: the reference's frames, from videos and from folders of frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.golden_weights import GOLDEN
from twinpath.data.ava import (
    AvaClip,
    FrameFolder,
    MissingClip,
    VideoFile,
    clip_indices,
    frame_folders,
    video_files,
)
from twinpath.errors import InputError, NotAFile
from twinpath.video.sampling import keyframe_times, on_screen_indices
from twinpath.video.writer import VideoWriter

SEQUENCES = json.loads((GOLDEN / "rules" / "ava_sequence.json").read_text())
CLIP = {"num_frames": 8, "sampling_rate": 4}
NUM_FRAMES = 100  # of the videos here: 3.3 s


def grey(i: int) -> int:
    """What frame i shows."""
    return 20 + 2 * i


def shown(clip: AvaClip | MissingClip) -> list[int]:
    """The numbers of the frames of a clip."""
    assert isinstance(clip, AvaClip)
    return np.ceil((clip.frames.mean(axis=(1, 2, 3)) - 20) / 2 - 0.3).astype(int).tolist()  # H.264 loses 1


def write_video(path: Path) -> Path:
    with VideoWriter(path, width=64, height=48, fps=30) as writer:
        for i in range(NUM_FRAMES):
            writer.write(np.full((48, 64, 3), grey(i), dtype=np.uint8))
    return path


def write_frames(folder: Path, numbers: range = range(1, NUM_FRAMES + 1)) -> Path:
    folder.mkdir(parents=True)
    for number in numbers:
        Image.new("RGB", (64, 48), (grey(number - 1),) * 3).save(folder / f"{folder.name}_{number:06d}.png")
    return folder


@pytest.mark.parametrize(("centre", "num_frames", "sampling_rate", "available", "wanted"), SEQUENCES)
def test_clips_have_the_references_frames(
    centre: int, num_frames: int, sampling_rate: int, available: int, wanted: list[int]
) -> None:
    """By index, and by time of a video of 30 fps."""
    indices = clip_indices(
        centre, num_frames=num_frames, sampling_rate=sampling_rate, num_available=available
    )
    assert indices.tolist() == wanted
    times_s = keyframe_times(centre / 30, num_frames=num_frames, sampling_rate=sampling_rate)
    assert on_screen_indices(np.arange(available) / 30, times_s).tolist() == wanted


def test_the_rule_by_time_puts_the_keyframe_in_the_middle() -> None:
    """Frame i lies (i - T / 2) * tau / 30 s from the keyframe, to the last bit, where T * tau is even."""
    for num_frames in range(2, 65, 2):
        for sampling_rate in (1, 2, 3, 4, 5, 8, 16):
            for keyframe_s in (0.0, 0.1, 902.0, 1798.3):
                steps = np.arange(num_frames) - num_frames / 2
                times_s = keyframe_times(keyframe_s, num_frames=num_frames, sampling_rate=sampling_rate)
                assert np.array_equal(times_s, keyframe_s + steps * sampling_rate / 30)


def test_a_cut_and_its_frames_give_the_same_clips(tmp_path: Path) -> None:
    cut = VideoFile(write_video(tmp_path / "a_902.mp4"))
    write_frames(tmp_path / "frames" / "a")
    folder = frame_folders(tmp_path / "frames")["a"]
    wanted = {
        900: [0, 0, 0, 0, 0, 4, 8, 12],
        902: [44, 48, 52, 56, 60, 64, 68, 72],
        903: [74, 78, 82, 86, 90, 94, 98, 99],
    }
    for source in (cut, folder):
        clips = {clip.second: shown(clip) for clip in source.clips(list(wanted), **CLIP)}
        assert clips == wanted


def test_where_a_video_begins_is_told_by_its_length(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4")
    second_2 = [44, 48, 52, 56, 60, 64, 68, 72]
    assert [shown(clip) for clip in VideoFile(video).clips([902], **CLIP)] == [second_2]  # a cut
    assert [shown(clip) for clip in VideoFile(video).clips([2], **CLIP)] == [second_2]  # a video of its own
    assert [shown(clip) for clip in VideoFile(video, begins_at_s=5).clips([7], **CLIP)] == [second_2]


def test_a_second_behind_the_end_is_lost_and_the_others_are_not(tmp_path: Path) -> None:
    video = VideoFile(write_video(tmp_path / "a_902.mp4"))
    folder = FrameFolder(tmp_path, sorted(write_frames(tmp_path / "a").iterdir()))
    for source, reason in ((video, "has no frame at 60.0 s"), (folder, "has 100 frames and no frame 1800")):
        there, lost = source.clips([902, 960], **CLIP)
        assert shown(there)[4] == 60
        assert lost.second == 960
        assert reason in lost.reason


def test_a_frame_that_does_not_decode_loses_its_seconds(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "frames" / "a")
    (folder / "a_000061.png").write_text("no picture")
    clips = list(frame_folders(tmp_path / "frames")["a"].clips([900, 902], **CLIP))
    assert shown(clips[0])[-1] == 12
    assert clips[1] == MissingClip(902, f"{folder / 'a_000061.png'} is not a readable picture")
    (folder / "a_000061.png").unlink()
    with pytest.raises(InputError, match="frame 62 follows frame 60"):
        list(frame_folders(tmp_path / "frames")["a"].clips([900], **CLIP))


def test_only_pictures_of_the_listed_formats_are_opened(tmp_path: Path) -> None:
    """Pillow would decode any of its formats, whatever the file is called."""
    folder = write_frames(tmp_path / "a")
    Image.new("RGB", (64, 48)).save(folder / "a_000061.png", format="PPM")
    clips = list(FrameFolder(folder, sorted(folder.iterdir()), by_name=True).clips([902], **CLIP))
    assert clips == [MissingClip(902, f"{folder / 'a_000061.png'} is not a readable picture")]


def test_frames_of_several_sizes_are_no_clip(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "frames" / "a")
    Image.new("RGB", (32, 32)).save(folder / "a_000061.png")
    (lost,) = frame_folders(tmp_path / "frames")["a"].clips([902], **CLIP)
    assert lost == MissingClip(902, f"{folder}: its frames have different sizes")


def test_a_video_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(InputError, match=r"a\.mp4"):
        list(VideoFile(tmp_path / "a.mp4").clips([902], **CLIP))


def test_videos_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for name in ("-5KQ66BBWC4.mkv", "more/1j20qq1JyX4_902.mp4", "notes.txt"):
        (tmp_path / name).touch()
    assert set(video_files(tmp_path)) == {"-5KQ66BBWC4", "1j20qq1JyX4"}
    (tmp_path / "1j20qq1JyX4.mp4").touch()
    with pytest.raises(InputError, match="are videos with the same name"):
        video_files(tmp_path)
    with pytest.raises(NotAFile, match="no such folder of videos"):
        video_files(tmp_path / "missing")


def test_folders_of_frames_are_found_by_name(tmp_path: Path) -> None:
    with pytest.raises(NotAFile, match="a folder of frames for each video"):
        frame_folders(tmp_path)
    for number in (10, 9, 11):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / f"frame{number}.jpg").touch()
    (tmp_path / "b").mkdir()
    found = frame_folders(tmp_path)
    assert [p.name for p in found["a"].pictures] == ["frame9.jpg", "frame10.jpg", "frame11.jpg"]
    with pytest.raises(InputError, match="holds no frames"):
        list(found["b"].clips([902], **CLIP))
