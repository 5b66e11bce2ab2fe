"""What the hospital has no more: told by its `_history`, else found by a comparison of all ids, which has a brake.

A comparison asks for everything again, so it takes place once a day, where there is a history once a week, or when
somebody asks. What it misses is read by itself before it is taken for deleted: it may only have left the search.
Where more than 2 % have gone nothing is deleted until a person confirms it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from service.errors import Later, Unreachable, Upstream, UpstreamGone
from service.fhir.ledger import Note
from service.fhir.operations import Plan
from service.sync import peers, streams, worklist
from service.sync.candidate import Batch, Candidate
from service.sync.peers import Peer
from service.sync.streams import Stream, gaps, instant, moment
from service.sync.worklist import Item

if TYPE_CHECKING:
    from service.sync.pull import Pull

ROOM = "compared"
BRAKE = 0.02
EVERY = {"comparison": timedelta(days=1), "history": timedelta(days=7)}
GROUP = 200


class Deletions:
    """Looks for deletions at the end of a pull."""

    def __init__(self, pull: Pull) -> None:
        self.pull = pull
        self.name, self.database, self.remote = pull.connection.name, pull.database, pull.remote
        self.types = list(dict.fromkeys(search.partition("?")[0] for search in pull.connection.searches()))

    async def whole(self) -> None:
        """Everything that there is to look for."""
        if self.pull.strategy.deletes == "none":
            return
        if self.pull.strategy.deletes == "history":
            for type_ in self.types:
                await self._told(type_)
        for type_ in self.types:
            if await self._is_due(type_):
                await self._guarded(type_)

    async def _told(self, type_: str) -> None:
        """Deletions since the last look, by the history of the type."""
        key = f"{type_}/_history"
        mark, _ = await streams.mark(self.database, self.name, key)
        gone: dict[str, bool] = {}
        if mark is not None:
            since = instant(mark - timedelta(seconds=self.pull.strategy.overlap))
            try:
                async for page in self.remote.pages(f"{key}?_since={since}&_count={self.pull.strategy.count}"):
                    for entry in page.entries:  # the newest version of each comes first
                        if (found := _change(entry, type_)) is not None:
                            gone.setdefault(*found)
            except (Later, Unreachable):
                raise
            except Upstream as error:
                if error.transient and error.status_code != 501:
                    raise
                await self.pull.tell(f"{key} cannot be read, so deletions are found by comparison: {error}", "upstream")
                return
        await self._delete([remote for remote, deleted in gone.items() if deleted], f"{key}?_since")
        content = instant(self.pull.started).encode()
        mark = Note(streams.room(self.name), key, content)
        await self.pull.report.write(Plan((), notes=(mark,)), progressed=False)

    async def _is_due(self, type_: str) -> bool:
        if self.pull.run.input.get("compare") or self.pull.run.input.get("confirm_deletions"):
            return True
        kept = await self.database.note(ROOM, f"{self.name}/{type_}")
        last = moment(kept.decode()) if kept else None
        if last is None:  # everything came just now: there is nothing to compare yet
            await self._compared(type_)
            return False
        return last + EVERY[self.pull.strategy.deletes] <= self.pull.started

    async def _guarded(self, type_: str) -> None:
        try:
            if await self._compare(type_):
                await self._compared(type_)
        except (Later, Unreachable):
            raise
        except Upstream as error:
            if error.transient:
                raise
            await self.pull.tell(f"{type_} could not be compared: {error}", error.issues[0].rule)

    async def _compared(self, type_: str) -> None:
        note = Note(ROOM, f"{self.name}/{type_}", instant(self.pull.started).encode())
        await self.pull.report.write(Plan((), notes=(note,)), progressed=False)

    async def _compare(self, type_: str) -> bool:
        """Whether all ids of a type could be compared. Raises Upstream."""
        theirs: set[str] = set()
        for stream in self.pull.streams():
            if stream.type == type_:
                whole = Stream(stream.search, stream.patient, forced=True)
                for path in whole.windows(self.pull.strategy, None, self.pull.started):
                    async for page in self.remote.pages(path):
                        if gaps(page.outcomes):
                            await self.pull.tell(f"{type_} could not be compared: the server left something out", None)
                            return False
                        theirs |= {f"{type_}/{id_}" for id_ in _ids(page.entries)}
        ours = [remote async for remote in self._ours(type_)]
        missing = [remote for remote in ours if remote not in theirs]
        matter = f"{worklist.MISSING}|{type_}"
        if len(missing) > BRAKE * len(ours) and not self.pull.run.input.get("confirm_deletions"):
            item = Item(worklist.MISSING, type_, len(missing))
            updates, notes = await worklist.opened(self.database, self.name, [item], again=False)
            await self.pull.report.write(Plan(tuple(updates), notes=tuple(notes)), {"missing": len(missing)})
            return True
        for remote in missing:
            await self._look(remote)
        updates, notes = await worklist.closed(self.database, self.name, [matter])
        if notes:
            await self.pull.report.write(Plan(tuple(updates), notes=tuple(notes)))
        return True

    async def _look(self, remote: str) -> None:
        """Deletes what can no longer be read; what can, has only left the search, and is taken as it is now."""
        type_, _, id_ = remote.partition("/")
        try:
            got = await self.remote.read(type_, id_)
        except UpstreamGone:
            await self._delete([remote], remote)
            return
        batch = await self.pull.intake.take([got.resource])
        await self._keep(batch, got.url)

    async def _delete(self, remotes: Iterable[str], url: str) -> None:
        listed = list(remotes)
        for start in range(0, len(listed), GROUP):
            known = await peers.peers(self.database, self.name, listed[start : start + GROUP])
            gone = [self._gone(remote, peer) for remote, peer in known.items() if _is_theirs(peer)]
            if gone:
                await self._keep(Batch(candidates=gone, counts={"deleted": len(gone)}), url)

    def _gone(self, remote: str, peer: Peer) -> Candidate:
        return self.pull.intake.gone(remote, peer)

    async def _keep(self, batch: Batch, url: str) -> None:
        base = self.pull.connection.base.rstrip("/")
        address = url if url.startswith(base) else f"{base}/{url}"
        await self.pull.keeper.keep(batch, {**self.pull.run.checkpoint, "pull": self.pull.state}, url=address)

    async def _ours(self, type_: str) -> AsyncIterator[str]:
        after = ""
        while found := await self.database.notes(peers.room(self.name), f"{type_}/", after, 1000):
            for remote, content in found:
                if _is_theirs(peers.decoded(content)):
                    yield remote
            after = found[-1][0]


def _is_theirs(peer: Peer) -> bool:
    """Whether it was made there and is here."""
    return peer.origin == "pull" and not peer.deleted


def _ids(entries: Iterable[dict[str, object]]) -> Iterable[str]:
    for entry in entries:
        resource = entry.get("resource")
        if isinstance(resource, dict) and isinstance(resource.get("id"), str):
            yield resource["id"]


def _change(entry: dict[str, object], type_: str) -> tuple[str, bool] | None:
    """(Type/id, whether it was deleted) of an entry of a history."""
    request = entry.get("request")
    if isinstance(request, dict) and request.get("method") == "DELETE":
        url = str(request.get("url") or entry.get("fullUrl") or "")
        return "/".join(url.partition("?")[0].rstrip("/").split("/")[-2:]), True
    found = next(iter(_ids([entry])), None)
    return (f"{type_}/{found}", False) if found is not None else None
