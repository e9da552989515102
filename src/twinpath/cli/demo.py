"""`twinpath demo`: makes videos, classifies one and detects people in another, without any download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.console import print_line
from twinpath.cli.options import AsJson, Debug

if TYPE_CHECKING:
    from twinpath.results.detections import Detections

MODEL = "slowfast_tiny.synthetic"


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
    """Make two videos, and recognise what happens and who does what."""
    from twinpath.cli.console import outlive_reader, print_json, print_note, print_predictions
    from twinpath.cli.demo_files import DETECTION_MODEL, detect_people, draw_answer
    from twinpath.cli.loading import OFFERED
    from twinpath.data.synthetic import ACTIONS, TEST_SEED, make_scene, write_clip
    from twinpath.errors import UsageError
    from twinpath.recognize.classifier import Classifier

    if action is not None and action not in ACTIONS:
        raise UsageError(f"--action {action!r}: the figures can {', '.join(ACTIONS)}")
    outlive_reader()
    scene = make_scene(TEST_SEED + seed, action=action)
    out.mkdir(parents=True, exist_ok=True)
    clip = out / "clip.mp4"
    print_note("drawing a clip …")
    write_clip(clip, scene, height_px=384)
    print_note("loading the embedded model …")
    answer = Classifier(MODEL)(clip)
    draw_answer(clip, out, answer.predictions, scene.label)
    print_note("drawing people, and detecting what each does …")
    found, truth = detect_people(out, seed)
    if json:
        print_json({**answer.to_dict(), "truth": scene.label})
        print_json({**found.to_dict(), "truth": truth})
        return
    print_line(f"{clip} shows a figure that does: {scene.label}")
    print_line(f"{MODEL} says:")
    print_predictions(answer.predictions)
    print_line(f"{out / 'people.mp4'} shows {len(truth)} people, in boxes that come with it.")
    print_line(f"{DETECTION_MODEL} says:")
    _print_people(found, truth)
    print_line(f"Open {out / 'answer.mp4'} and {out / 'people-answer.mp4'},")
    print_line(f"or the pictures {out / 'answer.png'} and {out / 'people-answer.png'}.")
    print_line(
        "These models know the synthetic world only. For real video, once: pip install 'twinpath[torch]'"
    )
    print_line(f"and then: twinpath classify VIDEO --model {OFFERED}")


def _print_people(found: Detections, truth: dict[int, str]) -> None:
    from twinpath.results.detections import actions_of

    for track in found.tracks:
        says = ", ".join(f"{label} {score:.2f}" for label, score in actions_of(track)[:2]) or "nothing sure"
        print_line(f"  person {track.track_id}: {says}")
    print_line(f"  in truth: {', '.join(truth.values())}")
