"""Score thresholds: one for all labels, or one for each label.

parse_thresholds("0.5, stand=0.9", labels("ava"), default=0.5)
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import ConfigError, UsageError
from twinpath.escapes import shown
from twinpath.formats.text_columns import decode_text, other_delimiter, what_is_no_text
from twinpath.paths import display_path
from twinpath.suggest import nearest_names

_COMMA = re.compile(r"\s*,\s*")
_HEADER = ["label", "score"]


def checked_thresholds(
    min_score: float | Sequence[float] | NDArray[np.floating], labels: Sequence[str]
) -> NDArray[np.float64]:
    """The minimum score of each label, from numbers.

    Args:
        min_score: A score from 0 to 1 for all labels, or (C,) one for each; a value above 1 disables its
            label.
        labels: The names of the C classes.
    Returns:
        (C,) thresholds.
    Raises:
        UsageError: Not numbers from 0 to 1, or not as many as labels.
    """
    given = np.asarray(min_score)
    most = np.inf if given.ndim else 1
    if given.dtype.kind not in "iuf" or not ((given >= 0) & (given <= most)).all():  # NaN compares as False
        raise UsageError(f"min_score must be a number from 0 to 1, or one for each label, not {min_score!r}")
    if given.shape not in ((), (len(labels),)):
        raise UsageError(f"min_score must be one number or {len(labels)}, not of shape {given.shape}")
    return np.array(np.broadcast_to(given, (len(labels),)), dtype=np.float64)


def parse_thresholds(text: str, labels: Sequence[str], *, default: float) -> NDArray[np.float64]:
    """The minimum score of each label, from text.

    Args:
        text: A score for all labels, `label=score` for single labels, or both, separated by commas, for
            example "0.5, stand=0.9". A label may contain commas and equal signs, and may be quoted. Or the
            path of a file for `read_thresholds`, which ends with ".csv".
        labels: The names of the C classes.
        default: The threshold of labels without a score.
    Returns:
        (C,) thresholds, 0 to 1.
    Raises:
        UsageError: No such label (the message has the nearest one), or no score from 0 to 1.
        ConfigError: As `read_thresholds`.
    """
    if text.strip().lower().endswith(".csv"):
        return read_thresholds(Path(text.strip()), labels, default=default)
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise UsageError("no score was given; give one from 0 to 1, or label=score")
    known = _known(labels)
    for_all: float | None = None
    for_label: dict[int, float] = {}
    while parts:
        length, index, score = _next_label(parts, known)
        if index is not None:
            _add(for_label, index, score, labels)
        elif for_all is None:
            for_all = _score(score)
        else:
            raise UsageError(f"{score!r} is a second score for all labels; write label=score for one label")
        del parts[:length]
    return _thresholds(for_label, labels, default=default if for_all is None else for_all)


def read_thresholds(path: Path, labels: Sequence[str], *, default: float) -> NDArray[np.float64]:
    """The minimum score of each label, from a table with the columns label and score; the header is optional.

    Args:
        path: A CSV file in UTF-8; a label with commas is quoted.
        labels: The names of the C classes.
        default: The threshold of labels that are not in the file.
    Returns:
        (C,) thresholds, 0 to 1.
    Raises:
        ConfigError: No such file, or an error in a line.
    """
    known = _known(labels)
    for_label: dict[int, float] = {}
    for line, row in _rows(path):
        try:
            if len(row) != 2:
                raise UsageError("a line needs a label and a score; a label with commas needs quotes")
            index = known.get(_key(row[0]))
            if index is None:
                raise _no_label(row[0], labels)
            _add(for_label, index, row[1], labels)
        except UsageError as error:
            raise ConfigError(f"{display_path(path)}:{line}: {shown(str(error))}") from error
    if not for_label:
        raise ConfigError(f"{display_path(path)}: no label has a score in it; a line is: label,score")
    return _thresholds(for_label, labels, default=default)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row, without empty rows and the header."""
    if not path.is_file():
        raise ConfigError(f"{display_path(path)}: no such file; each line needs a label and a score")
    content = path.read_bytes()
    try:
        text = decode_text(content)
    except UnicodeDecodeError as error:
        what = what_is_no_text(content) or "not UTF-8; save it as UTF-8"
        raise ConfigError(f"{display_path(path)}: {what}") from error
    delimiter = other_delimiter(text.partition("\n")[0])
    if delimiter is not None:
        raise ConfigError(f"{display_path(path)}:1: {delimiter} between the fields; a line is: label,score")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for number, cells in enumerate(reader):
            row = [cell.strip() for cell in cells]
            if any(row) and not (number == 0 and [cell.lower() for cell in row] == _HEADER):
                yield reader.line_num, row
    except csv.Error as error:
        raise ConfigError(f"{display_path(path)}:{reader.line_num}: no CSV: {error}") from error


def _next_label(parts: Sequence[str], known: Mapping[str, int]) -> tuple[int, int | None, str]:
    """The next label and its score: the number of parts, the label's index and the score.

    A label may contain commas and so span several parts. The label is None for a score alone.
    """
    for length in range(len(parts), 0, -1):
        name, equals, score = ", ".join(parts[:length]).rpartition("=")
        index = known.get(_key(name), known.get(_unquoted(_key(name))))
        if equals and "," not in score and index is not None:
            return length, index, score
    if "=" not in parts[0] and _is_number(parts[0]):
        return 1, None, parts[0]
    length = next((n for n, part in enumerate(parts, 1) if "=" in part), 0)
    if not length:
        raise UsageError(f"{parts[0]!r} is neither a score nor label=score, nor a .csv file")
    raise _no_label(_unquoted(", ".join(parts[:length]).rpartition("=")[0].strip()), list(known))


def _no_label(name: str, labels: Sequence[str]) -> UsageError:
    nearest = " or ".join(repr(label) for label in nearest_names(name, labels, count=3))
    hint = f"did you mean {nearest}?" if nearest else f"it knows {len(labels)} others"
    return UsageError(f"the model has no label {name!r}; {hint}")


def _add(for_label: dict[int, float], index: int, score: str, labels: Sequence[str]) -> None:
    if index in for_label:
        raise UsageError(f"{labels[index]!r} has two scores; remove one")
    for_label[index] = _score(score)


def _score(text: str) -> float:
    if not _is_number(text) or not 0 <= float(text) <= 1:
        raise UsageError(f"{text.strip()!r} is no score; give one from 0 to 1")
    return float(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _thresholds(
    for_label: Mapping[int, float], labels: Sequence[str], *, default: float
) -> NDArray[np.float64]:
    thresholds = np.full(len(labels), default, dtype=np.float64)
    for index, score in for_label.items():
        thresholds[index] = score
    return thresholds


def _known(labels: Sequence[str]) -> dict[str, int]:
    return {_key(label): index for index, label in enumerate(labels)}


def _key(label: str) -> str:
    """A normalised label for comparison: spaces around commas do not matter."""
    return _COMMA.sub(", ", label.strip())


def _unquoted(name: str) -> str:
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'" else name
