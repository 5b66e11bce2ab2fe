"""Values of primitives: text of an attribute to and from JSON values.

Source: https://hl7.org/fhir/R4/datatypes.html#primitive
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from service.fhir.json import decode, encode

_MAX_DIGITS = 4000  # Python refuses to convert whole numbers of more than 4,300 digits.
_WHOLE = re.compile(r"0|[+-]?[1-9][0-9]{0,17}").fullmatch
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?").fullmatch
_SPECIAL = re.compile('[&<>"\t\n\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]')
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_XML_SPACE = " \t\r\n"
# In these, white space at the ends is content.
_FREE_TEXT = frozenset({"string", "markdown", "base64Binary"})


def _boolean(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.strip(_XML_SPACE))


def _whole(text: str) -> int | None:
    text = text.strip(_XML_SPACE)
    return int(text) if _WHOLE(text) else None


def _decimal(text: str) -> Any:
    """The same value as in a JSON body, with its digits: the JSON decoder reads it."""
    text = text.strip(_XML_SPACE)
    return decode(text.encode()) if len(text) <= _MAX_DIGITS and _DECIMAL(text) else None


_TYPED: dict[str, tuple[Callable[[str], Any], str]] = {
    "boolean": (_boolean, "true or false"),
    "integer": (_whole, "a whole number"),
    "unsignedInt": (_whole, "a whole number"),
    "positiveInt": (_whole, "a whole number"),
    "decimal": (_decimal, "a decimal number"),
}


def value_of(code: str, text: str) -> Any:
    """The JSON value of an attribute of the primitive type `code`; None where it cannot be one."""
    typed = _TYPED.get(code)
    if typed is not None:
        return typed[0](text)
    return text if code in _FREE_TEXT else text.strip(_XML_SPACE)


def expected(code: str) -> str:
    """What a value of the type looks like, for a text."""
    return _TYPED[code][1]


def text_of(value: Any) -> str | None:
    """The escaped text of a JSON value for an attribute in double quotes; None where XML has no such value."""
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None or isinstance(value, (dict, list)) else encode(value).decode()


def escaped(text: str) -> str | None:
    """The text for an attribute; None if it holds a character outside of XML 1.0 (https://www.w3.org/TR/xml/#charsets).

    White space but the blank is written as a number, for a parser turns it into blanks otherwise.
    """
    if _SPECIAL.search(text) is None:
        return text
    try:
        return _SPECIAL.sub(lambda match: _ESCAPED[match.group()], text)
    except KeyError:
        return None
