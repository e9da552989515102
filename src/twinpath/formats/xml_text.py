"""Text for XML: names of files and labels may hold characters that XML cannot."""

from __future__ import annotations

import re

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def xml_text(text: str) -> str:
    """The text without what XML cannot hold: control characters become "?", bytes that are no text escapes.

    Markup stays as it is: `xml.etree` escapes it when it writes.

    Source: XML 1.0, production 2, Char.
    """
    return _NOT_XML.sub("?", text.encode("utf-8", "backslashreplace").decode())
