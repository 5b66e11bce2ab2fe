"""The hospital's resources with all their versions, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service.simulators.wire import Resource

_TICK = timedelta(milliseconds=1)


def instant_text(when: datetime) -> str:
    """A FHIR instant to the millisecond, in UTC."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a resource; `resource` is None where it was deleted. `order` counts all writes of the server."""

    type: str
    id: str
    number: int
    order: int
    instant: datetime
    method: str
    resource: Resource | None

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"

    @property
    def etag(self) -> str:
        return f'W/"{self.number}"'


class Resources:
    """Versions by (type, id). A write never changes one that is there."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, str], list[Version]] = {}
        self._order = self._ids = 0
        self._last = datetime.fromtimestamp(0, UTC)

    def instant(self) -> datetime:
        """Now, to the millisecond, and later than each answer before."""
        now = datetime.now(UTC)
        self._last = max(now.replace(microsecond=now.microsecond // 1000 * 1000), self._last + _TICK)
        return self._last

    def new_id(self) -> str:
        """An id that this server has not given before."""
        self._ids += 1
        return f"h{self._ids:06d}"

    def versions(self, type_: str, id_: str) -> list[Version]:
        """All versions, oldest first; none where the resource was never there."""
        return self._versions.get((type_, id_), [])

    def current(self, type_: str, id_: str) -> Version | None:
        """The last version, which may be a deletion."""
        versions = self.versions(type_, id_)
        return versions[-1] if versions else None

    def living(self, type_: str | None = None) -> list[Version]:
        """The last version of each resource that is not deleted, in the order of writing."""
        found = [versions[-1] for versions in self._versions.values() if type_ in (None, versions[-1].type)]
        return sorted((version for version in found if version.resource is not None), key=lambda each: each.order)

    def history(self, type_: str | None = None, id_: str | None = None) -> list[Version]:
        """All versions of the server, a type or a resource, newest first."""
        found = [
            version
            for versions in self._versions.values()
            for version in versions
            if type_ in (None, version.type) and id_ in (None, version.id)
        ]
        return sorted(found, key=lambda each: each.order, reverse=True)

    def write(self, resource: Resource, when: datetime, method: str) -> Version:
        """Stores a version of `resource`, whose id is set; its `meta` gets the new versionId and lastUpdated."""
        type_, id_ = resource["resourceType"], resource["id"]
        number = len(self.versions(type_, id_)) + 1
        meta = dict(resource["meta"]) if isinstance(resource.get("meta"), dict) else {}
        meta |= {"versionId": str(number), "lastUpdated": instant_text(when)}
        rest = {name: value for name, value in resource.items() if name not in ("resourceType", "id", "meta")}
        kept = {"resourceType": type_, "id": id_, "meta": meta, **rest}
        return self._append(Version(type_, id_, number, self._next(), when, method, kept))

    def delete(self, type_: str, id_: str, when: datetime) -> Version:
        """Ends a resource that is there."""
        number = len(self.versions(type_, id_)) + 1
        return self._append(Version(type_, id_, number, self._next(), when, "DELETE", None))

    @contextmanager
    def whole(self) -> Iterator[None]:
        """What is written in the block is undone where it raises."""
        before = {key: list(versions) for key, versions in self._versions.items()}
        try:
            yield
        except BaseException:
            self._versions = before
            raise

    def _next(self) -> int:
        self._order += 1
        return self._order

    def _append(self, version: Version) -> Version:
        self._versions.setdefault((version.type, version.id), []).append(version)
        return version
