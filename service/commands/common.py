"""What every command needs: the settings of the environment, the open rooms, errors as plain lines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console

from service import logs
from service.errors import CartFhirError
from service.settings import Settings

if TYPE_CHECKING:
    from service.jobs import Rooms

MOST_FINDINGS = 50
T = TypeVar("T")
out, err = Console(highlight=False), Console(stderr=True, highlight=False)


def settings_of(**changes: Any) -> Settings:
    """The settings of the environment, with what the command line says instead."""
    try:
        settings = Settings(**{name: value for name, value in changes.items() if value is not None})
        logs.configure(settings.log_level)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        name = "_".join(map(str, first["loc"])).removeprefix("CART_FHIR_").upper()
        text = first["msg"].removeprefix("Value error, ")
        raise CartFhirError(f"The setting CART_FHIR_{name} is not valid: {text}") from None
    except (ValueError, OSError) as error:
        raise CartFhirError(str(error)) from None
    return settings


@contextmanager
def plainly() -> Iterator[None]:
    """Turns an error of the service into plain lines and exit code 2."""
    try:
        yield
    except CartFhirError as error:
        fail(error)


def fail(error: CartFhirError) -> NoReturn:
    """Prints the findings and ends with exit code 2."""
    for issue in error.issues[:MOST_FINDINGS]:
        err.print(f"cart-fhir: {issue.text}", soft_wrap=True, markup=False)
    if len(error.issues) > MOST_FINDINGS:
        err.print(f"cart-fhir: and {len(error.issues) - MOST_FINDINGS} more", markup=False)
    raise typer.Exit(2)


def say(text: str) -> None:
    """A line of progress."""
    out.print(f"· {text}", soft_wrap=True, markup=False)


def with_rooms(work: Callable[[Rooms], Awaitable[T]]) -> T:
    """The result of `work` on the rooms of the configured store, opened for it. Raises CartFhirError."""
    from service.conformance.definitions import load
    from service.conformance.validator import Validator
    from service.doctor import writable_folder
    from service.jobs import Rooms
    from service.store.database import Database

    async def run() -> T:
        settings = settings_of()
        writable_folder(settings)
        definitions = load(settings.data_dir / "definitions")
        database = await Database.open(settings, definitions)
        try:
            return await work(Rooms(settings, definitions, database, Validator(definitions)))
        finally:
            await database.close()

    return asyncio.run(run())
