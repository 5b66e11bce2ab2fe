"""Pull: what the hospital has of patients who are linked comes here, search by search and page by page.

A run looks at patients first, then asks every search from its watermark on, then all of those patients in full who are
newly linked, then for deletions. Its checkpoint says after which page it is; each page is one plan with its data, its
peers, its Provenance and the checkpoint, and the last one moves the watermark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from service.errors import Issue, Later, Unreachable, Upstream, UpstreamGone
from service.fhir.json import encode
from service.fhir.ledger import Note
from service.fhir.operations import Plan
from service.jobs import Run
from service.remote import Page, Remote
from service.sync import streams
from service.sync.connections import Connection
from service.sync.deletions import Deletions
from service.sync.harmonise import load_harmoniser
from service.sync.intake import Intake
from service.sync.keeping import Keeper, quiet
from service.sync.linking import Decided, Linker, again_room
from service.sync.relinking import relink
from service.sync.remapping import remap
from service.sync.report import Report
from service.sync.streams import Stream, gaps, instant, moment, newest

KIND = "sync-run"
RUN_ROOM, LAST_ROOM = "pull-run", "last-run"


@dataclass(slots=True)
class Place:
    """Where a run is inside a stream: the window, its `next` link, what was seen. Kept in the checkpoint."""

    stream: str
    since: str | None
    window: int = 0
    next: str | None = None
    newest: str | None = None
    gaps: int = 0


class Pull:
    """One pull by one connection."""

    def __init__(self, run: Run, connection: Connection, remote: Remote) -> None:
        self.run, self.connection, self.remote = run, connection, remote
        self.strategy = connection.strategy
        self.database = run.rooms.database
        self.state: dict[str, Any] = dict(run.checkpoint.get("pull") or {"started": instant(datetime.now(UTC))})
        self.started = moment(self.state["started"]) or datetime.now(UTC)
        self.report = Report(run, connection.name, KIND, RUN_ROOM)
        self.linker = Linker(self.database, connection, remote)
        self.refused: list[Upstream] = []

    async def whole(self) -> dict[str, int]:
        """Everything that there is to pull; returns counts by name. Raises Upstream where to go on makes no sense."""
        await self.report.begin()
        await self.linker.load()
        self.linker.begun = await self._begun()
        rooms, name = self.run.rooms, self.connection.name
        intake = Intake(rooms, self.connection, self.linker, await load_harmoniser(self.database), self.run.task)
        self.keeper = Keeper(
            self.run, self.connection, intake, self.report, f"{self.run.job.id}/{self.state['started']}"
        )
        self.intake = intake
        await self._decide(await self.linker.known())
        await self._decide(await self.linker.wanted())
        await remap(self.connection, intake, self.report)
        asked = self.streams()
        for stream in asked:
            self.linker.begun = tuple(dict.fromkeys([*self.linker.begun, stream.search]))
            await self._guarded(stream)
        if self.refused and len(self.refused) == len(asked):
            raise self.refused[0]
        await self._again()
        await relink(self.connection, rooms, self.report)
        await Deletions(self).whole()
        if self.state.get("partial"):
            self.run.partial = True
        await self._end(name)
        return self.report.counts

    async def _begun(self) -> tuple[str, ...]:
        """The searches that have brought something before: who is linked from now on, is asked for in full by them."""
        marks = await self.database.notes_of(streams.room(self.connection.name), self.connection.searches())
        return tuple(search for search in self.connection.searches() if search in marks)

    def streams(self) -> list[Stream]:
        """Every search, for vendors that want the patient once for each that is linked."""
        found: list[Stream] = []
        parameters = self.run.rooms.definitions.search_parameters
        for search in self.connection.searches():
            owned = "patient" in parameters.of(search.partition("?")[0])
            if self.strategy.by_patient and owned:
                found += [Stream(search, patient) for patient in self.linker.linked()]
            else:
                found.append(Stream(search))
        return found

    async def _decide(self, decided: Decided) -> None:
        if decided:
            await self.report.write(decided.plan(), decided.counts)

    async def _again(self) -> None:
        """Patients who are to be pulled in full: newly linked, merged, or linked to somebody else."""
        name = self.connection.name
        for patient, content in await self.database.notes(again_room(name), count=1000):
            left = msgspec.json.decode(content, type=list[str])
            while left:
                stream = Stream(left[0], patient, forced=True)
                left = left[1:]
                rest = msgspec.json.encode(left) if left else None
                if not await self._guarded(stream, (Note(again_room(name), patient, rest),)):
                    break

    async def _guarded(self, stream: Stream, notes: Sequence[Note] = ()) -> bool:
        """Whether a stream came to its end; one that the other side refuses is told of, and the rest goes on."""
        if stream.place in self.state.get("done", ()):
            return True
        try:
            return await self._stream(stream, notes)
        except (Later, Unreachable):
            raise
        except Upstream as error:
            if error.transient or _concerns_all(error):
                raise
            self.refused.append(error)
            await self.tell(f"{stream.search} could not be pulled: {error}", error.issues[0].rule)
            return False

    async def tell(self, text: str, rule: str | None) -> None:
        """Says on the Task what makes this run partial."""
        self.state = {**self.state, "partial": True, "at": None}
        self.run.checkpoint = {**self.run.checkpoint, "pull": self.state}
        await self.report.write(Plan(()), {"problems": 1}, [Issue("incomplete", text, None, rule, "warning")])

    async def _stream(self, stream: Stream, notes: Sequence[Note]) -> bool:
        mark, _ = await streams.mark(self.database, self.connection.name, stream.key)
        place = self._place(stream, mark)
        windows = stream.windows(self.strategy, moment(place.since), self.started)
        while place.window < len(windows):
            path = place.next or windows[place.window]
            try:
                async for page in self.remote.pages(path):
                    last = page.next is None and place.window == len(windows) - 1
                    place = await self._page(stream, page, place, (*notes, *self._mark(stream)) if last else ())
            except UpstreamGone:
                if place.next is None:
                    raise
                place.next = None  # the link has expired: the window is begun anew
                continue
        return place.gaps == 0

    def _place(self, stream: Stream, mark: datetime | None) -> Place:
        at = self.state.get("at")
        if at and at["stream"] == stream.place:
            return Place(**at)
        return Place(stream.place, instant(mark) if mark else None)

    async def _page(self, stream: Stream, page: Page, place: Place, at_end: Sequence[Any]) -> Place:
        """One page; the place after it."""
        resources = [entry.get("resource") for entry in page.entries]
        batch = await self.intake.take(resources, page.raw, stream.forced)
        self.state["quiet"] = quiet(batch.counts, self.state.get("quiet", {}))
        missing = gaps(page.outcomes)
        seen = [moment(place.newest), newest(resources, self.started)]
        latest = max((one for one in seen if one is not None), default=None)
        ended = page.next is None
        after = Place(
            place.stream,
            place.since,
            place.window + 1 if ended else place.window,
            page.next,
            instant(latest) if latest else None,
            place.gaps + len(missing),
        )
        self.state = {**self.state, "at": msgspec.to_builtins(after)}
        issues = [_gap(stream, code) for code in missing]
        if missing:
            self.state["partial"] = True
        notes: list[Note] = []
        if at_end:
            self.state |= {"at": None, "done": [*self.state.get("done", []), stream.place]}
            if not after.gaps:
                notes = [one(after) if callable(one) else one for one in at_end]
        await self.keeper.keep(
            batch,
            {**self.run.checkpoint, "pull": self.state},
            url=page.url,
            request_id=page.request_id,
            raw=page.raw,
            notes=[one for one in notes if one is not None],
            issues=issues,
        )
        return after

    def _mark(self, stream: Stream) -> tuple[Any, ...]:
        """What moves the watermark when the last page is there."""
        if stream.forced:
            return ()

        def moved(place: Place) -> Note | None:
            since = moment(place.since)
            found = [one for one in (since, moment(place.newest)) if one is not None]
            if not found:
                return None
            content = instant(min(self.started, max(found))).encode()
            return Note(streams.room(self.connection.name), stream.key, content)

        return (moved,)

    async def _end(self, name: str) -> None:
        """Ends the run: the next one begins from its watermarks."""
        self.run.checkpoint = {key: value for key, value in self.run.checkpoint.items() if key != "pull"}
        looked_at = self.state.get("quiet", {})
        counts = self.report.counts | looked_at
        last = {"at": self.state["started"], "counts": counts, "partial": bool(self.state.get("partial"))}
        if self.run.task:
            last["task"] = self.run.task
        note = Note(LAST_ROOM, name, encode(last))
        tells = self.run.progress is not None or self.report.counts
        await self.report.write(Plan((), notes=(note,)), looked_at if tells else {})
        await self.report.end()


def _gap(stream: Stream, code: str) -> Issue:
    text = f"{stream.search}: the server says that something is missing ({code}); it will be asked for again"
    return Issue("incomplete", text, None, "upstream-incomplete", "warning")


def _concerns_all(error: Upstream) -> bool:
    """Whether what went wrong is the connection itself: login, certificate, address."""
    return error.issues[0].code in ("login", "security")


async def pull(run: Run, connection: Connection) -> dict[str, int]:
    """Pulls what there is; returns counts by name, none where nothing was new. Raises Upstream."""
    remote = connection.remote()
    try:
        return await Pull(run, connection, remote).whole()
    finally:
        await remote.close()
