"""Published data sets, in exactly their formats, and what users hit with them."""

from __future__ import annotations

import json
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinpath.data.labelled.clip import LabelledData, LabelSpan, Part
from twinpath.data.published.class_list import read_class_names
from twinpath.data.published.imagenet import picture_frames
from twinpath.data.published.read import missing_files, read_published
from twinpath.errors import InputError, NotAFile, UsageError
from twinpath.formats.frame_list import read_listed_videos
from twinpath.labels import labels
from twinpath.video.probe import probe


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        write(folder / name, "")
    return folder


def listed(data: LabelledData) -> list[tuple[str, tuple[int, ...]]]:
    """Names of files and indices of classes."""
    return [(clip.path.name, data.class_indices(clip)) for clip in data.clips]


# Kinetics


def test_a_kinetics_list(tmp_path: Path) -> None:
    """With a byte order mark, Windows line ends, paths with spaces, and a column of frames."""
    text = "\ufeffk/a.mp4 2\r\nmy clips/b c.mp4 0\r\n\r\n/abs/d.mp4 300 399\r\n"
    data = read_published(
        "kinetics", [write(tmp_path / "train.csv", text)], "train", videos="v", labels="kinetics400"
    )
    assert data.classes == labels("kinetics400")
    assert [clip.path for clip in data.clips] == [
        Path("v/k/a.mp4"),
        Path("v/my clips/b c.mp4"),
        Path("/abs/d.mp4"),
    ]
    assert [data.class_indices(clip) for clip in data.clips] == [(2,), (0,), (399,)]
    assert data.clips[-1].labels == ("zumba",)
    assert {clip.part for clip in data.clips} == {"train"}
    assert [clip.path.name for clip in data.clips[1:]] == ["b c.mp4", "d.mp4"]
    assert tuple(pickle.loads(pickle.dumps(data)).clips) == tuple(data.clips)  # noqa: S301 - our own


def test_another_separator_and_classes_without_names(tmp_path: Path) -> None:
    lists = [write(tmp_path / "a.csv", "a, b.mp4,1\n"), write(tmp_path / "b.csv", "c.mp4,0\n")]
    data = read_published("kinetics", lists, "test", separator=",")
    assert (listed(data), data.classes) == ([("a, b.mp4", (1,)), ("c.mp4", (0,))], ("0", "1"))
    assert len(read_published("kinetics", lists, "test", separator=",", num_classes=7).classes) == 7
    write(lists[0], "a.mp4,2000000000\n")
    with pytest.raises(InputError, match=r"a\.csv:1: label 2000000000 is no number of a class"):
        read_published("kinetics", lists, "test", separator=",")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a.mp4 0\nb.mp4 3\n", ":2: label 3, and the 3 classes have the numbers 0 to 2"),
        ("a.mp4 0\nb.mp4 -1\n", ":2: the label is '-1', not a whole number"),
        ("a.mp4 0\n\nb.mp4 x\n", ":3: the label is 'x'"),
        ("a.mp4,0\n", ":1: no label behind the separator ' '; here it is a comma"),
        ("a.mp4\n", ":1: no label behind the separator ' '"),
        (" 0\n", ":1: no label behind"),
        ("\n", ":1: there are no clips"),
    ],
)
def test_bad_kinetics_lists(tmp_path: Path, text: str, what: str) -> None:
    names = write(tmp_path / "names.txt", "run\nwalk\njump\n")
    with pytest.raises(InputError, match=rf"train\.csv{what}"):
        read_published("kinetics", [write(tmp_path / "train.csv", text)], "train", labels=names)


def test_doubled_lines_count_twice_and_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "train.csv", "a.mp4 0\na.mp4 0\nb.mp4 0\nc.mp4 1\nb.mp4 1\na.mp4 0\n")
    data = read_published("kinetics", [path], "train")
    assert len(data.clips) == 6
    assert data.notes == (
        "clips that are listed more than once, and count so often: 2; the first is a.mp4",
        "clips that are listed again with another label: 1; the first is a.mp4",
    )


