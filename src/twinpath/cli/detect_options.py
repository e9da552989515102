"""Options of `twinpath detect` alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from twinpath.cli.options import Encoder, MinPersonScore, People, Tracker


@dataclass(frozen=True)
class PersonOptions:
    """Who detects and tracks people."""

    people: People = "auto"
    tracker: Tracker = "iou"
    min_person_score: MinPersonScore = None


@dataclass(frozen=True)
class DrawingOptions:
    """What the annotated video shows."""

    top_k: Annotated[
        int, typer.Option("--top-k", min=1, metavar="K", help="Labels of a person in the annotated video.")
    ] = 3
    hud: Annotated[bool, typer.Option("--hud", help="Show time and speed in the annotated video.")] = False
    encoder: Encoder = "libx264"
