"""Folders of numbered pictures, read as videos."""

import shutil

import numpy as np
import pytest

from tests.support import bad_videos
from twinpath.errors import CorruptVideo, LimitExceeded, NotAFile, NotAVideo, UsageError
from twinpath.video.clip_plan import ClipSampling, Keyframes, Selections, Windows
from twinpath.video.clips import open_clips
from twinpath.video.decode import EvenSpan, FrameStream, read_frames
from twinpath.video.isolated import probe_isolated, read_frames_isolated
from twinpath.video.probe import frame_times, probe
from twinpath.video.source import Limits, open_video

ASSUMED = "pictures have no times: 25 frames per second assumed"


def numbers(frames):
    return [round((float(frame[30, 40].mean()) - 20) / 4) for frame in frames]


def shown(path, **options):
    """The numbers of the frames, their times, and the warnings."""
    with FrameStream(path, **options) as stream:
        timed = list(stream)
    return numbers(frame for _, frame in timed), [time_s for time_s, _ in timed], stream.warnings


@pytest.mark.parametrize(
    "name", ["img_{:05d}.jpg", "{}.png", "frame{:03d}.JPG", "clip7_{:04d}_rgb.jpeg", "v 1.2-{:02d}.png"]
)
def test_numbered_pictures_are_a_video(tmp_path, name):
    folder = bad_videos.make_frames(tmp_path / "throw", name=name)
    frames, times_s, warnings = shown(folder, fps=10)
    assert frames == list(range(1, 21))  # 2 before 10, without zeros, too
    assert times_s == pytest.approx([k / 10 for k in range(20)])
    assert warnings == []
    info = probe(folder, fps=10)
    assert (info.width, info.height, info.average_fps, info.duration_s) == (64, 48, 10.0, 2.0)
    assert (info.container, info.frame_count_claimed, info.has_audio) == ("frames", 20, False)
    assert info.size_bytes == sum(path.stat().st_size for path in folder.iterdir())


def test_without_a_frame_rate_25_are_assumed_and_said(tmp_path):
    folder = bad_videos.make_frames(tmp_path / "throw")
    _, times_s, warnings = shown(folder)
    assert times_s[-1] == pytest.approx(19 / 25)
    assert warnings == [ASSUMED]
    assert probe(folder).warnings == (ASSUMED,)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e9])
def test_a_frame_rate_that_is_none_is_refused(tmp_path, fps):
    with pytest.raises(UsageError, match="fps must be from"):
        open_video(bad_videos.make_frames(tmp_path / "throw", range(2)), fps=fps)


def test_a_frame_rate_of_television_is_exact(tmp_path):
    folder = bad_videos.make_frames(tmp_path / "throw", range(1, 4))
    assert frame_times(folder, fps=30000 / 1001).tolist() == pytest.approx([0, 1001 / 30000, 2002 / 30000])


def test_a_raw_stream_takes_the_frame_rate_and_other_files_do_not(tmp_path):
    raw = bad_videos.make_raw_h264(tmp_path)
    _, times_s, warnings = shown(raw, fps=50)
    assert (times_s[1], warnings) == (1 / 50, [])
    _, times_s, warnings = shown(bad_videos.make_good(tmp_path), fps=50)
    assert times_s[1] == 1 / 25
    assert warnings == ["the frame rate that was given is not used: the file has its own times"]


def test_clips_of_every_plan_are_those_of_the_pictures(tmp_path):
    folder = bad_videos.make_frames(tmp_path / "throw", range(50), name="{:02d}.png")
    for plan in (
        Selections((EvenSpan(1.0, 0.4, num_frames=10),)),
        Windows(ClipSampling(10, 1), every_s=0.4),
        Keyframes(num_frames=10, sampling_rate=1.0, every_s=0.5),
    ):
        with (
            open_clips(folder, plan, fps=25) as clips,
            open_clips(folder, plan, fps=25, isolate=True) as others,
        ):
            for clip, other in zip(clips, others, strict=True):
                assert numbers(clip.frames) == [round(25 * time_s) for time_s in clip.times_s]
                assert np.array_equal(clip.frames, other.frames)
            assert clips.warnings == others.warnings == []


