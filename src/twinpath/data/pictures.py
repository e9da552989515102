"""Single pictures: frames of videos that are stored as files, and pictures of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpath.errors import InputError, NotAFile
from twinpath.paths import display_path
from twinpath.video.frame_folder import is_frame_pattern

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
#: The only formats that Pillow may open, whatever a file is called: one of ImageNet's .JPEG files is a PNG.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")


def is_picture(path: Path) -> bool:
    """Whether a path is that of a single picture, by its name; a pattern of frames is none."""
    return path.suffix.lower() in PICTURE_SUFFIXES and not is_frame_pattern(path)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A picture as (H, W, 3) uint8 RGB.

    Raises:
        NotAFile, InputError: It does not exist, or does not decode.
    """
    if not path.is_file():
        raise NotAFile(f"{display_path(path)}: no such picture")
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{display_path(path)} is not a readable picture") from error
