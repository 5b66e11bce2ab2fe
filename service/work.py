"""All kinds of jobs, and who replays which dead letters: what a serving process and a worker have in common."""

from __future__ import annotations

from collections.abc import Mapping

from service.jobs import Kind
from service.jobs.letters import Replay
from service.submissions import asynchronous, laboratory_job, send
from service.sync import cycle, push

KINDS: tuple[Kind, ...] = (*cycle.KINDS, *push.KINDS, *asynchronous.KINDS, *send.KINDS, *laboratory_job.KINDS)
REPLAYS: Mapping[str, Replay] = {**cycle.REPLAYS, **push.REPLAYS}
