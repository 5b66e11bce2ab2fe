"""What a terminology operation is asked for: its parameters by the kinds that R4 gives them, from URL and body.

Source: https://hl7.org/fhir/R4/operations.html#request
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from service.api import body, conditions, formats
from service.api.operations.inputs import posted
from service.api.server import Server, server_of
from service.conformance import concepts
from service.conformance.terminology.gaps import missing
from service.conformance.terminology.sources import Sources
from service.conformance.terminology.validation import Coded
from service.errors import BadRequest
from service.fhir.json import decode

TEXT, FLAG, NUMBER, CODING, CONCEPT, RESOURCE, PARTS = (
    "text",
    "flag",
    "number",
    "Coding",
    "CodeableConcept",
    "",
    "parts",
)
MANY = frozenset({"designation", "exclude-system", "system-version", "check-system-version", "force-system-version"})
MOST_CODINGS = 100
REPEATS = MANY | {"property", "dependency"}


@dataclass(frozen=True, slots=True)
class Shape:
    """An operation's input: the `taken` parameters by kind, the `refused` ones with the reason.

    `resource` names the parameter that may also be sent as the body itself, and its type.
    """

    taken: Mapping[str, str]
    refused: Mapping[str, str] = field(default_factory=dict)
    resource: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """One value and the FHIRPath expression of its parameter, where it stood in the body."""

    value: Any
    expression: str | None = None


class Asked:
    """The values of one request by name."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._values: dict[str, list[Value]] = {}

    def add(self, name: str, value: Value) -> None:
        """Takes one value. Raises BadRequest for a parameter that is unknown, refused or repeated."""
        if name in self._shape.refused:
            text = f"{name} is not supported: {self._shape.refused[name]}"
            raise BadRequest(text, expression=value.expression, code="not-supported", rule="unsupported-parameter")
        if name not in self._shape.taken:
            text = f"The operation has no parameter {name[:64]!r}; it has {', '.join(sorted(self._shape.taken))}"
            raise BadRequest(text, expression=value.expression, code="not-supported", rule="unknown-parameter")
        if name in self._values and name not in REPEATS:
            raise BadRequest(f"{name} may stand once", expression=value.expression, rule="parameter-repeated")
        self._values.setdefault(name, []).append(Value(self._checked(name, value), value.expression))

    def _checked(self, name: str, given: Value) -> Any:
        kind, value = self._shape.taken[name], given.value
        if kind == FLAG and value in ("true", "false"):
            return value == "true"
        if kind == NUMBER and isinstance(value, str) and value.isascii() and value.isdecimal():
            return int(value[:18])
        fits = {
            TEXT: isinstance(value, str) and bool(value),
            FLAG: isinstance(value, bool),
            NUMBER: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
            PARTS: isinstance(value, list),
        }.get(kind, isinstance(value, dict) and (kind != RESOURCE or "resourceType" in value))
        if fits:
            return value
        words = {FLAG: "true or false", NUMBER: "a whole number, 0 or more", TEXT: "a text", RESOURCE: "a resource"}
        text = f"{name} needs {words.get(kind, 'Parameters in the body, with ' + kind)}"
        raise BadRequest(text, expression=given.expression, code="invalid", rule="invalid-parameter")

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def all(self, name: str) -> list[Any]:
        """Every value of a parameter."""
        return [one.value for one in self._values.get(name, ())]

    def text(self, name: str) -> str:
        """The text, or ''."""
        return next(iter(self.all(name)), "")

    def flag(self, name: str) -> bool | None:
        """The value, or None where it was not sent."""
        return next(iter(self.all(name)), None)

    def number(self, name: str) -> int | None:
        """The value, or None where it was not sent."""
        return next(iter(self.all(name)), None)

    def only(self, *names: str) -> str:
        """The one of these parameters that was sent. Raises BadRequest for none or several."""
        sent = [name for name in names if name in self]
        if len(sent) != 1:
            rule = "parameter-repeated" if sent else "required-parameter"
            text = f"One of {', '.join(names)} is needed" + (f", not {' and '.join(sent)}" if sent else "")
            raise BadRequest(text, code="invalid" if sent else "required", rule=rule)
        return sent[0]

    def codings(self, code: str, system: str, version: str) -> list[Coded]:
        """The codes of `code` with `system`, of `coding` or of `codeableConcept`; exactly one of the three.

        Raises BadRequest, also where none has a code.
        """
        name = self.only(code, *(one for one in ("coding", "codeableConcept") if one in self._shape.taken))
        if name == code:
            found = [Coded(self.text(system), self.text(code), self.text(version), self.text("display"))]
        else:
            value = self.all(name)[0]
            found = [coded(one) for one in (value.get("coding", []) if name == "codeableConcept" else [value])]
        found = [one for one in found if one.code]
        if len(found) > MOST_CODINGS:
            text = f"{name} has more than {MOST_CODINGS} codings"
            raise BadRequest(text, code="too-costly", rule="too-many-values")
        if not found:
            raise BadRequest(f"{name} has no code", code="required", rule="required-parameter")
        return found


