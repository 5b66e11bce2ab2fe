"""The form in which a resource of ours goes to the other side, and how a change of ours is carried onto theirs.

References name their resources, our id goes along as an identifier, our `meta` stays here but for a tag that says
where the resource was made, so that it goes no further than one hop. A reference to what the other side does not have
becomes a logical one: type, display and identifier (https://hl7.org/fhir/R4/references.html#logical).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from service.fhir import references
from service.fhir.operations import Resource
from service.sync.merge import merge
from service.sync.origin import TAG
from service.sync.peers import canonical_hash
from service.trial.mapping.identity import BASE

# R4 has one identifier there, and no search by it: https://hl7.org/fhir/R4/adverseevent.html
SINGLE_IDENTIFIER = frozenset(("AdverseEvent",))
_SERVER_KEPT = ("versionId", "lastUpdated", "source")
MADE_HERE = {"system": TAG, "code": "cart-fhir"}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The `resource` as it is sent, the `identifier` by which it is found again, and FHIRPaths of references to
    what the other side does not have."""

    resource: Resource
    identifier: Resource
    unlinked: tuple[str, ...] = ()


def system_of(base_url: str, type_: str) -> str:
    """The system of identifiers that are ids of resources here; `base_url` is our public FHIR base, if it is set."""
    return f"{(base_url or BASE).rstrip('/')}/identifier/{type_}"


def targets_of(resource: Resource) -> set[str]:
    """`Type/id` of the resources of ours to which a resource refers."""
    found = (references.local(text) for _, _, text in references.find(resource).local)
    return {f"{one.type}/{one.id}" for one in found if one is not None}


def patient_of(resource: Resource) -> str | None:
    """`Patient/id` of whom the resource speaks, by `subject` or `patient`; itself for a Patient."""
    if resource["resourceType"] == "Patient":
        return f"Patient/{resource['id']}"
    for name in ("subject", "patient"):
        link = resource.get(name)
        found = references.local(link["reference"]) if isinstance(link, dict) and "reference" in link else None
        if found is not None and found.type == "Patient":
            return f"Patient/{found.id}"
    return None


def outgoing(resource: Resource, links: Mapping[str, str], base_url: str = "") -> Outgoing:
    """The form without an id; `links` are `Type/id` of ours → theirs, or the fullUrl in the same bundle."""
    type_, id_ = resource["resourceType"], resource["id"]
    sent = deepcopy({name: value for name, value in resource.items() if name not in ("id", "meta")})
    unlinked = []
    for container, key, text in references.find(sent).local:
        place = references.local(text)
        theirs = links.get(f"{place.type}/{place.id}") if place is not None else None
        if theirs is not None:
            container[key] = theirs
        elif place is not None and isinstance(container, dict):
            unlinked.append(references.path_of(sent, container, key))
            _make_logical(container, place, base_url)
    own = {"system": system_of(base_url, type_), "value": id_}
    identifier = _identified(sent, own)
    origins = [tag for tag in resource.get("meta", {}).get("tag", ()) if tag.get("system") == TAG]
    sent = {"resourceType": type_, "meta": {"tag": origins or [MADE_HERE]}, **sent}
    return Outgoing(sent, identifier, tuple(unlinked))


def _make_logical(link: dict[str, Any], place: references.Local, base_url: str) -> None:
    del link["reference"]
    link.setdefault("type", place.type)
    link.setdefault("identifier", {"system": system_of(base_url, place.type), "value": place.id})


def _identified(sent: Resource, own: Resource) -> Resource:
    """Adds our identifier; where there is room for one only, one of the resource's own stands for it."""
    if sent["resourceType"] not in SINGLE_IDENTIFIER:
        sent["identifier"] = [*sent.get("identifier", ()), own]
        return own
    there = sent.get("identifier")
    if isinstance(there, dict) and there.get("system") and there.get("value"):
        return {"system": there["system"], "value": there["value"]}
    sent["identifier"] = own
    return own


def identifies(identifier: Resource, resource: Resource) -> bool:
    """Whether a resource of theirs carries the identifier."""
    carried_ = resource.get("identifier")
    listed = carried_ if isinstance(carried_, list) else [carried_]
    wanted = (identifier["system"], identifier["value"])
    return any(isinstance(one, dict) and (one.get("system"), one.get("value")) == wanted for one in listed)


def own_id(resource: Resource, base_url: str = "") -> str | None:
    """`Type/id` of ours of which a resource of theirs says that it is its copy."""
    there, system = resource.get("identifier"), system_of(base_url, resource["resourceType"])
    for one in there if isinstance(there, list) else [there]:
        if isinstance(one, dict) and one.get("system") == system and isinstance(one.get("value"), str):
            return f"{resource['resourceType']}/{one['value']}"
    return None


def without_own(resource: Resource, base_url: str = "") -> Resource:
    """A resource of theirs without the identifier that we added."""
    system = system_of(base_url, resource["resourceType"])
    there = resource.get("identifier")
    if isinstance(there, dict):
        return {k: v for k, v in resource.items() if k != "identifier"} if there.get("system") == system else resource
    kept = [one for one in there or () if not isinstance(one, dict) or one.get("system") != system]
    if there is None or len(kept) == len(there):
        return resource
    return {k: v for k, v in resource.items() if k != "identifier"} | ({"identifier": kept} if kept else {})


def carried(before: Resource, now: Resource, onto: Resource) -> Resource:
    """`onto`, theirs as it is, with what changed from `before` to `now`, both in outgoing form.

    What they added or left out stays so; of what both changed, ours stands: conflicts were settled before.
    """
    result = merge(before, now, onto, prefer="ours").resource
    meta = {name: value for name, value in onto.get("meta", {}).items() if name not in _SERVER_KEPT}
    tags = [*meta.get("tag", ()), *now["meta"]["tag"]]
    meta["tag"] = [tag for at, tag in enumerate(tags) if tag not in tags[:at]]
    rest = {name: value for name, value in result.items() if name not in ("resourceType", "id", "meta")}
    return {"resourceType": onto["resourceType"], "id": onto["id"], "meta": meta, **rest}


def says_the_same(one: Resource, other: Resource) -> bool:
    """Whether two resources differ in nothing but id and meta."""
    return canonical_hash(one) == canonical_hash(other)
