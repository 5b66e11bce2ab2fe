"""Every kind of job has a code, and every code its kind."""

from __future__ import annotations

from service.conformance.definitions import Definitions
from service.jobs.tasks import KINDS as SYSTEM
from service.work import KINDS


def test_every_kind_of_job_is_published(definitions: Definitions) -> None:
    published = definitions.resource(SYSTEM)
    assert published is not None
    assert {one["code"] for one in published["concept"]} == {kind.name for kind in KINDS} | {"conflict"}
