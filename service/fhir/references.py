"""Where a resource points: found once, relinked in place.

Links are rewritten in Reference.reference, in uri, url, oid and uuid elements and in narrative href and src;
canonicals are not: https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

# Elements of R4 whose type is uri, url, oid or uuid; names that are a canonical somewhere are left out.
_URI_ELEMENTS = frozenset(
    "instantiatesUri nameUrl rendering relativePath valueUri policy valueOid valueUrl valueUuid sourceUri targetUri "
    "moduleUri endpoint derivedFromUri protocol location definitionUri eventUri authority onlineInformation address "
    "url uri".split()
)
_LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?\Z")
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?(.*)\Z", re.DOTALL)
_RESTFUL = re.compile(r"(https?://.+/)[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}\Z")
_NARRATIVE = re.compile(r"""((?:href|src)\s*=\s*["'])([^"'#][^"']*)""")

Container = dict[str, Any] | list[Any]
Link = tuple[Container, Any, str]


class Local(NamedTuple):
    """`Type/id`, with the version where it names one."""

    type: str
    id: str
    version: str | None = None


@dataclass(slots=True)
class Links:
    """The links of one resource, each as (container, key, text), so that setting `container[key]` rewrites it.

    `local` are relative references; `urn` those by `urn:uuid:`/`urn:oid:`; `conditional` are `Type?query`;
    `absolute` name another server; `own`, with their full text, our own; `uris` are uri elements with a urn that may
    be an entry's fullUrl. A canonical URL stays what it is even where an entry has it as its fullUrl.
    """

    local: list[Link]
    urn: list[Link]
    conditional: list[Link]
    absolute: list[Link]
    uris: list[Link]
    narrative: list[Link]
    own: list[Link]


@lru_cache(maxsize=16384)
def local(text: str) -> Local | None:
    """The parsed relative reference, or None where `text` is not one."""
    match = _LOCAL.match(text)
    return Local(*match.groups()) if match else None


def conditional(text: str) -> tuple[str, str] | None:
    """(type, query string) of a conditional reference, or None."""
    match = _CONDITIONAL.match(text)
    return (match[1], match[2]) if match else None


def find(resource: dict[str, Any]) -> Links:
    """All links of the resource, contained resources included, those inside a Bundle's entries not."""
    links = Links([], [], [], [], [], [], [])
    if resource.get("resourceType") == "Bundle":  # a stored Bundle is one document: what is in it links within it
        resource = {key: value for key, value in resource.items() if key != "entry"}
    _walk(resource, links)
    return links


def _walk(node: dict[str, Any], links: Links) -> None:
    for key, value in node.items():
        if type(value) is dict:
            _walk(value, links)
        elif type(value) is list:
            for index, item in enumerate(value):
                if type(item) is dict:
                    _walk(item, links)
                elif type(item) is str and item.startswith("urn:") and key in _URI_ELEMENTS:
                    links.uris.append((value, index, item))
        elif type(value) is str:
            if key == "reference":
                _sort_reference(node, key, value, links)
            elif value.startswith("urn:") and key in _URI_ELEMENTS:
                links.uris.append((node, key, value))
            elif key == "div" and ("href" in value or "src" in value):
                links.narrative.append((node, key, value))


def _sort_reference(node: dict[str, Any], key: str, value: str, links: Links) -> None:
    if value.startswith("#"):
        return
    if value.startswith(("urn:uuid:", "urn:oid:")):
        links.urn.append((node, key, value))
    elif _LOCAL.match(value):
        links.local.append((node, key, value))
    elif "?" in value and _CONDITIONAL.match(value):
        links.conditional.append((node, key, value))
    else:
        links.absolute.append((node, key, value))


def relink(links: Links, targets: dict[str, str], full_url: str | None = None) -> tuple[list[Link], list[Link]]:
    """Rewrites every link to a fullUrl in `targets` (fullUrl → `Type/id`).

    `full_url` is that of the entry itself: where it is a RESTful URL, the entry's relative references are seen from
    its base (https://hl7.org/fhir/R4/bundle.html#references).
    Returns the local references that there are now and the `urn:` references left over. The links keep their
    original text, so that a second call with other targets (a retried plan) starts from what was sent.
    """
    left = []
    base = _RESTFUL.match(full_url) if full_url else None
    here = []
    for container, key, text in links.local:
        target = targets.get(base[1] + text, text) if base else text
        container[key] = target
        here.append((container, key, target))
    for container, key, text in (*links.urn, *links.absolute):
        if text in targets:
            container[key] = targets[text]
            here.append((container, key, targets[text]))
        elif text.startswith("urn:"):
            left.append((container, key, text))
    for container, key, text in links.own:
        if text in targets:  # an entry that is posted with an address of ours gets an id of its own
            container[key] = targets[text]
        here.append((container, key, container[key]))
    for container, key, text in links.uris:
        container[key] = targets.get(text, text)
    for container, key, text in links.narrative:
        container[key] = _NARRATIVE.sub(lambda match: match[1] + targets.get(match[2], match[2]), text)
    return here, left


def localize(links: Links, base: str) -> None:
    """Turns absolute references to our own `base` into relative or conditional ones, so that they resolve here."""
    prefix = base.rstrip("/") + "/"
    still = []
    for container, key, text in links.absolute:
        rest = text[len(prefix) :] if text.startswith(prefix) else ""
        if rest and _LOCAL.match(rest):
            container[key] = rest
            links.own.append((container, key, text))
        elif rest and _CONDITIONAL.match(rest):
            links.conditional.append((container, key, rest))
        else:
            still.append((container, key, text))
    links.absolute = still


def path_of(resource: dict[str, Any], container: Container, key: Any) -> str:
    """FHIRPath of `container[key]` inside the resource: `Observation.subject.reference`. For error texts only."""
    return next(_search(resource, resource.get("resourceType", "Resource"), container, key), "Resource")


def _search(node: Container, path: str, container: Container, key: Any) -> Iterator[str]:
    step: Callable[[Any], str] = (lambda k: f"{path}.{k}") if isinstance(node, dict) else (lambda k: f"{path}[{k}]")
    if node is container:
        yield step(key)
        return
    for child, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, (dict, list)):
            yield from _search(value, step(child), container, key)
