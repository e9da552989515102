"""Text for XML: names of files and labels may contain what XML does not allow. And reading XML of others."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import NoReturn
from xml.parsers import expat

from twinpath.errors import InputError
from twinpath.escapes import shown

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def xml_text(text: str) -> str:
    """Replace what XML does not allow: control characters by "?", bytes that are not UTF-8 by escapes.

    Markup is unchanged: `xml.etree` escapes it.

    Source: XML 1.0, production 2, Char.
    """
    return _NOT_XML.sub("?", text.encode("utf-8", "backslashreplace").decode())


def parse_xml(content: bytes, where: str) -> ET.Element:
    """The root element of an XML file that nobody trusts.

    A document type is refused: only there entities can be declared, which could grow to gigabytes or name
    other files.

    Args:
        content: The file, in the encoding that it declares.
        where: Name of the file, for messages.
    Raises:
        InputError: It is not XML, or has a document type; names the line.
    """
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data

    def refuse(*_: object) -> NoReturn:
        line = parser.CurrentLineNumber
        raise InputError(f"{where}:{line}: a document type (DOCTYPE), which is not read; remove it")

    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
        return builder.close()
    except expat.ExpatError as error:
        raise InputError(f"{where}:{error.lineno}: not XML: {expat.ErrorString(error.code)}") from error
    except (ValueError, LookupError) as error:  # an encoding that Python does not know
        raise InputError(f"{where}: not XML: {shown(str(error))}") from error
