"""What an operation is asked for: the parameters of its URL, and those of a Parameters resource in its body.

Source: https://hl7.org/fhir/R4/operations.html#request
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.requests import Request

from service.api import body, conditions, formats
from service.api.server import Server, server_of
from service.errors import BadRequest

Inputs = dict[str, list[Any]]


async def inputs(request: Request, known: Iterable[str], resources: Iterable[str] = ()) -> Inputs:
    """Name → values of the operation's parameters, those of the URL first. Raises BadRequest for others than `known`.

    Names in `resources` take a resource, which is left unchecked: the operation says what must hold for it.
    """
    found: Inputs = {}
    for name, value in conditions.criteria(request):
        found.setdefault(name, []).append(value)
    if request.method == "POST":
        sent = await posted(request)
        if sent is not None:
            body.speaks_of(request)
            for name, value in _parts(server_of(request), sent, frozenset(resources)):
                found.setdefault(name, []).append(value)
            body.speaks_of(request, None)
    unknown = sorted(found.keys() - {*known, *resources})
    if unknown:
        text = f"The operation has no parameter {unknown[0][:64]!r}; it has {', '.join(sorted({*known, *resources}))}"
        raise BadRequest(text, code="not-supported", rule="unknown-parameter")
    return found


async def sent_pairs(request: Request) -> list[tuple[str, str]]:
    """Name and value of each parameter in the body of a POST, as they would stand in a URL. Raises BadRequest."""
    sent = await posted(request) if request.method == "POST" else None
    if sent is None:
        return []
    body.speaks_of(request)
    pairs = [(name, text({name: [value]}, name) or "") for name, value in _parts(server_of(request), sent, frozenset())]
    body.speaks_of(request, None)
    return pairs


async def posted(request: Request) -> dict[str, Any] | None:
    """The resource in the body, not yet checked; None where the body is empty."""
    content = await body.raw(request)
    if not content.strip():
        return None
    formats.check_content_type(request)
    xml = formats.sends_xml(request)
    server = server_of(request)
    return await body.compute(lambda: body.an_object(content, server, xml), len(content))


def _parts(server: Server, sent: dict[str, Any], resources: frozenset[str]) -> Iterable[tuple[str, Any]]:
    body.check_type(sent, "Parameters")
    parts = sent.get("parameter", [])
    if not isinstance(parts, list):
        raise BadRequest("Parameters.parameter is a list", expression="Parameters.parameter", rule="type-mismatch")
    bare = [_without_resource(part, resources) for part in parts]
    server.validator.require(sent | {"parameter": [part for part in bare if part]} if parts else sent)
    for number, part in enumerate(parts):
        values = [value for key, value in part.items() if key == "resource" or key.startswith("value")]
        if len(values) != 1 or "part" in part:
            place = f"Parameters.parameter[{number}]"
            raise BadRequest("A parameter here has one value", expression=place, rule="parameter-value")
        yield part["name"], values[0]


def _without_resource(part: Any, resources: frozenset[str]) -> Any:
    """The part as the validator shall see it: what is to be validated by the operation is not judged before."""
    if isinstance(part, dict) and part.get("name") in resources and isinstance(part.get("resource"), dict):
        return {"name": part["name"], "valueBoolean": True}
    return part


def one(found: Inputs, name: str) -> Any | None:
    """The only value of a parameter; None where it was not sent. Raises BadRequest for several."""
    values = found.get(name, [])
    if len(values) > 1:
        raise BadRequest(f"{name} may stand once", code="invalid", rule="parameter-repeated")
    return values[0] if values else None


def text(found: Inputs, name: str) -> str | None:
    """The only value of a parameter, as text. Raises BadRequest for a value that is none."""
    value = one(found, name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadRequest(f"{name} needs a text or a number", code="invalid", rule="invalid-parameter")


def number(found: Inputs, name: str, default: int, largest: int) -> int:
    """A whole number of 1 or more, no larger than `largest`. Raises BadRequest."""
    value = text(found, name)
    if value is None:
        return min(default, largest)
    if not (value.isascii() and value.isdecimal() and value.strip("0")):
        raise BadRequest(f"{name} needs a whole number, 1 or more", code="invalid", rule="invalid-parameter")
    return min(int(value[:18]), largest)
