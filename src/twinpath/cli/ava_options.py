"""The options of `twinpath evaluate --dataset ava`: AVA's own files, the people to score, results."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.options import Resume

if TYPE_CHECKING:
    from twinpath.data.ava.clips import AvaSource


@dataclass(frozen=True)
class AvaOptions:
    """Each is explained in `twinpath evaluate --help`."""

    annotations: Annotated[
        Path | None, typer.Option("--annotations", metavar="FILE", help="The ground truth: ava_val_v2.2.csv.")
    ] = None
    exclude: Annotated[
        Path | None, typer.Option("--exclude", metavar="FILE", help="Rows video,second that do not count.")
    ] = None
    label_map: Annotated[
        Path | None,
        typer.Option(
            "--label-map", metavar="FILE", help="Actions that count, .pbtxt or .csv.  [default: AVA's 60]"
        ),
    ] = None
    people: Annotated[
        Path | None,
        typer.Option(
            "--people",
            metavar="FILE",
            help="Boxes of a person detector to score.  [default: the true boxes]",
        ),
    ] = None
    min_person_score: Annotated[
        float | None,
        typer.Option(
            "--min-person-score",
            metavar="X",
            help="The lowest score of a person.  [default: 0.8; for slow networks 0.9]",
        ),
    ] = None
    videos: Annotated[
        Path | None, typer.Option("--videos", metavar="DIR", help="Videos, whole or cut at 900 s.")
    ] = None
    frames: Annotated[
        Path | None,
        typer.Option("--frames", metavar="DIR", help="A folder of frames for each video, 30 a second."),
    ] = None
    frame_list: Annotated[
        Path | None,
        typer.Option("--frame-list", metavar="FILE", help="PySlowFast's list of the frames in --frames."),
    ] = None
    begins_at: Annotated[
        int | None,
        typer.Option(
            "--begins-at",
            min=0,
            metavar="S",
            help="The second at which videos or frames begin.  [default: 900 if cut, else 0]",
        ),
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE|DIR",
            help="Write AVA's results file; with --data a folder of scores, predictions and report.",
        ),
    ] = None
    resume: Resume = True
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="FILE", help="Measure a results file; run nothing."),
    ] = None
    at_most: Annotated[
        int | None,
        typer.Option(
            "--at-most",
            min=1,
            metavar="N",
            help="Of each second count the N best results only; AVA's competition: 50.",
        ),
    ] = None

    def first_given(self, *names: str) -> str | None:
        """The first of some options, or of all, that was given."""
        for field in fields(self):
            if (not names or field.name in names) and getattr(self, field.name) != field.default:
                return "--no-resume" if field.name == "resume" else f"--{field.name.replace('_', '-')}"
        return None

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files that are read."""
        named = (self.annotations, self.exclude, self.label_map, self.people, self.frame_list)
        return tuple(path for path in named if path is not None)

    def check(self, model: str | None, weights: Path | None) -> None:
        """Raises: UsageError: an option is missing, or two exclude each other."""
        from twinpath.errors import UsageError

        if self.annotations is None:
            raise UsageError("--dataset ava needs --annotations: the ground truth, such as ava_val_v2.2.csv")
        if self.results is not None:
            of_run = ("videos", "frames", "frame_list", "people", "min_person_score", "begins_at")
            other = self.first_given(*of_run)
            other = other or ("--model" if model else "--weights" if weights else self.first_given("out"))
            if other:
                raise UsageError(f"--results measures what was found already; leave out {other}")
            return
        if (self.videos is None) == (self.frames is None):
            raise UsageError("--dataset ava needs --videos or --frames, one of them; or --results to measure")
        if self.frame_list is not None and self.frames is None:
            raise UsageError("--frame-list needs --frames: the folder that its paths start from")
        if self.min_person_score is not None and self.people is None:
            raise UsageError("--min-person-score needs --people: the boxes of a person detector")

    def sources(self) -> dict[str, AvaSource]:
        """The videos or frames by name. Raises: InputError: there are none."""
        from twinpath.data.ava import frame_folders, read_frame_list, video_files

        if self.videos is not None:
            return video_files(self.videos, begins_at_s=self.begins_at)
        assert self.frames is not None
        if self.frame_list is not None:
            return read_frame_list(self.frame_list, self.frames, begins_at_s=self.begins_at)
        return frame_folders(self.frames, begins_at_s=self.begins_at)
