"""Text for XML: whatever a file is called, a parser reads what was written."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET

import pytest

from twinpath.formats.xml_text import xml_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("drinking, café ☕ 🎥", "drinking, café ☕ 🎥"),
        ("a <b> & 'c'", "a <b> & 'c'"),
        ("two\tparts\nand more", "two\tparts\nand more"),
        ("\x00bell\x07esc\x1b", "?bell?esc?"),
        ("\ufffe\uffff", "??"),
        (os.fsdecode(b"caf\xe9.mp4"), "caf\\udce9.mp4"),
    ],
)
def test_text_is_kept_as_far_as_xml_can_hold_it(text: str, expected: str) -> None:
    assert xml_text(text) == expected
    element = ET.Element("label")
    element.text = xml_text(text)
    assert ET.fromstring(ET.tostring(element)).text == expected
