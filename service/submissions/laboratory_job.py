"""Laboratory results on their way to CIBMTR: checked, kept, posted to the base bundle by bundle.

Every result is created unless it is there already, so a bundle whose answer was lost is posted again.
Source: the implementation guide CIBMTR Reporting 0.1.8
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

from service.errors import BadRequest, Unprocessable, Upstream, UpstreamConflict, UpstreamRefused
from service.fhir import r4, search
from service.fhir.json import decode, encode
from service.fhir.ledger import Note
from service.fhir.operations import ABSENT, Plan, Update
from service.jobs import Kind, Rooms, Run, enqueue
from service.submissions import destinations
from service.submissions.answer import issues_of
from service.submissions.destinations import Destination
from service.submissions.envelope import EVENTS
from service.submissions.laboratory import IDENTIFIER, bundles, lab_refusals
from service.submissions.questionnaire import UCUM
from service.submissions.receipts import HASH
from service.submissions.sent import PAYLOAD
from service.trial.mapping.identity import content_hash
from service.trial.provenance import AGENT

JOB = "submit-laboratory"

Resource = dict[str, Any]


async def queue(
    rooms: Rooms, patient: str, destination: str | None, subject: Mapping[str, Any] | None
) -> tuple[str, int]:
    """Queues the measured laboratory results of Patient/`patient`: the job's id, and how many bundles it will post.

    `subject` is the Reference by which the registry knows the recipient. Raises Unprocessable with every reason why a
    bundle must not leave, BadRequest where there is nothing to send.
    """
    to = await destinations.chosen(rooms.database, destination)
    if to.kind != "fhir" or not to.centre:
        text = f"Results go to a FHIR destination with a centre; {to.name} is none"
        raise BadRequest(text, code="business-rule", rule="unknown-destination")
    await rooms.database.read("Patient", patient)
    made = bundles(await _results(rooms, patient), to.centre, subject)
    if not made:
        raise BadRequest("The patient has no measured laboratory result", code="not-found", rule="not-a-result")
    issues = [issue for bundle in made for issue in lab_refusals(bundle, rooms.validator)]
    if issues:
        raise Unprocessable(issues=issues)
    id_ = str(uuid4())
    task = {"for": {"reference": f"Patient/{patient}"}, "description": f"Laboratory results to {to.name}"}
    given = {"destination": to.name, "bundles": len(made), "patient": patient}
    update, job = enqueue(JOB, given, id=id_, alone=f"laboratory/{to.name}/{patient}", task=task)
    notes = tuple(Note(PAYLOAD, f"{id_}/{number:06d}", encode(one)) for number, one in enumerate(made))
    await rooms.database.write(Plan((update,), notes=notes, jobs=(job,)))
    return id_, len(made)


async def _results(rooms: Rooms, patient: str) -> list[Resource]:
    pairs = [("patient", patient), ("category", "laboratory"), ("_count", "1000")]
    database = rooms.database
    query = search.parse(
        "Observation", pairs, database.parameters, zone=database.zone, handling="strict", max_count=1000
    )
    found = [one async for one in database.resources(query)]
    return [one for one in found if _is_measured(one) and one.get("status") != "entered-in-error"]


def _is_measured(one: Resource) -> bool:
    quantity = one.get("valueQuantity", {})
    return "value" in quantity and quantity.get("system") == UCUM and bool(quantity.get("code"))


async def work(run: Run) -> None:
    """Posts the bundles behind the last checkpoint, then says in a Provenance that all are there."""
    to = await destinations.find(run.rooms.database, run.input["destination"])
    async with to.remote() as remote:
        for number in range(run.checkpoint.get("posted", 0), run.input["bundles"]):
            bundle = await _kept(run, number)
            try:
                got = await remote.post("", bundle)
            except (UpstreamRefused, UpstreamConflict) as error:
                await run.write(issues=tuple(issues_of(error.answer)) or error.issues)
                raise
            _check(got.resource, bundle, to)
            counts = {"bundles": 1, "results": len(bundle["entry"])}
            await run.write(checkpoint={"posted": number + 1}, counts=counts)
    if not run.checkpoint.get("told"):
        plan = Plan((Update(await _provenance(run, to), if_match=ABSENT),))
        await run.write(plan, checkpoint={**run.checkpoint, "told": True})


async def _kept(run: Run, number: int) -> Resource:
    content = await run.rooms.database.note(PAYLOAD, f"{run.job.id}/{number:06d}")
    assert content is not None  # written with the job
    return decode(content, 10_000)


def _check(answer: Resource | None, bundle: Resource, to: Destination) -> None:
    """Raises Upstream unless every result was taken."""
    entries = (answer or {}).get("entry", [])
    statuses = [str(entry.get("response", {}).get("status", "")) for entry in entries if isinstance(entry, dict)]
    wanted = len(bundle["entry"])
    if len(statuses) != wanted or not all(status.startswith("2") for status in statuses):
        taken = sum(status.startswith("2") for status in statuses)
        text = f"{to.name} acknowledged {taken} of {wanted} results of a bundle"
        raise Upstream(text, code="processing", rule="submission-answer")


async def _provenance(run: Run, to: Destination) -> Resource:
    """What was sent: the Observations, the hash of each bundle's contents as an entity."""
    sent = [await _kept(run, number) for number in range(run.input["bundles"])]
    ids = [one["value"] for bundle in sent for entry in bundle["entry"] for one in _ours(entry["resource"])]
    who = {"identifier": {"system": "urn:ietf:rfc:3986", "value": to.base}, "display": to.name}
    hashes = [content_hash({"entry": bundle["entry"]}) for bundle in sent]
    what = [{"role": "source", "what": {"identifier": {"value": one}}} for one in hashes]
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return r4.make(
        "Provenance",
        id=str(uuid5(UUID(run.job.id), "sent")),
        extension=[{"url": HASH, "valueString": content_hash({"bundles": hashes})}],
        target=[{"reference": f"Observation/{one}"} for one in ids],
        recorded=now,
        policy=[to.base],
        activity={"coding": [{"system": EVENTS, "code": "submission"}]},
        agent=[AGENT | {"who": AGENT["who"] | {"display": "cart-fhir submissions"}}, {"who": who}],
        entity=what,
    )


def _ours(observation: Resource) -> list[Resource]:
    return [one for one in observation.get("identifier", ()) if one.get("system") == IDENTIFIER]


KINDS = (Kind(JOB, work),)
