"""How `twinpath detect` prints a result: people with their actions as a table, or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinpath.cli.batch import WarningPrinter, files_in_words
from twinpath.cli.console import print_line

if TYPE_CHECKING:
    from twinpath.jobs.batch import Outcome
    from twinpath.jobs.scored_videos import VideoResult
    from twinpath.results.detections import Detections

MOST_ROWS = 50  # of a table


class DetectionsPrinter:
    """Prints the results of one run, one after the other."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._warnings = WarningPrinter()

    def show(self, outcome: Outcome[VideoResult[Detections]], done: VideoResult[Detections]) -> None:
        """The people on stdout; on stderr what is worth a remark. Of a stopped run nothing."""
        from twinpath.cli.console import print_json, print_note
        from twinpath.paths import display_path
        from twinpath.results.clock import clock

        if outcome.stopped is not None:
            return
        found = done.result
        if self._as_json:
            files = {name: str(path) for name, path in done.files.items()}
            print_json({**found.to_dict(), "warnings": list(done.warnings), "files": files})
            return
        video = display_path(outcome.video.path)
        print_line(f"{video}  {clock(found.duration_s)}, {len(found.keyframes_s)} keyframes")
        _print_tracks(found)
        self._warnings.print(video, done.warnings)
        if done.scored:
            timing = ", ".join(f"{part} {took_s:.1f} s" for part, took_s in found.timing_s.items())
            print_note(f"{found.person_detector}; {done.took_s:.1f} s in all, of these {timing}")
        else:
            print_note(f"{found.person_detector}; scored by an earlier run")
        print_note(f"files: {files_in_words(done.files.values())}")


def _print_tracks(found: Detections) -> None:
    from twinpath.cli.console import Column, print_table
    from twinpath.results.clock import clock
    from twinpath.results.detections import actions_of

    if not found.tracks:
        print_line("nobody was found")
        return
    shown = found.tracks[:MOST_ROWS]
    print_table(
        [
            Column("person", [str(track.track_id) for track in shown], right=True),
            Column("start", [clock(track.points[0].time_s) for track in shown], right=True),
            Column("end", [clock(track.points[-1].time_s) for track in shown], right=True),
            Column("actions", [_in_words(actions_of(track)) for track in shown]),
        ]
    )
    if len(found.tracks) > MOST_ROWS:
        print_line(f"… and {len(found.tracks) - MOST_ROWS} more people, in the files")


def _in_words(actions: list[tuple[str, float]]) -> str:
    return ", ".join(f"{label} {score:.2f}" for label, score in actions[:3]) or "–"
