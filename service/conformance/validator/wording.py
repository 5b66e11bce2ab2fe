"""Rules that R4 states in words and in no expression: codings, units, attachments, Bundle.entry.fullUrl.

Source: https://hl7.org/fhir/R4/datatypes.html and https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.fullUrl
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any

from service.conformance.terminology import Terminology
from service.conformance.validator.findings import Finding, one
from service.fhir.ucum import SYSTEM as UCUM
from service.fhir.ucum_codes import suggestion, wrong

Rule = Callable[[dict[str, Any]], "list[Finding] | None"]
_NO_UNIT = "This is not a unit of UCUM, whose codes are case-sensitive, such as mg/dL or 10*3/uL"
_SHA_1 = 20  # bytes
_KEPT = 8192
LONGEST = 255  # characters of a code or system that are looked up, and kept: no body can fill the memory


def coding_rule(terminology: Terminology) -> Rule:
    """A code of a system at hand exists in it, and its display is the system's (case and spaces aside)."""

    @lru_cache(maxsize=_KEPT)
    def defined(system: Any, code: Any) -> str | None:
        """The display, '' where there is none to compare, None where the system does not have the code."""
        if not isinstance(system, str) or not isinstance(code, str):
            return ""
        if terminology.known(system, code) is False:
            return None
        return terminology.display(system, code) or ""

    def check(value: dict[str, Any]) -> list[Finding] | None:
        system, code = value.get("system"), value.get("code")
        if system is None or code is None:
            return None
        try:
            if len(code) > LONGEST or len(system) > LONGEST:
                return None
            right = defined(system, code)
        except TypeError:  # a number or object in the place of a code
            return None
        if right == "":
            return None
        if right is None:
            text = "The code system does not have this code"
            return [Finding("code-invalid", "code-unknown", text, ".code", "warning")]
        said = value.get("display")
        if said is None or said == right or not isinstance(said, str) or _plain(said) == _plain(right):
            return None
        text = f"This is not the display of the code, which is '{right}'"
        return [Finding("code-invalid", "display-wrong", text, ".display", "warning")]

    return check


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def quantity_rule(value: dict[str, Any]) -> list[Finding] | None:
    """A code of the system UCUM is a unit of UCUM."""
    if value.get("system") != UCUM:
        return None
    code = value.get("code")
    if type(code) is not str:
        return None
    text = _unit(code) if len(code) <= LONGEST else _NO_UNIT
    return None if text is None else one("code-invalid", "unit-unknown", text, ".code")


@lru_cache(maxsize=_KEPT)
def _unit(code: str) -> str | None:
    """What to say of a code that is no unit; None where it is one."""
    if wrong(code) is None:
        return None
    meant = suggestion(code)
    near = f"; did you mean '{meant}'?" if meant and "{" not in meant else ""
    return _NO_UNIT + near


def attachment_rule(value: dict[str, Any]) -> list[Finding] | None:
    """`size` is the number of bytes of `data`, `hash` is their SHA-1, both before base64."""
    if "hash" not in value and not ("size" in value and "data" in value):
        return None
    digest, data = _decoded(value.get("hash")), _decoded(value.get("data"))
    found: list[Finding] = []
    size = value.get("size")
    if data is not None and type(size) is int and size != len(data):
        found += one("value", "attachment-size", f"The data has {len(data)} bytes", ".size")
    if digest is not None and (
        len(digest) != _SHA_1 or (data is not None and hashlib.sha1(data, usedforsecurity=False).digest() != digest)
    ):
        found += one("value", "attachment-hash", "The hash is the SHA-1 of the data, 20 bytes in base64", ".hash")
    return found or None


def _decoded(value: Any) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        return binascii.a2b_base64("".join(value.split()).encode("ascii"), strict_mode=True)
    except (binascii.Error, ValueError):
        return None


def full_url_rule(resource_types: Collection[str]) -> Rule:
    """A fullUrl that names a resource by its address names the one beside it."""

    def check(value: dict[str, Any]) -> list[Finding] | None:
        url, resource = value.get("fullUrl"), value.get("resource")
        if type(url) is not str or type(resource) is not dict or not url.startswith(("http://", "https://")):
            return None
        name, _, id_ = url.rpartition("/")
        type_, told = name.rpartition("/")[2], resource.get("id")
        if told is None or type_ not in resource_types or (type_, id_) == (resource.get("resourceType"), told):
            return None
        text = "The fullUrl does not disagree with the id of the resource: it ends in its type and id"
        return one("value", "full-url-id", text, ".fullUrl")

    return check
