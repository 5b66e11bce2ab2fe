"""ValueSet/$expand: https://hl7.org/fhir/R4/valueset-operation-expand.html"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api import body, replies
from service.api.operations.terminology_inputs import (
    FLAG,
    NUMBER,
    RESOURCE,
    TEXT,
    Asked,
    Shape,
    asked,
    resource_of,
    size_of,
    sources_of,
    value_set_of,
)
from service.api.server import server_of
from service.conformance.concepts import Include, ValueSet
from service.conformance.terminology.expansion import Wanted, designation, expanded
from service.conformance.terminology.gaps import Unanswerable, unknown
from service.conformance.terminology.sources import Sources
from service.errors import BadRequest

VERSIONS = ("system-version", "check-system-version", "force-system-version")
NO_CONTEXT = "bindings are not looked up by the place of an element; url names the value set"
NO_DATE = "the definitions at hand are those of one date"
SHAPE = Shape(
    {
        "url": TEXT, "valueSet": RESOURCE, "valueSetVersion": TEXT, "filter": TEXT, "offset": NUMBER, "count": NUMBER,
        "includeDesignations": FLAG, "designation": TEXT, "includeDefinition": FLAG, "activeOnly": FLAG,
        "excludeNested": FLAG, "excludeNotForUI": FLAG, "excludePostCoordinated": FLAG, "displayLanguage": TEXT,
        "exclude-system": TEXT, **dict.fromkeys(VERSIONS, TEXT),
    },
    {"context": NO_CONTEXT, "contextDirection": NO_CONTEXT, "date": NO_DATE},
    ("valueSet", "ValueSet"),
)  # fmt: skip
# How the parameters that shape the content are told in ValueSet.expansion.parameter.
TOLD = {
    "filter": "valueString", "offset": "valueInteger", "count": "valueInteger", "includeDesignations": "valueBoolean",
    "designation": "valueString", "activeOnly": "valueBoolean", "excludeNested": "valueBoolean",
    "excludeNotForUI": "valueBoolean", "excludePostCoordinated": "valueBoolean", "displayLanguage": "valueCode",
    "exclude-system": "valueUri", **dict.fromkeys(VERSIONS, "valueUri"),
}  # fmt: skip
NAMES = ("url", "version", "name", "title")


async def expand(request: Request) -> Response:
    """GET or POST ValueSet/$expand and ValueSet/[id]/$expand: the value set with its expansion."""
    found = await asked(request, SHAPE)
    server = server_of(request)
    sources = sources_of(server).demanding(_versions(found))
    resource = await resource_of(request, found, "valueSet", "ValueSet")
    size = await size_of(request)
    value_set = await body.compute(lambda: named_value_set(sources, found, resource), size)
    wanted = _wanted(found)
    content = await body.compute(lambda: expanded(sources, value_set, wanted), size)
    answer: dict[str, Any] = {"resourceType": "ValueSet"}
    answer |= {name: text for name in NAMES if (text := getattr(value_set, name))}
    answer["status"] = value_set.status or "unknown"
    if found.flag("includeDefinition"):
        answer |= _definition(value_set, resource)
    told = [{"name": name, kind: value} for name, kind in TOLD.items() for value in found.all(name) if name in found]
    parameters = told + content.pop("parameter", [])
    head = {"identifier": uuid.uuid4().urn, "timestamp": datetime.now(UTC).isoformat(timespec="seconds")}
    contains = {"contains": content.pop("contains")} if "contains" in content else {}
    answer["expansion"] = head | content | ({"parameter": parameters} if parameters else {}) | contains
    return replies.json(answer)


def named_value_set(sources: Sources, found: Asked, resource: dict[str, Any] | None) -> ValueSet:
    """The value set that was stored or sent, else that of `url` in `valueSetVersion`. Raises BadRequest, NotFound."""
    if resource is not None:
        return value_set_of(resource)
    url = found.text("url")
    if not url:
        text = "A value set is needed: url, valueSet, or ValueSet/[id]"
        raise BadRequest(text, code="required", rule="required-parameter")
    version = found.text("valueSetVersion")
    if version and "|" in url and url.partition("|")[2] != version:
        raise BadRequest("url and valueSetVersion name two versions", code="invalid", rule="invalid-parameter")
    value_set = sources.value_set(f"{url.partition('|')[0]}|{version}" if version else url)
    if isinstance(value_set, Unanswerable):
        raise unknown(value_set.issues[0].text)
    return value_set


def _wanted(found: Asked) -> Wanted:
    uses = []
    for one in found.all("designation"):
        system, bar, code = one.rpartition("|")
        uses.append((system if bar else "", code))
    return Wanted(
        found.text("filter"),
        found.number("offset") or 0,
        found.number("count"),
        bool(found.flag("includeDesignations")) or bool(uses),
        tuple(uses),
        bool(found.flag("activeOnly")),
        found.flag("excludeNested") is False,
        bool(found.flag("excludeNotForUI")),
        found.text("displayLanguage"),
        tuple(found.all("exclude-system")),
    )


def _versions(found: Asked) -> dict[str, str]:
    """The versions of code systems that the request insists on; only those at hand can be used, whoever asks."""
    versions: dict[str, str] = {}
    for name in VERSIONS:
        for one in found.all(name):
            system, _, version = one.partition("|")
            if not version or versions.setdefault(system, version) != version:
                raise BadRequest(f"{name} needs one [system]|[version]", code="invalid", rule="invalid-parameter")
    return versions


def _definition(value_set: ValueSet, resource: dict[str, Any] | None) -> dict[str, Any]:
    """The compose: as it was stored or sent, else written from what is kept of the definition."""
    if resource is not None:
        return {"compose": resource["compose"]} if "compose" in resource else {}
    if not value_set.include:
        return {}
    compose: dict[str, Any] = {} if value_set.inactive is None else {"inactive": value_set.inactive}
    compose["include"] = [_include(part) for part in value_set.include]
    if value_set.exclude:
        compose["exclude"] = [_include(part) for part in value_set.exclude]
    return {"compose": compose}


def _include(part: Include) -> dict[str, Any]:
    more = {code: [designation(one) for one in found] for code, found in part.designations}
    found: dict[str, Any] = {"system": part.system} if part.system else {}
    found |= {"version": part.version} if part.version else {}
    if part.codes:
        found["concept"] = [
            {"code": code}
            | ({"display": display} if display else {})
            | ({"designation": more[code]} if code in more else {})
            for code, display in part.codes
        ]
    if part.filters:
        found["filter"] = [dict(zip(("property", "op", "value"), one, strict=True)) for one in part.filters]
    if part.value_sets:
        found["valueSet"] = list(part.value_sets)
    return found
