"""What a job is: its kind says which function does its work, and that function may use the open rooms."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.jobs.run import Run
from service.settings import Settings
from service.store.database import Database

Work = Callable[[Run], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Rooms:
    """The open rooms that a job may use."""

    settings: Settings
    definitions: Definitions
    database: Database
    validator: Validator


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job.

    `work` may be begun again from the last checkpoint at any time, so each of its steps must have the same effect
    twice as once. It fails for good after `attempts` in a row that came no further. Who works on it renews its lease
    of `lease` seconds; after that long without, another worker takes it.
    """

    name: str
    work: Work
    attempts: int = 8
    lease: float = 30.0