HEADER = "label,youtube_id,time_start,time_end,split\n"


@pytest.mark.parametrize("layout", ["{file}", "{label}/{file}", "train/{joined}/{file}"])
def test_the_official_csv_of_kinetics(tmp_path: Path, layout: str) -> None:
    """Names of classes may hold commas; where the videos are is seen by some of them."""
    rows = '"open door, slowly",-3B32lodo2M,12,22,train\nabseiling,0-_AbCdEfGh,0,10.0,train\n'
    path = write(tmp_path / "train.csv", HEADER + rows)
    name = layout.format(
        file="-3B32lodo2M_000012_000022.mp4", label="open door, slowly", joined="open_door,_slowly"
    )
    touch(tmp_path / "videos", name)
    data = read_published("kinetics", [path], "train", videos=tmp_path / "videos", check=True)
    assert data.clips[0].path == tmp_path / "videos" / name
    assert data.clips[1].path.name == "0-_AbCdEfGh_000000_000010.mp4"
    assert (data.clips[0].labels, data.clips[0].group) == (("open door, slowly",), "-3B32lodo2M")
    assert data.classes == ("abseiling", "open door, slowly")
    assert "files that do not exist: 1 of 2, the first is" in data.notes[0]
    with pytest.raises(NotAFile, match="not one of 2 files exists"):
        read_published("kinetics", [path], "train", videos=tmp_path, check=True)


def test_classes_of_the_official_csv_have_the_published_order(tmp_path: Path) -> None:
    names = labels("kinetics600")
    rows = "".join(f'"{name}",{i:011d},0,10,train\n' for i, name in enumerate(reversed(names)))
    data = read_published("kinetics", [write(tmp_path / "train.csv", HEADER + rows)], "train")
    assert data.classes == names
    assert data.class_indices(data.clips[0]) == (599,)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (HEADER + "open door, slowly,abc,0,10,train\n", ":2: 6 cells, and the header has 5; put names"),
        (
            HEADER + "abseling,abc,0,10,train\n",
            ":2: 'abseling' is none of the classes; did you mean abseiling",
        ),
        (HEADER + "abseiling,abc,x,10,train\n", ":2: 'x' is not a second"),
        (HEADER + "abseiling,,0,10,train\n", ":2: youtube_id is empty"),
        ("youtube_id,time_start,time_end,split\nabc,0,10,test\n", ":1: no column is called label"),
    ],
)
def test_bad_official_csv(tmp_path: Path, text: str, what: str) -> None:
    path = write(tmp_path / "train.csv", text)
    with pytest.raises(InputError, match=rf"train\.csv{what}"):
        read_published("kinetics", [path], "train", classes=("abseiling", "zumba"))


def test_a_long_list_takes_little_memory(tmp_path: Path) -> None:
    lines = "".join(f"videos/class {i % 400}/{i:011d}_000012_000022.mp4 {i % 400}\n" for i in range(30_000))
    path = write(tmp_path / "train.csv", lines)
    tracemalloc.start()
    try:
        data = read_published("kinetics", [path], "train", labels="kinetics400")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100 * len(data.clips)
    assert data.clips[29_999].path.name == "00000029999_000012_000022.mp4"


# UCF101 and HMDB51


def test_ucf101(tmp_path: Path) -> None:
    """Lists for testing have no labels; groups are known."""
    write(tmp_path / "classInd.txt", "1 ApplyEyeMakeup\r\n2 HandstandPushups\r\n")
    train = write(
        tmp_path / "trainlist01.txt",
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\r\n"
        "HandstandPushups/v_HandStandPushups_g09_c02.avi 2\r\n",
    )
    test = write(tmp_path / "testlist01.txt", "HandstandPushups/v_HandStandPushups_g01_c01.avi\r\n")
    data = read_published("ucf101", [train], "train", videos="UCF-101")
    assert data.classes == ("ApplyEyeMakeup", "HandstandPushups")
    assert [clip.group for clip in data.clips] == ["v_ApplyEyeMakeup_g08", "v_HandStandPushups_g09"]
    tested = read_published("ucf101", [test], "test", videos="UCF-101")
    assert listed(tested) == [("v_HandStandPushups_g01_c01.avi", (1,))]
    assert tested.clips[0].path == Path("UCF-101/HandstandPushups/v_HandStandPushups_g01_c01.avi")
    write(train, "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 2\n")
    with pytest.raises(
        InputError, match=r"trainlist01\.txt:1: number 2, and ApplyEyeMakeup has the number 1"
    ):
        read_published("ucf101", [train], "train")
    write(train, "ApplyMakeup/v.avi 1\n")
    with pytest.raises(InputError, match=r":1: its folder, 'ApplyMakeup', .* did you mean ApplyEyeMakeup"):
        read_published("ucf101", [train], "train")