def test_late_clips_decode_no_early_pictures(tmp_path):
    folder = bad_videos.make_frames(tmp_path / "throw", range(200))
    decoded = read_frames(folder, [EvenSpan(7.0, 0.2, num_frames=5)])
    assert numbers(decoded.frames) == [k % 50 for k in range(175, 180)]
    assert decoded.frames_decoded == 5


def test_gaps_in_the_numbers_are_gaps_in_time(tmp_path):
    folder = bad_videos.make_frames(tmp_path / "throw", [1, 2, 3, 6, 7])
    frames, times_s, warnings = shown(folder, fps=10)
    assert frames == [1, 2, 3, 6, 7]
    assert times_s == pytest.approx([0, 0.1, 0.2, 0.5, 0.6])
    assert warnings == ["2 frames are missing (3 is followed by 6): the frame before a gap stays as long"]
    assert probe(folder, fps=10).duration_s == pytest.approx(0.7)


def test_every_fifth_number_is_no_gap(tmp_path):
    folder = bad_videos.make_frames(tmp_path / "throw", range(0, 50, 5))
    _, times_s, warnings = shown(folder, fps=5)
    assert times_s == pytest.approx([k / 5 for k in range(10)])
    assert warnings == []


def test_numbers_that_are_times_give_the_order_only(tmp_path):
    folder = bad_videos.make_frames(tmp_path / "throw", [0, 33, 67, 100, 133], name="{:06d}ms.png")
    _, times_s, warnings = shown(folder, fps=30)
    assert times_s == pytest.approx([k / 30 for k in range(5)])
    assert "no even steps" in warnings[0]


def test_pictures_of_other_sizes_are_scaled_and_counted(tmp_path):
    folder = bad_videos.make_frames(tmp_path / "throw", range(1, 4))
    bad_videos.make_frames(folder, range(4, 6), size=(96, 64))
    decoded = read_frames(folder, [EvenSpan(0, 1, num_frames=5)], fps=25)
    assert decoded.frames.shape == (5, 48, 64, 3)
    assert decoded.warnings == ["the frame size changes midway: 2 frames scaled to the size of the first"]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1"])
def test_grey_palettes_and_transparency_are_read(tmp_path, mode):
    from PIL import Image

    folder = bad_videos.make_frames(tmp_path / "throw", range(1, 4), name="{}.png", mode=mode)
    with FrameStream(folder, fps=25) as stream:
        for (_, frame), number in zip(stream, range(1, 4), strict=True):
            with Image.open(folder / f"{number}.png") as image:
                assert np.abs(frame.astype(int) - np.asarray(image.convert("RGB"))).max() <= 1
    assert stream.warnings == []


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_says(tmp_path, suffix, orientation):
    from PIL import Image, ImageOps

    folder = bad_videos.make_frames(
        tmp_path / "throw", [1, 2], name=f"{{}}.{suffix}", orientation=orientation
    )
    picture = read_frames(folder, [EvenSpan(0, 0.1, num_frames=1)]).frames[0]
    with Image.open(folder / f"1.{suffix}") as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected).max() <= 4
    info = probe(folder)
    assert (info.height, info.width) == expected.shape[:2]


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0\0\x10JFIF"])
def test_a_damaged_picture_leaves_the_others(tmp_path, content):
    folder = bad_videos.make_frames(tmp_path / "throw", range(1, 6))
    (folder / "img_00003.jpg").write_bytes(content)
    frames, times_s, warnings = shown(folder, fps=25)
    assert frames == [1, 2, 4, 5]
    assert times_s == pytest.approx([0, 0.04, 0.12, 0.16])
    assert warnings[0].startswith("decoded 4 of 5 frames")
    with pytest.raises(CorruptVideo):
        shown(folder, strict=True)


