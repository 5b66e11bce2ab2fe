"""A group of resources onto the other side: in one transaction where that works, else one by one, targets first.

One by one each write is acknowledged before the next begins. What the other side refuses becomes a dead letter, and
the rest goes on.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import uuid5

from service.errors import Issue, Later, Upstream, UpstreamGone, UpstreamRefused
from service.fhir.json import encode
from service.fhir.operations import Plan, Resource
from service.jobs import letter
from service.remote import Got
from service.sync import agreements
from service.sync.outgoing import Outgoing, says_the_same, targets_of
from service.sync.report import KIND
from service.sync.step import Change, Create, Item, Step
from service.sync.writing import ROUNDS, Writer
from service.trial.mapping.identity import NAMESPACE

AT_ONCE = 8  # resources that are read back together
PATIENCE = 5  # pushes in which the other side may fail on one resource before it is a dead letter
_LOCATION = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?$")
_GIVES_UP = (401, 403)


@dataclass(slots=True)
class Delivery:
    """Delivers through one writer; `transactions` until one of them shows that they do not work."""

    writer: Writer
    transactions: bool

    async def deliver(self, items: Sequence[Item]) -> None:
        """Writes these versions. Raises Upstream where the other side cannot be reached or gives no access."""
        items = in_order(items)
        if self.transactions and len(items) > 1:
            left = await self._together(items)
        else:
            left = list(items)
        for item in left:
            await self._alone(item)

    async def _alone(self, item: Item) -> None:
        step: Step | None = None
        try:
            for _ in range(ROUNDS):
                step = await self.writer.prepare(item)
                if step is None or await self.writer.send(step):
                    return
                item = await self.writer.item(item.local)
            await self.writer.busy(item)
        except (UpstreamRefused, UpstreamGone) as error:
            if error.status_code in _GIVES_UP:
                raise
            await self._refused(item, step, error)
        except Upstream as error:
            if _concerns_all(error):
                raise
            await self._failed(item, step, error)

    async def _failed(self, item: Item, step: Step | None, error: Upstream) -> None:
        """What makes the other side fail is put off, so that it does not hold up the rest, and at last given up."""
        name = self.writer.name
        content = await self.writer.rooms.database.note(agreements.due_room(name), item.local)
        failed = int(content or 0) + 1
        if failed >= PATIENCE:
            await self._refused(item, step, error)
            return
        self.writer.report.run.partial = True
        issue = Issue("transient", f"{item.local}: {error}", item.local, error.issues[0].rule, "warning")
        plan = Plan((), notes=(agreements.due(name, item.local, failed=failed),))
        await self.writer.report.write(plan, {"postponed": 1}, [issue])

    async def _refused(self, item: Item, step: Step | None, error: Upstream) -> None:
        sent = (await self.writer.body(step)).resource if step is not None else item.resource
        name, run = self.writer.name, self.writer.report.run
        run.partial = True
        issue = Issue(error.issues[0].code, f"{item.local}: {error}", item.local, error.issues[0].rule)
        notes = (
            letter(KIND, name, item.local, encode(sent), [issue], run.task),
            agreements.intent(name, item.local, None),
            agreements.due(name, item.local, False),
        )
        await self.writer.report.write(Plan((), notes=notes), {"refused": 1}, [issue])

    async def _together(self, items: Sequence[Item]) -> list[Item]:
        """Writes in one transaction; returns what is left to be written one by one."""
        steps, left = await self._prepared(items)
        if len(steps) < 2:
            return [*(step.item for step in steps), *left]
        await self.writer.intend(step.item for step in steps if isinstance(step, Create))
        urls = {step.item.local: _full_url(step.item) for step in steps if isinstance(step, Create)}
        bodies = [await self.writer.body(step, urls) for step in steps]
        try:
            got = await self.writer.remote.post("", _bundle(steps, bodies, urls))
            places = _places(steps, got)
        except Upstream as error:
            if isinstance(error, Later) or error.status_code is None or error.status_code in _GIVES_UP:
                raise
            self.transactions = error.status_code in (409, 412, 422)
            return [*(step.item for step in steps), *left]
        try:
            await self._acknowledge(steps, bodies, places, urls)
        except Upstream as error:
            if _concerns_all(error):
                raise
            return [*(step.item for step in steps), *left]
        return left

    async def _prepared(self, items: Sequence[Item]) -> tuple[list[Step], list[Item]]:
        """What can be written together, and what is refused already when it is looked at."""
        steps: list[Step] = []
        left: list[Item] = []
        for item in items:
            try:
                step = await self.writer.prepare(item, intending=False)
            except Upstream as error:
                if _concerns_all(error):
                    raise
                left.append(item)
                continue
            if isinstance(step, Change) and says_the_same(
                (await self.writer.body(step)).resource, step.got.resource or {}
            ):
                left.append(step.item)
            elif step is not None:
                steps.append(step)
        return steps, left

    async def _acknowledge(
        self, steps: Sequence[Step], bodies: Sequence[Outgoing], places: Sequence[str], urls: dict[str, str]
    ) -> None:
        """Reads back what was written and notes it, with the ids that it was given in place of the bundle's own."""
        limit = asyncio.Semaphore(AT_ONCE)

        async def read(place: str) -> Got:
            async with limit:
                return await self.writer.remote.read(*place.split("/"))

        found = await asyncio.gather(*map(read, places))
        given = {urls[step.item.local]: place for step, place in zip(steps, places, strict=True) if _is_new(step)}
        sent = [Outgoing(_relinked(body.resource, given), body.identifier, body.unlinked) for body in bodies]
        await self.writer.acknowledge(list(zip(steps, sent, found, strict=True)))


