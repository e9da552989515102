"""The library names its arguments; a user of the command line knows options. Here one becomes the other."""

from __future__ import annotations

import re

_OPTIONS = {
    "annotations": "--annotations",
    "calibrate": "--calibrate",
    "compile": "--compile",
    "device": "--device",
    "dtype": "--dtype",
    "encoder": "--encoder",
    "engine": "--engine",
    "entry": "--entry",
    "every_s": "--every",
    "format": "--format",
    "formats": "--formats",
    "fps": "--fps",
    "isolate": "--isolate",
    "label_map": "--label-map",
    "max_frames": "--max-frames",
    "max_seconds": "--max-seconds",
    "merge_s": "--merge",
    "min_person_score": "--min-person-score",
    "min_score": "--min-score",
    "people": "--people",
    "precision": "--precision",
    "resume": "--resume",
    "smooth_s": "--smooth",
    "start_s": "--start",
    "threads": "--threads",
    "top_k": "--top-k",
    "tracker": "--tracker",
    "views": "--views",
}
_AT_START = re.compile(r"(\w+)(?=( must be | '|: | is for ))")
_VALUE = re.compile(r"\b(\w+)=('?)([\w.]+)\2")
_WITH_UNDERSCORE = "|".join(name for name in _OPTIONS if "_" in name)
# Not in quotes or in a list without spaces: these are keys and columns of a file.
_WORD = re.compile(rf"(?<![\w./\\,'-])({_WITH_UNDERSCORE})(?![\w./\\=-]|,\S)")


def in_options(message: str) -> str:
    """A message with options in place of the arguments that it names.

    "every_s must be at least 0.01 s" begins with one, "engine='torch'" gives one a value, "raise max_seconds"
    holds one that is no English word.
    """
    start = _AT_START.match(message)
    if start and start[1] in _OPTIONS:
        message = _OPTIONS[start[1]] + message[start.end(1) :]
    message = _WORD.sub(lambda match: _OPTIONS[match[1]], message)
    return _VALUE.sub(_option_with_value, message)


def _option_with_value(match: re.Match[str]) -> str:
    option = _OPTIONS.get(match[1])
    if option is None:
        return match[0]
    if match[3] in ("True", "False"):
        return option if match[3] == "True" else option.replace("--", "--no-", 1)
    return f"{option} {match[3]}"
