"""FHIR XML to and from FHIR JSON without loss: digits, order, extensions of primitives and the narrative's own text.

What JSON says and XML says too comes back equal. Not kept, because XML knows no such difference: the order of JSON
keys, trailing nulls of the arrays beside primitives, white space around a narrative's div, named HTML entities in it
(they become numbers). Not kept from XML: comments, processing instructions and white space between elements.
Source: https://hl7.org/fhir/R4/xml.html and https://hl7.org/fhir/R4/json.html
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from service.conformance.definitions import Definitions
from service.conformance.xml.grammar import Grammar
from service.conformance.xml.reader import read
from service.conformance.xml.writer import write

__all__ = ["from_xml", "to_xml"]

# The grammar of a type is worked out when it is first met.
_grammar = lru_cache(maxsize=2)(Grammar)


def to_xml(resource: dict[str, Any], definitions: Definitions) -> bytes:
    """The resource (JSON as `service.fhir.json.decode` gives it) as an XML document in UTF-8.

    Raises NotAcceptable with the place where XML cannot say what the JSON says: an element that R4 does not have, a
    character that XML 1.0 excludes, a narrative that is not XHTML, an extension of `Extension.url`.
    """
    return write(resource, _grammar(definitions))


def from_xml(body: bytes, definitions: Definitions, max_depth: int) -> dict[str, Any]:
    """The JSON form of the resource in `body`; `max_depth` limits it as `service.fhir.json.decode` does.

    Raises BadRequest with every finding (at most 50), each with line, column and expression. Refused are: what is not
    well-formed, another encoding than UTF-8, document types, names and attributes unknown to R4, elements out of order
    or empty, text between elements, values that are no boolean or number where one is due.
    """
    return read(body, _grammar(definitions), max_depth)
