"""What a search asks, as values: conditions on one resource, and the Query that they make.

Source: https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from dataclasses import dataclass

from service.fhir.parameters import SearchParameter
from service.fhir.values import Target, Token, Value


@dataclass(frozen=True, slots=True)
class Criterion:
    """`parameter[:modifier]=value,value`: any of `values` must match (with `not`: none of them).

    Modifiers that are left to the store: not, text, of-type, exact, contains, ends, equal, below, above, identifier.
    """

    parameter: SearchParameter
    values: tuple[Value, ...]
    modifier: str | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """`parameter:missing=true|false`."""

    parameter: SearchParameter
    missing: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """`parameter:Type.rest=…`: the reference points at a resource of one of `types` that meets `rests[type]`."""

    parameter: SearchParameter
    rests: tuple[tuple[str, Condition], ...]


@dataclass(frozen=True, slots=True)
class Has:
    """`_has:Type:parameter:rest=…`: a resource of `type` that meets `rest` points here by `parameter`."""

    type: str
    parameter: SearchParameter
    rest: Condition


@dataclass(frozen=True, slots=True)
class Every:
    """All of the conditions."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of the conditions."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """Not the condition."""

    condition: Condition


Condition = Criterion | Missing | Chain | Has | Every | Either | Negation


@dataclass(frozen=True, slots=True)
class Include:
    """`_include` or `_revinclude`=`source`:`parameter`[:`target`]; None stands for any (`*`).

    `iterate`: also from what was included.
    """

    source: str | None
    parameter: SearchParameter | None
    target: str | None
    reverse: bool = False
    iterate: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a search looks: in one `type` (None: in several), inside one compartment such as ("Patient", id)."""

    type: str | None = None
    compartment: tuple[str, str] | None = None

    @property
    def path(self) -> str:
        """The address of the search under the FHIR base, without a query."""
        if self.compartment is None:
            return self.type or ""
        return f"{'/'.join(self.compartment)}/{self.type or '*'}"


@dataclass(frozen=True, slots=True)
class Query:
    """A search of one type. `ignored` names what was not understood; `link` is what `self` shows.

    A search of several types has the type "" and one Query for each of them in `parts`. `path` is its address
    under the FHIR base.
    """

    type: str
    conditions: tuple[Condition, ...] = ()
    sort: tuple[tuple[SearchParameter, bool], ...] = ()  # (parameter, descending)
    includes: tuple[Include, ...] = ()
    count: int = 50
    total: bool = False
    summary_count: bool = False
    ignored: tuple[str, ...] = ()
    link: tuple[tuple[str, str], ...] = ()
    parts: tuple[Query, ...] = ()
    path: str = ""


def condition_of(type_: str, text: str) -> str:
    """The query string of a condition on `type_`, which some clients write as an address: `Patient?identifier=…`."""
    return text.removeprefix(type_).removeprefix("?") if text.startswith((f"{type_}?", "?")) else text


def chained(condition: Condition) -> bool:
    """Whether the condition asks about other resources than the one that it is tested on."""
    if isinstance(condition, (Every, Either)):
        return any(chained(one) for one in condition.conditions)
    return isinstance(condition, (Chain, Has)) or (isinstance(condition, Negation) and chained(condition.condition))


def weight(condition: Condition) -> int:
    """How many values the condition puts into a statement, at most."""
    if isinstance(condition, Criterion):
        return sum(2 if isinstance(value, (Token, Target)) else 30 for value in condition.values) + 2
    if isinstance(condition, (Every, Either)):
        return sum(weight(one) for one in condition.conditions)
    if isinstance(condition, Chain):
        return sum(weight(rest) + 3 for _, rest in condition.rests)
    if isinstance(condition, Has):
        return weight(condition.rest) + 3
    return weight(condition.condition) if isinstance(condition, Negation) else 2
