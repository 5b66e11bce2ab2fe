"""Requests to one server at its pace: token, repeats with back-off, pauses, circuit.

What may be repeated: calls that say so, and every call that cannot have arrived or that the server sent back
unprocessed (429, or 503 with Retry-After). A write that may have arrived is reported as ambiguous at once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from service.errors import Later, Unreachable
from service.remote.calls import Answer, Call
from service.remote.limits import Limits
from service.remote.pace import Pace, moment_in
from service.remote.waiting import retry_at
from service.remote.wire import Wire

_GATEWAY = (502, 503, 504)
_PUSHED_BACK = (429, 503)
_MOST_TOKENS = 4  # for one request


class TokenSource(Protocol):
    """Where access tokens come from."""

    def is_newest(self, token: str) -> bool:
        """Whether it was given last, and no other is under way."""

    async def current(self, refused: str | None = None) -> str:
        """A token that lives; never `refused`, which the server did not take."""


class Exchange:
    """Sends calls until there is an answer that the caller can use."""

    def __init__(self, wire: Wire, limits: Limits, tokens: TokenSource | None = None) -> None:
        self.wire = wire
        self.limits = limits
        self.tokens = tokens
        self.pace = Pace(limits)

    async def send(self, call: Call) -> Answer:
        """The answer, whatever its status. Raises Later, Unreachable, Upstream, UpstreamRefused.

        A 401 is answered with one renewed token. Where that has been renewed in its turn before it arrived, its
        refusal says nothing about the newest.
        """
        refused = None
        for _ in range(_MOST_TOKENS):
            answer, token = await self._repeated(call, refused)
            if answer.status != 401 or token is None:
                break
            if refused is not None and self.tokens is not None and self.tokens.is_newest(token):
                break
            refused = token
        return answer

    async def _repeated(self, call: Call, refused: str | None) -> tuple[Answer, str | None]:
        arrived = False
        for attempt in range(1, self.limits.attempts + 1):
            last = attempt == self.limits.attempts
            token = await self.tokens.current(refused) if self.tokens and call.authorised else None
            try:
                answer = await self._once(call, token)
            except Unreachable as error:
                arrived = arrived or error.ambiguous
                if last or not error.transient or (error.ambiguous and not call.repeatable):
                    error.ambiguous = arrived
                    raise
                await self.pace.back_off(attempt)
                continue
            if not self._again(call, answer, last):
                return replace(answer, doubtful=arrived), token
            if retry_at(answer.headers) is None:
                await self.pace.back_off(attempt)
        raise AssertionError("the last attempt ends the loop")

    def _again(self, call: Call, answer: Answer, last: bool) -> bool:
        """Whether the call is to be sent again. Raises Later where that is not soon."""
        moment = retry_at(answer.headers) if answer.status in _PUSHED_BACK else None
        if moment is not None:
            wait = max((moment - datetime.now(UTC)).total_seconds(), 0.0)
            self.pace.hold(wait)
            if last or wait > self.limits.patience:
                raise self._later(call, answer, moment)
            return True
        if answer.status == 429:
            if last:
                raise self._later(call, answer, moment_in(self.limits.open_for))
            return True
        return answer.status in _GATEWAY and call.repeatable and not last

    def _later(self, call: Call, answer: Answer, moment: datetime) -> Later:
        text = f"{call.shown}: {answer.status}: the server asks to come back later"
        return Later.at(moment, text, answer.status, call.id)

    async def _once(self, call: Call, token: str | None) -> Answer:
        async with self.pace.gate.slot() as began:
            started = await self.pace.admitted(call)
            try:
                answer = await self.wire.send(call, token)
            except Unreachable as error:
                self.pace.failed(started, str(error).removeprefix(f"{call.shown}: "))
                raise
            except BaseException:
                self.pace.left()
                raise
            self._judge(answer, began, started)
            return answer

    def _judge(self, answer: Answer, began: int, started: float) -> None:
        pushed_back = answer.status in _PUSHED_BACK
        if pushed_back:
            self.pace.gate.slower(began)
        if pushed_back and (answer.status == 429 or retry_at(answer.headers) is not None):
            self.pace.left()
        elif answer.status in _GATEWAY:
            self.pace.failed(started, str(answer.status))
        else:
            self.pace.worked()
            self.pace.gate.faster()
