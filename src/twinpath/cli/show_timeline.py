"""How `twinpath timeline` prints a result: segments as a table, or JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twinpath.cli.batch import WarningPrinter, files_in_words
from twinpath.cli.console import print_line

if TYPE_CHECKING:
    from twinpath.jobs.batch import Outcome
    from twinpath.jobs.scored_videos import VideoResult
    from twinpath.results.timeline import Timeline

MOST_ROWS = 50  # of a table on a terminal
NOTED_S = 0.5  # a first frame that comes later than this is noted


class TimelinePrinter:
    """Prints the results of one run, one after the other."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._warnings = WarningPrinter()

    def show(self, outcome: Outcome[VideoResult[Timeline]], done: VideoResult[Timeline]) -> None:
        """The segments on stdout; on stderr what is worth a remark."""
        from twinpath.cli.console import print_json, print_note
        from twinpath.paths import display_path
        from twinpath.results.clock import clock

        windows = done.result.windows
        if self._as_json:
            files = {name: str(path) for name, path in done.files.items()}
            print_json({**done.result.to_dict(with_windows=False), "files": files})
            return
        video = display_path(outcome.video.path)
        part = "" if windows.complete else f" of {clock(windows.duration_s)}, unfinished"
        print_line(f"{video}  {clock(windows.done_s)}{part}, {len(windows)} windows")
        _print_segments(done.result.on_players_clock())
        if windows.first_frame_s >= NOTED_S:
            print_note(
                f"{video}: times are those of a player, which shows the first frame at "
                f"{clock(windows.first_frame_s)}"
            )
        self._warnings.print(video, done.warnings)
        if done.scored:
            rate = done.scored / max(done.took_s, 1e-9)
            print_note(f"scored {done.scored} windows in {done.took_s:.1f} s, {rate:.1f} a second")
        print_note(f"files: {files_in_words(done.files.values())}")


def _print_segments(timeline: Timeline) -> None:
    from twinpath.cli.console import Column, print_table
    from twinpath.results.clock import clock

    segments = timeline.segments
    if not segments:
        best = timeline.best()
        highest = f"; the highest is {best[1].label}, {best[1].score:.2f} at {clock(best[0])}" if best else ""
        print_line(f"no smoothed score reaches {timeline.rules.min_score:g} (--min-score){highest}")
        return
    more = len(segments) - MOST_ROWS if sys.stdout.isatty() else 0
    shown = segments[:MOST_ROWS] if more > 0 else segments
    print_table(
        [
            Column("start", [clock(s.start_s) for s in shown], right=True),
            Column("end", [clock(s.end_s) for s in shown], right=True),
            Column("length", [f"{s.length_s:.1f} s" for s in shown], dispensable=3, right=True),
            Column("label", [s.label for s in shown]),
            Column("mean", [f"{s.mean_score:.2f}" for s in shown], dispensable=1, right=True),
            Column("peak", [f"{s.peak_score:.2f}" for s in shown], dispensable=2, right=True),
        ]
    )
    if more > 0:
        print_line(f"… and {more} more segments, in the files")
