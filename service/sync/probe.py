"""`sync test`: what works on the other side and what does not, step by step, in plain words.

Nothing is written on either side, and what a server promises is tried out: a filter that does not filter is told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from service.conformance.definitions import Definitions
from service.errors import CartFhirError, Upstream
from service.fhir.operations import Resource
from service.remote import Limits, Page, Remote
from service.store.database import Database
from service.sync.connections import Connection
from service.sync.linking import Linker
from service.sync.streams import gaps, moment

NOBODY = "cart-fhir-nobody"  # an identifier that no patient has
LIMITS = Limits(attempts=1, connect=10.0, read=30.0)
State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at: `failed` keeps the pull from working, a `warning` does not."""

    name: str
    state: State
    text: str


class Probe:
    """Looks at one connection."""

    def __init__(self, database: Database, definitions: Definitions, connection: Connection, remote: Remote) -> None:
        self.database, self.definitions, self.connection, self.remote = database, definitions, connection, remote
        self.strategy = connection.strategy
        self.promised: dict[str, set[str]] = {}

    async def steps(self) -> AsyncIterator[Step]:
        """The steps, until one without which the others make no sense has failed."""
        try:
            statement = await self.remote.capabilities()
        except CartFhirError as error:
            yield Step("reachable", "failed", str(error))
            return
        secure = "" if self.connection.base.startswith("https:") else "; http without TLS: for tests only"
        yield Step("reachable", "warning" if secure else "ok", f"the server answers{secure}")
        yield self._described(statement)
        async for step in self._patients():
            yield step
            if step.state == "failed":
                return
        patient = await self._patient()
        for search in self.connection.searches():
            async for step in self._search(search, patient):
                yield step

    def _described(self, statement: Resource) -> Step:
        version = statement.get("fhirVersion")
        rests = [one for one in _dicts(statement.get("rest")) if one.get("mode") == "server"]
        for one in (entry for rest in rests for entry in _dicts(rest.get("resource"))):
            names = {parameter.get("name") for parameter in _dicts(one.get("searchParam"))}
            self.promised[str(one.get("type"))] = {name for name in names if isinstance(name, str)}
        if not isinstance(version, str) or not version.startswith("4.0"):
            return Step("capability statement", "failed", "the server does not say that it speaks FHIR R4 (4.0)")
        wanted = dict.fromkeys(["Patient", *(search.partition("?")[0] for search in self.connection.searches())])
        missing = [type_ for type_ in wanted if type_ not in self.promised]
        if missing:
            return Step("capability statement", "warning", f"it does not promise {', '.join(missing)}")
        return Step("capability statement", "ok", f"FHIR {version}; all types of the pull are promised")

    async def _patients(self) -> AsyncIterator[Step]:
        """The login shows at the first search."""
        systems = self.connection.patient_systems
        if not systems:
            text = "no patient_systems are configured: nobody is linked but by hand, so nothing is pulled"
            yield Step("patients", "warning", text)
        path = (
            f"Patient?identifier={quote(f'{systems[0]}|{NOBODY}', safe='')}&_count=1" if systems else "Patient?_count=1"
        )
        try:
            page = await self._first(path)
        except CartFhirError as error:
            login = error.issues[0].code in ("login", "security") or "token" in str(error)
            yield Step("login" if login else "patients", "failed", str(error))
            return
        if self.connection.client_id:
            yield Step("login", "ok", "the server gave a token and takes it")
        if systems and page.entries:
            text = "the search by identifier does not filter: a patient came whom nobody asked for"
            yield Step("patients", "failed", text)
        elif systems:
            yield Step("patients", "ok", "the search by identifier answers")

    async def _patient(self) -> str | None:
        linker = Linker(self.database, self.connection, self.remote)
        await linker.load()
        return next(iter(linker.linked()), None)

    async def _search(self, search: str, patient: str | None) -> AsyncIterator[Step]:
        type_ = search.partition("?")[0]
        if lacks := self.strategy.lacks(search):
            yield Step(search, "failed", lacks)
            return
        owned = "patient" in self.definitions.search_parameters.of(type_)
        if self.strategy.by_patient and owned and patient is None:
            yield Step(search, "warning", "can be tried when a patient is linked: run it once, then test again")
            return
        parts = [search.partition("?")[2]]
        if self.strategy.by_patient and owned and patient is not None:
            parts.append(f"patient={quote(patient.partition('/')[2], safe='')}")
        joined = f"{type_}?" + "".join(f"{part}&" for part in parts if part)
        try:
            page = await self._first(f"{joined}_count=2")
            if missing := gaps(page.outcomes):
                yield Step(search, "warning", f"the server says that something is missing: {', '.join(missing)}")
            else:
                yield Step(search, "ok", "answers" if page.entries else "answers; nothing is there yet")
            async for step in self._promises(search, joined, page):
                yield step
        except CartFhirError as error:
            yield Step(search, "failed", str(error))

    async def _promises(self, search: str, joined: str, page: Page) -> AsyncIterator[Step]:
        """What the pull relies on, tried out where there is something to try it with."""
        type_ = search.partition("?")[0]
        if self.strategy.filters and page.entries:
            later = await self._first(f"{joined}_lastUpdated=ge2999-01-01T00:00:00Z&_count=2")
            if later.entries:
                text = "_lastUpdated does not filter: nothing is lost, but everything is read each time"
                yield Step(f"{search}: _lastUpdated", "warning", text)
            else:
                promised = "_lastUpdated" in self.promised.get(type_, set())
                yield Step(f"{search}: _lastUpdated", "ok", f"filters{'' if promised else ', though not promised'}")
        if self.strategy.sort:
            sorted_ = await self._first(f"{joined}_sort={self.strategy.sort}&_count=20")
            times = [when for one in sorted_.entries if (when := _updated(one)) is not None]
            if times != sorted(times):
                text = "_sort=_lastUpdated does not sort: use the vendor `generic`, which does not rely on it"
                yield Step(f"{search}: _sort", "failed", text)
            elif len(set(times)) > 1:
                yield Step(f"{search}: _sort", "ok", "sorts by _lastUpdated")
        if self.strategy.deletes == "history":
            try:
                await self._first(f"{type_}/_history?_count=1")
                yield Step(f"{type_}: _history", "ok", "answers; deletions are found there")
            except Upstream as error:
                text = f"does not answer, so deletions are found by comparing all ids once a week: {error}"
                yield Step(f"{type_}: _history", "warning", text)

    async def _first(self, path: str) -> Page:
        async for page in self.remote.pages(path):
            return page
        raise Upstream("The search has no page", rule="upstream-paging")


def _updated(entry: dict[str, Any]) -> datetime | None:
    resource = entry.get("resource")
    meta = resource.get("meta") if isinstance(resource, dict) else None
    return moment(meta.get("lastUpdated")) if isinstance(meta, dict) else None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


async def probe(database: Database, definitions: Definitions, connection: Connection) -> AsyncIterator[Step]:
    """Tests a connection; raises nothing of what goes wrong on the other side."""
    try:
        remote = connection.remote(LIMITS)
    except CartFhirError as error:
        yield Step("connection", "failed", str(error))
        return
    try:
        async for step in Probe(database, definitions, connection, remote).steps():
            yield step
    finally:
        await remote.close()
