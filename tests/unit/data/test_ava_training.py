"""AVA for training: who is learned from, at which seconds, in published files and in data of one's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinpath.data.ava import (
    AvaKeyframes,
    FrameFolder,
    VideoFile,
    ava_sources,
    clip_indices,
    keyframe_frames,
    read_ava_training,
    read_label_map,
    training_sources,
)
from twinpath.errors import InputError
from twinpath.video.writer import VideoWriter

TRUTH = """\
a,0902,0.077,0.151,0.283,0.811,80,1
a,0902,0.077,0.151,0.283,0.811,9,1
a,0902,0.332,0.194,0.481,0.891,12,0
a,0903,0.5,0.5,0.5,0.9,11,0
b,0904,0.1,0.1,0.4,0.4,14,3
a,0905,0.1,0.1,0.4,0.4,14,3
"""
PREDICTED = """\
a,0902,0.077,0.151,0.283,0.811,80,0.99
a,0902,0.600,0.100,0.900,0.800,,0.95
a,0902,0.700,0.100,0.900,0.800,,0.85
a,0902,0.3320,0.1940,0.4810,0.8910,8,0.97
a,0907,-0.05,0.1,0.3,1.02,,0.92
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def read(folder: Path, truth: str = TRUTH, predicted: str = PREDICTED, **options) -> AvaKeyframes:
    return read_ava_training(
        [write(folder / "truth.csv", truth)], [write(folder / "predicted.csv", predicted)], **options
    )


def people(keyframes: AvaKeyframes) -> dict[tuple[str, int], list[list[int]]]:
    """By video and second the action ids of each box."""
    return {(k.video, k.second): [(np.flatnonzero(row) + 1).tolist() for row in k.targets] for k in keyframes}


def test_boxes_of_the_truth_and_of_a_detector(tmp_path: Path) -> None:
    """Equal boxes are one person with the labels of all; unlabelled ones stay, flat ones do not."""
    keyframes = read(tmp_path)
    assert people(keyframes) == {
        ("a", 902): [[9, 80], [8, 12], []],
        ("a", 905): [[14]],
        ("a", 907): [[]],
        ("b", 904): [[14]],
    }
    first = keyframes[0]
    assert first.boxes_xyxy == pytest.approx(
        np.asarray([[0.077, 0.151, 0.283, 0.811], [0.332, 0.194, 0.481, 0.891], [0.6, 0.1, 0.9, 0.8]])
    )
    assert (first.targets.shape, first.targets.dtype, first.boxes_xyxy.dtype) == (
        (3, 80),
        np.float32,
        np.float32,
    )
    assert keyframes[2].boxes_xyxy == pytest.approx(np.asarray([[0.0, 0.1, 0.3, 1.0]]))  # within the picture
    assert keyframes.num_negatives == 2
    assert keyframes.notes == ("boxes without an area in the picture, left out: 1",)
    assert (len(keyframes.classes), keyframes.classes[79]) == (80, "watch (a person)")
    assert people(read(tmp_path, least_score=0.8))["a", 902] == [[9, 80], [8, 12], [], []]
    assert keyframes[-1].video == "b"


def test_seconds_that_are_left_out(tmp_path: Path) -> None:
    assert set(people(read(tmp_path, every=4))) == {("b", 904)}
    excluded = write(tmp_path / "excluded.csv", "a,0902\nb,0904\n")
    assert set(people(read(tmp_path, excluded=excluded))) == {("a", 905), ("a", 907)}
    assert set(people(read(tmp_path, seconds=range(902, 905)))) == {("a", 902), ("b", 904)}
    keyframes = read(tmp_path, available={"b"})
    assert set(people(keyframes)) == {("b", 904)}
    assert keyframes.notes == ("videos with boxes that are not there, left out: 1, first a",)
    with pytest.raises(InputError, match=r"truth\.csv: no box is left"):
        read(tmp_path, available=())


def test_the_truth_among_the_predicted_boxes_changes_nothing(tmp_path: Path) -> None:
    """As PySlowFast's published settings list it."""
    alone = read_ava_training([write(tmp_path / "truth.csv", TRUTH)])
    twice = read_ava_training([tmp_path / "truth.csv"], [tmp_path / "truth.csv"])
    assert people(twice) == people(alone)


