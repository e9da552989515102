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
    │       └── UnsupportedCodec    3   a codec that Twinpath does not read
    ├── PartialFailure              4   a batch finished, some of its files failed
    ├── WeightsError                5   a weight file that is not safe to load, or cannot be used
    │   ├── UnknownWeightFormat     5
    │   ├── WeightsMismatch         5   keys are missing, unexpected or of another shape; all are named
    │   ├── UnsafeWeights           5   code in a pickle, a decompression bomb
    │   ├── DamagedWeights          5   truncated, wrong hash, values that are not finite
    │   ├── ExportDiffers           5   an exported graph computes something else than the network
    │   └── DownloadFailed          5   the message has the URL, and where to put the file
    ├── LimitExceeded               6   a limit on pixels, frames, bytes or seconds
    ├── WorkerDied                  6   a child process was killed, usually because memory ran out
    └── Stopped                         by the user; written files are complete
        ├── Interrupted           130   Ctrl-C
        └── Terminated            143   SIGTERM; 129 for SIGHUP

The number is the exit code of the command line. An `OSError` (a full disk, a file that cannot be written) has
exit code 3. Any other exception is a bug, with exit code 1.
"""

from __future__ import annotations

import errno
import re
from typing import ClassVar

from twinpath.addresses import mask_secrets
from twinpath.escapes import printable

# How torch, OpenVINO and OpenCV say it, in errors of no type of their own.
_NO_MEMORY = re.compile(
    r"can(no|')t allocate|bad_alloc|failed to allocate|insufficient memory|out of memory", re.IGNORECASE
)


class TwinpathError(Exception):
    """Base class of all errors of Twinpath.

    To do: Read the message: it names the input and the next step.

    Messages are one line, without the secrets of addresses, and with escapes for control characters, whatever
    the names are that they hold.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(mask_secrets(message)))


class UsageError(TwinpathError):
    """An argument or a setting is not allowed, or an output cannot be written where it was asked for.

    To do: Give what the message allows. Nothing was read or written.
    """

    exit_code = 2


class ConfigError(UsageError):
    """A recipe cannot be read, or a setting in it is not allowed; or a folder holds another run.

    To do: Correct the key that is named in the file that is named.
    """


class TrainingDiverged(UsageError):
    """The loss became infinite or NaN.

    To do: Lower `schedule.base_learning_rate` or raise `schedule.warmup_epochs` in the recipe; the
        checkpoint before it is kept.
    """


class UnknownModel(UsageError):
    """There is no network and no weight record of that name.

    To do: Take the nearest name, which the message gives, or another one of the list of models.
    """


class MissingExtra(UsageError):
    """An optional dependency is not installed.

    To do: Run the `pip install` command of the message.
    """


class InputError(TwinpathError):
    """A file cannot be used: annotations, boxes, results of an earlier run.

    To do: Correct the line or the value that is named, or give another file.
    """

    exit_code = 3


class NotAFile(InputError):
    """An input is missing, cannot be read, or is a folder, a pipe, a device, an address.

    To do: Check the name and the permissions; of an address, save the video as a file first.
    """


class SourceLost(InputError):
    """A live source cannot be opened, or not again after an interruption.

    To do: Check the address, the login and the network; `RetryPolicy` bounds the tries.
    """


class VideoError(InputError):
    """Base class of what is wrong with a video.

    To do: Play the file elsewhere: is it complete?
    """


class NotAVideo(VideoError):
    """The content is no video that Twinpath reads, or its index is missing.

    To do: Copy the file again if it is cut short; convert other formats to MP4.
    """


class NoVideoStream(VideoError):
    """The file holds no video stream, for example sound only.

    To do: Give the file that has the pictures.
    """


class NoFrames(VideoError):
    """There is a video stream from which no frame decodes.

    To do: Copy the file again, or record it again.
    """


class CorruptVideo(VideoError):
    """The video is damaged so that a result would say nothing.

    To do: Copy the file again; or cut out the part that plays.

    Attributes:
        frames_decoded: Number of frames that were decoded.
    """

    def __init__(self, message: str, *, frames_decoded: int) -> None:
        super().__init__(message)
        self.frames_decoded = frames_decoded


class UnsupportedCodec(VideoError):
    """This FFmpeg has no decoder for the video, or one that is not allowed.

    To do: Convert the video to H.264.
    """


class PartialFailure(TwinpathError):
    """A batch finished, and some of its inputs failed.

    To do: Each failure is named above; mend these inputs, and the same command does the rest.
    """

    exit_code = 4


class WeightsError(TwinpathError):
    """A weight file cannot be used, or gives scores that are no scores.

    To do: Follow the message, or use published weights.
    """

    exit_code = 5


class UnknownWeightFormat(WeightsError):
    """The file holds no weights of a known format, for example a web page or a compiled model.

    To do: Give the checkpoint itself, as torch, safetensors or Caffe2 wrote it.
    """


class WeightsMismatch(WeightsError):
    """Names or shapes in a file differ from the network's.

    To do: Name the network that the file is for, or give `num_classes` for a new last layer.

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
    """Loading the file would run code of a stranger, or unpack it without bounds.

    To do: Ask for the tensors alone, for example as safetensors.
    """


class DamagedWeights(WeightsError):
    """The file is cut short, has another hash than before, or holds values that are not finite.

    To do: Delete it and fetch it again.
    """


class DownloadFailed(WeightsError):
    """A download failed, or what came is not the file.

    To do: Check the network, `https_proxy` and `SSL_CERT_FILE`; or fetch the URL another way, and put
        the file where the message says.
    """


class ExportDiffers(WeightsError):
    """An exported graph computes something else than the network in torch. It was not kept.

    To do: Export in another format, and report the model and the versions.
    """


class LimitExceeded(TwinpathError):
    """An input costs more pixels, frames, bytes or seconds than the limits allow.

    To do: Scale down or cut the video, or raise the limit that is named.
    """

    exit_code = 6


class WorkerDied(TwinpathError):
    """A child process was killed, usually because memory ran out.

    To do: Free memory, or use fewer workers or smaller inputs.
    """

    exit_code = 6


class Stopped(TwinpathError):
    """The user stopped the run; written files are complete.

    To do: The message says how the rest is done.
    """


class Interrupted(Stopped):
    """Ctrl-C.

    To do: The message says how the rest is done.
    """

    exit_code = 130


class Terminated(Stopped):
    """SIGTERM; or SIGHUP, when a terminal closes, whose exit code is 129.

    To do: The message says how the rest is done.
    """

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
