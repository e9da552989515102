"""The files of `twinpath demo`: videos of the synthetic world, and the answers drawn on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinpath.results.classification import Prediction
    from twinpath.results.detections import Detections

DETECTION_MODEL = "slowfast_tiny_det.synthetic"
EVERY_S, MIN_SCORE = 0.5, 0.3
OTHER_SCENE = 1  # so that by default four people do four things


def detect_people(out: Path, seed: int) -> tuple[Detections, dict[int, str]]:
    """Write `people.mp4`, its true boxes and the answer on it.

    Returns:
        The answer, and the true action of each person.
    """
    import json

    from twinpath.atomic import atomic_path
    from twinpath.data.synthetic import TEST_SEED, people_scene, truth_of, write_clip
    from twinpath.recognize.detector import Detector
    from twinpath.render.annotate import annotate_video
    from twinpath.render.contact_sheet import contact_sheet

    scene = people_scene(TEST_SEED + OTHER_SCENE + seed)
    video, boxes = out / "people.mp4", out / "people.jsonl"
    write_clip(video, scene, height_px=360)
    truth = truth_of(scene, height_px=360, keyframes_s=[i / 10 for i in range(24)])
    with atomic_path(boxes) as temporary:
        temporary.write_text(json.dumps({"video": video.name, **truth}) + "\n", "utf-8")
    found = Detector(DETECTION_MODEL)(video, people=str(boxes), every_s=EVERY_S, min_score=MIN_SCORE)
    annotate_video(video, found, out / "people-answer.mp4")
    contact_sheet(video, found, out / "people-answer.png")
    return found, {person["track"]: person["action"] for person in truth["people"]}


def draw_answer(clip: Path, out: Path, predictions: tuple[Prediction, ...], truth: str) -> None:
    """Write `answer.mp4` and, from its frames, `answer.png`."""
    from PIL import Image

    from twinpath.atomic import atomic_path
    from twinpath.render.prediction_panel import PredictionPanel
    from twinpath.video.decode import FrameStream
    from twinpath.video.probe import probe
    from twinpath.video.writer import VideoWriter

    info = probe(clip)
    panel = PredictionPanel(predictions, (info.height, info.width), title=f"truth: {truth}")
    kept = []
    with (
        FrameStream(clip) as stream,
        VideoWriter(out / "answer.mp4", width=info.width, height=info.height, fps=stream.fps) as writer,
    ):
        for _, frame in stream:
            drawn = panel.draw(frame)
            writer.write(drawn)
            kept.append(drawn)
    third = len(kept) // 3
    strip = Image.new("RGB", (3 * info.width, info.height))
    for i in range(3):
        strip.paste(Image.fromarray(kept[i * third + third // 2]), (i * info.width, 0))
    with atomic_path(out / "answer.png") as temporary:
        strip.save(temporary)
