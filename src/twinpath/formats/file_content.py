"""The whole content of a file of annotations, up to a limit."""

from __future__ import annotations

from pathlib import Path

from twinpath.errors import InputError, LimitExceeded, NotAFile
from twinpath.formats.text_columns import decode_text, line_error, what_is_no_text
from twinpath.paths import display_path

MAX_ANNOTATION_BYTES = 1 << 29


def read_content(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        NotAFile: Missing, not a regular file, or it may not be read.
        LimitExceeded: Larger than `MAX_ANNOTATION_BYTES`.
    """
    where = display_path(path)
    try:
        if not path.is_file():
            what = "is not a regular file" if path.exists() else "does not exist; check the name"
            raise NotAFile(f"{where} {what}")
        if path.stat().st_size > MAX_ANNOTATION_BYTES:
            raise LimitExceeded(f"{where} has more than {MAX_ANNOTATION_BYTES} bytes; divide it")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise NotAFile(f"{where} cannot be read: {reason}") from error


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark, or in UTF-16 with one.

    Raises:
        NotAFile, LimitExceeded: As `read_content`.
        InputError: Another encoding, or no text; names the line.
    """
    content = read_content(path)
    try:
        return decode_text(content)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = what_is_no_text(content) or "not UTF-8; save the file as plain text"
        raise line_error(path, line, what) from error


def is_empty(text: str) -> bool:
    """Whether there is nothing to read in a text."""
    return not text.strip()


def empty_error(path: Path) -> InputError:
    """The error of an empty file."""
    return InputError(f"{display_path(path)} is empty")
