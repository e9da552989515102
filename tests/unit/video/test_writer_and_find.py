"""Videos appear whole or not at all; arguments become paths."""

import resource
from pathlib import Path

import numpy as np
import pytest

from twinpath.errors import NoFrames, NotAFile, UsageError
from twinpath.video.decode import EvenSpan, FrameStream, read_frames
from twinpath.video.find import find_all, find_videos, skipped_in_words
from twinpath.video.probe import probe
from twinpath.video.writer import VideoWriter


def picture(red, green, blue, *, height=48, width=64):
    return np.full((height, width, 3), (red, green, blue), dtype=np.uint8)


def test_what_is_written_reads_back(tmp_path):
    path = tmp_path / "out.mp4"
    with VideoWriter(path, width=64, height=48, fps=30000 / 1001) as writer:
        for k in range(30):
            writer.write(picture(8 * k, 60, 200 - 4 * k))
        assert not path.exists()
    decoded = read_frames(path, [EvenSpan(0, 2, num_frames=30)], strict=True)
    for k in range(30):
        np.testing.assert_allclose(decoded.clip()[k, 24, 32], (8 * k, 60, 200 - 4 * k), atol=6)
    assert decoded.clip_times_s()[29] == pytest.approx(29 * 1001 / 30000, abs=1e-4)
    info = probe(path)
    assert info.average_fps == pytest.approx(30000 / 1001, rel=1e-3)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert [item.name for item in tmp_path.iterdir()] == ["out.mp4"]


def test_frames_keep_their_own_times(tmp_path):
    path = tmp_path / "variable.mp4"
    with VideoWriter(path, width=64, height=48, fps=25) as writer:
        for time_s in (0.0, 0.1, 1.5):
            writer.write(picture(9, 9, 9), time_s=time_s)
        with pytest.raises(ValueError, match="must increase"):
            writer.write(picture(9, 9, 9), time_s=1.5)
    with FrameStream(path) as stream:
        assert [time_s for time_s, _ in stream] == pytest.approx([0.0, 0.1, 1.5], abs=1e-4)


def test_odd_sizes_are_padded(tmp_path):
    with VideoWriter(tmp_path / "odd.mp4", width=33, height=17, fps=5) as writer:
        writer.write(picture(200, 10, 10, height=17, width=33))
    info = probe(tmp_path / "odd.mp4")
    assert (info.width, info.height) == (34, 18)


