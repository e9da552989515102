"""Sound lists of published data sets, and how they are read: for `text_samples`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from twinpath.data.ava import read_ava_training
from twinpath.data.published.class_list import read_class_names
from twinpath.data.published.read import read_published

_FRAMES = "original_vido_id video_id frame_id path labels\n" + "".join(
    f'46GP8 0 {k} 46GP8/46GP8-{k:06d}.jpg "{k % 3},92"\n' for k in range(6)
)
_CHARADES = (
    "id,subject,script,actions,length\n"
    '46GP8,HR43,"cooks, eats",c092 11.90 21.20;c147 0.00 12.60,24.8\nA,,,,\n'
)
_SOMETHING = [{"id": "78687", "template": "Holding [something] next to [something]", "label": "x"}] * 2
_PREDICTED = "".join(f"film{k % 2},0902,0.1,0.2,0.5,0.9,{k or ''},0.95\n" for k in range(4))


def _reader(kind: str, **options: str) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        data = read_published(kind, [path], "train", **options)  # type: ignore[arg-type]
        for clip in data.clips:
            data.class_indices(clip, between_s=(1.0, 2.0))

    return read


def _read_predicted(path: Path) -> None:
    for keyframe in read_ava_training([], [path]):
        assert keyframe.targets.shape[1] == 80


#: Ending of such files, their texts, and how they are read.
PUBLISHED: list[tuple[str, tuple[str, ...], Callable[[Path], None]]] = [
    ("kinetics.txt", ("videos/a b.mp4 0\nb.mp4 399\n",), _reader("kinetics", labels="kinetics400")),
    (
        "kinetics.csv",
        ('label,youtube_id,time_start,time_end,split\n"run, walk",-3B32lodo2M,12,22,train\n',),
        _reader("kinetics"),
    ),
    ("charades.csv", (_CHARADES, _FRAMES), _reader("charades")),
    ("something.json", (json.dumps(_SOMETHING, indent=1),), _reader("something")),
    ("predicted.csv", (_PREDICTED,), _read_predicted),
    (
        "classes.txt",
        ("run\nwalk\n", "0 run\n1 walk\n", '{"run": 0, "walk": 1}', '["run"]'),
        lambda path: str(read_class_names(path)) and None,
    ),
]
