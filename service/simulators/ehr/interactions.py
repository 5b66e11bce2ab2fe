"""The interactions of the hospital's server: https://hl7.org/fhir/R4/http.html."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode

from service.simulators.ehr import searching
from service.simulators.ehr.paging import PAGE, Listing, Pages
from service.simulators.ehr.quirks import PLAIN, Quirks
from service.simulators.ehr.resources import Resources, Version
from service.simulators.wire import Answer, Refusal, Resource, outcome

TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_YEAR = timedelta(days=365)
TOUCH = {"system": "https://hospital.example/workflow", "code": "filed"}

Pairs = list[tuple[str, str]]


class Interactions:
    """Reads and writes `resources` as `quirks` have it. `base` is the server's address, for links."""

    def __init__(self, quirks: Quirks = PLAIN) -> None:
        self.quirks = quirks
        self.resources = Resources()
        self.base = ""
        self.touched: list[tuple[str, str]] = []
        self._pages = Pages()
        self._writes = 0

    def instant(self, shared: datetime | None) -> datetime:
        """When the next resource of an import is written: `shared` where all of it has one instant."""
        self._writes += 1
        when = shared if shared and self.quirks.one_instant_per_import else self.resources.instant()
        future = self.quirks.future_every and self._writes % self.quirks.future_every == 0
        return when + _YEAR if future else when

    def read(self, type_: str, id_: str) -> Answer:
        """The version of now. Raises Refusal (404, 410)."""
        version = self.resources.current(type_, id_)
        if version is None or (version.resource is None and self.quirks.hides_deleted):
            raise Refusal(404, "not-found", "There is no such resource")
        return self._shown(version)

    def vread(self, type_: str, id_: str, number: str) -> Answer:
        """One version. Raises Refusal (404, 410)."""
        for version in self.resources.versions(type_, id_):
            if str(version.number) == number:
                return self._shown(version)
        raise Refusal(404, "not-found", "There is no such version")

    def create(
        self,
        type_: str,
        resource: Resource,
        condition: str | None,
        shared: datetime | None = None,
        new_id: str | None = None,
    ) -> Answer:
        """Stores a new resource, as `new_id` where that is given; `condition` is an If-None-Exist.

        Raises Refusal (400, 412).
        """
        _check(type_, resource)
        if condition and not self.quirks.ignores_if_none_exist:
            found = self.find(type_, parse_qsl(condition.lstrip("?")))
            if len(found) > 1:
                raise Refusal(412, "multiple-matches", "The condition of the create matches several")
            if found:
                return Answer(200, self._body(found[0]), self._headers(found[0]))
        return self._write({**resource, "id": new_id or self.resources.new_id()}, "POST", shared)

    def update(
        self, type_: str, id_: str, resource: Resource, if_match: str | None, shared: datetime | None = None
    ) -> Answer:
        """Stores the next version. Raises Refusal (400, 405, 409 or 412)."""
        _check(type_, resource)
        if resource.get("id") != id_ or not _ID.fullmatch(id_):
            raise Refusal(400, "value", "The id of the body is not that of the address")
        now = self.resources.current(type_, id_)
        if if_match and (now is None or now.resource is None or if_match.strip('W/"') != str(now.number)):
            raise Refusal(self.quirks.conflict_status, "conflict", "If-Match is not the version of now")
        if now is None and self.quirks.refuses_client_ids:
            raise Refusal(405, "not-supported", "This server gives the ids itself")
        return self._write(resource, "PUT", shared)

    def update_where(self, type_: str, resource: Resource, query: str, if_match: str | None) -> Answer:
        """A conditional update. Raises Refusal (400, 405, 409 or 412)."""
        found = self.find(type_, parse_qsl(query))
        if len(found) > 1:
            raise Refusal(412, "multiple-matches", "The condition of the update matches several")
        if not found:
            return self.create(type_, resource, None)
        return self.update(type_, found[0].id, {**resource, "id": found[0].id}, if_match)

    def delete(self, type_: str, id_: str) -> Answer:
        """Deletes; deleting what is not there is no error."""
        now = self.resources.current(type_, id_)
        if now is None or now.resource is None:
            return Answer(204)
        return Answer(204, None, {"ETag": self.resources.delete(type_, id_, self.instant(None)).etag})

    def store(self, resources: list[Resource], when: datetime | None = None) -> list[str]:
        """What the hospital's own staff files, as it is: references, in order. Ids that are missing are given.

        `when` is the lastUpdated of all of them.
        """
        shared, references = when or self.resources.instant(), []
        for resource in resources:
            numbered = resource if resource.get("id") else {**resource, "id": self.resources.new_id()}
            new = self.resources.current(numbered["resourceType"], numbered["id"]) is None
            instant = when or self.instant(shared)
            references.append(self.resources.write(numbered, instant, "POST" if new else "PUT").reference)
        return references

    def touch(self, type_: str, id_: str) -> None:
        """What a background job does: a tag, and a version in which nothing else is new."""
        now = self.resources.current(type_, id_)
        if now is None or now.resource is None:
            return
        meta = dict(now.resource["meta"])
        meta["tag"] = [*(tag for tag in meta.get("tag", []) if tag != TOUCH), TOUCH]
        self.resources.write({**now.resource, "meta": meta}, self.resources.instant(), "PUT")

    def search(self, type_: str, pairs: Pairs) -> Answer:
        """A searchset, the first or a further page. Raises Refusal (400, 410)."""
        self._refuse(type_, pairs)
        used = [(name, value) for name, value in pairs if not self._is_passed_over(name)]

        def find() -> list[Version]:
            return self._ordered(self.find(type_, used), dict(pairs).get("_sort"))

        return self._listed("searchset", type_, type_, used, find)

    def history(self, type_: str | None, id_: str | None, pairs: Pairs) -> Answer:
        """A history of a resource, a type or the server. Raises Refusal (400, 404, 410)."""
        if type_ and id_ and not self.resources.versions(type_, id_):
            raise Refusal(404, "not-found", "There is no such resource")
        since = searching.since(text) if (text := dict(pairs).get("_since")) else None

        def find() -> list[Version]:
            versions = self.resources.history(type_, id_)
            return [version for version in versions if since is None or version.instant >= since]

        path = "/".join(part for part in (type_, id_, "_history") if part)
        return self._listed("history", path, path, pairs, find)

    def find(self, type_: str, pairs: Pairs) -> list[Version]:
        """Living resources that meet every known parameter, in the order of writing. Raises Refusal."""
        wanted = [(name, value) for name, value in pairs if name in searching.PARAMETERS]
        for name, value in wanted:
            searching.check(name, value)
        return [
            version
            for version in self.resources.living(type_)
            if all(searching.matches(version, name, value) for name, value in wanted)
        ]

    def _listed(self, kind: str, path: str, type_path: str, pairs: Pairs, find: Callable[[], list[Version]]) -> Answer:
        if token := dict(pairs).get(PAGE):
            return Answer(200, self._pages.follow(token, self.base, self.quirks))
        text = dict(pairs).get("_count", str(self.quirks.default_count))
        if not text.isdigit():
            raise Refusal(400, "value", "_count is not a number")
        count = min(int(text), self.quirks.most_count or int(text))
        self_link = type_path + (f"?{urlencode(pairs)}" if pairs else "")
        return Answer(
            200, self._pages.first(Listing(kind, path, self_link, count, find, tuple(find())), self.base, self.quirks)
        )

    def _refuse(self, type_: str, pairs: Pairs) -> None:
        names = {name for name, _ in pairs}
        if PAGE in names:
            return
        known = searching.PARAMETERS | searching.RESULT_PARAMETERS
        if self.quirks.refuses_unknown_parameters and names - known:
            raise Refusal(400, "not-supported", "A search parameter is not known to this server")
        required = (self.quirks.requires or {}).get(type_)
        if required and not names & {*required, "_id"}:
            raise Refusal(400, "required", f"A search of {type_} needs one of: {', '.join(required)}")

    def _is_passed_over(self, name: str) -> bool:
        quirks = self.quirks
        ignored = {"_lastUpdated": quirks.ignores_last_updated, "_sort": quirks.ignores_sort}
        known = name in searching.PARAMETERS | searching.RESULT_PARAMETERS | {PAGE}
        return ignored.get(name, not known)

    def _ordered(self, found: list[Version], sort: str | None) -> list[Version]:
        key = sort if sort and not self.quirks.ignores_sort else "-_lastUpdated" if self.quirks.descending else None
        if key not in ("_lastUpdated", "-_lastUpdated"):
            return found
        return sorted(found, key=lambda version: (version.instant, version.order), reverse=key.startswith("-"))

    def _write(self, resource: Resource, method: str, shared: datetime | None) -> Answer:
        drops = self.quirks.drops or {}
        dropped = {*drops.get("*", ()), *drops.get(resource["resourceType"], ())}
        kept = {name: value for name, value in resource.items() if name not in dropped}
        version = self.resources.write(kept, self.instant(shared), method)
        if self.quirks.touches_writes:
            self.touched.append((version.type, version.id))
        return Answer(201 if version.number == 1 else 200, self._body(version), self._headers(version))

    def _body(self, version: Version) -> Resource | None:
        return None if self.quirks.empty_bodies else version.resource

    def _shown(self, version: Version) -> Answer:
        if version.resource is None:
            return Answer(410, outcome("deleted", "The resource was deleted"), {"ETag": version.etag})
        return Answer(200, version.resource, self._headers(version))

    def _headers(self, version: Version) -> dict[str, str]:
        return {
            "ETag": version.etag,
            "Location": f"{self.base}/{version.reference}/_history/{version.number}",
            "Last-Modified": version.instant.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        }


def _check(type_: str, resource: Resource) -> None:
    if resource.get("resourceType") != type_:
        raise Refusal(400, "invalid", "The resource of the body is not of the type of the address")
