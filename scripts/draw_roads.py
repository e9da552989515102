"""Draw the film and make the pictures of docs/roads: python -m scripts.draw_roads FOLDER

The film has six drawn scenes of four seconds, the clips of own actions are those of `measure_finetune`. The
commands are run as a user would, into FOLDER; their pictures are reduced and copied to docs/images. The text
of the pages is what the same commands printed. (road_batch.png is the upper half of the first picture of a
dry run, of the recipe slowfast_tiny_clips on clips of examples/drawn_shapes.py.)
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.measure_finetune import write_motions
from scripts.write_api_reference import ROOT
from twinpath.atomic import atomic_path
from twinpath.data.synthetic.clips import frames_of, labelled_scene
from twinpath.video.writer import VideoWriter

IMAGES = ROOT / "docs" / "images"
TINY = "slowfast_tiny.synthetic"
WIDTH, HEIGHT, SCENE_S = 256, 192, 4.0
SCENES = (2_000_000_003, 2_000_000_000, 2_000_000_007, 2_000_000_004, 2_000_000_008, 2_000_000_006)
PICTURES = {
    "timeline/film.mp4.timeline.png": "road_timeline.png",
    "people/people.mp4.detect.png": "road_people.png",
    "explained/film.mp4.explain.png": "road_explained.png",
    "motions-model/confusion.png": "road_confusion.png",
}


def draw_film(path: Path) -> list[str]:
    """Write the film; what each scene shows."""
    shown = []
    with VideoWriter(path, width=WIDTH, height=HEIGHT, fps=30) as writer:
        for seed in SCENES:
            scene = labelled_scene(seed)
            shown.append(scene.label)
            for frame in frames_of(scene, height_px=HEIGHT, duration_s=SCENE_S):
                left = max(0, (frame.shape[1] - WIDTH) // 2)
                cut = Image.fromarray(frame[:, left : left + WIDTH])
                writer.write(np.asarray(cut.resize((WIDTH, HEIGHT))))
    return shown


def reduced(source: Path, target: Path) -> None:
    """The picture at most 900 pixels wide, in 128 colours."""
    with Image.open(source) as picture:
        small = picture.convert("RGB")
        small.thumbnail((900, 900), Image.Resampling.LANCZOS)
        with atomic_path(target) as temporary:
            small.quantize(128, dither=Image.Dither.NONE).save(temporary, "PNG", optimize=True)


def main() -> None:
    """Draw, run, copy."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    print("scenes:", *draw_film(folder / "film.mp4"), sep=" ")
    if not (folder / "motions").is_dir():
        write_motions(folder / "motions", clips=12)
    for command in (
        f"classify film.mp4 --model {TINY} --top-k 3",
        f"classify film.mp4 --model {TINY} --top-k 3 --start 16",
        f"timeline film.mp4 --model {TINY} --every 0.5 --smooth 1 --merge 1 --out timeline",
        f"explain film.mp4 --model {TINY} --start 16 --out explained",
        "demo --out demo",
        "detect demo/people.mp4 --model slowfast_tiny_det.synthetic --people demo/people.jsonl --every 0.5 "
        "--min-score 0.3 --formats json,csv,xml,mp4,png --out people",
        f"finetune motions --model {TINY} --out motions-model",
    ):
        print("$ twinpath", command, flush=True)
        subprocess.run([sys.executable, "-m", "twinpath", *command.split()], cwd=folder, check=True)
    for source, target in PICTURES.items():
        reduced(folder / source, IMAGES / target)


if __name__ == "__main__":
    main()
