"""`twinpath stream`: what happens now, from a camera, an address or a file played at its own speed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from twinpath.cli.option_groups import option_groups
from twinpath.cli.options import Debug, Encoder, Model, Runtime, Weights
from twinpath.cli.stream_model import WindowOptions
from twinpath.cli.stream_source import SourceOptions


@option_groups
def stream(
    *,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A camera (0, /dev/video0), an rtsp:// or http:// URL, a file."
        ),
    ],
    model: Model = None,
    weights: Weights = None,
    every: Annotated[float, typer.Option(metavar="S", help="From one answer to the next, in seconds.")] = 1.0,
    window_options: WindowOptions,
    stop_after: Annotated[
        float | None, typer.Option("--for", min=0, metavar="S", help="Stop so long after the first picture.")
    ] = None,
    annotate: Annotated[
        Path | None, typer.Option(metavar="FILE.mp4", help="Write the pictures with the answers on them.")
    ] = None,
    encoder: Encoder = "libx264",
    window: Annotated[bool, typer.Option("--window", help="Show the pictures; q closes.")] = False,
    source_options: SourceOptions,
    runtime: Runtime,
    json: Annotated[
        bool | None,
        typer.Option("--json/--no-json", help="JSON lines.  [default: where stdout is no terminal]"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Recognise what happens now, again and again, until the source ends, Ctrl-C or --for.

    Answers are about the newest seconds, as many as the model sees. What comes faster than it can be
    classified is skipped and counted. A source that breaks off is opened again, after ever longer waits.
    """
    from twinpath.cli.console import outlive_reader, print_note
    from twinpath.cli.loading import model_or_best
    from twinpath.cli.stream_model import live_model
    from twinpath.cli.stream_run import show_stream
    from twinpath.cli.stream_screens import open_screen
    from twinpath.cli.stream_tally import Tally
    from twinpath.cli.stream_views import FrameViews
    from twinpath.recognize.live import LiveRecognition
    from twinpath.recognize.plan import check_every_s

    if annotate is not None or window:
        outlive_reader()
    check_every_s(every)
    runtime.config()
    stop = threading.Event()
    reader = source_options.reader(source, stop)
    views = FrameViews(
        reader, annotate, encoder=encoder, has_window=window, inputs=[weights] if weights else []
    )
    loaded = live_model(model_or_best(model, weights), weights, window_options, runtime)
    print_note(f"{loaded.name} on {loaded.describe()}; reading {reader.source.shown}")
    live = LiveRecognition(reader, loaded, stop=stop, every_s=every, on_frame=views.add)
    screen = open_screen(loaded.name, reader, live, as_json=json)
    show_stream(live, views, screen, Tally(reader, views.file), stop_after)