@pytest.mark.parametrize(
    ("truth", "predicted", "what"),
    [
        ("a,1,0,0,1,1,4,1\n", "", r"truth\.csv:1: there is no action with id 4"),
        (
            "a,1,0,0,1,1,1,1\n",
            "a,1,0,0,1,1,1,.9\na,1,0,0,1,1,4,.9\n",
            r"predicted\.csv:2: there is no action with",
        ),
        ("a,1,0.5,0,0.1,1,1,1\n", "", r"truth\.csv:1: "),
    ],
)
def test_bad_rows(tmp_path: Path, truth: str, predicted: str, what: str) -> None:
    labels = read_label_map(write(tmp_path / "labels.csv", "1,jump\n2,run\n3,walk\n"))
    with pytest.raises(InputError, match=what):
        read(tmp_path, truth, predicted or "a,1,0,0,1,1,1,.9\n", label_map=labels)
    far = read_label_map(write(tmp_path / "labels.csv", "1,jump\n2000000000,run\n"))
    with pytest.raises(InputError, match="number the actions from 1 on"):
        read(tmp_path, "a,1,0,0,1,1,1,1\n", "a,1,0,0,1,1,1,.9\n", label_map=far)


def test_own_data_with_three_classes_another_frame_rate_and_start(tmp_path: Path) -> None:
    """Frames at 10 per second from second 0 on, in folders and in a list; and as a video."""
    labels = read_label_map(
        write(tmp_path / "labels.pbtxt", 'item { name: "jump" id: 1 }\nitem { name: "walk" id: 3 }\n')
    )
    keyframes = read_ava_training(
        [write(tmp_path / "truth.csv", "c,2,0.1,0.1,0.5,0.9,3\nc,2,0.1,0.1,0.5,0.9,1\n")], label_map=labels
    )
    assert keyframes.classes == ("jump", "action 2", "walk")
    assert keyframes[0].targets.tolist() == [[1.0, 0.0, 1.0]]
    rows = "original_vido_id video_id frame_id path labels\n"
    (tmp_path / "frames" / "c").mkdir(parents=True)
    (tmp_path / "videos").mkdir()
    with VideoWriter(tmp_path / "videos" / "c.mp4", width=64, height=48, fps=10) as video:
        for i in range(50):
            frame = np.full((48, 64, 3), 20 + 4 * i, dtype=np.uint8)
            video.write(frame)
            Image.fromarray(frame).save(tmp_path / f"frames/c/c_{i + 1:06d}.png")
            rows += f'c 0 {i} c/c_{i + 1:06d}.png ""\n'
    listed = write(tmp_path / "list.csv", rows)
    sources = (
        ava_sources([], tmp_path / "frames", begins_at_s=0, fps=10),
        ava_sources([listed], tmp_path / "frames", begins_at_s=0, fps=10),
        ava_sources([], tmp_path / "videos", begins_at_s=0),
    )
    for source in sources:
        frames = keyframe_frames(
            training_sources(source, keyframes), keyframes[0], num_frames=4, sampling_rate=6
        )
        shown = np.rint((frames.mean(axis=(1, 2, 3)) - 20) / 4).astype(int).tolist()
        assert shown == [16, 18, 20, 22]  # 0.2 s apart, around second 2
    with pytest.raises(InputError, match="video c is in another list, too"):
        ava_sources([listed, listed], tmp_path / "frames")
    with pytest.raises(InputError, match="is called c"):
        keyframe_frames({}, keyframes[0], num_frames=4, sampling_rate=6)
    late = FrameFolder(tmp_path, sorted((tmp_path / "frames/c").iterdir()), begins_at_s=0, fps=5.5)
    with pytest.raises(InputError, match="has 50 frames and no frame 55"):
        keyframe_frames({"c": late}, _at(keyframes, 10), num_frames=4, sampling_rate=6)


def _at(keyframes: AvaKeyframes, second: int):
    from dataclasses import replace

    return replace(keyframes[0], second=second)


def test_at_another_rate_the_frame_on_screen_is_taken() -> None:
    times = clip_indices(100, num_frames=4, sampling_rate=2, num_available=200, fps=25)
    assert times.tolist() == [96, 98, 100, 101]


def test_a_trimmed_video_is_known_by_its_last_second(tmp_path: Path) -> None:
    """Though clips are read one by one: 903 s are shorter than second 1798, and not shorter than 902."""
    with VideoWriter(tmp_path / "a.mp4", width=64, height=48, fps=1) as video:
        for i in range(903):
            video.write(np.full((48, 64, 3), 200 if i < 10 else 50, dtype=np.uint8))
    keyframes = read_ava_training([write(tmp_path / "truth.csv", TRUTH + "a,1798,0.1,0.1,0.4,0.4,14,3\n")])
    alone = {"a": VideoFile(tmp_path / "a.mp4")}
    shades = [
        keyframe_frames(sources, keyframes[0], num_frames=2, sampling_rate=1).mean()
        for sources in (training_sources(alone, keyframes), alone)
    ]
    assert shades == pytest.approx([200, 50], abs=5)  # frame 2, and frame 902
