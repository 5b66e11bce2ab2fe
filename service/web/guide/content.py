"""What the guide shows: our conformance resources, the examples that keep the profiles and those that break them.

Source: `fhir_profiles/fsh-generated/resources` and `fhir_profiles/bad`, read once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from service.conformance.definitions import OWN_RESOURCES
from service.conformance.records import canonical
from service.errors import NotFound
from service.fhir.json import decode, encode
from service.settings import shipped

Resource = dict[str, Any]
BAD = ("fhir_profiles", "bad")
BASE = "https://cart-fhir.example/fhir/"
DEPTH = 200
# The order of the guide; other conformance resources would follow.
KINDS = (
    "StructureDefinition",
    "ValueSet",
    "CodeSystem",
    "ConceptMap",
    "SearchParameter",
    "CapabilityStatement",
    "Measure",
    "ImplementationGuide",
)


@dataclass(frozen=True, slots=True)
class Document:
    """One resource and its text; `kind` and `id` are its address in the guide, `title` what a person calls it."""

    kind: str
    id: str
    title: str
    resource: Resource
    text: str

    @property
    def href(self) -> str:
        """Its page."""
        return f"/ig/{self.kind}/{self.id}"


@dataclass(frozen=True, slots=True)
class Bad:
    """A resource that a profile refuses: at `expression`, by the code `rule`; a warning is only reported."""

    id: str
    profile: str
    rule: str
    expression: str
    severity: str
    title: str
    resource: Resource
    text: str

    @property
    def href(self) -> str:
        """Its page."""
        return f"/ig/bad/{self.id}"


@dataclass(frozen=True, slots=True)
class Guide:
    """`documents` by (kind, id): conformance resources have a `url`, examples none; `bad` by id."""

    documents: dict[tuple[str, str], Document]
    bad: dict[str, Bad]
    by_url: dict[str, Document] = field(default_factory=dict)

    def of_kind(self, kind: str) -> list[Document]:
        """The conformance resources of one type, by title."""
        found = [one for one in self.by_url.values() if one.kind == kind]
        return sorted(found, key=lambda one: one.title.casefold())

    def examples(self) -> list[Document]:
        """All examples, by type and id."""
        return [one for one in self.documents.values() if "url" not in one.resource]

    def examples_of(self, profile: str) -> list[Document]:
        """The examples that claim the profile."""
        return [one for one in self.examples() if profile in one.resource.get("meta", {}).get("profile", ())]

    def bad_of(self, profile: str) -> list[Bad]:
        """The resources that the profile refuses."""
        return [one for one in self.bad.values() if one.profile == profile]

    def naming(self, url: str) -> list[Document]:
        """The conformance resources that name the canonical, itself left out."""
        quoted = (f'"{url}"', f'"{url}|', f"'{url}'")
        found = [one for one in self.by_url.values() if one.resource["url"] != url]
        return sorted(
            (one for one in found if any(text in one.text for text in quoted)),
            key=lambda one: (KINDS.index(one.kind), one.title.casefold()),
        )

    def document(self, kind: str, id_: str) -> Document:
        """Raises NotFound."""
        found = self.documents.get((kind, id_))
        if found is None:
            raise NotFound("The guide has no such page", rule="unknown-address")
        return found

    def implementation_guide(self) -> Document:
        """What names the package and all that is in it."""
        return self.of_kind("ImplementationGuide")[0]

    def profiles(self) -> list[Document]:
        """Our profiles of resource types."""
        return [one for one in self.of_kind("StructureDefinition") if one.resource["kind"] == "resource"]

    def extensions(self) -> list[Document]:
        """Our extensions."""
        return [one for one in self.of_kind("StructureDefinition") if one.resource["type"] == "Extension"]


def files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """The JSON files of a folder in the order of their names."""
    for path in sorted(folder.glob("*.json")):
        yield path, path.read_bytes()


def pretty(resource: Resource) -> str:
    """A resource as indented JSON, its numbers as they were written."""
    return msgspec.json.format(encode(resource), indent=2).decode()


@cache
def guide() -> Guide:
    """The content of the guide, read from the files at the first call."""
    texts = [content for _, content in files(shipped(*OWN_RESOURCES))]
    read = [(decode(content, max_depth=DEPTH), content.decode().rstrip()) for content in texts]
    titles = _titles(resource for resource, _ in read)
    documents: dict[tuple[str, str], Document] = {}
    for resource, text in read:
        key = resource["resourceType"], resource["id"]
        documents[key] = Document(*key, titles.get("/".join(key), resource["id"]), resource, text)
    by_url = {canonical(one.resource["url"]): one for one in documents.values() if "url" in one.resource}
    return Guide(documents, {one.id: one for one in _bad()}, by_url)


def _titles(resources: Iterable[Resource]) -> dict[str, str]:
    """`Type/id` → title: of a definition its own, of an example that of the ImplementationGuide."""
    found: dict[str, str] = {}
    for resource in resources:
        if resource["resourceType"] == "ImplementationGuide":
            for one in resource["definition"]["resource"]:
                found.setdefault(one["reference"]["reference"], one["name"])
        if "url" in resource:
            found[f"{resource['resourceType']}/{resource['id']}"] = resource.get("title") or resource["name"]
    return found


def _bad() -> Iterator[Bad]:
    for path, content in files(shipped(*BAD)):
        one = decode(content, max_depth=DEPTH)
        yield Bad(
            path.stem,
            f"{BASE}StructureDefinition/{one['profile']}",
            one["rule"],
            one["expression"],
            one.get("severity", "error"),
            one["title"],
            one["resource"],
            pretty(one["resource"]),
        )
