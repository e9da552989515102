"""Annotations of CVAT, as its exports have them: what is read, and what is refused."""

from __future__ import annotations

import pytest

from twinpath.errors import InputError
from twinpath.formats.annotated import AnnotatedVideo
from twinpath.formats.cvat_boxes import parse_cvat

META = """<meta><task><id>7</id><name>a task</name><size>90</size><mode>interpolation</mode>
<start_frame>0</start_frame><stop_frame>89</stop_frame>
<labels><label><name>person</name><color>#ff0000</color><type>rectangle</type><attributes>
<attribute><name>wave</name><mutable>True</mutable><input_type>checkbox</input_type>
<default_value>false</default_value><values>false</values></attribute>
<attribute><name>action</name><mutable>True</mutable><input_type>select</input_type>
<default_value>none</default_value><values>none
jump
fall over</values></attribute>
<attribute><name>age</name><mutable>False</mutable><input_type>number</input_type></attribute>
</attributes></label><label><name>crowd</name><type>any</type><attributes></attributes></label></labels>
<original_size><width>320</width><height>180</height></original_size><source>clips/a &amp; b.mp4</source>
</task><dumped>2026-01-01</dumped></meta>"""

TWO_TASKS = "<annotations><meta><project><tasks><task/><task/></tasks></project></meta></annotations>"


def box(frame: object, attributes: str = "", **facts: object) -> str:
    sides = {"xtl": 10, "ytl": 20, "xbr": 40, "ybr": 100}
    texts = {"frame": frame, "keyframe": 1, "outside": 0, "occluded": 0, **sides, "z_order": 0, **facts}
    of_box = " ".join(f'{name}="{value}"' for name, value in texts.items())
    pairs = [attribute.split("=") for attribute in attributes.split(";") if attribute]
    said = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in pairs)
    return f"<box {of_box}>{said}</box>"


def track(*boxes: str, label: str = "person") -> str:
    return f'<track id="3" label="{label}" source="manual">{"".join(boxes)}</track>'


def read(
    *tracks: str, meta: str = META, before: str = '<?xml version="1.0" encoding="utf-8"?>\n'
) -> AnnotatedVideo:
    return parse_cvat(
        f"{before}<annotations><version>1.1</version>{meta}{''.join(tracks)}</annotations>", "x.xml"
    )


def actions(video: AnnotatedVideo) -> list[tuple[str, ...]]:
    return [found.actions for found in video.tracks[0]]


def test_a_task_with_checkboxes_and_a_list() -> None:
    video = read(
        track(
            box(0, "wave=true;action=none;age=30"),
            box(1, "wave=true;action=jump;age=30", keyframe=0),
            box(9, "wave=false;action=fall over", xtl="12.5"),
            box(10, "wave=false;action=fall over", outside=1),
        )
    )
    assert actions(video) == [("wave",), ("wave", "jump"), ("fall over",), ("fall over",)]
    assert [found.at for found in video.tracks[0]] == [0, 1, 9, 10]
    assert [found.is_set for found in video.tracks[0]] == [True, False, True, True]
    assert [found.is_outside for found in video.tracks[0]] == [False, False, False, True]
    assert video.tracks[0][2].box_xyxy == (12.5, 20, 40, 100)
    assert (video.video, video.size_px, video.counts_frames) == ("clips/a & b.mp4", (320, 180), True)
    assert video.notes == ("x.xml: attributes that are neither checkboxes nor 'action' are left out: 'age'",)


def test_a_label_for_each_action() -> None:
    """Beside "person" without attributes, who does nothing."""
    labels = "".join(f"<label><name>{n}</name></label>" for n in ("person", "waves <1>".replace("<", "&lt;")))
    meta = f"<meta><job><labels>{labels}</labels><source>a.mp4</source></job></meta>"
    video = read(track(box(0), label="waves &lt;1>"), track(box(0)), meta=meta)
    assert [[found.actions for found in boxes] for boxes in video.tracks] == [[("waves <1>",)], [()]]
    assert video.video == "a.mp4"
    assert video.size_px is None


def test_a_worker_with_checkboxes_is_no_action() -> None:
    video = read(track(box(0, "lift=true"), box(5, "lift=false"), label="worker"), meta="")
    assert actions(video) == [("lift",), ()]


def test_the_upright_box_around_a_rotated_one() -> None:
    video = read(track(box(0, rotation="90")))
    assert video.tracks[0][0].box_xyxy == pytest.approx((-15, 45, 65, 75))


def test_tracks_of_other_shapes_are_named() -> None:
    video = read('<track id="1" label="person"><points frame="0" points="1,1"/></track>', track(box(0)))
    assert len(video.tracks) == 1
    assert "x.xml: 1 tracks are no boxes, and are left out" in video.notes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('<!DOCTYPE annotations [<!ENTITY a "aa">]><annotations>&a;</annotations>', "x.xml:1: a docu"),
        ("<?xml version='1.0'?>\n<!-- c -->\n<!DOCTYPE annotations SYSTEM 'f'>\n<annotations/>", "x.xml:3:"),
        ("<annotations><track>&a;</track></annotations>", "x.xml:1: not XML: undefined entity"),
        ("<annotations>\n<track>", "x.xml:2: not XML"),
        ("<html><body/></html>", "no annotations of CVAT: it begins with '<html>"),
        ("<annotations><image id='0' name='a.png'/></annotations>", "'CVAT for images'"),
        (TWO_TASKS, "2 tasks; export each on its own"),
        (f"<annotations>{track(box(-1))}</annotations>", "track 3: frame is '-1', not a whole number"),
        (f"<annotations>{track(box(2), box(2))}</annotations>", "track 3, frame 2: a second box"),
        (f"<annotations>{track(box(2, xtl='nan'))}</annotations>", "track 3, frame 2: xtl is 'nan', not a"),
        (f"<annotations>{track(box(2, xtl=99))}</annotations>", "track 3, frame 2: x2 = 40 is not right of"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_cvat(text, "x.xml")
    assert words in str(caught.value)


def test_a_file_larger_than_a_chunk() -> None:
    video = read(track(*(box(frame, "wave=true") for frame in range(2000))))
    assert len(video.tracks[0]) == 2000
    assert set(actions(video)) == {("wave",)}