def _concerns_all(error: Upstream) -> bool:
    """Whether an error is of the connection rather than of one resource."""
    if isinstance(error, Later) or error.status_code in _GIVES_UP:
        return True
    return error.transient and error.status_code != 500


def in_order(items: Iterable[Item]) -> list[Item]:
    """Those to which others refer before them, else as they are; of a circle the first comes first."""
    known = {item.local: item for item in items}
    done: dict[str, Item] = {}

    def visit(item: Item, path: frozenset[str]) -> None:
        for target in sorted(targets_of(item.resource) & known.keys() - done.keys() - path):
            visit(known[target], path | {target})
        done.setdefault(item.local, item)

    for item in known.values():
        visit(item, frozenset((item.local,)))
    return list(done.values())


def _is_new(step: Step) -> bool:
    return isinstance(step, Create)


def _full_url(item: Item) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE, f'push/{item.local}')}"


def _bundle(steps: Sequence[Step], bodies: Sequence[Outgoing], urls: dict[str, str]) -> Resource:
    entries = []
    for step, body in zip(steps, bodies, strict=True):
        type_ = body.resource["resourceType"]
        if isinstance(step, Create):
            request = {"method": "POST", "url": type_} | ({"ifNoneExist": step.query} if step.query else {})
            entries.append({"fullUrl": urls[step.item.local], "resource": body.resource, "request": request})
        else:
            request = {"method": "PUT", "url": f"{type_}/{body.resource['id']}"}
            request |= {"ifMatch": step.if_match} if step.if_match else {}
            entries.append({"resource": body.resource, "request": request})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _places(steps: Sequence[Step], got: Got) -> list[str]:
    """`Type/id` of theirs for each step. Raises Upstream where the answer does not tell."""
    entries = (got.resource or {}).get("entry", [])
    found = []
    for step, entry in zip(steps, entries, strict=False):
        match = _LOCATION.search(str(entry.get("response", {}).get("location", "")))
        if isinstance(step, Change):
            found.append(step.item.remote or "")
        elif match:
            found.append(f"{match[1]}/{match[2]}")
        elif isinstance(entry.get("resource"), dict) and "id" in entry["resource"]:
            found.append(f"{entry['resource']['resourceType']}/{entry['resource']['id']}")
    if len(found) != len(steps):
        text = "The answer to a transaction does not say where its resources are"
        raise Upstream(text, status_code=500, rule="upstream-transaction", ambiguous=True)
    return found


def _relinked(resource: Resource, given: dict[str, str]) -> Resource:
    def walk(value: object) -> object:
        if isinstance(value, dict):
            return {
                key: given.get(one, one) if key == "reference" and isinstance(one, str) else walk(one)
                for key, one in value.items()
            }
        return [walk(one) for one in value] if isinstance(value, list) else value

    result = walk(resource)
    assert isinstance(result, dict)
    return result
