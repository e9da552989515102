"""AVA's files: what is read, what is forgiven, and each fault with its line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from twinpath.data.ava import read_frame_list
from twinpath.errors import InputError, NotAFile
from twinpath.formats.ava import (
    BoxRows,
    read_exclusions,
    read_people,
    read_results,
    read_truth,
    write_results,
)
from twinpath.formats.ava_label_map import LabelMap, built_in_label_map, read_label_map
from twinpath.formats.boxes import read_boxes

LABELS = built_in_label_map()
GOOD = "-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,1"
SCORED = "-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,0.5"


def truth(path: Path) -> object:
    return read_truth(path, LABELS)


def results(path: Path) -> object:
    return read_results(path, LABELS)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.csv"


def test_truth_with_and_without_persons(file: Path) -> None:
    for row in (GOOD, GOOD.rsplit(",", 1)[0]):
        file.write_text(row + "\n" + row.replace("0902", "1798").replace(",80", ",12"))
        rows = read_truth(file, LABELS)
        assert rows.videos == ("-5KQ66BBWC4",)
        assert rows.second.tolist() == [902, 1798]
        assert rows.boxes_xyxy[0].tolist() == [0.077, 0.151, 0.283, 0.811]
        assert rows.action_id.tolist() == [80, 12]
        assert rows.notes == ()


def test_a_byte_order_mark_windows_line_ends_and_empty_lines_are_nothing(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + f"{GOOD}\r\n\r\n{GOOD.replace('0902', '0903')}\r\n".encode())
    rows = read_truth(file, LABELS)
    assert (rows.videos, rows.second.tolist()) == (("-5KQ66BBWC4",), [902, 903])


@pytest.mark.parametrize("empty", ["a,0902,,,,,,", "a,0902", "a,0902,,,,,"])
def test_a_true_row_without_a_box_is_a_second_without_people(file: Path, empty: str) -> None:
    file.write_text(f"{empty}\n{GOOD}\n")
    assert len(read_truth(file, LABELS)) == 1
    with pytest.raises(InputError, match=r"file\.csv:1: "):
        read_results(file, LABELS)


BAD_ROWS = [
    (GOOD.replace("0.811,", ""), r"7 columns, and line 1 has 8"),
    (GOOD + ",9", r"9 columns, and line 1 has 8"),
    (GOOD.replace("0.077", "nan"), r"x1 is 'nan', not a number"),
    (GOOD.replace("0.811", "inf"), r"y2 is 'inf', not a number"),
    (GOOD.replace("0.151", "left"), r"y1 is 'left', not a number"),
    (GOOD.replace("0.151", ""), r"y1 is '', not a number"),
    (GOOD.replace("0.283", "0.05"), r"x2 = 0\.05 is not right of x1 = 0\.077"),
    (GOOD.replace("0.811", "0.1"), r"y2 = 0\.1 is not below y1 = 0\.151"),
    (GOOD.replace("0.811", "1.2"), r"the box \(0\.077, 0\.151, 0\.283, 1\.2\) is not within 0 and 1"),
    (GOOD.replace("0.077", "-0.2"), r"the box \(-0\.2, .* is not within 0 and 1"),
    (GOOD.replace("0.283,0.811", "283,811"), r"the box .* is not within 0 and 1"),
    (GOOD.replace(",80", ",81"), r"there is no action with id 81 in the label map"),
    (GOOD.replace(",80", ",0"), r"there is no action with id 0 in the label map"),
    (GOOD.replace(",80", ",sit"), r"action_id is 'sit', not a whole number from 0"),
    (GOOD.replace(",80", ",-3"), r"action_id is '-3', not a whole number from 0"),
    (GOOD.replace("0902", "902.5"), r"second is '902\.5', not a whole number from 0"),
    (GOOD.replace("0902", "9" * 30), r"second is '9+', not a whole number from 0"),
    (GOOD.replace("-5KQ66BBWC4", ""), r"the video has no name"),
]


@pytest.mark.parametrize("read", [truth, results])
@pytest.mark.parametrize(("row", "what"), BAD_ROWS)
def test_a_fault_names_its_line(file: Path, read: Callable[[Path], object], row: str, what: str) -> None:
    file.write_text(f"{GOOD}\n\n{row}\n{GOOD}\n")
    with pytest.raises(InputError, match=rf"file\.csv:3: {what}") as caught:
        read(file)
    assert "\n" not in str(caught.value)


def test_a_fault_far_down_names_its_line(file: Path) -> None:
    lines = [GOOD.replace("0902", str(second)) for second in range(70_000)]
    lines[69_000] = lines[69_000].replace("0.077", "x")
    file.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"file\.csv:69001: x1 is 'x', not a number"):
        read_truth(file, LABELS)


def test_a_header_is_told_of(file: Path) -> None:
    file.write_text("video_id,second,x1,y1,x2,y2,action_id,person_id\n" + GOOD)
    with pytest.raises(
        InputError, match=r"file\.csv:1: second is 'second', not a number; AVA files have no header"
    ):
        read_truth(file, LABELS)


def test_results_need_a_score_that_is_a_number(file: Path) -> None:
    file.write_text(SCORED.rsplit(",", 1)[0])
    with pytest.raises(InputError, match=r":1: 7 columns, not video,second,x1,.*,action_id,score"):
        read_results(file, LABELS)
    file.write_text(SCORED.replace("0.5", "nan"))
    with pytest.raises(InputError, match=r":1: score is 'nan', not a number"):
        read_results(file, LABELS)


def test_what_was_found_may_reach_a_little_out_of_the_picture(file: Path) -> None:
    file.write_text(SCORED.replace("0.811", "1.05"))
    assert read_results(file, LABELS).boxes_xyxy[0, 3] == 1.05
    with pytest.raises(InputError, match="not within 0 and 1"):
        read_truth(file, LABELS)


def test_rows_that_repeat_count_twice_and_are_told_of(file: Path) -> None:
    file.write_text(f"{GOOD}\n{GOOD.replace('0902', '0903')}\n{GOOD}\n{GOOD}\n")
    rows = read_truth(file, LABELS)
    assert len(rows) == 4
    assert rows.notes == (f"{file}:3: repeats line 1, and both count; so do 1 more lines",)


def test_boxes_without_an_area_are_told_of(file: Path) -> None:
    file.write_text(f"{SCORED}\n{SCORED.replace('0.283', '0.077')}\n")
    assert len(read_truth(file, LABELS)) == 2
    assert len(read_results(file, LABELS)) == 1
    assert read_truth(file, LABELS).notes == (f"{file}: 1 boxes have no area and match nothing",)


def test_no_file_no_text_and_no_rows(file: Path, tmp_path: Path) -> None:
    with pytest.raises(NotAFile, match="no such file"):
        read_truth(file, LABELS)
    with pytest.raises(NotAFile):
        read_truth(tmp_path, LABELS)
    file.write_bytes(f"{GOOD}\n".encode() + b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"file\.csv:2: not UTF-8"):
        read_truth(file, LABELS)
    file.write_text("\n\n")
    with pytest.raises(InputError, match=r"file\.csv:1: there are no boxes"):
        read_truth(file, LABELS)


def test_people_once_each_above_a_score(file: Path) -> None:
    file.write_text(
        "a,0902,0.1,0.2,0.3,0.4,,0.95\na,0902,0.5,0.2,0.7,0.4,12,0.85\n"
        "a,0902,0.5,0.2,0.7,0.4,80,0.85\na,0904,0.1,0.2,0.3,0.4,,0.3\n"
    )
    people = read_people(file, min_score=0.8).by_second()
    assert list(people) == ["a"]
    assert list(people["a"]) == [902]
    assert people["a"][902].tolist() == [[0.1, 0.2, 0.3, 0.4], [0.5, 0.2, 0.7, 0.4]]
    file.write_text("a,0902,0.1,0.2,0.3,0.4,0.95\n")
    assert read_people(file).score.tolist() == [0.95]
    file.write_text("a,0902,0.1,0.2,0.3,0.4,,\n")
    with pytest.raises(InputError, match=r":1: score is '', not a number"):
        read_people(file)


def test_exclusions(file: Path) -> None:
    file.write_text("a,0902\nb,1000\n")
    assert read_exclusions(file) == {("a", 902), ("b", 1000)}
    file.write_text("a,0902\nb\n")
    with pytest.raises(InputError, match=r":2: 1 columns, and line 1 has 2"):
        read_exclusions(file)
    file.write_text("")
    assert read_exclusions(file) == frozenset()


def test_results_are_read_as_they_were_written(file: Path) -> None:
    rng = np.random.default_rng(0)
    file.write_text(f"{SCORED}\n{SCORED.replace('0902', '1000').replace(',80', ',1')}\n")
    rows = read_results(file, LABELS)
    scores = rng.uniform(0, 1e-3, 2).astype(np.float32)
    rows.score[:] = scores
    write_results(file, rows)
    first = file.read_text().splitlines()[0]
    assert first.startswith("-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,0.000")
    again = read_results(file, LABELS)
    assert again.score.astype(np.float32).tolist() == scores.tolist()
    assert np.array_equal(again.boxes_xyxy, rows.boxes_xyxy)


@pytest.mark.parametrize(
    ("video", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-1+1", "'-1+1"),
        ("'=1", "''=1"),
        ("-5KQ66BBWC4", "-5KQ66BBWC4"),  # a video of AVA's
        ("'quoted", "'quoted"),
        ('a, b "c"', '"a, b ""c"""'),
    ],
)
def test_a_name_that_a_spreadsheet_would_run(file: Path, video: str, cell: str) -> None:
    write_results(file, replace_video(results_of(file), video))
    assert file.read_text() == f"{cell},0902,0.077,0.151,0.283,0.811,80,0.5\n"
    again = read_results(file, LABELS)
    assert again.videos == (video,)
    assert len(read_boxes(file, video=Path(video + ".mp4"), width_px=100, height_px=100).observations) == 1


