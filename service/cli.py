"""The command line: `cart-fhir demo` and the others. It reads settings and prints; the work is done elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Literal

import typer

from service import __version__, validating
from service.commands import jobs, submit, sync
from service.commands.common import out, plainly, say, settings_of
from service.conformance.definitions import Definitions, load
from service.doctor import Check, local_checks, store_checks, writable_folder
from service.errors import CartFhirError
from service.importing import export_folder, import_demo, import_folder
from service.serving import listen, run
from service.settings import Settings, shipped
from service.store.schema import check as check_store
from service.trial.importer import ImportReport, read_study
from service.trial.mapping.explain import explain as explain_mapped

app = typer.Typer(
    name="cart-fhir",
    help="FHIR R4 for the ISIKOK-19 CAR-T trial. Start with: cart-fhir demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(jobs.app, name="jobs")
app.add_typer(sync.app, name="sync")
app.add_typer(submit.app, name="submit")

Format = Literal["text", "json"]
Host = Annotated[str | None, typer.Option(help="Address to listen on (CART_FHIR_HOST).")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on (CART_FHIR_PORT, PORT).")]


def main() -> None:
    """Runs the command of `sys.argv`. What went wrong is one line and exit code 2, never a traceback."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


@app.command()
def serve(host: Host = None, port: Port = None) -> None:
    """Serve the API until it is stopped. The database must be migrated."""
    with plainly():
        settings = settings_of(host=host, port=port)
        writable_folder(settings)
        check_store(settings)
        run(settings, listen(settings), lambda: _addresses(settings), _definitions(settings))


@app.command()
def demo(
    host: Host = None,
    port: Port = None,
    with_ehr: Annotated[
        bool, typer.Option("--with-ehr", help="Also a simulated hospital and registry, on the next two ports.")
    ] = False,
) -> None:
    """Migrate, import the ISIKOK-19 records, serve. Safe to run again: what is there is not written twice."""
    with plainly():
        settings = settings_of(host=host, port=port)
        writable_folder(settings)
        listener = listen(settings)
        say("Migrating the database")
        _migrate(settings)
        definitions = _definitions(settings)
        _report(asyncio.run(import_demo(settings, definitions, say)))
        with _exchange(settings, definitions) if with_ehr else nullcontext():
            run(settings, listener, lambda: _addresses(settings), definitions)


@app.command()
def worker(jobs: Annotated[int, typer.Option(min=1, help="Jobs at once.")] = 4) -> None:
    """Work on jobs without serving, until it is stopped; any number of these may share one PostgreSQL."""
    with plainly():
        from service.working import run as work_on

        settings = settings_of()
        writable_folder(settings)
        check_store(settings)
        work_on(settings, _definitions(settings), jobs, lambda: say("Waiting for jobs. Stop with Ctrl+C"))


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    with plainly():
        settings = settings_of()
        writable_folder(settings)
        _migrate(settings)
        say("The database has the newest schema")


@app.command(name="import")
def import_(
    folder: Annotated[Path, typer.Argument(help="A study: templates, dictionary, concept maps and data.")],
    check: Annotated[bool, typer.Option("--check", help="Read, map and validate everything; write nothing.")] = False,
) -> None:
    """Import the records of a study; importing twice writes nothing the second time."""
    with plainly():
        settings = settings_of()
        if not folder.is_dir():
            raise CartFhirError(f"{folder} is not a folder")
        writable_folder(settings)
        _report(asyncio.run(import_folder(settings, _definitions(settings), folder, check, say)), check)


@app.command()
def explain(
    reference: Annotated[str, typer.Argument(help="A resource that the study's records make: Type/id.")],
    path: Annotated[str, typer.Argument(help="An element of it, such as valueQuantity.value; all without.")] = "",
    study: Annotated[Path | None, typer.Option(help="The study's folder; ISIKOK-19 without.")] = None,
) -> None:
    """Say which file, row, column and rule an element of a mapped resource came from."""
    with plainly():
        settings = settings_of()
        writable_folder(settings)
        read, mapped, _ = read_study(_definitions(settings), study or shipped("mappings", "isikok-19"))
        for explanation in explain_mapped(read, mapped, reference, path):
            out.print(str(explanation), soft_wrap=True, markup=False)


@app.command(name="export-rows")
def export_rows_(
    target: Annotated[Path, typer.Argument(help="Folder for the CSV files; made where it is missing.")],
    study: Annotated[Path | None, typer.Option(help="The study's folder; ISIKOK-19 without.")] = None,
) -> None:
    """Write the records of a study as they follow from what is stored now: the mapping, the other way."""
    with plainly():
        settings = settings_of()
        writable_folder(settings)
        folder = study or shipped("mappings", "isikok-19")
        written = asyncio.run(export_folder(settings, _definitions(settings), folder, target))
        for name, rows in written.items():
            say(f"{target / name}.csv: {rows} rows")