def test_hmdb51(tmp_path: Path) -> None:
    splits = tmp_path / "splits"
    write(
        splits / "brush_hair_test_split1.txt",
        "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1 \nA_brush_hair_u_1.avi 2 \nB_brush_hair_u_2.avi 0 \n",
    )
    write(splits / "wave_test_split1.txt", "#4_How, To! wave_wave_f_0.avi 1 \n")
    write(splits / "wave_test_split2.txt", "C_wave_f_0.avi 1 \n")
    pattern = splits / "*_test_split1.txt"
    train = read_published("hmdb51", [pattern], "train", videos="hmdb")
    assert [str(clip.path) for clip in train.clips] == [
        "hmdb/brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi",
        "hmdb/wave/#4_How, To! wave_wave_f_0.avi",
    ]
    assert (train.classes, train.clips[0].group) == (("brush_hair", "wave"), "brush_hair April_09")
    assert listed(read_published("hmdb51", [pattern], "validation")) == [("A_brush_hair_u_1.avi", (0,))]
    with pytest.raises(InputError, match="are of two splits"):
        read_published("hmdb51", [splits], "train")
    write(splits / "wave_test_split1.txt", "D_wave_f_0.avi 3\n")
    with pytest.raises(InputError, match=r"wave_test_split1\.txt:1: '3' behind the clip"):
        read_published("hmdb51", [pattern], "train")


# Something-Something v2

SOMETHING = {
    "Holding something next to something": "1",
    "Letting something roll up a slanted surface, so it rolls back down": "0",
}
VIDEOS = [
    {
        "id": "78687",
        "label": "holding potato next to bottle",
        "template": "Holding [something] next to [something]",
        "placeholders": ["potato", "bottle"],
    },
    {"id": "42", "template": "Letting [something] roll up a slanted surface, so it rolls back down"},
]


def test_something_something(tmp_path: Path) -> None:
    write(tmp_path / "something-something-v2-labels.json", json.dumps(SOMETHING))
    path = write(tmp_path / "something-something-v2-train.json", json.dumps(VIDEOS))
    data = read_published("something", [path], "train", videos="ssv2")
    assert data.classes[0].startswith("Letting")
    assert listed(data) == [("78687.webm", (1,)), ("42.webm", (0,))]
    answers = write(tmp_path / "test-answers.csv", f"7;{data.classes[0]}\r\n")
    assert listed(read_published("something", [answers], "test")) == [("7.webm", (0,))]
    write(path, json.dumps([{"id": "1", "template": "Holding [something] over [something]"}]))
    with pytest.raises(
        InputError, match=r"\[0\]: 'Holding .* did you mean Holding something next to something"
    ):
        read_published("something", [path], "train")
    write(path, json.dumps([{"id": "1"}]))
    with pytest.raises(InputError, match="'template' is missing"):
        read_published("something", [path], "test")


def test_something_something_has_the_published_classes(tmp_path: Path) -> None:
    names = labels("something_something_v2")
    path = write(tmp_path / "train.json", json.dumps([{"id": i, "template": n} for i, n in enumerate(names)]))
    data = read_published("something", [path], "train")
    assert [data.class_indices(clip) for clip in data.clips] == [(i,) for i in range(174)]


FRAMES = "original_vido_id video_id frame_id path labels\n"


