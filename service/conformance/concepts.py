"""What the service keeps of a ValueSet, a CodeSystem and a ConceptMap, shipped or sent.

Texts that only `$lookup` and designations need (definitions, designations, properties) are packed once more and
compressed: a check of codes never unpacks them. Source: https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from service.conformance.records import canonical

UNCLOSED = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"
# Of the property `status`: what is no longer for use (https://hl7.org/fhir/R4/codesystem.html#status).
RETIRED = frozenset({"retired", "inactive", "withdrawn"})


class Designation(msgspec.Struct, array_like=True, frozen=True):
    """Another text for a concept; `use` is (system, code, display)."""

    value: str
    language: str = ""
    use: tuple[str, str, str] | None = None


class Property(msgspec.Struct, array_like=True, frozen=True):
    """One property of a concept; `type` is the name of the value in JSON, such as `valueCode`."""

    code: str
    type: str
    value: Any


class Detail(msgspec.Struct, array_like=True, frozen=True):
    """What a concept says besides its display."""

    definition: str = ""
    designations: tuple[Designation, ...] = ()
    properties: tuple[Property, ...] = ()


class Include(msgspec.Struct, array_like=True, frozen=True):
    """One compose.include or exclude; `filters` are (property, op, value), `value_sets` may end in `|version`."""

    system: str
    codes: tuple[tuple[str, str], ...]
    filters: tuple[tuple[str, str, str], ...]
    value_sets: tuple[str, ...]
    version: str = ""
    designations: tuple[tuple[str, tuple[Designation, ...]], ...] = ()


class ValueSet(msgspec.Struct, array_like=True, frozen=True):
    """A value set; `expansion` is (system, code, display) where one is given instead of a compose.

    `inactive` False leaves out inactive codes; `closed` False: the expansion says of itself that it is a part.
    """

    url: str
    include: tuple[Include, ...]
    exclude: tuple[Include, ...]
    expansion: tuple[tuple[str, str, str], ...] = ()
    version: str = ""
    name: str = ""
    title: str = ""
    status: str = ""
    inactive: bool | None = None
    closed: bool = True


class CodeSystem(msgspec.Struct, array_like=True, frozen=True):
    """A code system: (code, display) in order, and the (parent, child) edges of its hierarchy.

    `details` are a packed and compressed dict of code → Detail: see `details_of`.
    """

    url: str
    content: str
    case_sensitive: bool
    concepts: tuple[tuple[str, str], ...]
    edges: tuple[tuple[str, str], ...]
    abstract: tuple[str, ...] = ()
    inactive: tuple[str, ...] = ()
    version: str = ""
    name: str = ""
    title: str = ""
    meaning: str = ""
    details: bytes = b""


class Row(msgspec.Struct, array_like=True, frozen=True):
    """One target of a concept map; `depends` and `products` are (element, system, code, display)."""

    source_system: str
    source: str
    target_system: str
    target: str
    display: str
    equivalence: str
    comment: str = ""
    depends: tuple[tuple[str, str, str, str], ...] = ()
    products: tuple[tuple[str, str, str, str], ...] = ()


class Unmapped(msgspec.Struct, array_like=True, frozen=True):
    """What a group does with a code that it does not map: mode `provided`, `fixed` or `other-map`."""

    source_system: str
    target_system: str
    mode: str
    code: str = ""
    display: str = ""
    url: str = ""


class ConceptMap(msgspec.Struct, array_like=True, frozen=True):
    """A map by rows; `source` and `target` are canonicals of the value sets."""

    url: str
    rows: tuple[Row, ...]
    version: str = ""
    source: str = ""
    target: str = ""
    unmapped: tuple[Unmapped, ...] = ()


_Details = dict[str, Detail]
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Details).decode


def details_of(system: CodeSystem) -> dict[str, Detail]:
    """The details by code, unpacked at each call."""
    return _unpack(zlib.decompress(system.details)) if system.details else {}


def value_set(source: dict[str, Any]) -> ValueSet:
    """The record of a ValueSet."""
    compose = source.get("compose") or {}
    given = source.get("expansion") or {}
    expansion: list[tuple[str, str, str]] = []

    def contained(items: list[dict[str, Any]]) -> None:
        for item in items:
            if not item.get("abstract") and item.get("code"):
                expansion.append((item.get("system", ""), item["code"], item.get("display", "")))
            contained(item.get("contains", []))

    if not compose:
        contained(given.get("contains", []))
    include, exclude = (tuple(_include(part) for part in compose.get(name, ())) for name in ("include", "exclude"))
    open_ended = any(one.get("url") == UNCLOSED and one.get("valueBoolean") for one in given.get("extension", ()))
    return ValueSet(
        source.get("url", ""),
        include,
        exclude,
        tuple(expansion),
        source.get("version", ""),
        source.get("name", ""),
        source.get("title", ""),
        source.get("status", ""),
        compose.get("inactive"),
        not open_ended and not given.get("offset") and given.get("total", 0) <= len(expansion),
    )


def _include(source: dict[str, Any]) -> Include:
    listed = [one for one in source.get("concept", ()) if one.get("code")]
    return Include(
        source.get("system", ""),
        tuple((concept["code"], concept.get("display", "")) for concept in listed),
        tuple((f.get("property", ""), f.get("op", ""), f.get("value", "")) for f in source.get("filter", ())),
        tuple(url or "" for url in source.get("valueSet", ())),
        source.get("version", ""),
        tuple((one["code"], _designations(one)) for one in listed if one.get("designation")),
    )


def _designations(source: dict[str, Any]) -> tuple[Designation, ...]:
    found = []
    for one in source.get("designation", ()):
        use = one.get("use")
        coded = (use.get("system", ""), use.get("code", ""), use.get("display", "")) if use else None
        found.append(Designation(one.get("value", ""), one.get("language", ""), coded))
    return tuple(found)


def code_system(source: dict[str, Any]) -> CodeSystem:
    """The record of a CodeSystem: nested concepts and the properties `child`, `parent`, `subsumedBy` are edges."""
    concepts: dict[str, str] = {}
    edges: dict[tuple[str, str], None] = {}
    abstract: list[str] = []
    inactive: list[str] = []
    details: _Details = {}

    def walk(items: list[dict[str, Any]], parent: str | None) -> None:
        for item in items:
            code = item.get("code", "")  # none where an extension stands in its place
            concepts[code] = item.get("display", "")
            if parent is not None:
                edges[parent, code] = None
            properties = tuple(_properties(item))
            for one in properties:
                if one.code == "child":
                    edges[code, str(one.value)] = None
                elif one.code in ("parent", "subsumedBy"):
                    edges[str(one.value), code] = None
                elif one.code in ("notSelectable", "abstract") and one.value is True:
                    abstract.append(code)
                elif (one.code == "inactive" and one.value is True) or (one.code == "status" and one.value in RETIRED):
                    inactive.append(code)
            found = Detail(item.get("definition", ""), _designations(item), properties)
            if found != Detail():
                details[code] = found
            walk(item.get("concept", []), code)

    walk(source.get("concept", []), None)
    concepts.pop("", None)
    url = source.get("supplements") if source.get("content") == "supplement" else source.get("url")
    return CodeSystem(
        canonical(url or source.get("url", "")),
        source.get("content", "complete"),
        source.get("caseSensitive", True),
        tuple(concepts.items()),
        tuple(edges),
        tuple(abstract),
        tuple(inactive),
        source.get("version", ""),
        source.get("name", ""),
        source.get("title", ""),
        source.get("hierarchyMeaning", ""),
        zlib.compress(_pack(details)) if details else b"",
    )


def _properties(item: dict[str, Any]) -> list[Property]:
    return [
        Property(one.get("code", ""), name, value)
        for one in item.get("property", ())
        for name, value in one.items()
        if name.startswith("value")
    ]


def concept_map(source: dict[str, Any]) -> ConceptMap:
    """The record of a ConceptMap; rows that say `unmatched` keep an empty target code."""
    rows = [
        Row(
            group.get("source", ""),
            element["code"],
            group.get("target", ""),
            target.get("code", ""),
            target.get("display", ""),
            target.get("equivalence", "equivalent"),
            target.get("comment", ""),
            *(tuple(_dependency(one) for one in target.get(name, ())) for name in ("dependsOn", "product")),
        )
        for group in source.get("group", ())
        for element in group.get("element", ())
        if element.get("code")
        for target in element.get("target", ())
    ]
    return ConceptMap(
        source.get("url", ""),
        tuple(rows),
        source.get("version", ""),
        source.get("sourceCanonical") or source.get("sourceUri", ""),
        source.get("targetCanonical") or source.get("targetUri", ""),
        tuple(_unmapped(group) for group in source.get("group", ()) if group.get("unmapped")),
    )


def _dependency(source: dict[str, Any]) -> tuple[str, str, str, str]:
    return (
        source.get("property", ""),
        canonical(source.get("system", "")),
        source.get("value", ""),
        source.get("display", ""),
    )


def _unmapped(group: dict[str, Any]) -> Unmapped:
    rule = group["unmapped"]
    return Unmapped(
        group.get("source", ""),
        group.get("target", ""),
        rule.get("mode", ""),
        rule.get("code", ""),
        rule.get("display", ""),
        rule.get("url", ""),
    )
