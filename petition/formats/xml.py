"""XML built as a tree, so that nothing has to be escaped by hand."""

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

# What XML 1.0 cannot contain, not even as a reference (2.2).
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def child(parent: ET.Element, name: str, text: str | None = None, /, **attributes: str) -> ET.Element:
    """Add an element to ``parent``; return it."""
    element = ET.SubElement(parent, name, {key: strip_invalid(value) for key, value in attributes.items()})
    element.text = None if text is None else strip_invalid(text)
    return element


def serialize(root: ET.Element, namespaces: Mapping[str, str]) -> bytes:
    """Return the document in UTF-8; ``namespaces`` maps prefixes, the default one is empty."""
    for prefix, namespace in namespaces.items():
        ET.register_namespace(prefix, namespace)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def strip_invalid(text: str) -> str:
    """Return ``text`` without characters that XML cannot contain."""
    return _NOT_IN_XML.sub("", text)
