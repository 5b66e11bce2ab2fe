"""`cart-fhir sync`: connections to hospitals, and what they bring."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.common import out, plainly, say, with_rooms

if TYPE_CHECKING:
    from service.jobs import Rooms

app = typer.Typer(help="Connections to hospitals: pull, push, links.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The name of the connection.")]
MARKS = {"ok": "[green]ok[/]  ", "warning": "[yellow]hm[/]  ", "failed": "[red]no[/]  "}
POLL = 0.3  # seconds between two looks at a run


@app.command()
def add(
    name: Name,
    base: Annotated[str, typer.Option(help="Its FHIR base: https://ehr.example/fhir.")],
    vendor: Annotated[
        str, typer.Option(help="How its server wants to be asked: plain, generic, epic, cerner.")
    ] = "plain",
    client_id: Annotated[str | None, typer.Option(help="Client id of SMART Backend Services.")] = None,
    key: Annotated[Path | None, typer.Option(help="File of the private key: PEM, JWK or JWK set.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="A scope; repeatable. Without: those that the pull needs.")
    ] = None,
    token_url: Annotated[str | None, typer.Option(help="Where tokens are; discovered without.")] = None,
    trust: Annotated[Path | None, typer.Option(help="PEM file of further authorities for TLS.")] = None,
    pull: Annotated[
        list[str] | None, typer.Option(help="A search: 'Observation?category=laboratory'; repeatable.")
    ] = None,
    push: Annotated[
        list[str] | None, typer.Option(help="What goes there: `trial`, types or searches; repeatable.")
    ] = None,
    push_corrections: Annotated[bool, typer.Option(help="Also changes of what was made there.")] = False,
    push_foreign: Annotated[bool, typer.Option(help="Also what came by other connections.")] = False,
    push_deletes: Annotated[bool, typer.Option(help="Also deletions of what was made here.")] = False,
    every: Annotated[int | None, typer.Option(help="Seconds between two runs; only when asked without.")] = None,
    patient_system: Annotated[
        list[str] | None, typer.Option(help="Links patients by identifiers of it; repeatable.")
    ] = None,
    label: Annotated[str, typer.Option(help="How people call it.")] = "",
) -> None:
    """Add a connection, or replace the one of this name. Then: cart-fhir sync test NAME."""
    given: dict[str, Any] = {
        "base": base, "vendor": vendor, "client_id": client_id, "key_file": str(key.resolve()) if key else None,
        "scopes": scope, "token_url": token_url, "trust_file": str(trust.resolve()) if trust else None, "pull": pull,
        "push": push, "push_corrections": push_corrections, "push_foreign": push_foreign,
        "push_deletes": push_deletes, "every": every, "patient_systems": patient_system, "label": label,
    }  # fmt: skip

    async def work(rooms: Rooms) -> None:
        from service.sync import connections, operating

        made = connections.parsed(name, {key: value for key, value in given.items() if value})
        await operating.save(rooms.database, made)
        say(f"{name} is kept; try it: cart-fhir sync test {name}")

    _run(work)


@app.command()
def remove(name: Name) -> None:
    """End a connection; what was pulled stays."""

    async def work(rooms: Rooms) -> None:
        from service.sync import operating

        await operating.remove(rooms.database, name)

    _run(work)


@app.command()
def test(name: Name) -> None:
    """Try out what a pull needs, step by step. Exit code 1: something keeps it from working."""
    failed = False

    async def work(rooms: Rooms) -> None:
        nonlocal failed
        from service.sync import connections
        from service.sync.probe import probe

        one = await connections.find(rooms.database, name)
        async for step in probe(rooms.database, rooms.definitions, one):
            failed = failed or step.state == "failed"
            out.print(MARKS[step.state], end="")
            out.print(f"{step.name}: {step.text}", markup=False, soft_wrap=True)

    _run(work)
    if failed:
        raise typer.Exit(1)


@app.command()
def run(
    name: Name,
    wait: Annotated[bool, typer.Option("--wait", help="Work on it here and now, and say how it ended.")] = False,
    compare: Annotated[bool, typer.Option("--compare", help="Look for deletions by all ids.")] = False,
    confirm_deletions: Annotated[
        bool, typer.Option("--confirm-deletions", help="Delete what has gone, however much.")
    ] = False,
) -> None:
    """Pull and push now. Without --wait the running service, or a worker, does it."""
    ended = ""

    async def work(rooms: Rooms) -> None:
        nonlocal ended
        from service.sync import operating

        wishes = {"compare": compare, "confirm_deletions": confirm_deletions}
        id_ = await operating.order(rooms.database, name, wishes)
        say(f"Task/{id_}")
        if wait:
            ended = await _wait(rooms, id_)

    _run(work)
    if wait and ended != "completed":
        raise typer.Exit(1)


async def _wait(rooms: Rooms, id_: str) -> str:
    """Works on jobs until this one has ended or waits for another time; the status of its Task."""
    import asyncio

    from service.fhir.json import decode
    from service.jobs import Runner
    from service.sync.cycle import KINDS
    from service.sync.operating import run_of

    runner = Runner(rooms, [kind for kind in KINDS if kind.name == "sync-run"])
    runner.start()
    try:
        while True:
            await asyncio.sleep(POLL)
            job = await rooms.database.job(id_)
            task = decode((await rooms.database.read("Task", id_)).content or b"{}", 10_000)
            if job.state not in ("waiting", "running") or task["status"] == "on-hold":
                break
    finally:
        await runner.stop()
    shown = run_of(task)
    for word in ("status", "result", "why"):
        if word in shown:
            say(f"{word}: {shown[word]}")
    for what, count in shown["counts"].items():
        say(f"{count} {what}")
    return str(task["status"])


@app.command()
def status(name: Annotated[str | None, typer.Argument(help="A connection; all without.")] = None) -> None:
    """How far connections are, and what waits for a person."""

    async def work(rooms: Rooms) -> None:
        from service.sync import connections, operating

        names = [name] if name else [one.name for one in await connections.listed(rooms.database)]
        for one in names:
            _show(await operating.status(rooms.database, one))

    _run(work)


def _show(found: dict[str, Any]) -> None:
    every = f", every {found['every']} s" if found["every"] else ""
    say(f"{found['name']}: {found['base']} ({found['vendor']}{every})")
    patients = ", ".join(f"{count} {state}" for state, count in sorted(found["patients"].items()))
    out.print(f"    patients: {patients or 'none yet'}", markup=False)
    for key, mark in found["watermarks"].items():
        out.print(f"    {key}: up to {mark}", markup=False, soft_wrap=True)
    for one in found["runs"]:
        counts = ", ".join(f"{count} {what}" for what, count in one["counts"].items())
        words = [one["task"], one["status"], one.get("result", ""), one.get("why", ""), counts]
        out.print(f"    {'  '.join(word for word in words if word)}", markup=False, soft_wrap=True)
    if found["last"] and "failed" in found["last"]:
        out.print(f"    failed at {found['last']['at']}: {found['last']['failed']}", markup=False, soft_wrap=True)
    for one in found["work"]:
        about = one["about"] or ", ".join(map(str, one.get("details", {}).values()))
        out.print(f"    {one['task']}  {one['kind']}: {about}", markup=False, soft_wrap=True)


@app.command()
def link(
    name: Name,
    remote: Annotated[str, typer.Argument(help="The patient there: Patient/id.")],
    local: Annotated[str, typer.Argument(help="The patient here: Patient/id; `-` ends the link.")],
) -> None:
    """Say who a patient of the hospital is here, where identifiers do not."""

    async def work(rooms: Rooms) -> None:
        from service.sync import operating

        await operating.link(rooms.database, name, remote, None if local == "-" else local)

    _run(work)


def _run(work: Callable[[Rooms], Awaitable[None]]) -> None:
    with plainly():
        with_rooms(work)