@app.command()
def validate(
    files: Annotated[
        list[str], typer.Argument(help="JSON, XML or NDJSON files, folders of them, - for standard input.")
    ],
    profile: Annotated[list[str] | None, typer.Option(help="A profile that everything must meet; repeatable.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="text, or json: OperationOutcomes, one a line.")] = "text",
    quiet: Annotated[bool, typer.Option("--quiet", help="Only errors: no warnings, no summary.")] = False,
) -> None:
    """Check files as the server would; no database is needed. Exit code 0: valid, 1: not, 2: cannot be read."""
    with plainly():
        settings = settings_of()
        checker = validating.Checker(settings, load(settings.data_dir / "definitions"), profile or ())
    count = validating.Count()
    for judged in validating.judge_all(checker, files, count, lambda text: typer.echo(f"cart-fhir: {text}", err=True)):
        for line in validating.report(judged, format_, quiet):
            typer.echo(line)
    if not quiet:
        typer.echo(str(count), err=format_ == "json")
    raise typer.Exit(count.exit_code)


@app.command()
def doctor() -> None:
    """Look at everything that the service needs, and say what to do where it is missing."""
    with plainly():
        settings = settings_of()
        checks = list(local_checks(settings))
        for check in checks:
            _show(check)
        if all(check.well for check in checks if check.name == "Data folder"):
            for check in asyncio.run(store_checks(settings)):
                _show(check)
                checks.append(check)
    if not all(check.well for check in checks):
        raise typer.Exit(1)


@app.command(name="ehr-simulator")
def ehr_simulator(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    profile: Annotated[str, typer.Option(help="plain, or hostile: every quirk of real servers.")] = "plain",
    data: Annotated[Path | None, typer.Option(help="Folder of JSON or NDJSON; invented patients without.")] = None,
    seed: Annotated[int, typer.Option(help="Which invented patients.")] = 0,
    token: Annotated[bool, typer.Option("--token", help="Ask for tokens of SMART Backend Services.")] = False,
) -> None:
    """Play a hospital's FHIR server, in memory, to try the synchronisation on."""
    from service.simulators.starting import run_ehr

    with plainly():
        run_ehr(profile, host, port, data, seed, token)


@app.command(name="registry-simulator")
def registry_simulator(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    directory: Annotated[Path | None, typer.Option(help="Folder to write what was received into.")] = None,
) -> None:
    """Play a registry that takes messages and gives receipts, in memory, to try submissions on."""
    from service.simulators.starting import run_registry

    with plainly():
        run_registry(host, port, directory)


@app.command()
def version() -> None:
    """Print the version."""
    out.print(__version__)


@contextmanager
def _exchange(settings: Settings, definitions: Definitions) -> Iterator[None]:
    """The demo's hospital and registry, after one round with both."""
    from service.demonstration import counterparts, exchange

    with counterparts(settings.port + 1) as others:
        say(f"A simulated hospital at {others.hospital}, a simulated registry at {others.registry}")
        asyncio.run(exchange(settings, definitions, others, say))
        yield


def _migrate(settings: Settings) -> None:
    from service.store.migrate import migrate as to_head  # alembic is long to import, and `serve` has no need of it

    to_head(settings)


def _definitions(settings: Settings) -> Definitions:
    say("Loading the definitions of FHIR R4")
    return load(settings.data_dir / "definitions")


def _report(report: ImportReport, check: bool = False) -> None:
    total = sum(report.types.values())
    done = "would be" if check else "were"
    say(f"{total} resources: {report.created} {done} created, {report.updated} updated, {report.unchanged} as before")
    for reference in report.left:
        say(f"{reference} is no longer in the records; it was left as it is")


def _show(check: Check) -> None:
    mark = "[green]ok[/]" if check.well else "[red]no[/]"
    out.print(f"{mark}  {check.name}: ", end="")
    out.print(check.found, markup=False, soft_wrap=True)
    if not check.well:
        out.print(f"    {check.advice}", markup=False, soft_wrap=True)


def _addresses(settings: Settings) -> None:
    host = "localhost" if settings.host in ("127.0.0.1", "0.0.0.0", "::", "::1") else settings.host
    base = f"http://{host}:{settings.port}"
    say("Open:")
    for name, path in (
        ("Start page", "/"),
        ("Swagger", "/docs"),
        ("Table 1", "/trial/isikok-19/tables/1"),
        ("Table 2", "/trial/isikok-19/tables/2"),
        ("First search", "/fhir/Patient?_count=5"),
    ):
        out.print(f"    {name:13} {base}{path}", soft_wrap=True, markup=False)
    say("Stop with Ctrl+C")