def test_the_same_frames_give_the_same_bytes(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        rng = np.random.default_rng(0)
        with VideoWriter(tmp_path / name, width=64, height=48, fps=25) as writer:
            for _ in range(20):
                writer.write(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_writer_leaves_the_old_file(tmp_path, interruption):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")

    def write_and_stop():
        with VideoWriter(path, width=64, height=48, fps=25) as writer:
            writer.write(picture(1, 2, 3))
            raise interruption

    with pytest.raises(interruption):
        write_and_stop()
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["out.mp4"]


def test_a_video_without_frames_is_not_made(tmp_path):
    with (
        pytest.raises(NoFrames, match="no frame was written"),
        VideoWriter(tmp_path / "out.mp4", width=64, height=48, fps=25),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_frame_is_refused(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", width=64, height=48, fps=25) as writer:
        writer.write(picture(1, 2, 3))
        with pytest.raises(ValueError, match=r"shape \(48, 64, 3\)"):
            writer.write(picture(1, 2, 3, height=40))
        with pytest.raises(ValueError, match="float64"):
            writer.write(picture(1, 2, 3).astype(np.float64))


def test_a_strange_name_is_a_name(tmp_path):
    path = tmp_path / "http:a%03d.mp4"
    with VideoWriter(path, width=64, height=48, fps=25) as writer:
        writer.write(picture(1, 2, 3))
    assert probe(path).width == 64


def test_a_missing_folder_or_a_senseless_number_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="make it first"):
        VideoWriter(tmp_path / "none" / "out.mp4", width=64, height=48, fps=25)
    with pytest.raises(UsageError, match="0 fps"):
        VideoWriter(tmp_path / "out.mp4", width=64, height=48, fps=0)


@pytest.fixture
def tree(tmp_path):
    for name in ("b.mp4", "a.MKV", "notes.txt", ".hidden.mp4", "sub/c.webm", "[x].mp4", "x.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def names(paths, folder):
    return [str(path.relative_to(folder)) for path in paths]


def test_a_folder_gives_its_videos_sorted(tree):
    assert names(find_videos([tree]), tree) == ["[x].mp4", "a.MKV", "b.mp4", "sub/c.webm", "x.mp4"]


def test_a_pattern_gives_its_matches_and_nothing_comes_twice(tree):
    found = find_videos([tree / "b.mp4", str(tree / "*.mp4"), tree / "sub" / ".." / "b.mp4"])
    assert names(found, tree) == ["b.mp4", "[x].mp4", "x.mp4"]


def test_a_name_that_exists_is_no_pattern(tree):
    assert names(find_videos([tree / "[x].mp4"]), tree) == ["[x].mp4"]


def test_a_missing_file_stays_to_fail_by_name(tree):
    assert names(find_videos([tree / "none.mp4", tree / "b.mp4"]), tree) == ["none.mp4", "b.mp4"]


@pytest.mark.parametrize(("argument", "words"), [("empty", "holds no videos"), ("*.avi", "matches no file")])
def test_nothing_found_is_an_error(tree, argument, words):
    with pytest.raises(NotAFile, match=words):
        find_videos([tree / argument])


def write(place: Path, frames: np.ndarray) -> None:
    _, height, width, _ = frames.shape
    with VideoWriter(place, width=width, height=height, fps=30) as writer:
        for frame in frames:
            writer.write(frame)


def test_a_full_disk_is_told_by_the_name_of_the_file(tmp_path: Path) -> None:
    """Not by that of the temporary one; and the old file stays."""
    place = tmp_path / "noise.mp4"
    place.write_bytes(b"old")
    noise = np.random.default_rng(0).integers(0, 255, (30, 128, 128, 3), dtype=np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match="free some space, the old file is kept") as error:
            write(place, noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.filename == str(place)
    assert place.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["noise.mp4"]


def make_tree(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


CAMCORDER = (
    *("a.MP4", "b.m2t", "c.qt", "d.f4v", "e.3g2", "f.divx", "g.mk3d", "h.mpg", "i.VOB", "j.wmv", "k.asf"),
    *("l.flv", "m.ogv", "n.mxf", "o.mod", "p.tod", "q.mts", "r.dv"),
)


def test_every_ending_of_a_camcorder_is_found(tmp_path: Path) -> None:
    found = find_all([make_tree(tmp_path, *CAMCORDER)])
    assert [str(video.name) for video in found.videos] == sorted(CAMCORDER)
    assert found.skipped == {}


def test_what_is_passed_over_in_folders_is_counted_by_ending(tmp_path: Path) -> None:
    names = ("a.mp4", "a.THM", "sub/b.thm", "sub/b.mp4", "notes.txt", "README", ".hidden", ".git/x.thm")
    found = find_all([make_tree(tmp_path, *names), tmp_path / "a.mp4"])
    assert found.skipped == {".thm": 2, ".txt": 1, "": 1}
    assert skipped_in_words(found.skipped) == "4 files skipped: 2 .thm, 1 .txt, 1 without an ending"
    assert skipped_in_words({".wmv": 1}) == "1 file skipped: 1 .wmv"
    assert "\x1b" not in skipped_in_words({".\x1b[2J": 1})


def test_a_result_is_neither_found_nor_counted(tmp_path: Path) -> None:
    found = find_all(
        [make_tree(tmp_path, "a.mp4", "a.drawn.mp4")], is_result=lambda path: "drawn" in path.name
    )
    assert ([str(video.name) for video in found.videos], found.skipped) == (["a.mp4"], {})


def test_a_folder_without_videos_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(
        NotAFile, match=r"holds no videos and no numbered pictures \(3 files skipped: 2 .txt, 1 .jpg\)"
    ):
        find_all([make_tree(tmp_path, "a.txt", "b.txt", "cat.jpg")])


def test_folders_of_numbered_pictures_are_videos(tmp_path: Path) -> None:
    pictures = [f"{folder}/img_{number}.jpg" for folder in ("catch", "deep/throw") for number in range(3)]
    make_tree(tmp_path, *pictures, "deep/clip.mp4", "catch/notes.txt", "lone/1.jpg", "photos/cat.png")
    found = find_all([tmp_path])
    assert [str(video.name) for video in found.videos] == ["catch", "deep/clip.mp4", "deep/throw"]
    assert found.skipped == {".txt": 1, ".jpg": 1, ".png": 1}
    alone = find_all([tmp_path / "catch"])
    assert [(video.path, str(video.name)) for video in alone.videos] == [(tmp_path / "catch", "catch")]
    matched = find_all([str(tmp_path / "*")])
    assert [str(video.name) for video in matched.videos] == ["catch"]


def test_videos_beside_numbered_pictures_are_the_videos(tmp_path: Path) -> None:
    found = find_all([make_tree(tmp_path, "a.mp4", "thumb_1.jpg", "thumb_2.jpg")])
    assert [str(video.name) for video in found.videos] == ["a.mp4"]
    assert found.skipped == {".jpg": 2}


def test_the_current_folder_of_pictures_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make_tree(tmp_path / "throw", "1.png", "2.png"))
    assert [str(video.name) for video in find_all(["."]).videos] == ["throw"]