def test_the_contents_of_a_picture_decide_what_it_is(tmp_path):
    folder = bad_videos.make_frames(tmp_path / "throw", range(1, 4), name="{}.png")
    for path in folder.iterdir():
        path.rename(path.with_suffix(".jpg"))
    assert shown(folder)[0] == [1, 2, 3]


def test_a_bomb_among_the_pictures_is_refused_before_it_is_decoded(tmp_path):
    folder = bad_videos.make_frames(tmp_path / "throw", range(1, 3), name="{}.png")
    data = bytearray((folder / "1.png").read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    (folder / "1.png").write_bytes(data)
    with pytest.raises(LimitExceeded, match=r"1\.png claims frames of 60000x60000"):
        read_frames(folder, [EvenSpan(0, 1, num_frames=2)])
    large = bad_videos.make_frames(tmp_path / "large", range(1, 3))
    with pytest.raises(LimitExceeded, match="64x48"):
        probe(large, limits=Limits(max_pixels=1000))


def test_several_sequences_in_a_folder_are_told_apart_by_a_pattern(tmp_path):
    folder = bad_videos.make_frames(tmp_path / "throw", range(1, 6))
    bad_videos.make_frames(folder, range(11, 21), name="flow_x_{:05d}.jpg")
    with pytest.raises(NotAVideo, match=r"flow_x_\*\.jpg \(10\), img_\*\.jpg \(5\)") as caught:
        open_video(folder)
    assert str(caught.value).endswith("throw/img_%05d.jpg")
    assert shown(folder / "flow_x_%05d.jpg")[0] == list(range(11, 21))
    assert shown(folder / "img_%05d.jpg")[0] == list(range(1, 6))
    with pytest.raises(NotAFile, match="no two pictures have such names"):
        open_video(folder / "depth_%05d.jpg")


def test_other_pictures_beside_a_sequence_are_counted(tmp_path):
    folder = bad_videos.make_frames(tmp_path / "throw", range(1, 6))
    shutil.copy(folder / "img_00001.jpg", folder / "cover3.jpg")
    (folder / "notes.txt").write_text("a throw")
    frames, _, warnings = shown(folder, fps=25)
    assert frames == [1, 2, 3, 4, 5]
    assert warnings == ["1 picture of another name in the folder is passed over"]


def test_two_pictures_of_one_number_are_refused(tmp_path):
    folder = bad_videos.make_frames(tmp_path / "throw", range(1, 4))
    shutil.copy(folder / "img_00001.jpg", folder / "img_1.jpg")
    with pytest.raises(NotAVideo, match=r"two pictures of number 1: img_00001\.jpg and img_1\.jpg"):
        open_video(folder)


@pytest.mark.parametrize(
    "names", [[], ["1.jpg"], ["cat.jpg", "dog.jpg"], ["1.tif", "2.tif"], [".1.jpg", ".2.jpg"]]
)
def test_a_folder_without_numbered_pictures_is_no_video(tmp_path, names):
    for name in names:
        (tmp_path / name).write_bytes(b"\xff\xd8\xff")
    with pytest.raises(NotAFile, match="is a folder, not a file, and holds no numbered"):
        open_video(tmp_path)


def test_frames_are_read_in_another_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = bad_videos.make_frames(tmp_path / "throw", [1, 2, 4])
    bad_videos.make_frames(folder, [7, 8], name="other_{}.jpg")
    for path in ("throw/img_%05d.jpg", folder / "other_%d.jpg"):
        assert probe_isolated(path, fps=10) == probe(path, fps=10)
        views = [EvenSpan(0, 1, num_frames=4)]
        there, here = read_frames_isolated(path, views, fps=10), read_frames(path, views, fps=10)
        assert np.array_equal(there.frames, here.frames)
        assert there.warnings == here.warnings
    with pytest.raises(NotAVideo, match="2 sequences"):
        probe_isolated(folder)
