"""CodeSystem/$lookup and CodeSystem/$subsumes: what a code says, and how two codes stand to one another.

Source: https://hl7.org/fhir/R4/codesystem-operation-lookup.html, codesystem-operation-subsumes.html
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api import replies
from service.api.operations.terminology_expand import NO_DATE
from service.api.operations.terminology_inputs import (
    CODING,
    TEXT,
    Asked,
    Shape,
    asked,
    coded,
    resource_of,
    returned,
    sources_of,
)
from service.api.operations.terminology_validate import at_hand
from service.api.server import server_of
from service.conformance import concepts
from service.conformance.concepts import Designation
from service.conformance.records import canonical
from service.conformance.terminology.composition import Entry
from service.conformance.terminology.expansion import Texts, speaks
from service.conformance.terminology.gaps import Unanswerable, missing
from service.conformance.terminology.grammars import Grammar
from service.conformance.terminology.sources import Sources
from service.conformance.terminology.systems import System
from service.conformance.terminology.validation import Coded
from service.errors import BadRequest, NotFound
from service.fhir import ucum

LOOKUP = Shape(
    {"code": TEXT, "system": TEXT, "version": TEXT, "coding": CODING, "displayLanguage": TEXT, "property": TEXT},
    {"date": NO_DATE},
)
SUBSUMES = Shape({"codeA": TEXT, "codeB": TEXT, "system": TEXT, "version": TEXT, "codingA": CODING, "codingB": CODING})
# Told by parameters of their own, or by the hierarchy, and not once more as properties.
ELSEWHERE = frozenset({"child", "parent", "subsumedBy"})
Part = dict[str, Any]


async def lookup(request: Request) -> Response:
    """GET or POST CodeSystem/$lookup."""
    found = await asked(request, LOOKUP)
    (one,) = found.codings("code", "system", "version")
    if not one.system:
        raise BadRequest("The code system is missing: system", code="required", rule="required-parameter")
    sources = sources_of(server_of(request))
    properties = frozenset(found.all("property"))
    system = at_hand(sources, one.system, one.version)
    if system is None:
        grammar = sources.grammar(one.system)
        assert grammar is not None
        return replies.json(_of_grammar(grammar, one, properties))
    code = system.find(one.code)
    if code is None:
        raise _no_such_code(system) if system.complete else system.incomplete()
    return replies.json(_of_system(sources, system, code, properties, found.text("displayLanguage")))


def _no_such_code(system: System) -> NotFound:
    return NotFound(f"The code system {system.named} has no such code", rule="unknown-code")


def _of_grammar(grammar: Grammar, one: Coded, properties: frozenset[str]) -> Part:
    """A code that follows a grammar is its own display; a unit also says what it is a multiple of."""
    reason = grammar.wrong(one.code)
    if reason is not None:
        raise NotFound(f"The code is {reason}", rule="unknown-code")
    unit = ucum.parse(one.code) if canonical(one.system) == ucum.SYSTEM else None
    canonical_unit = None
    if unit is not None and (not properties or "canonical" in properties):
        canonical_unit = _property("canonical", "valueCode", ucum.written(unit.dimension))
    answer = returned(
        ("name", "valueString", grammar.name),
        ("version", "valueString", grammar.version),
        ("display", "valueString", one.code),
    )
    answer["parameter"] += [canonical_unit] if canonical_unit else []
    return answer


def _of_system(sources: Sources, system: System, code: str, properties: frozenset[str], language: str) -> Part:
    detail, texts = system.detail(code), Texts(sources, language)
    display = texts.display((system.record.url, code), Entry()) or code
    answer = returned(
        ("name", "valueString", system.record.title or system.record.name or system.record.url),
        ("version", "valueString", system.record.version),
        ("display", "valueString", display),
    )
    parts: list[Part] = answer["parameter"]
    languages = {name.removeprefix("lang.") for name in properties if name.startswith("lang.")}
    for one in detail.designations:
        if not properties or "designation" in properties or any(speaks(one.language, tag) for tag in languages):
            parts.append({"name": "designation", "part": _designation(one)})
    told: list[tuple[str, str, Any]] = [("definition", "valueString", detail.definition)]
    told += [("parent", "valueCode", parent) for parent in system.parents(code)]
    told += [("child", "valueCode", child) for child in system.children(code)]
    told += [(one.code, one.type, one.value) for one in detail.properties if one.code not in ELSEWHERE]
    if code in system.inactive and not any(name == "inactive" for name, _, _ in told):
        told.append(("inactive", "valueBoolean", True))
    for name, kind, value in told:
        if value != "" and (not properties or name in properties):
            described = system.displays.get(value, "") if kind == "valueCode" and name in ELSEWHERE else ""
            parts.append(_property(name, kind, value, described))
    return answer


def _property(name: str, kind: str, value: Any, description: str = "") -> Part:
    parts: list[Part] = [{"name": "code", "valueCode": name}, {"name": "value", kind: value}]
    parts += [{"name": "description", "valueString": description}] if description else []
    return {"name": "property", "part": parts}


def _designation(one: Designation) -> list[Part]:
    parts: list[Part] = [{"name": "language", "valueCode": one.language}] if one.language else []
    if one.use is not None:
        names = ("system", "code", "display")
        parts.append(
            {"name": "use", "valueCoding": {name: text for name, text in zip(names, one.use, strict=True) if text}}
        )
    return [*parts, {"name": "value", "valueString": one.value}]


async def subsumes(request: Request) -> Response:
    """GET or POST CodeSystem/$subsumes and CodeSystem/[id]/$subsumes."""
    found = await asked(request, SUBSUMES)
    resource = await _stored(request, found)
    own = System(concepts.code_system(resource)) if resource is not None else None
    one, other = (_coded(found, letter, own) for letter in "AB")
    if canonical(one.system) != canonical(other.system):
        raise missing("Codes of two code systems are not compared: nothing at hand relates the systems")
    sources = sources_of(server_of(request))
    version = one.version or other.version
    outcome = _outcome(own or at_hand(sources, one.system, version), sources.grammar(one.system), one, other)
    return replies.json(returned(("outcome", "valueCode", outcome)))


async def _stored(request: Request, found: Asked) -> Part | None:
    if "id" in request.path_params and "system" in found:
        text = "CodeSystem/[id] is the one that is asked; system would be another"
        raise BadRequest(text, code="invalid", rule="invalid-parameter")
    return await resource_of(request, found, "codeSystem", "CodeSystem")


def _coded(found: Asked, letter: str, own: System | None) -> Coded:
    if found.only(f"code{letter}", f"coding{letter}") == f"coding{letter}":
        one = coded(found.all(f"coding{letter}")[0])
    else:
        one = Coded(found.text("system"), found.text(f"code{letter}"), found.text("version"))
    if own is not None and not one.system:
        one = Coded(own.record.url, one.code)
    if not one.code or not (one.system or own):
        text = "The code system is missing: system" if one.code else f"coding{letter} has no code"
        raise BadRequest(text, code="required", rule="required-parameter")
    return one


def _outcome(system: System | None, grammar: Grammar | None, one: Coded, other: Coded) -> str:
    """How two codes of one system stand to one another. Raises NotFound for a code that the system does not have."""
    if system is None:
        assert grammar is not None
        if grammar.wrong(one.code) or grammar.wrong(other.code):
            raise NotFound(f"A code is none of {grammar.name}", rule="unknown-code")
        if one.code == other.code:
            return "equivalent"
        raise missing(f"{grammar.name} has no hierarchy here")
    codes = [system.find(one.code), system.find(other.code)]
    if None in codes:
        raise _no_such_code(system) if system.complete else system.incomplete()
    found = system.subsumption(codes[0] or "", codes[1] or "")
    if isinstance(found, Unanswerable):
        raise found
    return found
