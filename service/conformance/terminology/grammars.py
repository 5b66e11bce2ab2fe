"""Code systems that are not lists but grammars: a code is valid when it is well formed.

BCP 47 and BCP 13 are read by their syntax, not by the registries that list subtags and media types.
Source: RFC 5646 2.1, RFC 6838 4.2, RFC 2045 5.1, https://ucum.org/ucum
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from service.fhir import ucum, ucum_codes

_LANGUAGE = r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4}|[a-z]{5,8})"
_LANGUAGE_TAG = (
    rf"{_LANGUAGE}(?:-[a-z]{{4}})?(?:-(?:[a-z]{{2}}|\d{{3}}))?"
    r"(?:-(?:[a-z0-9]{5,8}|\d[a-z0-9]{3}))*(?:-[a-wy-z0-9](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?"
)
_IRREGULAR = (
    "art-lojban|cel-gaulish|en-gb-oed|i-ami|i-bnn|i-default|i-enochian|i-hak|i-klingon|i-lux|i-mingo|i-navajo|i-pwn|"
    "i-tao|i-tay|i-tsu|no-bok|no-nyn|sgn-be-fr|sgn-be-nl|sgn-ch-de|zh-guoyu|zh-hakka|zh-min|zh-min-nan|zh-xiang"
)
LANGUAGE = re.compile(rf"(?:{_LANGUAGE_TAG}|x(?:-[a-z0-9]{{1,8}})+|{_IRREGULAR})", re.IGNORECASE | re.ASCII)
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&\-^_.+]{0,126}"
_TOKEN = r"[!#$%&'*+\-.^_`|~A-Za-z0-9]+"
MEDIA_TYPE = re.compile(rf'{_NAME}/{_NAME}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|"(?:[^"\\\r\n]|\\.)*"))*', re.ASCII)
LONGEST = 255  # characters of a tag or media type that are looked at


@dataclass(frozen=True, slots=True)
class Grammar:
    """A system by grammar: its `name`, the `version` that is read, and why a code is none (None: it is one)."""

    name: str
    version: str
    wrong: Callable[[str], str | None]


def _language(code: str) -> str | None:
    return None if len(code) <= LONGEST and LANGUAGE.fullmatch(code) else "not a well-formed language tag (RFC 5646)"


def _media_type(code: str) -> str | None:
    return None if len(code) <= LONGEST and MEDIA_TYPE.fullmatch(code) else "not a well-formed media type (RFC 6838)"


GRAMMARS = {
    ucum.SYSTEM: Grammar("Unified Code for Units of Measure (UCUM)", ucum_codes.VERSION, ucum_codes.wrong),
    "urn:ietf:bcp:47": Grammar("Tags for Identifying Languages (BCP 47)", "", _language),
    "urn:ietf:bcp:13": Grammar("Media Types (BCP 13)", "", _media_type),
}
# Value sets that a system defines by itself: https://hl7.org/fhir/R4/ucum.html#implicit
IMPLICIT = {"http://unitsofmeasure.org/vs": ucum.SYSTEM}