def test_something_something_as_frames(tmp_path: Path) -> None:
    """A video without frames is left out, and counted."""
    write(tmp_path / "labels.json", json.dumps(SOMETHING))
    path = write(tmp_path / "train.json", json.dumps(VIDEOS))
    rows = "".join(f'78687 0 {i} 78687/78687_{i + 1:06d}.jpg ""\n' for i in range(12))
    frames = write(tmp_path / "train.csv", FRAMES + rows)
    data = read_published("something", [path, frames], "train", videos=tmp_path / "frames")
    assert [clip.path for clip in data.clips] == [tmp_path / "frames" / "78687"]
    assert data.fps == 30.0
    assert data.notes == ("videos without a list of frames, left out: 1; the first is 42",)
    with pytest.raises(InputError, match="has no labels"):
        read_published("something", [frames], "train")


# Charades


def frame_rows(video: str, per_frame: list[str]) -> str:
    return "".join(
        f'{video} 0 {i} {video}/{video}-{i + 1:06d}.jpg "{text}"\n' for i, text in enumerate(per_frame)
    )


def test_charades_as_frames(tmp_path: Path) -> None:
    """A clip learns the labels of the frames from its first to its last one; tests count all of the video."""
    per_frame = ["", "77", "77,79", "77,79", "79", "", "", "77", "", ""]
    path = write(
        tmp_path / "train.csv", FRAMES + frame_rows("46GP8", per_frame) + frame_rows("N11GT", [""] * 3)
    )
    data = read_published("charades", [path], "train", videos="rgb")
    assert (data.is_multi_label, data.classes, data.fps) == (True, labels("charades"), 30.0)
    clip, empty = data.clips
    assert (clip.path, empty.path) == (Path("rgb/46GP8"), Path("rgb/N11GT"))
    assert (data.class_indices(clip), data.class_indices(empty)) == ((77, 79), ())
    names = data.classes
    assert clip.spans[0] == LabelSpan(names[77], 1 / 30, 4 / 30)
    texts = [{int(n) for n in text.split(",") if n} for text in per_frame]
    for first in range(10):
        for last in range(first, 10):
            found = data.class_indices(clip, between_s=(first / 30, last / 30))
            assert set(found) == set().union(*texts[first : last + 1])


def test_official_charades(tmp_path: Path) -> None:
    text = (
        "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\r\n"
        '46GP8,HR43,Kitchen,6,7,Yes,"A person cooks, and eats.",food;stove,"A chef says ""so"".",'
        "c092 11.90 21.20;c147 0.00 12.60,24.83\r\n"
        "N11GT,0KZ7,Stairs,,,,a,b,c,,18.33\r\n"
    )
    path = write(tmp_path / "Charades_v1_train.csv", text)
    data = read_published("charades", [path], "train", videos="videos")
    clip, empty = data.clips
    assert (clip.path, clip.group) == (Path("videos/46GP8.mp4"), "HR43")
    assert (data.class_indices(clip), empty.labels) == ((92, 147), ())
    assert data.class_indices(clip, between_s=(13.0, 14.0)) == (92,)
    assert data.class_indices(clip, between_s=(12.0, 13.0)) == (92, 147)
    assert data.class_indices(clip, between_s=(22.0, 24.0)) == ()
    for actions, what in (
        ("c157 0 1", "action c157, and the 157 classes end with c156"),
        ("c092 0", "'c092 0' is no action with its times"),
        ("c092 0 nan", "'c092 0 nan' is no action"),
    ):
        write(path, f"id,actions\nA,\nB,{actions}\n")
        with pytest.raises(InputError, match=rf"train\.csv:3: {what}"):
            read_published("charades", [path], "train")
    write(path, "id,actions\nA,c001 5 2\nA,\n")
    data = read_published("charades", [path], "train")
    assert data.clips[0].spans == (LabelSpan(labels("charades")[1], 2.0, 5.0),)
    assert len(data.notes) == 2


