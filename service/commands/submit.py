"""`cart-fhir submit`: what is owed to registries, and sending it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.common import out, plainly, say, with_rooms

if TYPE_CHECKING:
    from service.jobs import Rooms
    from service.submissions.prepare import Queued

app = typer.Typer(help="Reports to registries: what is due, sending it, taking it back.", no_args_is_help=True)
places = typer.Typer(help="Where reports go.", no_args_is_help=True)
app.add_typer(places, name="destination")

Obligation = Annotated[str, typer.Argument(help="The id that `list` shows.")]
To = Annotated[str | None, typer.Option("--destination", help="Its name; not needed where there is one.")]
Wait = Annotated[bool, typer.Option(help="Work on the jobs here until the registry has answered.")]
SECONDS = 60.0  # that a command waits for a registry


@places.command()
def add(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits, hyphens.")],
    base: Annotated[str, typer.Option(help="FHIR base of the registry.")] = "",
    folder: Annotated[str, typer.Option(help="Instead of a base: the folder into which each report is written.")] = "",
    sender: Annotated[str, typer.Option(help="Our FHIR base as the registry knows it; else CART_FHIR_BASE_URL.")] = "",
    mode: Annotated[str, typer.Option(help="sync: answered at once; async: the answer is polled for.")] = "sync",
    client_id: Annotated[str, typer.Option(help="Login by SMART Backend Services.")] = "",
    key_file: Annotated[str, typer.Option(help="Its private key.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="Its scopes; repeatable.")] = None,
    token_url: Annotated[str, typer.Option(help="Where it logs in; else as the registry says.")] = "",
    trust: Annotated[str, typer.Option(help="PEM file of further authorities.")] = "",
    centre: Annotated[str, typer.Option(help="Label of laboratory results: rc_ and five digits.")] = "",
) -> None:
    """Add a registry, or change what is known of it."""

    async def work(rooms: Rooms) -> None:
        from service.fhir.json import encode
        from service.submissions import destinations

        given = {
            "kind": "directory" if folder else "fhir",
            "base": base,
            "folder": str(Path(folder).absolute()) if folder else "",
            "sender": sender or rooms.settings.base_url,
            "mode": mode,
            "client_id": client_id,
            "key_file": str(Path(key_file).absolute()) if key_file else "",
            "scopes": scope or [],
            "token_url": token_url,
            "trust": str(Path(trust).absolute()) if trust else "",
            "centre": centre,
        }
        made = destinations.read(name, encode(given))
        new = await destinations.save(rooms.database, made)
        say(f"The destination {name} was {'added' if new else 'changed'}")

    _run(work)


@places.command(name="list")
def list_destinations() -> None:
    """Where reports go."""

    async def work(rooms: Rooms) -> None:
        from service.submissions import destinations

        for one in await destinations.listed(rooms.database):
            out.print(f"{one.name:20} {one.kind:10} {one.base or one.folder}", soft_wrap=True, markup=False)

    _run(work)


@places.command()
def remove(name: Annotated[str, typer.Argument(help="The name of the destination.")]) -> None:
    """Forget a destination; what was sent there stays noted."""

    async def work(rooms: Rooms) -> None:
        from service.submissions import destinations

        await destinations.remove(rooms.database, name)
        say(f"The destination {name} was removed")

    _run(work)


@app.command(name="list")
def list_(
    state: Annotated[
        str, typer.Option(help="NOTDUE, DUE, RCV, QRY, ERR, CMP, …; several by comma.")
    ] = "DUE,ERR,QRY,RCV",
) -> None:
    """What is owed, brought up to date first."""

    async def work(rooms: Rooms) -> None:
        await _print(rooms, [one for one in state.split(",") if one])

    _run(work)


async def _print(rooms: Rooms, states: list[str]) -> None:
    from datetime import UTC, datetime

    from service.errors import BadRequest
    from service.submissions import overview

    if not overview.known_states(states):
        raise BadRequest("--state has a state that there is not")
    await overview.refresh(rooms, datetime.now(UTC))
    today, cursor = datetime.now(rooms.database.zone).date(), None
    while True:
        page = await overview.listed(rooms.database, today, states, 200, cursor)
        for one in page.obligations:
            due = f"due {one['due'] or 'unknown'}{' OVERDUE' if one['overdue'] else ''}"
            line = f"{one['id']}  {one['state']:6} form {one['form']} {one['timePoint']:8} {due}  {one['reason'] or ''}"
            out.print(line, soft_wrap=True, markup=False)
        cursor = page.next
        if cursor is None:
            return


@app.command()
def run(
    obligation: Annotated[str | None, typer.Option(help="Only this one; else all that are due.")] = None,
    destination: To = None,
    wait: Wait = True,
) -> None:
    """Fill, check and send what is due. What must not leave is told with every reason; exit code 1 then."""

    async def work(rooms: Rooms) -> bool:
        from datetime import UTC, datetime

        from service.submissions import overview, prepare

        await overview.refresh(rooms, datetime.now(UTC))
        if obligation is not None:
            await _follow(rooms, await prepare.submit(rooms, obligation, destination), wait)
            return True
        done = await overview.send_due(rooms, destination)
        queued = [one for _, one in done if not isinstance(one, tuple)]
        for id_, reasons in done:
            for issue in reasons if isinstance(reasons, tuple) else ():
                out.print(f"{id_}  not sent: {issue.expression or ''} {issue.text}", soft_wrap=True, markup=False)
        for one in queued:
            await _follow(rooms, one, wait)
        say(f"{len(queued)} of {len(done)} that are due were queued")
        return len(queued) == len(done)

    with plainly():
        complete = with_rooms(work)
    if not complete:
        raise typer.Exit(1)


@app.command()
def supersede(obligation: Obligation, wait: Wait = True) -> None:
    """Fill the form anew and replace what the registry has."""

    async def work(rooms: Rooms) -> None:
        from service.submissions import prepare

        await _follow(rooms, await prepare.supersede(rooms, obligation), wait)

    _run(work)


@app.command()
def void(obligation: Obligation, reason: Annotated[str, typer.Option(help="Why.")], wait: Wait = True) -> None:
    """Take back what was sent."""

    async def work(rooms: Rooms) -> None:
        from service.submissions import prepare

        await _follow(rooms, await prepare.void(rooms, obligation, reason), wait)

    _run(work)


@app.command()
def acknowledge(obligation: Obligation, reason: Annotated[str, typer.Option(help="How it is known.")]) -> None:
    """Say that the registry has a report that was written to a folder, or is filled there."""

    async def work(rooms: Rooms) -> None:
        from service.submissions import prepare

        await prepare.acknowledge(rooms, obligation, reason)
        say(f"{obligation} is CMP")

    _run(work)


@app.command()
def waive(
    obligation: Obligation,
    reason: Annotated[str, typer.Option(help="Why.")],
    state: Annotated[str, typer.Option(help="LTF: lost to follow-up; NRQ: not required.")],
) -> None:
    """Say that a report will not be made."""

    async def work(rooms: Rooms) -> None:
        from service.submissions import prepare

        await prepare.waive(rooms, obligation, state, reason)
        say(f"{obligation} is {state}")

    _run(work)


@app.command()
def laboratory(
    patient: Annotated[str, typer.Argument(help="Patient/[id].")], destination: To = None, wait: Wait = True
) -> None:
    """Send the measured laboratory results of a patient, in bundles of 50 with the label of the centre."""

    async def work(rooms: Rooms) -> None:
        from service.submissions import laboratory_job

        job, bundles = await laboratory_job.queue(rooms, patient.rpartition("/")[2], destination, None)
        say(f"{bundles} bundles were queued as job {job}")
        if wait:
            await _work(rooms, job)

    _run(work)


async def _follow(rooms: Rooms, queued: Queued, wait: bool) -> None:
    say(f"{queued.task}: message {queued.message}, job {queued.job}")
    if wait:
        await _work(rooms, queued.job)


async def _work(rooms: Rooms, job_id: str) -> None:
    """Works until the job has ended; one that waits for its registry is left to the service."""
    import asyncio
    import time

    from service.jobs import Runner
    from service.jobs.tasks import task_of
    from service.work import KINDS

    runner = Runner(rooms, KINDS, 1)
    runner.start()
    try:
        until = time.monotonic() + SECONDS
        while (await rooms.database.job(job_id)).state in ("waiting", "running") and time.monotonic() < until:
            await asyncio.sleep(0.2)
    finally:
        await runner.stop()
    task = await task_of(rooms.database, job_id)
    state = (await rooms.database.job(job_id)).state
    reason = (task or {}).get("statusReason", {}).get("text", "")
    say(f"job {job_id} is {state}{': ' + reason if reason else ''}")


def _run(work: Callable[[Rooms], Awaitable[None]]) -> None:
    with plainly():
        with_rooms(work)
