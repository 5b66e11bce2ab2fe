"""How fast a server is asked: adaptive concurrency, pauses that it asked for, and the circuit breaker.

Concurrency grows by one for each round of successes and is halved by 429 and 503 (additive increase, multiplicative
decrease); the halvings of requests that were under way together count once.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic

from service.errors import Later
from service.remote.calls import Call
from service.remote.limits import Limits


def moment_in(seconds: float) -> datetime:
    """Now and some seconds, in UTC."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


class Gate:
    """Lets at most `limit` requests through at a time, in the order in which they came."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = most
        self.inside = 0
        self._round = 0
        self._successes = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[int]:
        """A place; its value is the round in which it began, to be given back to `slower`."""
        await self._enter()
        try:
            yield self._round
        finally:
            self.inside -= 1
            self._wake()

    async def _enter(self) -> None:
        if self.inside < self.limit and not self._waiting:
            self.inside += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.inside -= 1
                self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting and self.inside < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self.inside += 1
                turn.set_result(None)

    def faster(self) -> None:
        """One success; a round of them raises the limit by one."""
        self._successes += 1
        if self._successes >= self.limit:
            self._successes = 0
            self.limit = min(self.limit + 1, self.most)

    def slower(self, began: int) -> None:
        """The server pushed back: half the limit, once for each round."""
        if began != self._round:
            return
        self._round += 1
        self._successes = 0
        self.limit = max(self.limit // 2, 1)


class Pace:
    """When the next request to one server may go: pauses that it asked for, and a circuit that opens on failures."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.gate = Gate(limits.concurrency)
        self._held_until = 0.0
        self._open_until = 0.0
        self._failures = 0
        self._failed_at = 0.0
        self._why = ""
        self._probing = False

    async def admitted(self, call: Call) -> float:
        """Waits out a short pause; the time at which the request may start. Raises Later."""
        while (wait := self._held_until - monotonic()) > 0:
            if wait > self.limits.patience:
                text = f"{call.shown} was not sent: the server asked for a pause"
                raise Later.at(moment_in(wait), text, request_id=call.id)
            await asyncio.sleep(wait)
        if self._failures >= self.limits.failures:
            self._admit_probe(call)
        return monotonic()

    def _admit_probe(self, call: Call) -> None:
        wait = self._open_until - monotonic()
        if wait > 0 or self._probing:
            text = f"{call.shown} was not sent: the last {self._failures} requests failed ({self._why})"
            raise Later.at(moment_in(max(wait, self.limits.patience)), text, request_id=call.id)
        self._probing = True

    def hold(self, seconds: float) -> None:
        """Nothing goes for some seconds: the server said so."""
        self._held_until = max(self._held_until, monotonic() + seconds)

    def worked(self) -> None:
        """The server answered as a living one does."""
        self._failures = 0
        self._probing = False

    def failed(self, started: float, why: str) -> None:
        """No answer, or one of a gateway. Failures of requests that were under way together count once."""
        self._probing = False
        if started < self._failed_at:
            return
        self._failed_at = monotonic()
        self._failures += 1
        self._why = why
        if self._failures >= self.limits.failures:
            self._open_until = self._failed_at + self.limits.open_for

    def left(self) -> None:
        """A request ended without a verdict: it was cancelled, or pushed back."""
        self._probing = False

    async def back_off(self, attempt: int) -> None:
        """Full jitter: anything from nothing to the doubled bound of the attempt before (first attempt: 1)."""
        bound = min(self.limits.backoff * 2 ** (attempt - 1), self.limits.backoff_most)
        await asyncio.sleep(random.uniform(0, bound))