def results_of(file: Path) -> BoxRows:
    file.write_text(SCORED + "\n")
    return read_results(file, LABELS)


def replace_video(rows: BoxRows, video: str) -> BoxRows:
    return dataclasses.replace(rows, videos=(video,))


def test_quoted_names_over_several_lines(file: Path) -> None:
    rest = SCORED.removeprefix("-5KQ66BBWC4")
    file.write_text(f'"a\nb"{rest}\n"a, b"{rest.replace("0.5", "?")}\n')
    with pytest.raises(InputError, match=r"file\.csv:3: score is '\?', not a number"):
        read_results(file, LABELS)
    file.write_text(f'"a\nb"{rest}\n"a, b"{rest}\n')
    assert read_results(file, LABELS).videos == ("a\nb", "a, b")
    file.write_text('"' + "x" * 200_000 + f'"{rest}\n')
    with pytest.raises(InputError, match=r"file\.csv:1: field larger than"):
        read_results(file, LABELS)


def test_numbers_as_only_python_writes_them(file: Path) -> None:
    file.write_text(SCORED.replace("0.5", "0_1.5"))
    with pytest.raises(InputError, match=r"file\.csv:1: score is '0_1\.5', not a number"):
        read_results(file, LABELS)


# label maps


def test_the_built_in_label_map_has_60_of_80() -> None:
    assert (len(LABELS.names), len(LABELS.known)) == (60, 80)
    assert LABELS.names[12] == "stand"
    assert 2 not in LABELS.names


