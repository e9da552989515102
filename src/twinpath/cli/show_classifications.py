"""How `twinpath classify` prints a result: labels with bars, or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twinpath.cli.batch import WarningPrinter
from twinpath.cli.console import print_line

if TYPE_CHECKING:
    from twinpath.cli.loading import Loader
    from twinpath.jobs.batch import Outcome
    from twinpath.results.classification import Classification


class ClassificationPrinter:
    """Prints the results of one run, one after the other; those of earlier runs are in the file.

    Args:
        loader: Loaded the model.
        as_json: Whether to print JSON.
    """

    def __init__(self, loader: Loader[Any], *, as_json: bool) -> None:
        self._loader, self._as_json = loader, as_json
        self._warnings = WarningPrinter()
        self._is_first = True

    def show(self, outcome: Outcome[Classification], answer: Classification) -> None:
        """The labels on stdout; on stderr what is worth a remark."""
        from twinpath.cli.console import print_json, print_note, print_predictions
        from twinpath.paths import display_path

        if outcome.was_done:
            return
        timing_s = {"load": round(self._loader.took_s, 4), **answer.timing_s}
        if self._as_json:
            print_json({**answer.to_dict(), "timing_s": timing_s})
            return
        if self._is_first:
            print_note(self._loader.note)
            self._is_first = False
        video = display_path(outcome.video.path)
        print_line(f"{video}  ({answer.views} views)")
        if not answer.is_known:
            print_line(f"{answer.label}: no score is {answer.min_score:g} or more")
        print_predictions(answer.predictions)
        self._warnings.print(video, answer.warnings)
        print_note(f"decoded in {timing_s['decode']:.2f} s, classified in {timing_s['infer']:.2f} s")
