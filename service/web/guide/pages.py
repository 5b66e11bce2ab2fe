"""GET /ig: the guide as pages that need no script, the resources as JSON, and the package."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.conformance.capability import Interaction
from service.conformance.terminology import Terminology
from service.errors import NotFound
from service.web.guide import codes, elements, links, package
from service.web.guide.content import KINDS, Bad, Document, Guide, guide
from service.web.guide.requirements import PITFALLS, REQUIREMENTS
from service.web.html import html, render

JSON = "application/fhir+json; charset=utf-8"
# Kind → (heading of the index, what they are).
SECTIONS = {
    "ValueSet": ("Value sets", "which codes an element may have"),
    "CodeSystem": ("Code systems", "codes of our own, where no verified public code fits"),
    "ConceptMap": ("Concept maps", "from the words of the records to codes"),
    "SearchParameter": ("Search parameters", "searches beyond those of R4"),
    "CapabilityStatement": ("Capability statements", "what a server of the trial offers"),
    "Measure": ("Measures", "rates that the service computes"),
    "ImplementationGuide": ("Implementation guide", "all of this as one resource"),
}
TEMPLATES = {kind: f"guide/{kind.lower()}.html" for kind in KINDS}


async def index(request: Request) -> Response:
    """GET /ig: everything that the guide has."""
    return html(await asyncio.to_thread(_index))


async def requirements(request: Request) -> Response:
    """GET /ig/requirements: what is asked of each resource, and which rule holds it."""
    return html(await asyncio.to_thread(_requirements))


async def archive(request: Request) -> Response:
    """GET /ig/package.tgz: the FHIR package; 304 where the client has it."""
    made = await asyncio.to_thread(package.archive)
    headers = {"etag": made.etag, "cache-control": "no-cache", "x-content-type-options": "nosniff"}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if made.etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    named = package.manifest()
    headers["content-disposition"] = f'attachment; filename="{named["name"]}-{named["version"]}.tgz"'
    return Response(made.content, headers=headers, media_type="application/gzip")


async def document(request: Request) -> Response:
    """GET /ig/[kind]/[id]: the page of a definition, an example or, of kind `bad`, a refused resource.

    `[id].json` is the resource itself.

    Raises NotFound.
    """
    kind, id_ = request.path_params["kind"], request.path_params["id"]
    if id_.endswith(".json"):
        found = _found(await asyncio.to_thread(guide), kind, id_.removesuffix(".json"))
        return Response(found.text, media_type=JSON, headers={"cache-control": "no-cache"})
    terminology: Terminology = request.app.state.server.validator.terminology
    return html(await asyncio.to_thread(_document, terminology, kind, id_))


def _found(content: Guide, kind: str, id_: str) -> Document | Bad:
    if kind != "bad":
        return content.document(kind, id_)
    if id_ not in content.bad:
        raise NotFound("The guide has no such page", rule="unknown-address")
    return content.bad[id_]


@lru_cache(maxsize=1)
def _index() -> str:
    content = guide()
    sections = [(kind, *texts, content.of_kind(kind)) for kind, texts in SECTIONS.items()]
    return render("guide/index.html", guide=content, sections=sections, manifest=package.manifest())


@lru_cache(maxsize=1)
def _requirements() -> str:
    content = guide()
    profiles = {one.id: one for one in content.profiles()}
    rules = {name: own_rules(content, one) for name, one in profiles.items()}
    return render(
        "guide/requirements.html", requirements=REQUIREMENTS, profiles=profiles, rules=rules, pitfalls=PITFALLS
    )


def own_rules(content: Guide, profile: Document) -> list[elements.Invariant]:
    """The rules of ours that a profile has, each key once."""
    found = {one.key: one for one in elements.invariants(profile.resource) if one.own}
    return list(found.values())


@lru_cache(maxsize=256)
def _document(terminology: Terminology, kind: str, id_: str) -> str:
    content = guide()
    found = _found(content, kind, id_)
    if isinstance(found, Bad):
        profile = content.by_url[found.profile]
        rule = next((one for one in elements.invariants(profile.resource) if one.key == found.rule), None)
        return render("guide/bad.html", bad=found, profile=profile, rule=rule)
    if "url" not in found.resource:
        profiles = [content.by_url[url] for url in found.resource["meta"]["profile"]]
        return render("guide/example.html", document=found, profiles=profiles)
    shown = {"document": found, "resource": found.resource, "naming": content.naming(found.resource["url"])}
    return render(TEMPLATES[kind], **shown, **_VALUES.get(kind, _nothing)(content, terminology, found))


def _nothing(content: Guide, terminology: Terminology, found: Document) -> dict[str, Any]:
    return {}


def _structure(content: Guide, terminology: Terminology, found: Document) -> dict[str, Any]:
    resource = found.resource
    every = elements.rows(content, resource)
    examples = content.examples_of(resource["url"])
    using = [one for one in content.examples() if f'"{resource["url"]}"' in one.text]
    return {
        "base": links.to(content, resource["baseDefinition"]),
        "type": links.to_type(resource["type"]),
        "changed": elements.changed(every),
        "every": every,
        "invariants": elements.invariants(resource),
        "examples": examples or using,
        "bad": content.bad_of(resource["url"]),
    }


def _value_set(content: Guide, terminology: Terminology, found: Document) -> dict[str, Any]:
    return {
        "composition": list(codes.composition(content, found.resource)),
        "expansion": codes.expansion(content, terminology, found.resource),
    }


def _code_system(content: Guide, terminology: Terminology, found: Document) -> dict[str, Any]:
    listed = codes.concepts(found.resource)
    return {"concepts": listed, "count": len(listed)}


def _concept_map(content: Guide, terminology: Terminology, found: Document) -> dict[str, Any]:
    return {"groups": list(codes.mappings(content, found.resource))}


def _search_parameter(content: Guide, terminology: Terminology, found: Document) -> dict[str, Any]:
    resource = found.resource
    tries = [f"/fhir/{base}?{resource['code']}:missing=false" for base in resource["base"]]
    return {"types": [links.to_type(name) for name in resource["base"]], "tries": tries}


def _capability(content: Guide, terminology: Terminology, found: Document) -> dict[str, Any]:
    rows = []
    for one in found.resource["rest"][0]["resource"]:
        interactions = Counter(entry["code"] for entry in one["interaction"])
        rows.append(
            (
                links.to_type(one["type"]),
                [links.to(content, url) for url in one.get("supportedProfile", ())],
                ", ".join(interactions),
                [(entry["name"], links.to(content, entry["definition"])) for entry in one.get("searchParam", ())],
            )
        )
    return {"rows": rows}


def _implementation_guide(content: Guide, terminology: Terminology, found: Document) -> dict[str, Any]:
    keys = [tuple(one["reference"]["reference"].split("/")) for one in found.resource["definition"]["resource"]]
    return {
        "listed": sorted((content.documents[key] for key in keys), key=lambda one: (one.kind, one.title.casefold()))
    }


_VALUES = {
    "StructureDefinition": _structure,
    "ValueSet": _value_set,
    "CodeSystem": _code_system,
    "ConceptMap": _concept_map,
    "SearchParameter": _search_parameter,
    "CapabilityStatement": _capability,
    "ImplementationGuide": _implementation_guide,
}
TABLE = (
    (Interaction("guide", "GET", "/ig"), index),
    (Interaction("guideRequirements", "GET", "/ig/requirements"), requirements),
    (Interaction("guidePackage", "GET", "/ig/package.tgz"), archive),
    (Interaction("guideDocument", "GET", "/ig/{kind:fhir_id}/{id:fhir_id}"), document),
)