@pytest.mark.parametrize(
    "text",
    [
        'item {\n  name: "bend/bow (at the waist)"\n  id: 1\n}\nitem {\n  name: "crouch/kneel"\n  id: 3\n}\n',
        'label {\n  name: "bend/bow (at the waist)"\n  label_id: 1\n  label_type: PERSON_MOVEMENT\n}\n'
        'label {\n  name: "crouch/kneel"\n  label_id: 3\n  label_type: PERSON_MOVEMENT\n}\n',
        "# a remark\nitem { id: 1 name: 'bend/bow (at the waist)' }\nitem{name:\"crouch/kneel\" id:3}",
        '1,bend/bow (at the waist)\r\n3,"crouch/kneel"\r\n',
        "id,name\n1,bend/bow (at the waist)\n3,crouch/kneel\n",
        "action_id,name,in_the_60_evaluated,kind\n1,bend/bow (at the waist),1,pose\n2,crawl,0,pose\n"
        "3,crouch/kneel,1,pose\n",
    ],
)
def test_label_maps_in_every_spelling(file: Path, text: str) -> None:
    file.write_text(text)
    label_map = read_label_map(file)
    assert label_map.names == {1: "bend/bow (at the waist)", 3: "crouch/kneel"}
    assert label_map.known == set(range(1, 81))  # these are AVA's names