def coded(source: Mapping[str, Any]) -> Coded:
    """A Coding."""
    return Coded(*(source.get(name, "") for name in ("system", "code", "version", "display")))


async def asked(request: Request, shape: Shape) -> Asked:
    """The parameters of the URL and those of the body. Raises BadRequest."""
    formats.check_accept(request)
    found = Asked(shape)
    for name, value in conditions.criteria(request):
        found.add(name, Value(value))
    sent = await posted(request) if request.method == "POST" else None
    if sent is None:
        return found
    body.speaks_of(request)
    server, size = server_of(request), len(await body.raw(request))
    if shape.resource and sent.get("resourceType") == shape.resource[1]:
        await body.compute(lambda: server.validator.require(sent), size)
        found.add(shape.resource[0], Value(sent))
    else:
        body.check_type(sent, "Parameters")
        await body.compute(lambda: server.validator.require(sent), size)
        for number, part in enumerate(sent.get("parameter", [])):
            found.add(part.get("name", ""), Value(_value(part, number), f"Parameters.parameter[{number}]"))
    body.speaks_of(request, None)
    return found


def _value(part: dict[str, Any], number: int) -> Any:
    values = [value for key, value in part.items() if key in ("resource", "part") or key.startswith("value")]
    if len(values) != 1:
        place = f"Parameters.parameter[{number}]"
        raise BadRequest("A parameter here has one value", expression=place, rule="parameter-value")
    return values[0]


async def resource_of(request: Request, found: Asked, name: str, type_: str) -> dict[str, Any] | None:
    """The stored resource of `[type]/[id]/$…`, or the one that was sent; None where the request names it by `url`.

    Raises BadRequest where it is named twice or not of its type, NotFound and Gone for an id that is not stored.
    """
    id_ = request.path_params.get("id")
    if id_ is not None:
        named = [one for one in (name, "url") if one in found]
        if named:
            text = f"{type_}/[id] is the one that is asked; {named[0]} would be another"
            raise BadRequest(text, code="invalid", rule="invalid-parameter")
        stored = await server_of(request).database.read(type_, id_)
        return decode(stored.content or b"{}", server_of(request).settings.max_depth * 2)
    sent = next(iter(found.all(name)), None)
    if sent is None:
        return None
    if "url" in found:
        raise BadRequest(f"url and {name} are two {type_}s: send one", code="invalid", rule="invalid-parameter")
    if sent.get("resourceType") != type_:
        raise BadRequest(f"{name} is a {type_}", code="invalid", rule="invalid-parameter")
    return sent


async def size_of(request: Request) -> int:
    """Bytes of the body: how much work there may be."""
    return len(await body.raw(request)) if request.method == "POST" else 0


def sources_of(server: Server) -> Sources:
    """The definitions at hand, with the code systems that are open already."""
    return server.validator.terminology.sources


def value_set_of(resource: dict[str, Any]) -> concepts.ValueSet:
    """The record of a value set that a client stored or sent. Raises Unanswerable for filters by regex, and a date.

    An expression of a client's could keep the service busy for ever; those of the definitions are known.
    """
    found = concepts.value_set(resource)
    parts = (*found.include, *found.exclude)
    if resource.get("compose", {}).get("lockedDate") and any(not part.codes for part in parts):
        raise missing("lockedDate asks for code systems as they were on a day; here are those of one day")
    if any(operation == "regex" for part in parts for _, operation, _ in part.filters):
        raise missing("Filters by regex are only taken from the value sets of the definitions")
    return found


def returned(*parts: tuple[str, str, Any]) -> dict[str, Any]:
    """Parameters of (name, value[x], value); what is empty is left out, False is not."""
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name, kind: value} for name, kind, value in parts if value not in ("", None, [])],
    }
