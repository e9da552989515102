"""Text for XML: names of files and labels may contain characters that XML does not allow."""

from __future__ import annotations

import re

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def xml_text(text: str) -> str:
    """Replace what XML does not allow: control characters by "?", bytes that are not UTF-8 by escapes.

    Markup is unchanged: `xml.etree` escapes it.

    Source: XML 1.0, production 2, Char.
    """
    return _NOT_XML.sub("?", text.encode("utf-8", "backslashreplace").decode())