def test_frames_of_a_list_are_read_as_a_video(tmp_path: Path) -> None:
    """Two videos in one folder are told from each other by their names."""
    rows = "".join(f'{v} 0 {i} all/{v}_{i:02d}.png "{i % 2}"\n' for v in "ab" for i in range(4))
    path = write(tmp_path / "train.csv", FRAMES + rows)
    for v in "ab":
        for i in range(4):
            (tmp_path / "all").mkdir(exist_ok=True)
            Image.new("RGB", (32 if v == "a" else 64, 24)).save(tmp_path / f"all/{v}_{i:02d}.png")
    data = read_published("charades", [path], "train", videos=tmp_path, check=True)
    infos = [probe(clip.path, fps=data.fps) for clip in data.clips]
    assert [info.width for info in infos] == [32, 64]
    assert data.notes == ()
    assert missing_files(data.clips) == (0, None)


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ('a 0 0 a/1.jpg "157"\n', r"train\.csv:2: label 157, and the 157 classes"),
        ('a 0 0 a/1.jpg "x"\n', r"train\.csv:2: label 'x' is not a whole number"),
        ('a 0 0 a/1.jpg ""\na 0 2 a/3.jpg ""\n', r"train\.csv:3: frame 2 of a, but the next one is 1"),
        ('a 0 0 a/1.jpg ""\na 0 1 a/3.jpg ""\n', r"the frames of a, from line 2 on, .*a/1\.jpg, a/3\.jpg"),
        ("a 0 0\n", r"train\.csv:2: 3 columns, not the 5"),
    ],
)
def test_bad_lists_of_frames(tmp_path: Path, rows: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_published("charades", [write(tmp_path / "train.csv", FRAMES + rows)], "train")


def test_paths_of_frames_may_hold_spaces(tmp_path: Path) -> None:
    rows = 'a 0 0 my clips/a 1.jpg "1,2"\na 0 1 my clips/a 2.jpg ""\nb 0 0 "b c/1.jpg" ""\n'
    rows += 'c 0 1 c/x.jpg ""\nc 0 2 c/y.jpg ""\nd 0 0 d/08.jpg ""\nd 0 1 d/09.jpg ""\nd 0 2 d/10.jpg ""\n'
    videos = read_listed_videos(write(tmp_path / "a.csv", FRAMES + rows))
    assert list(videos["a"].frames) == ["my clips/a 1.jpg", "my clips/a 2.jpg"]
    assert videos["a"].frames.pattern == "my clips/a %d.jpg"
    assert [run[:] for run in videos["a"].runs] == [(1, 0, 0), (2, 0, 0)]
    assert list(videos["b"].frames) == ["b c/1.jpg"]
    assert (list(videos["c"].frames), videos["c"].frames.pattern) == (["c/x.jpg", "c/y.jpg"], None)
    assert videos["d"].frames.pattern == "d/%02d.jpg"
    assert (videos["d"].frames[-1], videos["d"].frames[:2]) == ("d/10.jpg", ["d/08.jpg", "d/09.jpg"])


# ImageNet, and videos without labels


def test_imagenet(tmp_path: Path) -> None:
    for name in ("n01440764/b.JPEG", "n01440764/a.JPEG", "n02012849/c.JPEG", "n03126707/d.JPEG"):
        (tmp_path / "train" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (5, 4), 7).save(tmp_path / "train" / name, format="PNG")  # called so, and grey
    touch(tmp_path / "train", "n01440764/notes.txt", "n01440764/._a.JPEG", "lists/x.JPEG")
    names = write(
        tmp_path / "names.txt", "n01440764 tench, Tinca tinca\nn02012849 crane\nn03126707 crane\nn04 other\n"
    )
    data = read_published("imagenet", [tmp_path / "train"], "train")
    assert data.classes == ("n01440764", "n02012849", "n03126707")
    assert listed(data) == [("a.JPEG", (0,)), ("b.JPEG", (0,)), ("c.JPEG", (1,)), ("d.JPEG", (2,))]
    assert data.skipped == {".txt": 1}
    frames = picture_frames(data.clips[0].path)
    assert (frames.shape, frames.dtype, int(frames.max())) == ((1, 4, 5, 3), np.uint8, 7)
    named = read_published("imagenet", [tmp_path / "train"], "train", labels=names)
    assert named.classes == ("tench", "crane (n02012849)", "crane (n03126707)")
    pairs = {"0": ["n01440764", "tench"], "1": ["n02012849", "crane"], "2": ["n03126707", "crane"]}
    write(names, json.dumps(pairs))
    assert read_published("imagenet", [tmp_path / "train"], "train", labels=names).classes == named.classes
    with pytest.raises(InputError, match="'n03126707' is none of the classes"):
        read_published("imagenet", [tmp_path / "train"], "validation", classes=data.classes[:2])
    with pytest.raises(InputError, match="holds no folders"):
        read_published("imagenet", [tmp_path / "train" / "lists"], "train")


def test_videos_without_labels(tmp_path: Path) -> None:
    folder = touch(tmp_path / "videos", "b/a.mp4", "c.mkv", "notes.txt")
    path = write(tmp_path / "list.txt", "x y.mp4 300 5\nz.mp4\n")
    data = read_published("unlabelled", [folder, path], "train", videos="v")
    assert [str(clip.path) for clip in data.clips] == [
        str(folder / "b/a.mp4"), str(folder / "c.mkv"), "v/x y.mp4", "v/z.mp4",
    ]  # fmt: skip
    assert (data.classes, data.clips[0].labels, data.skipped) == ((), (), {".txt": 1})


# Names of classes, and what is common


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "run, fast\nopen door\n\n"),
        ("a.txt", "\ufeff0 run, fast\r\n1 open door\r\n"),
        ("a.txt", "2 open door\n1 run, fast\n"),
        ("a.txt", "c000 run, fast\nc001 open door\n"),
        ("a.csv", 'index,name\n1,open door\n0,"run, fast"\n'),
        ("a.csv", "run, fast\nopen door\n"),
        ("a.json", '{"run, fast": 0, "open door": "1"}'),
        ("a.json", '{"1": "open door", "0": "run, fast"}'),
        ("a.json", '["run, fast", "open door"]'),
    ],
)
def test_names_of_classes(tmp_path: Path, name: str, text: str) -> None:
    assert read_class_names(write(tmp_path / name, text)) == ("run, fast", "open door")


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("a.txt", "run\nwalk\nrun\n", r"a\.txt:3: the class 'run' is in line 1, too"),
        ("a.txt", "0 run\n2 walk\n", r"of 2 classes none has the number 1"),
        ("a.txt", "0 run\n0 walk\n", r"a\.txt:2: number 0 is there twice"),
        ("a.json", '{"run": 0.5}', "0.5 is not the number of a class"),
        ("a.json", '["a", "a"]', "entry 2: the class 'a' is in entry 1, too"),
        ("a.txt", "\n", r"a\.txt:1: there are no names"),
    ],
)
def test_bad_names_of_classes(tmp_path: Path, name: str, text: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_class_names(write(tmp_path / name, text))


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no published data is called 'kinetic'; did you mean kinetics"):
        read_published("kinetic", ["a"], "train")
    parts: list[Part] = ["train", "test"]
    for part in parts:
        with pytest.raises(NotAFile, match=r"gone\.csv"):
            read_published("kinetics", [tmp_path / "gone.csv"], part)
    with pytest.raises(NotAFile, match="matches nothing"):
        read_published("hmdb51", [tmp_path / "*.txt"], "train")
    with pytest.raises(NotAFile, match="nor a data set with names of classes; did you mean kinetics400"):
        read_published("kinetics", [tmp_path / "a.csv"], "train", labels="kinetic400")
    with pytest.raises(NotAFile, match="no list"):
        read_published("charades", [], "train")
    write(tmp_path / "a.csv", "a.mp4 0\n")
    (tmp_path / "a.csv").write_bytes(b"a.mp4 0\n\xff\xfe b.mp4 1\n")
    with pytest.raises(InputError, match=r"a\.csv:2: not UTF-8"):
        read_published("kinetics", [tmp_path / "a.csv"], "train")
