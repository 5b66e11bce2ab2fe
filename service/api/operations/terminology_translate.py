"""ConceptMap/$translate: https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api import body, replies
from service.api.operations.terminology_inputs import (
    CODING,
    CONCEPT,
    FLAG,
    PARTS,
    RESOURCE,
    TEXT,
    Asked,
    Shape,
    asked,
    coded,
    resource_of,
    returned,
    size_of,
    sources_of,
)
from service.api.server import server_of
from service.conformance import concepts
from service.conformance.concepts import ConceptMap
from service.conformance.records import canonical
from service.conformance.terminology.gaps import Unanswerable, missing, unknown
from service.conformance.terminology.maps import NO_MATCH, Found, Match, Wish, translate
from service.conformance.terminology.sources import Sources
from service.conformance.terminology.systems import System
from service.conformance.terminology.validation import Coded
from service.errors import BadRequest

SHAPE = Shape(
    {
        "url": TEXT, "conceptMap": RESOURCE, "conceptMapVersion": TEXT, "code": TEXT, "system": TEXT, "version": TEXT,
        "source": TEXT, "coding": CODING, "codeableConcept": CONCEPT, "target": TEXT, "targetsystem": TEXT,
        "dependency": PARTS, "reverse": FLAG,
    },
    {},
    ("conceptMap", "ConceptMap"),
)  # fmt: skip


async def translate_code(request: Request) -> Response:
    """GET or POST ConceptMap/$translate and ConceptMap/[id]/$translate."""
    found = await asked(request, SHAPE)
    sources = sources_of(server_of(request))
    codings = found.codings("code", "system", "version")
    resource = await resource_of(request, found, "conceptMap", "ConceptMap")
    one_map = resource is not None or "url" in found
    if not one_map and any(not one.system for one in codings):
        text = "Without a concept map (url) the code needs its system"
        raise BadRequest(text, code="required", rule="required-parameter")
    size = await size_of(request)
    if resource is not None:
        maps = [await body.compute(lambda: concepts.concept_map(resource), size)]
    else:
        maps = _maps(sources, found)
    _known_versions(sources, codings)
    wishes = [_wish(found, one, one_map) for one in codings]
    answers = await body.compute(lambda: [translate(maps, wish) for wish in wishes], size)
    if not one_map and not any(answer.covered for answer in answers):
        systems = ", ".join(sorted({one.system for one in codings}))
        raise missing(f"No concept map at hand translates {'to' if found.flag('reverse') else 'from'} {systems}")
    return replies.json(_answer(answers))


def _maps(sources: Sources, found: Asked) -> list[ConceptMap]:
    """The map of `url`, else all that lead from `source` to `target`. Raises NotFound, BadRequest."""
    url, version = found.text("url"), found.text("conceptMapVersion")
    if url:
        if version and "|" in url and url.partition("|")[2] != version:
            raise BadRequest("url and conceptMapVersion name two versions", code="invalid", rule="invalid-parameter")
        one = sources.concept_map(f"{url.partition('|')[0]}|{version}" if version else url)
        if isinstance(one, Unanswerable):
            raise unknown(one.issues[0].text)
        return [one]
    ends = [canonical(found.text(name)) for name in ("source", "target")]
    if found.flag("reverse"):
        ends.reverse()
    maps = [one for name in sources.concept_maps() if isinstance(one := sources.concept_map(name), ConceptMap)]
    maps = [one for one in maps if not version or one.version == version]
    chosen = [one for one in maps if all(not end or end == has for end, has in zip(ends, _ends(one), strict=True))]
    if not chosen:
        named = " to ".join(end for end in ends if end)
        raise missing(f"There is no concept map at hand from {named}" if named else "There is no such concept map")
    return chosen


def _ends(one: ConceptMap) -> tuple[str, str]:
    return canonical(one.source), canonical(one.target)


def _known_versions(sources: Sources, codings: list[Coded]) -> None:
    """Raises Unanswerable where a code is of a version of its system that is not the one at hand."""
    for one in codings:
        if one.version and one.system and isinstance(sources.system(one.system), System):
            found = sources.system(one.system, one.version)
            if isinstance(found, Unanswerable):
                raise found


def _wish(found: Asked, one: Coded, loose: bool) -> Wish:
    known = {pair for parts in found.all("dependency") for pair in _dependency(parts)}
    reverse = bool(found.flag("reverse"))
    return Wish(one.system, one.code, found.text("targetsystem"), frozenset(known), reverse, loose)


def _dependency(parts: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(element, code) of each coding of a dependency, and its text."""
    element = next((part.get("valueUri", "") for part in parts if part.get("name") == "element"), "")
    concept = next((part.get("valueCodeableConcept", {}) for part in parts if part.get("name") == "concept"), {})
    codes = [coded(one).code for one in concept.get("coding", [])] + [concept.get("text", "")]
    if not element or not any(codes):
        text = "A dependency needs element (valueUri) and concept (valueCodeableConcept)"
        raise BadRequest(text, code="required", rule="required-parameter")
    return [(element, code) for code in codes if code]


def _answer(answers: list[Found]) -> dict[str, Any]:
    matches = list(dict.fromkeys(match for answer in answers for match in answer.matches))
    result = any(match.target.equivalence not in NO_MATCH for match in matches)
    needed = dict.fromkeys(element for answer in answers for element in answer.needed)
    messages = [match.comment for match in matches if match.comment]
    messages += [f"Further matches depend on {element}: send it as dependency" for element in needed]
    if not result:
        messages.insert(0, "No match is known")
    answer = returned(
        ("result", "valueBoolean", result), ("message", "valueString", "; ".join(dict.fromkeys(messages)))
    )
    answer["parameter"] += [{"name": "match", "part": _match(one)} for one in matches]
    return answer


def _match(match: Match) -> list[dict[str, Any]]:
    target = match.target
    parts: list[dict[str, Any]] = [{"name": "equivalence", "valueCode": target.equivalence}]
    if target.code:
        parts.append({"name": "concept", "valueCoding": _coding(target.system, target.code, target.display)})
    for element, system, code, display in match.products:
        parts.append(
            {
                "name": "product",
                "part": [
                    {"name": "element", "valueUri": element},
                    {"name": "concept", "valueCoding": _coding(system, code, display)},
                ],
            }
        )
    return [*parts, {"name": "source", "valueUri": match.source}] if match.source else parts


def _coding(system: str, code: str, display: str) -> dict[str, str]:
    return {name: text for name, text in (("system", system), ("code", code), ("display", display)) if text}
