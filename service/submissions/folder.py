"""A destination that is a folder: a file is there whole or not at all, under the id of its message."""

from __future__ import annotations

import os
from pathlib import Path

from service.errors import Conflict, Unavailable
from service.submissions.destinations import Destination


def deliver(to: Destination, message_id: str, content: bytes) -> str:
    """Writes the message and returns the file's name; one that is there already is left as it is.

    Raises Unavailable where the folder cannot be written to, Conflict where the file has another content.
    """
    folder, name = Path(to.folder), f"{message_id}.json"
    place, part = folder / name, folder / f".{name}.part"
    try:
        if place.exists():
            if place.read_bytes() != content:
                text = f"The folder of {to.name} has a file {name} with another content"
                raise Conflict(text, rule="destination-file")
            return name
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(place)
        _settle(folder)
    except OSError as error:
        text = f"The folder of {to.name} cannot be written to: {error.strerror or type(error).__name__}"
        raise Unavailable(text, rule="destination-folder") from None
    return name


def _settle(folder: Path) -> None:
    """Puts the new name on disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
