"""Narrative.div: well-formed XHTML with formatting only, and something to read.

Source: https://hl7.org/fhir/R4/narrative.html#xhtml (txt-1, txt-2)
"""

from __future__ import annotations

import re
from html.entities import name2codepoint
from typing import Any
from xml.etree import ElementTree

from service.conformance.validator.findings import Finding, one, wrong_kind

_XHTML = "{http://www.w3.org/1999/xhtml}"
# Chapters 7 to 11 and 15 of HTML 4.0 without what they deprecate (font, u, s, center) and without 9.4 (ins, del).
_ELEMENTS = frozenset(
    "a abbr acronym address area b bdo big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 "
    "h3 h4 h5 h6 hr i img kbd li map ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt "
    "ul var".split()
)
_ACTIVE = re.compile(r"\s*(?:javascript|vbscript|data:text)", re.IGNORECASE)
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_XML = frozenset({"amp", "lt", "gt", "quot", "apos"})


def _numbered(match: re.Match[str]) -> str:
    name = match.group(1)
    return match.group(0) if name in _XML or name not in name2codepoint else f"&#{name2codepoint[name]};"


def number_entities(text: str) -> str:
    """The text with the named entities of HTML as numbers, for XML knows only five names: `&nbsp;` → `&#160;`."""
    return _ENTITY.sub(_numbered, text)


def check_xhtml(value: Any) -> list[Finding] | None:
    """One `<div xmlns="http://www.w3.org/1999/xhtml">` that is not empty."""
    if not isinstance(value, str):
        return wrong_kind(value, "a string")
    # Neither document types nor entities of their own: they are how XML parsers are attacked.
    if "<!DOCTYPE" in value or "<!ENTITY" in value or "<?" in value:
        return one("invariant", "txt-1", "The narrative must not hold document types or processing instructions")
    try:
        root = ElementTree.fromstring(number_entities(value))
    except (ElementTree.ParseError, ValueError):
        return one("invariant", "txt-1", "The narrative is not well-formed XHTML")
    if root.tag != f"{_XHTML}div":
        return one("invariant", "txt-1", 'The narrative is one <div xmlns="http://www.w3.org/1999/xhtml">')
    if not all(_harmless(element) for element in root.iter()):
        return one("invariant", "txt-1", "The narrative holds only basic formatting: no scripts, forms or styles")
    if not "".join(root.itertext()).strip() and root.find(f".//{_XHTML}img") is None:
        return one("invariant", "txt-2", "The narrative must have some content")
    return None


def _harmless(element: ElementTree.Element) -> bool:
    tag = element.tag
    if not tag.startswith(_XHTML) or tag.removeprefix(_XHTML) not in _ELEMENTS:
        return False
    return not any(
        name.lower().startswith("on") or (name in ("href", "src") and _ACTIVE.match(text))
        for name, text in element.attrib.items()
    )
