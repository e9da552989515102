"""The scores of a video on the disk, and the state of the files that are made of them.

    match.mp4.timeline.scores.npz     complete scores; `settings` tells with which settings which of the files
                                      beside them were written
    match.mp4.timeline.partial.npz    of a run in progress, or of one that was stopped

Complete scores stay until those of a later run are complete, and then are replaced in one step.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from twinpath.errors import InputError, UsageError
from twinpath.jobs.outputs import OutputFiles
from twinpath.paths import display_path
from twinpath.results.provenance import Provenance

PARTIAL = "partial.npz"


class Scores(Protocol):
    """What `WindowScores` and `KeyframeScores` have in common."""

    @property
    def video(self) -> str: ...
    @property
    def provenance(self) -> Provenance: ...
    @property
    def complete(self) -> bool: ...
    @property
    def done_s(self) -> float: ...
    @property
    def duration_s(self) -> float: ...
    @property
    def settings(self) -> dict[str, Any]: ...
    def with_settings(self, settings: dict[str, Any]) -> Self: ...
    def __len__(self) -> int: ...


ScoresT = TypeVar("ScoresT", bound=Scores)


@dataclass(frozen=True)
class ScoresFormat(Generic[ScoresT]):
    """How scores of one kind are kept.

    Attributes:
        ending: Of the file of complete scores.
        load: Reads a file; raises InputError where it is damaged or something else.
        save: Writes a file, whole or not at all.
    """

    ending: str
    load: Callable[[Path], ScoresT]
    save: Callable[[ScoresT, Path], None]


@dataclass(frozen=True)
class WrittenFiles:
    """Which files beside the scores are up to date.

    Attributes:
        settings: With which they were made of the scores.
        formats: Those that were written with these settings.
    """

    settings: dict[str, Any]
    formats: frozenset[str]

    @classmethod
    def of(cls, scores: Scores) -> Self:
        """As the file of the scores tells."""
        settings, formats = scores.settings.get("settings"), scores.settings.get("formats")
        if not isinstance(settings, dict) or not isinstance(formats, list):
            return cls({}, frozenset())
        return cls(settings, frozenset(map(str, formats)))

    def mark(self, scores: ScoresT) -> ScoresT:
        """The scores with this in them."""
        if not self.formats:
            return scores.with_settings({})
        return scores.with_settings({"settings": self.settings, "formats": sorted(self.formats)})


class ScoreFiles(Generic[ScoresT]):
    """The files of scores of one video.

    Args:
        outputs: Names the files of the video.
        scores_format: See `ScoresFormat`.
    """

    def __init__(self, outputs: OutputFiles, scores_format: ScoresFormat[ScoresT]) -> None:
        self.complete_path = outputs.path(scores_format.ending)
        self.partial_path = outputs.path(PARTIAL)
        self._format = scores_format

    def find(self, now: Provenance, *, resume: bool, targets: Iterable[Path]) -> ScoresT | None:
        """The scores of an earlier run that this one takes, complete ones, or resumes from.

        Args:
            now: What this run makes scores from.
            resume: Whether it takes them at all; False: it starts over.
            targets: The other files that it may write.
        Returns:
            None: there are none, they are of the video before it was changed, or `resume` is False.
        Raises:
            UsageError: There are results of another video or of other settings, or one of the files is there
                and no scores beside it tell that it is a result.
            InputError: The file of the scores is damaged.
        """
        found, damaged = self._load_all(ignore_damage=not resume)
        self._check_source(found, now)
        if not found and not damaged:
            _check_absent([self.complete_path, self.partial_path, *targets])
        if not resume:
            return None
        for _, scores in found:
            if not scores.provenance.differences(now):
                return scores
        for path, scores in found:
            if not scores.provenance.same_run(now):
                raise other_settings(path, scores.provenance, now)
        return None

    @property
    def has_complete(self) -> bool:
        """Whether there are complete scores, of whatever settings."""
        return self.complete_path.is_file()

    def save_partial(self, scores: ScoresT) -> None:
        """Keep the state of the run in progress."""
        self._format.save(scores, self.partial_path)

    def save_complete(self, scores: ScoresT) -> None:
        """Replace the complete scores."""
        self._format.save(scores, self.complete_path)

    def drop_partial(self) -> None:
        """Remove the state of a run that is complete or failed."""
        self.partial_path.unlink(missing_ok=True)

    def drop_stale_partial(self, now: Provenance) -> None:
        """Where the scores are complete: remove the state of a run of the same settings that started over."""
        try:
            partial = self._format.load(self.partial_path)
        except (FileNotFoundError, InputError):
            return
        if not partial.provenance.differences(now):
            self.drop_partial()

    def _load_all(self, *, ignore_damage: bool) -> tuple[list[tuple[Path, ScoresT]], bool]:
        """The scores that are there, complete ones first, and whether some are damaged."""
        found: list[tuple[Path, ScoresT]] = []
        damaged = False
        for path in (self.complete_path, self.partial_path):
            if not os.path.lexists(path):
                continue
            try:
                found.append((path, self._format.load(path)))
            except InputError:
                if not ignore_damage:
                    raise
                damaged = True
        return found, damaged

    def _check_source(self, found: Iterable[tuple[Path, ScoresT]], now: Provenance) -> None:
        """Raises: UsageError: scores are of another video; of the same one it may have been changed."""
        for path, scores in found:
            if not is_same_source(scores.provenance, now):
                raise UsageError(
                    f"{display_path(path)} holds the results of another video, "
                    f"{display_path(Path(scores.video))}; give another folder"
                )


def is_same_source(before: Provenance, now: Provenance) -> bool:
    """Whether two results are of one file: its content is the same, or it was changed at its place."""
    if before.source is None or now.source is None:
        return False
    return before.source == now.source or (
        now.source.path_sha256 is not None and before.source.path_sha256 == now.source.path_sha256
    )


def other_settings(path: Path, before: Provenance, now: Provenance) -> UsageError:
    """The error of a run that finds results of other settings where its own would go."""
    differences = replace(before, source=now.source).differences(now)
    return UsageError(
        f"{display_path(path)} holds results of other settings: {'; '.join(differences)}; "
        "give another place, or resume=False to start over"
    )


def _check_absent(paths: Iterable[Path]) -> None:
    for path in paths:
        if os.path.lexists(path):
            raise UsageError(
                f"{display_path(path)} is there, and no scores beside it tell that it is a result of this "
                "video; move it, or give another folder"
            )
