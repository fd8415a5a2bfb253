"""XML put together from a tree, so that nothing has to be escaped by hand."""

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

# All that XML 1.0 cannot hold, not even as a reference (2.2).
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def child(parent: ET.Element, name: str, text: str | None = None, /, **attributes: str) -> ET.Element:
    """Add an element with ``text`` to ``parent``; return it."""
    made = ET.SubElement(parent, name, {key: sane(value) for key, value in attributes.items()})
    made.text = None if text is None else sane(text)
    return made


def written(root: ET.Element, namespaces: Mapping[str, str]) -> bytes:
    """Return the document in UTF-8; ``namespaces`` says which prefix stands for which (the empty one: for most)."""
    for prefix, namespace in namespaces.items():
        ET.register_namespace(prefix, namespace)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def sane(text: str) -> str:
    """Return ``text`` without what no XML document can hold."""
    return _NOT_IN_XML.sub("", text)