def test_a_label_map_of_other_actions_knows_only_them(file: Path) -> None:
    file.write_text("".join(f'item {{\n  name: "action {i}"\n  id: {i}\n}}\n' for i in range(1, 13)))
    label_map = read_label_map(file)
    assert label_map == LabelMap({i: f"action {i}" for i in range(1, 13)}, frozenset(range(1, 13)))
    file.write_text(GOOD)
    with pytest.raises(InputError, match=r":1: there is no action with id 80"):
        read_truth(file, label_map)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('item {\n  name: "sit"\n}\n', r":1: a label has no id"),
        ("item {\n  id: 1\n}\n", r":1: the label with id 1 has no name"),
        ('item {\n  name: "a"\n  id: 1\n}\nitem {\n  name: "b"\n  id: 1\n}\n', r":5: id 1 is a duplicate"),
        ('item {\n  name: "a"\n  id: one\n}\n', r":1: id is 'one', not a whole number from 1"),
        ('item {\n  name: "a"\n  id: 0\n}\n', r":1: id is '0', not a whole number from 1"),
        ('item {\n  name: "a\n  id: 1\n}\n', r":2: 'name: \"a' is not allowed"),
        ('item {\n  name: "a"\n  id: 1\n', r":1: a label that begins here does not end"),
        ('item {\n  name: "a"\n  id: 1\n}\n}\n', r":5: '}' is not allowed"),
        ("id,name\n1,sit\n2\n", r":3: 1 columns, not the 2 of id,name"),
        ("1,sit\n1,stand\n", r":2: id 1 is a duplicate: 'sit' and 'stand'"),
        ("my notes\n", r":1: not a label map"),
        ("", r":1: there are no labels"),
    ],
)
def test_bad_label_maps(file: Path, text: str, what: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=rf"file\.csv{what}"):
        read_label_map(file)


# frame lists

HEADER = "original_vido_id video_id frame_id path labels\n"


def test_a_frame_list(file: Path, tmp_path: Path) -> None:
    file.write_text(
        HEADER + 'a 0 0 a/a_000001.jpg ""\na 0 1 a/a_000002.jpg "1,80"\nb 1 0 b/b_000001.jpg ""\n'
    )
    sources = read_frame_list(file, tmp_path)
    assert tuple(sources["a"].pictures) == (tmp_path / "a/a_000001.jpg", tmp_path / "a/a_000002.jpg")
    assert len(sources["b"].pictures) == 1


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ("a 0 0 a.jpg\n", r":2: 4 columns, not the 5 of original_vido_id"),
        ('a 0 first a.jpg ""\n', r":2: frame_id is 'first', not a whole number from 0"),
        ('a 0 0 a.jpg ""\na 0 2 c.jpg ""\n', r":3: frame 2 of a, but the next one is 1"),
        ('a 0 0 a.jpg ""\na 0 0 a.jpg ""\n', r":3: frame 0 of a, but the next one is 1"),
        ("", r":1: there are no frames"),
    ],
)
def test_bad_frame_lists(file: Path, tmp_path: Path, rows: str, what: str) -> None:
    file.write_text(HEADER + rows)
    with pytest.raises(InputError, match=rf"file\.csv{what}"):
        read_frame_list(file, tmp_path)
