"""`cart-fhir jobs`: what the service does by itself, and what it could not take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.common import out, plainly, with_rooms
from service.errors import CartFhirError
from service.fhir.ledger import STATES

if TYPE_CHECKING:
    from service.jobs import Rooms

app = typer.Typer(help="Jobs of the service and dead letters.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="The id that `list` shows.")]


@app.command(name="list")
def list_(
    state: Annotated[str, typer.Option(help="waiting, running, done, failed, cancelled; several by comma.")] = "",
    kind: Annotated[str | None, typer.Option(help="Only of this kind.")] = None,
    count: Annotated[int, typer.Option(min=1, max=1000)] = 20,
) -> None:
    """The newest jobs."""

    async def work(rooms: Rooms) -> None:
        from service.fhir.dates import instant

        states = [one for one in state.split(",") if one]
        if not set(states) <= set(STATES):
            raise CartFhirError(f"A state is one of {', '.join(STATES)}")
        for job in await rooms.database.jobs(kind, states, None, count):
            due = f"  due {instant(job.due)}" if job.state == "waiting" and job.due else ""
            out.print(f"{job.id}  {job.kind:20} {job.state:10} {instant(job.changed)}{due}", soft_wrap=True)

    _run(work)


@app.command()
def cancel(id: Id) -> None:
    """Cancel a job that waits or runs; its worker writes no more."""
    _command(id, "cancel")


@app.command()
def retry(id: Id) -> None:
    """Let a failed or cancelled job go on from its last step."""
    _command(id, "retry")


@app.command()
def letters(count: Annotated[int, typer.Option(min=1, max=1000)] = 20) -> None:
    """What came in and could not be taken, oldest first, with the reasons."""

    async def work(rooms: Rooms) -> None:
        from service.jobs import letters as kept

        for one in await kept.listed(rooms, count=count):
            out.print(f"{one.id}  {one.received}  {one.source}  {one.place}", soft_wrap=True, markup=False)
            for issue in one.issues:
                place = ", ".join(issue.get("expression", []))
                out.print(f"    {place}: {issue['diagnostics']}", soft_wrap=True, markup=False)

    _run(work)


@app.command()
def replay(id: Id) -> None:
    """Take a dead letter as if it came now."""

    async def work(rooms: Rooms) -> None:
        from service.jobs import letters as kept
        from service.work import REPLAYS

        for one in await kept.replay(rooms, REPLAYS, id):
            if one.stored is not None:
                out.print(f"{one.outcome} {one.stored.type}/{one.stored.id}")

    _run(work)


@app.command()
def discard(id: Id) -> None:
    """Throw a dead letter away for good."""

    async def work(rooms: Rooms) -> None:
        from service.jobs import letters as kept

        await kept.discard(rooms, id)

    _run(work)


def _command(id_: str, action: str) -> None:
    async def work(rooms: Rooms) -> None:
        from service.jobs.tasks import command

        job = await command(rooms.database, id_, action)
        out.print(f"{job.id}  {job.kind}  {job.state}")

    _run(work)


def _run(work: Callable[[Rooms], Awaitable[None]]) -> None:
    with plainly():
        with_rooms(work)
