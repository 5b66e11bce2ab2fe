"""ValueSet/$validate-code and CodeSystem/$validate-code: is a code one of them, and is its display right?

Source: https://hl7.org/fhir/R4/valueset-operation-validate-code.html
"""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from service.api import body, replies
from service.api.operations.terminology_expand import NO_CONTEXT, NO_DATE, named_value_set
from service.api.operations.terminology_inputs import (
    CODING,
    CONCEPT,
    FLAG,
    RESOURCE,
    TEXT,
    Asked,
    Shape,
    asked,
    resource_of,
    returned,
    size_of,
    sources_of,
)
from service.api.server import server_of
from service.conformance import concepts
from service.conformance.records import canonical
from service.conformance.terminology.gaps import Unanswerable, unknown
from service.conformance.terminology.sources import Sources
from service.conformance.terminology.systems import System
from service.conformance.terminology.validation import Answer, Checker, Coded
from service.errors import BadRequest

CODED = {
    "code": TEXT, "display": TEXT, "coding": CODING, "codeableConcept": CONCEPT, "abstract": FLAG,
    "displayLanguage": TEXT,
}  # fmt: skip
OF_VALUE_SET = Shape(
    {
        "url": TEXT, "valueSet": RESOURCE, "valueSetVersion": TEXT, "system": TEXT, "systemVersion": TEXT, **CODED
    },
    {"context": NO_CONTEXT, "date": NO_DATE},
    ("valueSet", "ValueSet"),
)  # fmt: skip
OF_SYSTEM = Shape(
    {"url": TEXT, "codeSystem": RESOURCE, "version": TEXT, **CODED}, {"date": NO_DATE}, ("codeSystem", "CodeSystem")
)


async def validate_in_value_set(request: Request) -> Response:
    """GET or POST ValueSet/$validate-code and ValueSet/[id]/$validate-code."""
    found = await asked(request, OF_VALUE_SET)
    sources = sources_of(server_of(request))
    codings = found.codings("code", "system", "systemVersion")
    if any(not one.system for one in codings):
        text = "A code is one of a system: the system is missing"
        raise BadRequest(text, code="required", rule="required-parameter")
    resource = await resource_of(request, found, "valueSet", "ValueSet")
    size = await size_of(request)
    value_set = await body.compute(lambda: named_value_set(sources, found, resource), size)
    checker = Checker(sources, bool(found.flag("abstract")), found.text("displayLanguage"))
    return _reply(await body.compute(lambda: checker.in_value_set(value_set, codings), size))


async def validate_in_system(request: Request) -> Response:
    """GET or POST CodeSystem/$validate-code and CodeSystem/[id]/$validate-code."""
    found = await asked(request, OF_SYSTEM)
    sources = sources_of(server_of(request))
    resource = await resource_of(request, found, "codeSystem", "CodeSystem")
    checker = Checker(sources, bool(found.flag("abstract")), found.text("displayLanguage"))
    if resource is not None:
        system = await body.compute(lambda: System(concepts.code_system(resource)), await size_of(request))
        codings = [_of(one, system.record.url) for one in found.codings("code", "", "version")]
        return _reply(checker.in_system(codings, system))
    return _reply(checker.in_system(_named(sources, found)))


def _of(one: Coded, url: str) -> Coded:
    return one if one.system else replace(one, system=url)


def _named(sources: Sources, found: Asked) -> list[Coded]:
    """The codes with the system of `url`, or their own. Raises BadRequest; NotFound for a system not at hand."""
    url = found.text("url")
    version = found.text("version") or url.partition("|")[2]
    codings = []
    for one in found.codings("code", "", "version"):
        if not (one.system or url):
            raise BadRequest("url names the code system", code="required", rule="required-parameter")
        if url and one.system and canonical(one.system) != canonical(url):
            raise BadRequest("url and the coding name two code systems", code="invalid", rule="invalid-parameter")
        codings.append(replace(one, system=canonical(url or one.system), version=one.version or version))
    for one in codings:
        at_hand(sources, one.system, one.version)
    return codings


def at_hand(sources: Sources, url: str, version: str) -> System | None:
    """The code system; None where it is a grammar. Raises NotFound, also for another version."""
    if sources.grammar(url) is not None:
        return None
    system = sources.system(url, version)
    if isinstance(system, Unanswerable):
        raise unknown(system.issues[0].text)
    return system


def _reply(answer: Answer) -> Response:
    return replies.json(
        returned(
            ("result", "valueBoolean", answer.result),
            ("message", "valueString", answer.message),
            ("display", "valueString", answer.display),
            ("code", "valueCode", answer.code),
            ("system", "valueUri", answer.system),
        )
    )
