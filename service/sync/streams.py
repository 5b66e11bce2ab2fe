"""What is asked of the other side, search by search: windows of time, and the watermark up to which all is here.

Note room `watermark/[connection]`, key: the search, with the patient where it is of one. The watermark is the newest
`meta.lastUpdated` that was seen, and never later than the start of the run that saw it, so a date in the future moves
nothing. It is asked from some seconds before it, by `ge`: what is known already falls out by its content.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from service.fhir.operations import Resource
from service.store.database import Database
from service.sync.strategy import Strategy


def room(connection: str) -> str:
    """The room of the watermarks."""
    return f"watermark/{connection}"


@dataclass(frozen=True, slots=True)
class Stream:
    """One search, of all patients or of one (`Patient/id` of theirs). `forced`: all of it, and looked at anew."""

    search: str
    patient: str | None = None
    forced: bool = False

    @property
    def type(self) -> str:
        return self.search.partition("?")[0]

    @property
    def key(self) -> str:
        """The key of its watermark."""
        return self.search if self.patient is None else f"{self.search}|{self.patient}"

    @property
    def place(self) -> str:
        """Its key among all streams of a run."""
        return f"again {self.key}" if self.forced else self.key

    def windows(self, strategy: Strategy, mark: datetime | None, started: datetime) -> list[str]:
        """The searches to ask, one after the other.

        Where the order is not known, the first ends at the start of the run, so that what is filed meanwhile does not
        shift its pages, and the second has what is dated later.
        """
        if self.forced or not strategy.filters:
            return [self._path(strategy)]
        since = [f"ge{instant(mark - timedelta(seconds=strategy.overlap))}"] if mark else []
        if not strategy.bounded:
            return [self._path(strategy, since)]
        return [
            self._path(strategy, [*since, f"le{instant(started)}"]),
            self._path(strategy, [f"ge{instant(started)}"]),
        ]

    def _path(self, strategy: Strategy, bounds: Iterable[str] = ()) -> str:
        parts = [self.search.partition("?")[2]]
        if self.patient is not None:
            parts.append(f"patient={quote(self.patient.partition('/')[2], safe='')}")
        parts += [f"_lastUpdated={bound}" for bound in bounds]
        if strategy.sort and not self.forced:
            parts.append(f"_sort={strategy.sort}")
        parts.append(f"_count={strategy.count}")
        return f"{self.type}?{'&'.join(part for part in parts if part)}"


def instant(when: datetime) -> str:
    """An instant of a search: UTC, to the millisecond."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(text: object) -> datetime | None:
    """The instant of a text; None where it is none."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def newest(resources: Iterable[Any], until: datetime) -> datetime | None:
    """The newest `meta.lastUpdated` that is not later than `until`."""
    found = [when for one in resources if (when := _updated(one)) is not None and when <= until]
    return max(found, default=None)


def _updated(resource: Any) -> datetime | None:
    meta = resource.get("meta") if isinstance(resource, dict) else None
    return moment(meta.get("lastUpdated")) if isinstance(meta, dict) else None


def gaps(outcomes: Iterable[Resource]) -> list[str]:
    """The issue codes by which a server says that something is missing; mere information is not one."""
    found: list[str] = []
    for outcome in outcomes:
        issues = outcome.get("issue")
        for issue in issues if isinstance(issues, list) and issues else [{}]:
            severity = issue.get("severity") if isinstance(issue, dict) else None
            code = str(issue.get("code", "")) if isinstance(issue, dict) else ""
            # A parameter that a server passes over makes the result larger, not smaller.
            if severity != "information" and not (severity == "warning" and code in ("informational", "not-supported")):
                found.append(code if code.isascii() and code.replace("-", "").isalpha() else "unknown")
    return found


async def mark(database: Database, connection: str, key: str) -> tuple[datetime | None, bytes | None]:
    """A watermark, and the note as it stands."""
    content = await database.note(room(connection), key)
    return (moment(content.decode()) if content else None), content
