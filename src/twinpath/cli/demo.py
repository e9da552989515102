"""`twinpath demo`: videos are made, classified and looked into, without any download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.options import AsJson, Debug

if TYPE_CHECKING:
    from twinpath.results.classification import Prediction
    from twinpath.results.detections import Detections

MODEL = "slowfast_tiny.synthetic"
DETECTION_MODEL = "slowfast_tiny_det.synthetic"
EVERY_S, MIN_SCORE = 0.5, 0.3
OTHER_SCENE = 1  # so that by default four people do four things


def demo(
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder for the clip, the answer and a picture.")
    ] = Path("demo"),
    action: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the figure shall do.  [default: by seed]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Another seed, another scene.")] = 5,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make two videos; tell what happens, and who does what."""
    from twinpath.cli.console import print_json, print_note, print_predictions
    from twinpath.data.synthetic import ACTIONS, TEST_SEED, make_scene, write_clip
    from twinpath.errors import UsageError
    from twinpath.recognize.classifier import Classifier

    if action is not None and action not in ACTIONS:
        raise UsageError(f"--action {action!r}: the figures can {', '.join(ACTIONS)}")
    scene = make_scene(TEST_SEED + seed, action=action)
    out.mkdir(parents=True, exist_ok=True)
    clip = out / "clip.mp4"
    print_note("drawing a clip …")
    write_clip(clip, scene, height_px=384)
    print_note("loading the embedded model …")
    answer = Classifier(MODEL)(clip)
    _draw(clip, out, answer.predictions, scene.label)
    print_note("drawing people, and looking at each …")
    found, truth = _detect(out, seed)
    if json:
        print_json({**answer.to_dict(), "truth": scene.label})
        print_json({**found.to_dict(), "truth": truth})
        return
    print(f"{clip} shows a figure that does: {scene.label}")
    print(f"{MODEL} says:")
    print_predictions(answer.predictions)
    print(f"{out / 'people.mp4'} shows {len(truth)} people, in boxes that come with it.")
    print(f"{DETECTION_MODEL} says:")
    _print_people(found, truth)
    print(f"Look at {out / 'answer.mp4'} and {out / 'people-answer.mp4'},")
    print(f"or at the pictures {out / 'answer.png'} and {out / 'people-answer.png'}.")
    print(
        "These models know the synthetic world only. "
        "For real video: twinpath classify VIDEO, twinpath detect VIDEO"
    )


def _detect(out: Path, seed: int) -> tuple[Detections, dict[int, str]]:
    """Write `people.mp4`, its true boxes, and the answer on it; returns that, and what each person does."""
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


def _print_people(found: Detections, truth: dict[int, str]) -> None:
    from twinpath.results.detections import actions_of

    for track in found.tracks:
        says = ", ".join(f"{label} {score:.2f}" for label, score in actions_of(track)[:2]) or "nothing sure"
        print(f"  person {track.track_id}: {says}")
    print(f"  in truth: {', '.join(truth.values())}")


def _draw(clip: Path, out: Path, predictions: tuple[Prediction, ...], truth: str) -> None:
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
