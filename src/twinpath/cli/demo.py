"""`twinpath demo`: a video is made, classified and shown, without any download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.options import AsJson, Debug

if TYPE_CHECKING:
    from twinpath.recognize.results import Prediction

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
    """Draw a clip, classify it, and show the answer on it."""
    from twinpath.cli.console import print_json, print_predictions, say
    from twinpath.data.synthetic import ACTIONS, TEST_SEED, make_scene, write_clip
    from twinpath.errors import UsageError
    from twinpath.recognize.classify import Classifier

    if action is not None and action not in ACTIONS:
        raise UsageError(f"--action {action!r}: the figures can {', '.join(ACTIONS)}")
    scene = make_scene(TEST_SEED + seed, action=action)
    out.mkdir(parents=True, exist_ok=True)
    clip = out / "clip.mp4"
    say("drawing a clip …")
    write_clip(clip, scene, height_px=384)
    say("loading the embedded model …")
    answer = Classifier(MODEL)(clip)
    _draw(clip, out, answer.predictions, scene.label)
    if json:
        print_json({**answer.to_dict(), "truth": scene.label})
        return
    print(f"{clip} shows a figure that does: {scene.label}")
    print(f"{MODEL} says:")
    print_predictions(answer.predictions)
    print(f"Look at {out / 'answer.mp4'} and {out / 'answer.png'}.")
    print("This model knows the synthetic world only. For real video: twinpath classify VIDEO")


def _draw(clip: Path, out: Path, predictions: tuple[Prediction, ...], truth: str) -> None:
    """Write `answer.mp4` and, from its frames, `answer.png`."""
    from PIL import Image

    from twinpath.atomic import atomic_path
    from twinpath.render.answer import AnswerPanel
    from twinpath.video.decode import FrameStream
    from twinpath.video.probe import probe
    from twinpath.video.writer import VideoWriter

    info = probe(clip)
    panel = AnswerPanel(predictions, (info.height, info.width), title=f"truth: {truth}")
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
