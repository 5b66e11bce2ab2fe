"""What the other side says that it can do, as far as a push needs to know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from service.fhir.operations import Resource
from service.sync.outgoing import SINGLE_IDENTIFIER


@dataclass(frozen=True, slots=True)
class Capable:
    """`transactions` as a whole; `conditional` are the types with conditional create."""

    transactions: bool
    conditional: frozenset[str]


def capable(statement: Resource, if_none_exist: bool) -> Capable:
    """By a CapabilityStatement; `if_none_exist` False: the vendor's server is known not to do it.

    https://hl7.org/fhir/R4/capabilitystatement.html
    """
    rests = [rest for rest in _objects(statement.get("rest")) if rest.get("mode") == "server"]
    codes = {one.get("code") for rest in rests for one in _objects(rest.get("interaction"))}
    types = {
        one["type"]
        for rest in rests
        for one in _objects(rest.get("resource"))
        if one.get("conditionalCreate") is True and isinstance(one.get("type"), str)
    }
    return Capable("transaction" in codes, frozenset(types - SINGLE_IDENTIFIER if if_none_exist else ()))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    yield from (one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()
