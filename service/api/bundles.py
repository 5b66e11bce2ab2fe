"""Search and history Bundles as bytes: what is stored goes in as it is.

Source: https://hl7.org/fhir/R4/bundle.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from service.errors import Issue, operation_outcome
from service.fhir.json import encode
from service.fhir.operations import SearchPage, Stored

STATUS = {"POST": "201 Created", "DELETE": "204 No Content"}


def searchset(
    base: str, page: SearchPage, links: Sequence[tuple[str, str]], notes: Sequence[Issue], counted: bool = False
) -> bytes:
    """One page of a search: matches, then what they include, then an outcome with `notes`; `counted`: no entries."""
    if counted:
        return _bundle("searchset", page.total, links, ())
    entries = [_found(base, stored, b"match") for stored in page.matches]
    entries += [_found(base, stored, b"include") for stored in page.included]
    if notes:
        entries.append(b'{"resource":%b,"search":{"mode":"outcome"}}' % encode(operation_outcome(list(notes))))
    return _bundle("searchset", page.total, links, entries)


def history(base: str, versions: Iterable[Stored], total: int | None, links: Sequence[tuple[str, str]]) -> bytes:
    """One page of versions, newest first, deletions as entries without a resource."""
    return _bundle("history", total, links, [_version(base, stored) for stored in versions])


def _bundle(kind: str, total: int | None, links: Sequence[tuple[str, str]], entries: Sequence[bytes]) -> bytes:
    head = {"resourceType": "Bundle", "type": kind}
    if total is not None:
        head["total"] = total  # type: ignore[assignment]
    head["link"] = [{"relation": relation, "url": url} for relation, url in links]  # type: ignore[assignment]
    if not entries:  # ele-1: an element is never empty
        return encode(head)
    return b"".join((encode(head)[:-1], b',"entry":[', b",".join(entries), b"]}"))


def _found(base: str, stored: Stored, mode: bytes) -> bytes:
    url = f"{base}/{stored.type}/{stored.id}".encode()
    return b'{"fullUrl":"%b","resource":%b,"search":{"mode":"%b"}}' % (url, stored.content or b"null", mode)


def _version(base: str, stored: Stored) -> bytes:
    place = f"{stored.type}/{stored.id}"
    entry = {
        "fullUrl": f"{base}/{place}",
        "request": {"method": stored.method, "url": stored.type if stored.method == "POST" else place},
        "response": {
            "status": STATUS.get(stored.method, "200 OK"),
            "etag": stored.etag,
            "lastModified": stored.updated.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        },
    }
    if stored.method != "DELETE":
        entry["response"]["location"] = f"{base}/{place}/_history/{stored.version}"  # type: ignore[index]
    if stored.content is None:
        return encode(entry)
    return b'%b,"resource":%b}' % (encode(entry)[:-1], stored.content)
