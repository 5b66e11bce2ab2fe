"""The narrative's div: the same text in JSON and in XML.

Source: https://hl7.org/fhir/R4/narrative.html#xhtml
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from service.conformance.validator.narrative import number_entities
from service.conformance.xml.grammar import XHTML


def embeddable(div: str) -> str | None:
    """The div as it may stand inside an XML document; None if it is not one XHTML div that stands on its own."""
    if "<!DOCTYPE" in div or "<?" in div:
        return None
    text = number_entities(div)
    return text if _stands_alone(text) else None


def standalone(fragment: str, scope: Mapping[str, str]) -> str | None:
    """The div cut out of a document, as it is where it stands on its own, else with XHTML as default namespace.

    `scope` are the prefixes declared around it ("" is the default). None if it holds elements that are not XHTML.
    """
    if _stands_alone(fragment):
        return fragment
    declared = "".join(f" xmlns{':' if prefix else ''}{prefix}={quoteattr(uri)}" for prefix, uri in scope.items())
    root = ElementTree.fromstring(f"<div{declared}>{fragment}</div>")[0]
    for element in root.iter():
        if not element.tag.startswith(f"{{{XHTML}}}"):
            return None
        element.tag = element.tag.removeprefix(f"{{{XHTML}}}")
    root.set("xmlns", XHTML)
    root.tail = None
    return ElementTree.tostring(root, encoding="unicode")


def _stands_alone(text: str) -> bool:
    found: list[str] = []

    def start(tag: str, attributes: dict[str, Any]) -> None:
        found.append(tag)
        parser.StartElementHandler = None

    parser = expat.ParserCreate("utf-8", " ")
    parser.StartElementHandler = start
    try:
        parser.Parse(text.encode(), True)
    except (expat.ExpatError, UnicodeEncodeError):
        return False
    return found == [f"{XHTML} div"]
