"""Query string to Query and back: every value is parsed here, so that the store only sees ranges and codes.

Source: https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo

from service.errors import BadRequest, Issue
from service.fhir import filter
from service.fhir.conditions import (
    Chain,
    Condition,
    Criterion,
    Either,
    Every,
    Has,
    Include,
    Missing,
    Negation,
    Query,
    weight,
)
from service.fhir.criteria import MODIFIERS, UNSUPPORTED, Reading, Terms, costly, invalid, not_done, unknown_parameter
from service.fhir.parameters import PLAIN, SearchParameter, SearchParameters, searchable
from service.fhir.values import Target, Token
from service.fhir.wish import wish_of

__all__ = [
    "MODIFIERS", "Chain", "Condition", "Criterion", "Either", "Every", "Has", "Include", "Missing", "Negation",
    "Query", "SearchParameter", "SearchParameters", "Terms", "parse", "unknown_parameter", "within",
]  # fmt: skip

RESULT = {
    "_count", "_sort", "_include", "_revinclude", "_total", "_summary", "_format", "_pretty", "_contained", "_elements",
}  # fmt: skip
SPECIAL = ("_filter", "_has", "_list", "_type")  # parameters that have no definition of their own
SORTABLE = PLAIN
TOTALS = {"none", "estimate", "accurate"}
MOST_CONDITIONS = 100
HEAVIEST = 20_000  # values in one statement; SQLite takes 32,766
_COMPARTMENT = "{def}"


def parse(
    resource_type: str | None,
    pairs: Sequence[tuple[str, str]],
    parameters: SearchParameters,
    *,
    zone: tzinfo,
    handling: str = "lenient",
    default_count: int = 50,
    max_count: int = 1000,
    terms: Terms | None = None,
    types: Collection[str] = (),
) -> Query:
    """The Query of `pairs` (names and values, already URL-decoded). Raises BadRequest with all issues.

    Unknown parameters are ignored and named in `Query.ignored` (lenient) or an error (strict);
    an unsupported modifier, prefix or malformed value always is one. `resource_type` None is a search of several
    types: those that `_type` names, else all `types`; it takes the parameters that all of them have.
    """
    reading = Reading(parameters, zone, terms)
    limits = (handling, default_count, max_count)
    if resource_type is not None:
        return _read(resource_type, pairs, reading, limits, (resource_type,))
    named = _named_types(pairs, types)
    rest = [pair for pair in pairs if pair[0] != "_type"]
    parts = [_read(type_, rest, reading, limits, named) for type_ in named]
    ignored = {name for part in parts for name in part.ignored}
    if any(set(part.ignored) != ignored for part in parts):  # what one type does not have is asked of none
        rest = [pair for pair in rest if pair[0] not in ignored]
        parts = [_read(type_, rest, reading, limits, named) for type_ in named]
    if sum(weight(condition) for part in parts for condition in part.conditions) > HEAVIEST:
        raise costly()
    includes = tuple(dict.fromkeys(include for part in parts for include in part.includes))
    link = (*(pair for pair in pairs if pair[0] == "_type"), *parts[0].link)
    return replace(
        parts[0], type="", conditions=(), includes=includes, parts=tuple(parts), ignored=tuple(ignored), link=link
    )


def _named_types(pairs: Sequence[tuple[str, str]], types: Collection[str]) -> list[str]:
    """The types that `_type` names, all where it is absent. Raises BadRequest."""
    asked = [set(value.split(",")) for name, value in pairs if name == "_type"]
    if not asked:
        return sorted(types)
    named = set.intersection(*asked)
    if not named or not named <= set(types):
        raise invalid("_type", "names of R4's resource types with commas between them")
    return sorted(named)


def within(
    query: Query, compartment: str, id_: str, members: Mapping[str, Sequence[str]], parameters: SearchParameters
) -> Query:
    """The query inside the compartment of `compartment`/`id_`; `members` are its parameters by type.

    Raises BadRequest for a type that the compartment does not hold; of several types those stay that it holds.
    Source: https://hl7.org/fhir/R4/compartmentdefinition.html
    """
    if query.parts:
        inside = [part for part in query.parts if part.type == compartment or members.get(part.type)]
        if not inside:
            raise BadRequest(
                f"The compartment of {compartment} holds none of these types", code="not-supported", rule=UNSUPPORTED
            )
        return replace(query, parts=tuple(within(part, compartment, id_, members, parameters) for part in inside))
    conditions: list[Condition] = []
    if query.type == compartment and (own := parameters.get(compartment, "_id")):
        conditions.append(Criterion(own, (Token(None, id_),)))
    for code in members.get(query.type, ()):
        parameter = parameters.get(query.type, code)
        if code != _COMPARTMENT and parameter is not None and parameter.type == "reference":
            conditions.append(Criterion(parameter, (Target(compartment, id_),)))
    if not conditions:
        raise BadRequest(
            f"The compartment of {compartment} holds no {query.type}", code="not-supported", rule=UNSUPPORTED
        )
    member = conditions[0] if len(conditions) == 1 else Either(tuple(conditions))
    return replace(query, conditions=(member, *query.conditions))


def _read(
    type_: str,
    pairs: Sequence[tuple[str, str]],
    reading: Reading,
    limits: tuple[str, int, int],
    sources: Sequence[str],
) -> Query:
    """The Query of one type; `limits` are handling, default and highest count, `sources` all types of the search."""
    handling, default, most = limits
    reader = _Reader(type_, reading, handling, most, sources)
    for name, value in pairs:
        try:
            reader.take(name, value)
        except BadRequest as error:
            reader.issues.extend(error.issues)
    if sum(weight(condition) for condition in reader.conditions) > HEAVIEST or len(reader.conditions) > MOST_CONDITIONS:
        reader.issues.extend(costly().issues)
    if reader.issues:
        raise BadRequest(issues=reader.issues)
    return reader.query(default)


class _Reader:
    """Collects what the pairs of one query string say of one type."""

    def __init__(self, type_: str, reading: Reading, handling: str, max_count: int, sources: Sequence[str]) -> None:
        self.type, self.reading, self.sources = type_, reading, sources
        self.strict, self.max_count = handling == "strict", max_count
        self.issues: list[Issue] = []
        self.conditions: list[Condition] = []
        self.sort: tuple[tuple[SearchParameter, bool], ...] = ()
        self.includes: list[Include] = []
        self.count: int | None = None
        self.total = self.summary_count = False
        self.ignored: list[str] = []
        self.link: list[tuple[str, str]] = []

    def query(self, default_count: int) -> Query:
        return Query(
            self.type,
            tuple(self.conditions),
            self.sort,
            tuple(self.includes),
            default_count if self.count is None else self.count,
            self.total,
            self.summary_count,
            tuple(self.ignored),
            tuple(self.link),
        )

    def take(self, name: str, value: str) -> None:
        base = name.partition(":")[0]
        if "\0" in name or "\0" in value:
            raise invalid(name.replace("\0", ""), "text without the character 0")
        if base in RESULT:
            self._result(base, name, value)
        elif value:  # an empty value says nothing: https://hl7.org/fhir/R4/search.html#escaping
            condition = self._condition(name, value)
            if condition is None:
                return self._unknown(name)
            self.conditions.extend(condition.conditions if isinstance(condition, Every) else (condition,))
        else:
            return self._unknown(name)
        self.link.append((name, value))
        return None

    def _condition(self, name: str, value: str) -> Condition | None:
        if name == "_filter":
            return filter.parse(self.type, value, self.reading)
        if name == "_type":
            if self.type not in value.split(","):
                raise invalid(name, f"{self.type}, the type that is searched")
            return Every(())
        return self.reading.condition(self.type, name, value)

    def _unknown(self, name: str) -> None:
        if self.strict:
            self.issues.append(unknown_parameter(self.type, name, self.reading.parameters))
        else:
            self.ignored.append(name)

    def _result(self, base: str, name: str, value: str) -> None:
        if name != base and base not in ("_include", "_revinclude"):
            raise invalid(name, "no modifier", rule="unsupported-modifier")
        if base == "_count":
            if not value.isdecimal() or len(value) > 18:
                raise invalid(name, "a whole number, 0 or more")
            self.count = min(int(value), self.max_count)
            self.summary_count = self.summary_count or int(value) == 0
        elif base == "_total":
            if value not in TOTALS:
                raise invalid(name, "none, estimate or accurate")
            self.total = value != "none"
        elif base in ("_summary", "_elements"):
            wish = wish_of([(base, value)])
            self.summary_count = wish.summary == "count" if base == "_summary" else self.summary_count
        elif base == "_sort":
            self.sort = tuple(self._sort_key(key) for key in value.split(",") if key)
        elif base in ("_include", "_revinclude"):
            self.includes.append(self._include(name, value))
        elif base == "_contained" and value != "false":
            raise not_done(base)

    def _sort_key(self, key: str) -> tuple[SearchParameter, bool]:
        code = key.removeprefix("-")
        parameter = self.reading.parameters.get(self.type, code)
        if parameter is None or parameter.type not in SORTABLE or not searchable(parameter):
            raise invalid("_sort", f"parameters of {self.type} of type {', '.join(sorted(SORTABLE))}")
        return parameter, key.startswith("-")

    def _include(self, name: str, value: str) -> Include:
        base, _, modifier = name.partition(":")
        reverse, iterate = base == "_revinclude", modifier in ("iterate", "recurse")
        if modifier and not iterate:
            raise invalid(name, "no modifier but iterate", rule="unsupported-modifier")
        if value == "*":
            return Include(None if reverse or iterate else self.type, None, None, reverse, iterate)
        parts = value.split(":")
        if not 2 <= len(parts) <= 3:
            raise invalid(name, "[type]:[reference parameter] or [type]:[reference parameter]:[target type]")
        if not (reverse or iterate) and parts[0] not in self.sources:
            raise invalid(name, f"a parameter of {self.type}, or the modifier iterate")
        of = self.reading.parameters.of(parts[0]).values()
        meant = [one for one in of if one.type == "reference" and parts[1] in ("*", one.code) and searchable(one)]
        if not meant:
            raise invalid(name, "a reference parameter of its type")
        target = parts[2] if len(parts) == 3 else None
        if target is not None and not any(target in one.target for one in meant):
            raise invalid(name, "a type that the parameter may point to behind the second colon")
        return Include(parts[0], None if parts[1] == "*" else meant[0], target, reverse, iterate)
