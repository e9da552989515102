"""The exception tree. Every message is one line: what failed, where, and what to do.

    TwinpathError                   1   base of all others
    ├── UsageError                  2   an argument or a setting that is not allowed
    │   ├── ConfigError             2   a recipe or a setting in it
    │   ├── TrainingDiverged        2   the loss became infinite or NaN
    │   ├── UnknownModel            2   no such network or weight record
    │   └── MissingExtra            2   an optional dependency is not installed
    ├── InputError                  3   a file that cannot be used
    │   ├── NotAFile                3   missing, a folder, a pipe, a device
    │   ├── SourceLost              3   a live source cannot be opened, or not again after an interruption
    │   └── VideoError              3
    │       ├── NotAVideo           3   the content is no video, or the index is missing
    │       ├── NoVideoStream       3   for example audio only
    │       ├── NoFrames            3   a video stream from which no frame decodes
    │       ├── CorruptVideo        3   damaged; has the number of frames that were decoded
    │       └── UnsupportedCodec    3   this FFmpeg has no decoder for it
    ├── PartialFailure              4   a batch finished, some of its files failed
    ├── WeightsError                5   a weight file that is not safe to load, or cannot be used
    │   ├── UnknownWeightFormat     5
    │   ├── WeightsMismatch         5   keys are missing, unexpected or of another shape; all are named
    │   ├── UnsafeWeights           5   code in a pickle, a decompression bomb
    │   ├── DamagedWeights          5   truncated, wrong hash, values that are not finite
    │   └── DownloadFailed          5   the message has the URL, and where to put the file
    ├── LimitExceeded               6   a limit on pixels, frames, bytes or seconds
    ├── WorkerDied                  6   a child process was killed, usually because memory ran out
    └── Stopped                         by the user; written files are complete
        ├── Interrupted           130   Ctrl-C
        └── Terminated            143   SIGTERM

The number is the exit code of the command line. Any other exception is a bug, with exit code 1.
"""

from __future__ import annotations

import errno
import re
from typing import ClassVar

# How torch, OpenVINO and OpenCV say it, in errors of no type of their own.
_NO_MEMORY = re.compile(
    r"can(no|')t allocate|bad_alloc|failed to allocate|insufficient memory|out of memory", re.IGNORECASE
)


class TwinpathError(Exception):
    """Base class of all errors of Twinpath."""

    exit_code: ClassVar[int] = 1


class UsageError(TwinpathError):
    exit_code = 2


class ConfigError(UsageError):
    pass


class TrainingDiverged(UsageError):
    pass


class UnknownModel(UsageError):
    pass


class MissingExtra(UsageError):
    pass


class InputError(TwinpathError):
    exit_code = 3


class NotAFile(InputError):
    pass


class SourceLost(InputError):
    pass


class VideoError(InputError):
    pass


class NotAVideo(VideoError):
    pass


class NoVideoStream(VideoError):
    pass


class NoFrames(VideoError):
    pass


class CorruptVideo(VideoError):
    """A damaged video.

    Attributes:
        frames_decoded: Number of frames that were decoded.
    """

    def __init__(self, message: str, *, frames_decoded: int) -> None:
        super().__init__(message)
        self.frames_decoded = frames_decoded


class UnsupportedCodec(VideoError):
    pass


class PartialFailure(TwinpathError):
    exit_code = 4


class WeightsError(TwinpathError):
    exit_code = 5


class UnknownWeightFormat(WeightsError):
    pass


class WeightsMismatch(WeightsError):
    """Names or shapes in a file differ from the network's.

    Attributes:
        missing: Parameters of the network that are not in the file.
        unexpected: Entries of the file that are not in the network.
        shape_mismatch: Name, shape in the file and shape in the network.
    """

    def __init__(
        self,
        message: str,
        *,
        missing: list[str],
        unexpected: list[str],
        shape_mismatch: list[tuple[str, tuple[int, ...], tuple[int, ...]]],
    ) -> None:
        super().__init__(message)
        self.missing = missing
        self.unexpected = unexpected
        self.shape_mismatch = shape_mismatch


class UnsafeWeights(WeightsError):
    pass


class DamagedWeights(WeightsError):
    pass


class DownloadFailed(WeightsError):
    pass


class LimitExceeded(TwinpathError):
    exit_code = 6


class WorkerDied(TwinpathError):
    exit_code = 6


class Stopped(TwinpathError):
    pass


class Interrupted(Stopped):
    exit_code = 130


class Terminated(Stopped):
    exit_code = 143


#: Errors of a single input: a batch reports them and continues. The library converts a `MemoryError` to a
#: `LimitExceeded` if the file is known.
INPUT_FAILURES = (InputError, LimitExceeded, WorkerDied, UsageError, OSError, MemoryError)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory is lacking: one of Python, the system, torch, OpenVINO or OpenCV."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, TwinpathError):
        return False
    return isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)) is not None
