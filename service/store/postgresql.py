"""Connections to PostgreSQL over a network that may die without a word: no wait for an answer is endless.

The kernel tells of a dead peer (keepalives, TCP_USER_TIMEOUT), at both ends: PostgreSQL must let go of the write lock
of a service that is gone. What the kernel cannot see, such as a proxy that takes everything and passes on nothing,
ends by the clock of `Answering`.
Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

from __future__ import annotations

import math
import time
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from sqlalchemy import URL

_NETWORK = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_SESSION = {
    "jit": "off",  # a page is found in a few milliseconds; compiling its plan would take longer
    "max_parallel_workers_per_gather": 0,  # to start one takes longer, too
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 2,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

ERRORS = (psycopg.Error,)
FULL = (psycopg.errors.DiskFull,)
LATE = (
    psycopg.errors.QueryCanceled,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
)


class Answering(psycopg.Connection[Any]):
    """A connection that is closed when an answer does not come in time.

    `silence` is for how many seconds PostgreSQL may be silent. While it is given time to work, until the monotonic
    time `until`, the silence counts from then.
    """

    silence = math.inf
    until = 0.0

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Every exchange with the server goes through here. Raises ConnectionTimeout."""
        now = time.monotonic()
        last = max(self.until, now) + self.silence
        if timeout is not None or last == math.inf:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, last - now)
        except psycopg.OperationalError as error:
            if self.closed or time.monotonic() < last:
                raise
            self.pgconn.finish()  # what the server still sends would be taken for the answer to another question
            raise psycopg.errors.ConnectionTimeout("no answer in time") from error

    def keep_to(self, milliseconds: int) -> None:
        """Lets PostgreSQL end what takes longer, above all a transaction whose service is gone: it holds the lock.

        That of idle transactions alone would not do: the Flush behind a pipeline's Sync disarms it. Those of whole
        transactions, new in PostgreSQL 17, end the session, and so wait until the service itself has given up.
        """
        settings = [f"SET statement_timeout = {milliseconds}"]
        if self.silence < math.inf:
            longer = milliseconds + math.ceil(self.silence * 1000)
            settings.append(f"SET idle_in_transaction_session_timeout = {longer}")
            if self.info.server_version >= 170_000:
                settings.append(f"SET transaction_timeout = {longer}")
        self.execute("; ".join(settings))
        self.commit()


def arguments(url: URL, silence: float) -> dict[str, Any]:
    """How to connect: what the URL says goes first."""
    session = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    chosen = _NETWORK if silence == math.inf else _NETWORK | {"connect_timeout": max(2, math.ceil(silence))}
    arguments: dict[str, Any] = {name: value for name, value in chosen.items() if name not in url.query}
    return arguments | {"options": f"{session} {url.query.get('options', '')}".strip()}


def open_connection(silence: float, *positional: Any, **parameters: Any) -> Answering:
    """A new connection, for which PostgreSQL may be silent for so many seconds."""
    connection = Answering.connect(*positional, **parameters)
    connection.silence = silence
    return connection
